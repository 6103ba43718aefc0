// SPDX-License-Identifier: Apache-2.0
// CausalConvWithState: every channel is convolved with a kernel of its own over the past only. What came before the
// input is past_state (zeros if absent); the last (taps - 1) * dilation numbers are the next call's. com.microsoft has
// it with channels last, dilation, and state_window: the states after each of the last positions, not just the last.
// VarlenCausalConvWithState is the same for samples that lie behind one another, [tokens, channels].
#pragma once

#include "ops/record.h"

typedef struct causal_conv_params {
  bool silu, last;  // last: channels are
  int64_t dilation, window, capacity;
} causal_conv_params;

sdx_status causal_conv_read(op_params_context *c, void *params);
sdx_status causal_conv_read_microsoft(op_params_context *c, void *params);
sdx_status causal_conv_infer(op_step *c);
sdx_status causal_conv_prepare(op_step *c);
sdx_status causal_conv_compute(op_step *c);

sdx_status causal_conv_read_varlen(op_params_context *c, void *params);
sdx_status causal_conv_infer_varlen(op_step *c);
sdx_status causal_conv_compute_varlen(op_step *c);

// SPDX-License-Identifier: Apache-2.0
// CausalConvWithState with channels last, dilation and the states after each of the last positions, and
// VarlenCausalConvWithState for samples that lie behind one another. The work is in ops/parts/causal_conv.h.
#include "ops/parts/causal_conv.h"

SDX_CASES = {"input=float[2,3,5] weight=float[3,1,4] bias=float[3] outputs=2",
             "input=float[2,5,3,2] weight=float[6,1,3] channels_last=1 dilation=2 state_window=3 outputs=2", NULL};
static const char *const varlen_cases[] = {
    "input=float[5,3] weight=float[3,1,3] cumulative_sequence_length=int32[3](0,2,5) bias=float[3] "
    "initial_state=float[2,3,2] capture_count=int32[2](1,2) state_update_capacity=2 outputs=3",
    NULL};

SDX_OP_MS(CausalConvWithState) = {
    .since = 1,
    .versions = "1",
    .inputs = "input:T weight:T bias:T? past_state:T?",
    .outputs = "output:T present_state:T",
    .types = "T=float,float16,bfloat16",
    .attrs = "activation:string=none channels_last:int=0 dilation:int=1 ndim:int=1 state_window:int=0",
    .params_size = sizeof(causal_conv_params),
    .params = causal_conv_read_microsoft,
    .prepare = causal_conv_prepare,
    .infer = causal_conv_infer,
    .compute = causal_conv_compute,
    .cases = cases,
};
SDX_OP_MS(VarlenCausalConvWithState) = {
    .since = 1,
    .versions = "1",
    .inputs = "input:T weight:T cumulative_sequence_length:M bias:T? initial_state:T capture_count:M?",
    .outputs = "output:T final_state:T state_update:T?",
    .types = "T=float,float16,bfloat16;M=int32",
    .attrs = "activation:string=none dilation:int=1 state_update_capacity:int=0",
    .params_size = sizeof(causal_conv_params),
    .params = causal_conv_read_varlen,
    .prepare = causal_conv_prepare,
    .infer = causal_conv_infer_varlen,
    .compute = causal_conv_compute_varlen,
    .cases = varlen_cases,
};

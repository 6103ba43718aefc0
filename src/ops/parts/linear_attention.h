// SPDX-License-Identifier: Apache-2.0
// LinearAttention of ai.onnx and com.microsoft, and the recurrence on the state [width, v_width] of one head that
// GatedDeltaNet shares:
//
//   S = exp(decay) S        (gated, gated_delta)
//   v = beta (v - S' k)     (delta, gated_delta)
//   S = S + k v';  y = scale S' q for every query head of the group
#pragma once

#include "ops/record.h"

typedef struct linear_rule {
  bool gated, delta;
} linear_rule;
sdx_status linear_rule_read(op_params_context *c, linear_rule *rule);  // attribute update_rule

typedef struct linear_state {
  float *at, *row;  // row: v_width numbers of scratch, afterwards what was added for the key
  size_t width, v_width;
} linear_state;
// S = exp(decay) S, of one decay or, `each`, of one for each of the `width` rows.
void linear_decay(const linear_state *s, const float *decay, bool each);
// row = beta (v - S' k), or v where beta is NULL; S = S + k row'.
void linear_write(const linear_state *s, const float *k, const float *v, const float *beta);
// y = scale S' q
void linear_read(const linear_state *s, const float *q, float scale, float *y);

// ---- the operator -----------------------------------------------------------------------------------

typedef struct linear_attention_params {
  int64_t heads, kv_heads, window;
  float scale;
  linear_rule rule;
} linear_attention_params;

sdx_status linear_attention_read(op_params_context *c, void *params);
sdx_status linear_attention_read_microsoft(op_params_context *c, void *params);  // with state_window
sdx_status linear_attention_infer(op_step *c);
sdx_status linear_attention_prepare(op_step *c);
sdx_status linear_attention_compute(op_step *c);

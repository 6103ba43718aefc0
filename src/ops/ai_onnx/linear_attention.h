// SPDX-License-Identifier: Apache-2.0
// The recurrence of attention without softmax on the state [width, v_width] of one head, what LinearAttention and
// GatedDeltaNet share.
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

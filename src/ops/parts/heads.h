// SPDX-License-Identifier: Apache-2.0
// What the attention operators of com.microsoft share: rows of heads brought from one place to another, with the
// bias of the projection added, and sizes that several inputs must agree on.
#pragma once

#include "ops/parts/attend.h"

// An input's shape, while a plan is made or before; rank -1: not known, absent: not given.
typedef struct heads_input {
  bool given;
  int rank;
  const int64_t *dims;
} heads_input;

heads_input heads_from_type(const op_step *c, size_t input);
heads_input heads_from_tensor(const op_step *c, size_t input);
// `*size` is shared by several inputs: takes it from `have`, or checks it there.
sdx_status heads_agree(error *err, size_t input, const char *what, int64_t have, int64_t *size);

// Row r of head h of sample b goes to row r + offsets[b] (offsets NULL: r) of `to`, plus bias[h * width].
typedef struct heads_move {
  attend_view from, to;
  const float *bias;
  const int64_t *offsets;
  const int64_t *counts;  // rows of each sample; NULL: `rows`
  size_t batch, heads, rows, width;
} heads_move;
void heads_run(op_step *c, const heads_move *move);
// to = from / rms(from) * weight for each row of each head; size: batch, heads, rows, width. They may be the same.
void heads_norm(op_step *c, const attend_view *from, const attend_view *to, const float *weight, float epsilon,
                const size_t size[4]);

// [batch, rows, heads * width] and [batch, heads, rows, width] as views; steps in floats.
static inline attend_view heads_packed(void *at, size_t heads, size_t rows, size_t width) {
  return (attend_view){at, rows * heads * width, width, heads * width};
}
static inline attend_view heads_apart(void *at, size_t heads, size_t rows, size_t width) {
  return (attend_view){at, heads * rows * width, rows * width, width};
}

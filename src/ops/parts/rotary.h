// SPDX-License-Identifier: Apache-2.0
// Rotary position embedding of float heads: what RotaryEmbedding and the attention operators with rotation share.
#pragma once

#include "ops/parts/attend.h"

// Pair i of a row at position p turns by the angle whose cosine and sine are cos[p][i], sin[p][i]. The pairs are
// elements i and i + pairs, or 2 i and 2 i + 1 if interleaved; what is behind 2 * pairs is copied.
typedef struct rotary {
  const float *cos, *sin;
  size_t table_rows, columns, pairs;  // columns of the tables: at least `pairs`
  bool interleaved;
  const int64_t *positions;  // NULL: row r of sample b is at b * rows + r
  size_t position_batch;     // positions[b * position_batch + r * position_row] + (position_row ? 0 : r)
  size_t position_row;
} rotary;

// x and y may be the same. A position outside of the tables is an error that names `input`.
sdx_status rotary_run(op_step *c, const rotary *r, const attend_view *x, const attend_view *y, size_t batch,
                      size_t heads, size_t rows, size_t width, error_part positions);

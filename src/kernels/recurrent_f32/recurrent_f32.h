// SPDX-License-Identifier: Apache-2.0
// Contract: what takes one sequence from a step of a recurrent layer to the next, and the cells of LSTM and GRU.
//
// panel: y[j] += sum over k of h[k] R[k][j] for the columns of one panel of R: a chain of multiply-adds over rising k
// from 0, then one addition, which are the bits of gemm_f32's float variants with y as the residual. Such a product
// reads each weight once and so waits for the L2 cache, while half of the multiply-adds stand idle. They can carry
// tiles of another product along: rows of Z = X W + bias, the inputs of steps to come (same bits again).
//
// R is packed in panels of `panel` columns, the last one's rounded up to `lanes`, W in whole tiles, both [depth][width]
// and filled with zeros. X is [depth][rows]; any alignment of 4. y, z and h do not overlap.
//
// lstm and gru: elementwise with the functions Sigmoid, Tanh, Tanh, whose errors are those of unary_f32; every
// operation beside them is one rounding, so the bits depend on the element alone. NaN in, NaN out.
//
// Read next: ref.c (the judge), fast.inl. The driver (recurrent_f32.c) packs, and goes over the panels of a row.
#pragma once

#include <stddef.h>

#include "kernels/kernel.h"

typedef struct recurrent_f32_ahead {
  const float *x, *w, *bias;    // bias: NULL if there is none
  float *z;                     // [live][columns]
  size_t live, columns, depth;  // live <= rows: how many rows of z are wanted
  size_t next, tiles;           // the first that is left, how many there are
} recurrent_f32_ahead;

typedef struct recurrent_f32_lstm {
  const float *gates;      // before their functions: i, o, f, c, each of n
  const float *peepholes;  // NULL, or of i, o, f, each of n
  float *h, *c;            // [n]; h is only written
  size_t n;
  float clip;   // bounds what goes into the gates' functions; INFINITY: not at all
  bool couple;  // f = 1 - i
} recurrent_f32_lstm;

typedef struct recurrent_f32_gru {
  const float *gates;    // before their functions: z, r, h, each of n
  const float *product;  // H Rh + bias, which r is still to be applied to; NULL: the third gate is complete
  float *h;              // [n]
  size_t n;
  float clip;
} recurrent_f32_gru;

typedef struct recurrent_f32_kernel {
  size_t panel, rows, tile_columns;  // columns of a panel, rows and columns of a tile
  size_t lanes;
  // Columns of one panel, and one tile of `ahead`, if it is not NULL, which takes a whole panel.
  void (*panel_step)(const float *r, size_t depth, const float *h, float *y, size_t columns,
                     const recurrent_f32_ahead *ahead, size_t tile);
  void (*tile)(const recurrent_f32_ahead *ahead, size_t tile);
  void (*lstm)(const recurrent_f32_lstm *s);
  void (*gru)(const recurrent_f32_gru *s);
} recurrent_f32_kernel;

// Floats of a packed operand of which a panel (tile) is `width` wide; 0: too many.
size_t recurrent_f32_packed(const recurrent_f32_kernel *v, size_t width, size_t depth, size_t columns);
// The weights as ONNX has them: [columns][depth].
void recurrent_f32_pack(const recurrent_f32_kernel *v, size_t width, const float *weights, size_t depth, size_t columns,
                        float *packed);

// y += h R; each whole panel carries a tile while some are left. Going through the panels `backwards` every other time
// finds those in the cache that were used last.
void recurrent_f32_row(const recurrent_f32_kernel *v, const float *r, size_t depth, size_t columns, const float *h,
                       float *y, bool backwards, recurrent_f32_ahead *ahead);
// The tiles that are left.
void recurrent_f32_finish(const recurrent_f32_kernel *v, recurrent_f32_ahead *ahead);
static inline size_t recurrent_f32_tiles(const recurrent_f32_kernel *v, size_t columns) {
  return (columns + v->tile_columns - 1) / v->tile_columns;
}

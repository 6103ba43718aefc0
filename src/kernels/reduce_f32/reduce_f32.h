// SPDX-License-Identifier: Apache-2.0
// Contract: reductions of a dense matrix of rows x cols, over the inner axis (`inner`: y[rows]) or the outer
// one (`outer`: y[cols]). Any reduction over a set of adjacent axes is one of these per outermost index.
//
// The order of additions is fixed by rows and cols alone: inner sums run in 32 lanes over blocks of 4096
// elements, lanes are added as a tree, blocks in double; outer sums add blocks of 64 rows in float, blocks in
// double. So every variant gives the same bits, threads may split rows (inner) or cols (outer, multiples of
// anything) freely, and the error grows with the block, not with the length: <= 128 eps * sum |terms|.
// Empty: SUM L1 SUMSQ 0, PROD 1, MAX -inf, MIN +inf, MEAN NaN. MAX and MIN give NaN if any element is.
// SUMSQ sums x*x, L1 sums |x|, each rounded before it is added. PROD is a product over the same lanes, in float.
#pragma once

#include <stddef.h>

#include "kernels/kernel.h"

#define REDUCE_F32_LIST(X) X(SUM) X(MEAN) X(SUMSQ) X(L1) X(PROD) X(MAX) X(MIN)

typedef enum reduce_f32_op {
#define X(name) REDUCE_F32_##name,
  REDUCE_F32_LIST(X)
#undef X
      REDUCE_F32_COUNT
} reduce_f32_op;

enum { REDUCE_F32_LANES = 32, REDUCE_F32_BLOCK = 4096, REDUCE_F32_ROWS = 64 };

typedef struct reduce_f32_kernel {
  void (*inner[REDUCE_F32_COUNT])(const float *x, float *y, size_t rows, size_t cols);
  // Columns of a wider matrix: row r starts at x + r * stride, cols are reduced side by side.
  void (*outer[REDUCE_F32_COUNT])(const float *x, size_t stride, float *y, size_t rows, size_t cols);
} reduce_f32_kernel;

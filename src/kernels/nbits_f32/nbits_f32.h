// SPDX-License-Identifier: Apache-2.0
// Contract: weights of 4 bits in blocks along k, each with a scale and a zero point, w = (q - zero) * scale rounded
// twice, are widened to panels of a matrix product or multiplied at once where there are few rows.
//
// Columns lie in panels of NBITS_COLUMNS. A panel is, for each k, a byte a pair of columns: column j in the low bits of
// byte j, column j + NBITS_COLUMNS / 2 in the high bits; scales and zeros follow one another by block, a float a
// column. multiply: each sum is one chain over k in rising order from 0, with the rounding of gemm_f32's fp32 variants:
// both give the same bits.
#pragma once

#include "kernels/kernel.h"

enum { NBITS_COLUMNS = 32 };

typedef struct nbits_panel {
  const uint8_t *weights;       // [k][NBITS_COLUMNS / 2]
  const float *scales, *zeros;  // [block][NBITS_COLUMNS]; zeros NULL: 8
  size_t block;                 // of how many k
} nbits_panel;

typedef struct nbits_f32_kernel {
  // Rows [k0, k0 + kc): columns [first, first + count) to to[(k - k0) * stride].
  void (*widen)(const nbits_panel *p, size_t k0, size_t kc, size_t first, size_t count, float *to, size_t stride);
  // c[j] = sum over k of a[k] * w[k][j], j < NBITS_COLUMNS.
  void (*multiply)(const nbits_panel *p, size_t k, const float *a, float *c);
} nbits_f32_kernel;

// SPDX-License-Identifier: Apache-2.0
// The judge of gemm_u8s8: pairs of int16 in plain C.
#include "kernels/gemm_u8s8/gemm_u8s8.h"

enum { MR = 4, NR = 16 };
#define WIDE 1

static void tile(size_t groups, const void *a, const void *b, int32_t *c, size_t ldc, size_t rows, size_t cols) {
  uint32_t sum[MR][NR] = {0};  // unsigned: long sums wrap
  const int16_t *x = a, *y = b;
  for (size_t g = 0; g < groups; g++, x += 2 * MR, y += 2 * NR)
    for (size_t i = 0; i < MR; i++)
      for (size_t j = 0; j < NR; j++) sum[i][j] += (uint32_t)(x[2 * i] * y[2 * j] + x[2 * i + 1] * y[2 * j + 1]);
  for (size_t i = 0; i < rows; i++)
    for (size_t j = 0; j < cols; j++) c[i * ldc + j] = (int32_t)((uint32_t)c[i * ldc + j] + sum[i][j]);
}

#include "kernels/gemm_u8s8/pack.inl"

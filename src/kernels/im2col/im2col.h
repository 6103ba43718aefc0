// SPDX-License-Identifier: Apache-2.0
// Contract: rows [k0, k0 + ks) x columns [n0, n0 + ns) of the column matrix of a convolution, written to
// panel[(k - k0) * stride + (n - n0)]; the panels of gemm_f32 and gemm_u8s8 are filled by it, so the whole matrix never
// exists. Row k is (channel, tap), column n an output place, both row-major; x is the first channel's plane. What lies
// in the padding gets `pad`. Columns from ns to stride are left alone. Any rank (kernels/window.h).
#pragma once

#include "kernels/kernel.h"
#include "kernels/window.h"

typedef struct im2col_kernel {
  void (*fill_f32)(const window *w, const float *x, float pad, float *panel, size_t stride, size_t k0, size_t ks,
                   size_t n0, size_t ns);
  void (*fill_u8)(const window *w, const uint8_t *x, uint8_t pad, uint8_t *panel, size_t stride, size_t k0, size_t ks,
                  size_t n0, size_t ns);
} im2col_kernel;

// SPDX-License-Identifier: Apache-2.0
// Contract: max, average and Lp pooling of one plane (the spatial dimensions of one image and channel); planes
// are independent, so threads split planes. Geometry: kernels/window.h.
//
// max: the largest element of each window (padding never wins); NaN in the window gives NaN; a window of padding alone
// gives -inf. `index`, if not NULL, receives the flat row-major place in the plane of the first largest (the first NaN)
// element, or -1. average: sum of the window's elements in row-major order divided by their number; with include_pad,
// by the number of places in [-pad, in + pad_end). A window without places gives NaN. lp: (sum |x|^p)^(1/p), p = 1, 2,
// ...; error <= 1e-5 relative. The order of additions within a window is fixed, so all variants give the same bits for
// max and average.
#pragma once

#include "kernels/kernel.h"
#include "kernels/window.h"

typedef struct pool_f32_kernel {
  void (*max)(const window *w, const float *x, float *y, int64_t *index);
  void (*average)(const window *w, const float *x, float *y, bool include_pad);
  void (*lp)(const window *w, const float *x, float *y, int p);
} pool_f32_kernel;

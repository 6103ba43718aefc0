// SPDX-License-Identifier: Apache-2.0
// Contract: max, average and Lp pooling of one image of channels-last floats, [spatial...][channels]. Geometry:
// kernels/window.h. Where the window is the whole image, reduce_f32's `outer` is faster and sums more closely.
//
// Each function writes output pixels [begin, end), counted row-major; threads split pixels, or channels. Pixels may lie
// further apart than their channels (strides in floats); between them nothing is read or written. y overlaps nothing.
//
// Results are those of pool_f32: NaN in a window gives NaN, a maximum over padding alone is -inf, an average over no
// places is NaN, and the elements of a window are added in row-major order, so all variants give the same bits for
// average and, but for the sign of a zero, for max.
#pragma once

#include "kernels/kernel.h"
#include "kernels/window.h"

typedef struct pool_nhwc_f32_image {
  const window *window;
  size_t channels;
  const float *x;
  size_t x_stride;  // from one pixel to the next
  float *y;
  size_t y_stride;
} pool_nhwc_f32_image;

typedef struct pool_nhwc_f32_kernel {
  void (*max)(const pool_nhwc_f32_image *i, size_t begin, size_t end);
  void (*average)(const pool_nhwc_f32_image *i, size_t begin, size_t end, bool include_pad);
  void (*lp)(const pool_nhwc_f32_image *i, size_t begin, size_t end, int p);
} pool_nhwc_f32_kernel;

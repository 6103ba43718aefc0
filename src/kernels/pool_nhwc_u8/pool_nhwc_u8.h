// SPDX-License-Identifier: Apache-2.0
// Contract: max and average pooling of one image of channels-last bytes, [spatial...][channels]. Geometry:
// kernels/window.h.
//
// Each function writes output pixels [begin, end), counted row-major; threads split pixels, or channels. Pixels may lie
// further apart than their channels (strides in bytes); between them nothing is read or written. y overlaps nothing.
//
// A maximum over padding alone is the type's lowest value. An average is saturate(round_half_even(sum / places * scale)
// + y_zero), where the sum is that of x - x_zero over the elements of the window, exact below 2^23 of them, and places
// counts these, with `include_pad` those of the padding too; over no places it is y_zero. All variants give the same
// bits.
#pragma once

#include "kernels/kernel.h"
#include "kernels/window.h"

typedef struct pool_nhwc_u8_image {
  const window *window;
  size_t channels;
  const void *x;
  size_t x_stride;  // from one pixel to the next
  void *y;
  size_t y_stride;
  bool is_signed;
} pool_nhwc_u8_image;

typedef struct pool_nhwc_u8_mean {
  int32_t x_zero, y_zero;
  float scale;  // of x over that of y
  bool include_pad;
} pool_nhwc_u8_mean;

typedef struct pool_nhwc_u8_kernel {
  void (*max)(const pool_nhwc_u8_image *i, size_t begin, size_t end);
  void (*average)(const pool_nhwc_u8_image *i, size_t begin, size_t end, const pool_nhwc_u8_mean *mean);
} pool_nhwc_u8_kernel;

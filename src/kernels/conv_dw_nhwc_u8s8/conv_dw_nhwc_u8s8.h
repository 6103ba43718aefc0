// SPDX-License-Identifier: Apache-2.0
// Depthwise convolution of channels-last 8-bit pixels, requantised: for `count` pixels of y, each channel by itself,
//
//     sum = bias[c] + sum over taps t of x[pixel][t][c] * w[t][c]                              int32, wraps
//     y[pixel][c] = the low byte of clamp(round_half_even((float)sum * scale[c]) + zero, low, high)
//
// where x[pixel][t] is an address. Nothing is read but the operands, nothing is written but `channels` bytes a pixel.
#pragma once

#include "kernels/igemm_u8s8/igemm_u8s8.h"

typedef struct conv_dw_nhwc_u8s8_pixels {
  const void *const *x;  // [count][taps]
  size_t count, taps, channels;
  bool x_signed;
  const int32_t *w;  // [taps][channels]: int8 weights, widened
  const int32_t *bias;
  const float *scale;
  igemm_u8s8_output output;
  uint8_t *y;
  size_t y_stride;
} conv_dw_nhwc_u8s8_pixels;

typedef struct conv_dw_nhwc_u8s8_kernel {
  void (*run)(const conv_dw_nhwc_u8s8_pixels *p);
} conv_dw_nhwc_u8s8_kernel;

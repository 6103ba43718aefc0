// SPDX-License-Identifier: Apache-2.0
// Contract: `count` channels, from output channel `first` on, of a depthwise convolution of one image:
// y[c][o] = bias[c] + sum over taps t of weight[c][t] * x[c / multiplier][window place], taps in row-major order.
// Geometry: kernels/window.h. x, weight and bias (NULL: zeros) point at
// channel 0, y at channel `first`; y overlaps nothing. Called
// through conv_f32, which splits channels over threads.
// Each product is added with one rounding for both (fused multiply-add), starting from the bias, so all
// variants give the same bits. Padding may count as 0 * weight: an infinite weight over padding may give NaN.
#pragma once

#include "kernels/kernel.h"
#include "kernels/window.h"

typedef struct conv_dw_f32_kernel {
  void (*planes)(const window *w, const float *x, const float *weight, const float *bias, float *y, size_t first,
                 size_t count, size_t multiplier);
} conv_dw_f32_kernel;

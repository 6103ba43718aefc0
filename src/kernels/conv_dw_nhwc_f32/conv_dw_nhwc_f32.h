// SPDX-License-Identifier: Apache-2.0
// Depthwise convolution of channels-last floats, [batch][spatial...][channels], any rank to 8:
//
//     y[pixel][c * multiplier + j] = act(bias[..] + sum over taps t of weights[c * multiplier + j][t] * x[place][c])
//
//  * Starts from the bias; taps follow in row-major order, each with one rounding for product and sum. So all variants
//    give the same bits, those of conv_dw_f32. Padding may count as 0 * weight: an infinite weight over it may give
//    NaN.
//  * Pixels may lie further apart than their channels (strides in floats); between them nothing is read or written.
//    y overlaps nothing.
//  * Same bits for any number of threads and any batch neighbour.
//
// Variants compute a part of one image; conv_dw_nhwc_f32_run cuts a batch into parts.
#pragma once

#include "kernels/activation.h"
#include "kernels/kernel.h"
#include "kernels/window.h"

typedef struct conv_dw_nhwc_f32_image {
  const window *window;
  size_t channels, multiplier;  // y has channels * multiplier
  const float *x, *packed;      // packed: [multiplier][taps][channels]
  const float *bias;            // NULL: zeros
  float *y;
  size_t x_stride, y_stride;  // from one pixel to the next
  activation activation;
  activation_fn activate;  // activation_find(activation.kind), when a plan is made
} conv_dw_nhwc_f32_image;

// Output lines are all output pixels with the same coordinates but the last.
typedef struct conv_dw_nhwc_f32_part {
  size_t line_begin, line_end;
  size_t channel_begin, channel_end;  // of x
} conv_dw_nhwc_f32_part;

typedef struct conv_dw_nhwc_f32_kernel {
  void (*run)(const conv_dw_nhwc_f32_image *i, conv_dw_nhwc_f32_part part);
} conv_dw_nhwc_f32_kernel;

// weights: [channels * multiplier][taps]; packed: as many floats.
void conv_dw_nhwc_f32_pack(const float *weights, size_t taps, size_t channels, size_t multiplier, float *packed);
// first: of `batch` images, which follow each other at the distances of their pixels.
void conv_dw_nhwc_f32_run(const conv_dw_nhwc_f32_kernel *kernel, const conv_dw_nhwc_f32_image *first, size_t batch,
                          size_t threads);

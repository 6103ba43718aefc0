// SPDX-License-Identifier: Apache-2.0
// Depthwise convolution of channels-last 8-bit pixels, requantised: neighbouring pixels of a line of y, each channel by
// itself,
//
//     sum = bias[c] + sum over taps t, rows r of (x[i * stride + t][r][c] ^ flip) * w[t][r][c]    int32, wraps
//     y[i][c] = what `igemm_u8s8_output` makes of sum and scale[c]
//
// where x[column][r] is an address: windows share columns. Rows lie together in groups, filled up with weights of 0,
// and channels in blocks, of which variants take their own order (conv_dw_nhwc_u8s8_lane), as packing and unpacking of
// bytes leaves them. Nothing is read but the operands, nothing is written but `channels` bytes a pixel.
#pragma once

#include "kernels/igemm_u8s8/igemm_u8s8.h"

typedef struct conv_dw_nhwc_u8s8_line {
  const void *const *x;              // [(count - 1) * stride + taps][rows]
  size_t count, stride, taps, rows;  // of a window: taps along the line, rows across
  size_t channels;
  uint8_t flip;
  const void *w;        // see conv_dw_nhwc_u8s8_place
  const int32_t *bias;  // [channels, to whole blocks], in the order of lanes
  const float *scale;
  igemm_u8s8_output output;
  const uint8_t *other;  // that is added, laid as y; else NULL
  uint8_t *y;
  size_t y_stride;
} conv_dw_nhwc_u8s8_line;

typedef struct conv_dw_nhwc_u8s8_kernel {
  bool wide;      // weights are int16, else int8
  uint8_t group;  // rows that lie together
  uint8_t unit;   // channels of a block, a multiple of 16
  void (*run)(const conv_dw_nhwc_u8s8_line *l);
} conv_dw_nhwc_u8s8_kernel;

// Where channel c has its sum, bias and scale: of each 16 the first four lie together, then the second four, and so on.
static inline size_t conv_dw_nhwc_u8s8_lane(const conv_dw_nhwc_u8s8_kernel *k, size_t c) {
  const size_t in = c % k->unit;
  return c - in + in % 16 / 4 * (k->unit / 4u) + in / 16 * 4 + in % 4;
}

// Weights are [channels / unit][taps][rows / group][unit][group], all rounded up.
static inline size_t conv_dw_nhwc_u8s8_weights(const conv_dw_nhwc_u8s8_kernel *k, size_t channels, size_t taps,
                                               size_t rows) {
  return (channels + k->unit - 1) / k->unit * taps * ((rows + k->group - 1) / k->group) * k->unit * k->group;
}
static inline size_t conv_dw_nhwc_u8s8_place(const conv_dw_nhwc_u8s8_kernel *k, size_t taps, size_t rows, size_t c,
                                             size_t t, size_t r) {
  const size_t groups = (rows + k->group - 1) / k->group, lane = conv_dw_nhwc_u8s8_lane(k, c) % k->unit;
  return (((c / k->unit * taps + t) * groups + r / k->group) * k->unit + lane) * k->group + r % k->group;
}

// SPDX-License-Identifier: Apache-2.0
// Integer convolution, exact in int32 with wrap: y = sum of (x - x_zero) * (w - w_zero[channel]); padding counts as
// x_zero. A driver over gemm_u8s8, whose panels of B are filled straight from the image. Used by ConvInteger
// and, followed by kernels/quantize, by QLinearConv.
#pragma once

#include "kernels/gemm_u8s8/gemm_u8s8.h"
#include "kernels/window.h"

typedef struct conv_u8s8 {
  window window;
  size_t batch, groups, in_channels, out_channels;  // of all groups
  bool x_signed, w_signed;
  const void *x;                // [batch][in_channels][in...]
  const void *weights;          // [out_channels][in_channels / groups][kernel...]; not read if packed
  const void *packed;           // from conv_u8s8_pack, or NULL
  const void *x_zero, *w_zero;  // of x's and w's type; NULL = 0
  bool w_zero_per_channel;      // out_channels of them instead of one
  int32_t *y;                   // [batch][out_channels][out...]
} conv_u8s8;

size_t conv_u8s8_packed_bytes(const conv_u8s8 *c);
void conv_u8s8_pack(const conv_u8s8 *c, void *packed, size_t threads);  // from c->weights
pack_format conv_u8s8_format(const conv_u8s8 *c);
size_t conv_u8s8_scratch_bytes(const conv_u8s8 *c, size_t threads);
void conv_u8s8_run(const conv_u8s8 *c, void *scratch, size_t threads);

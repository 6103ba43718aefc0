// SPDX-License-Identifier: Apache-2.0
// Transposed convolution of N x C x spatial floats: y = act(conv_transpose(x, w) + bias). The window is the one
// of the forward convolution that this one turns around: window.in is y's spatial size, window.out is x's.
// A driver: per image and group the product W^T x gives every tap's contribution (gemm_f32), which are then
// gathered into y in a fixed order, a chunk of output channels at a time so that they stay in the cache.
// Same bits for any thread count and batch neighbour.
#pragma once

#include "kernels/gemm_f32/gemm_f32.h"
#include "kernels/window.h"

typedef struct conv_transpose_f32_shape {
  window window;
  size_t batch, groups, in_channels, out_channels;  // of all groups
  size_t threads;
  int precision;
  bool constant_weights;
} conv_transpose_f32_shape;

typedef struct conv_transpose_f32_plan {
  conv_transpose_f32_shape shape;
  size_t chunk;                     // output channels of a group done at once
  gemm_f32_plan gemm, rest;         // of a full chunk, of the last one
  size_t packed_bytes;              // 0: weights are used as they are
  size_t chunk_bytes, group_bytes;  // packed
  size_t columns_bytes, scratch_bytes;
} conv_transpose_f32_plan;

typedef struct conv_transpose_f32_call {
  const float *x;        // [batch][in_channels][window.out...]
  const float *weights;  // [in_channels][out_channels / groups][kernel...]; may be NULL if packed
  const void *packed;
  const float *bias;  // [out_channels] or NULL
  activation activation;
  float *y;  // [batch][out_channels][window.in...]
} conv_transpose_f32_call;

// false: a size overflows.
bool conv_transpose_f32_plan_init(conv_transpose_f32_plan *plan, const conv_transpose_f32_shape *shape);
void conv_transpose_f32_pack(const conv_transpose_f32_plan *plan, const float *weights, void *packed);
pack_format conv_transpose_f32_format(const conv_transpose_f32_plan *plan);  // detail: channels of a chunk
void conv_transpose_f32_run(const conv_transpose_f32_plan *plan, const conv_transpose_f32_call *call, void *scratch);

// SPDX-License-Identifier: Apache-2.0
// Convolution of N x C x spatial floats, any rank to 8, groups, strides, dilations, padding, with bias, residual
// and activation applied while the result is hot: y = act(conv(x, w) + bias + residual).
//
// A driver over other families: the product W [channels x (channels * taps)] by the columns of the image goes
// through gemm_f32, whose panels are filled straight from the image (the column matrix never exists); 1x1 with stride 1
// needs no filling; depthwise goes to conv_dw_f32. Use: make a plan once per shape, pack constant weights
// once, then run with plan.scratch_bytes of scratch.
// Same bits for any thread count and batch neighbour. Padding adds nothing: 0 * x with the weight as x, so an
// infinite weight over padding gives NaN only through gemm_f32, as im2col engines do.
#pragma once

#include "kernels/binary_f32/binary_f32.h"
#include "kernels/conv_dw_f32/conv_dw_f32.h"
#include "kernels/gemm_f32/gemm_f32.h"
#include "kernels/im2col/im2col.h"

typedef struct conv_f32_shape {
  window window;
  size_t batch, groups, in_channels, out_channels;  // channels of all groups, multiples of groups
  size_t threads;
  int precision;          // gemm_precision
  bool constant_weights;  // they will be packed
  bool residual_is_y;     // the residual may be y itself
} conv_f32_shape;

typedef enum conv_f32_method { CONV_DEPTHWISE, CONV_PLAIN, CONV_COLUMNS } conv_f32_method;

typedef struct conv_f32_plan {
  conv_f32_shape shape;
  conv_f32_method method;
  const char *name;  // kernel shown by inspect
  const conv_dw_f32_kernel *depthwise;
  const binary_f32_kernel *binary;  // adds the residual of depthwise
  size_t channels;                  // of a depthwise task
  size_t aside_bytes;               // depthwise whose residual is y: its task's outputs beside it, for each worker
  const im2col_kernel *columns;
  gemm_f32_plan gemm;   // of one image and all groups, or of all images where there is one group
  size_t packed_bytes;  // of packed weights; 0: used as they are (not constant, or depthwise)
  size_t group_bytes;   // of them for one group
  size_t scratch_bytes;
} conv_f32_plan;

typedef struct conv_f32_call {
  const float *x;         // [batch][in_channels][in...]
  const float *weights;   // [out_channels][in_channels / groups][kernel...]; may be NULL if packed
  const void *packed;     // NULL if packed_bytes is 0
  const float *bias;      // [out_channels] or NULL
  const float *residual;  // like y, or NULL
  activation activation;
  float *y;  // [batch][out_channels][out...]
} conv_f32_call;

// false: a size overflows. Channels that do not divide by groups are the caller's mistake.
bool conv_f32_plan_init(conv_f32_plan *plan, const conv_f32_shape *shape);
void conv_f32_pack(const conv_f32_plan *plan, const float *weights, void *packed);
pack_format conv_f32_format(const conv_f32_plan *plan);
void conv_f32_run(const conv_f32_plan *plan, const conv_f32_call *call, void *scratch);

// SPDX-License-Identifier: Apache-2.0
// Convolution and transposed convolution of channels-last floats, [batch][spatial...][channels], any rank to 8, groups,
// strides, dilations, padding: y = act(conv(x, w) + bias + residual). Depthwise is conv_dw_nhwc_f32's; for most 3 x 3
// of stride 1 winograd_f32 is faster.
//
// A driver over igemm_f32: pixels are addressed where they lie, padding as a row of zeros, so nothing is copied; a
// transposed convolution is one convolution for each remainder of y's places by the stride.
// Use: make a plan once per shape, pack the weights (once, if they are constant), run with plan.scratch_bytes.
//
//  * Pixels may lie further apart than their channels (strides in floats), so that a part of another tensor's channels
//    is read or written in place. Between them nothing is touched. The residual may be y itself; x may not.
//  * Same bits for any number of threads and any batch neighbour.
//  * Without a matrix unit a sum is one chain of fused multiply-adds over (tap, channel); bias, residual and activation
//    follow, each rounded. Padding adds 0 * weight or nothing: over it an infinite weight may give NaN.
#pragma once

#include "kernels/activation.h"
#include "kernels/igemm_f32/igemm_f32.h"
#include "kernels/pack_format.h"
#include "kernels/window.h"

typedef struct conv_nhwc_f32_shape {
  // transposed: the window of the convolution that this one turns around; `in` is y's size, `out` is x's.
  window window;
  bool transposed;
  bool planar;  // x is [batch][channels][spatial...]: first layers that conv_nhwc_f32_reads_planes
  size_t batch, groups, in_channels, out_channels;  // channels of all groups, multiples of groups
  size_t threads;
} conv_nhwc_f32_shape;

// How the depth of a product, taps x channels, is cut: channels of one tap, or whole taps.
typedef struct conv_nhwc_f32_depth {
  size_t channels, taps;
} conv_nhwc_f32_depth;

typedef struct conv_nhwc_f32_plan {
  conv_nhwc_f32_shape shape;  // images that one row of pixels can stand for have become one
  const igemm_f32_kernel *kernel;
  const char *name;  // kernel shown by inspect
  bool strips;       // strips.h
  size_t parts;      // products: 1, or the remainders of y's places by the stride
  conv_nhwc_f32_depth depth;
  size_t block;         // most pixels whose inputs stay in the L2 cache
  size_t block_rows;    // strips: rows of a block, each `block` pixels
  size_t panels;        // of all groups
  size_t task_panels;   // panels of one task
  size_t worker_bytes;  // scratch of one worker
  size_t packed_bytes, scratch_bytes;
} conv_nhwc_f32_plan;

typedef struct conv_nhwc_f32_call {
  const float *x;
  const void *packed;
  const float *bias;      // [out_channels] or NULL
  const float *residual;  // like y, or NULL
  activation activation;
  float *y;
  size_t x_stride, residual_stride, y_stride;  // from one pixel to the next
} conv_nhwc_f32_call;

// Whether x may be planar: few channels (images, sound), no groups, neighbouring taps along the last dimension.
bool conv_nhwc_f32_reads_planes(const conv_nhwc_f32_shape *shape);
// false: a size overflows, or x is planar and cannot be.
bool conv_nhwc_f32_plan_init(conv_nhwc_f32_plan *plan, const conv_nhwc_f32_shape *shape);
// The same with a given variant of igemm_f32 (tests and benchmarks).
bool conv_nhwc_f32_plan_with(conv_nhwc_f32_plan *plan, const conv_nhwc_f32_shape *shape, const kernel_entry *variant);
// weights: [out_channels][in_channels / groups][kernel...]; transposed: [in_channels][out_channels /
// groups][kernel...]. packed: plan.packed_bytes, 64-byte aligned. The form follows from the shape of the weights and
// plan.name.
void conv_nhwc_f32_pack(const conv_nhwc_f32_plan *plan, const float *weights, void *packed);
// Not of a transposed one, whose form depends on the whole window. detail: strips, planes.
pack_format conv_nhwc_f32_format(const conv_nhwc_f32_plan *plan);
// scratch: 64-byte aligned.
void conv_nhwc_f32_run(const conv_nhwc_f32_plan *plan, const conv_nhwc_f32_call *call, void *scratch);

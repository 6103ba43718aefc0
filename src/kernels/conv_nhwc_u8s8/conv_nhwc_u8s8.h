// SPDX-License-Identifier: Apache-2.0
// Convolution of channels-last 8-bit tensors, [batch][spatial...][channels], any rank to 8, groups, strides, dilations,
// padding, requantised where it is summed:
//
//     sum = bias[k] + sum over taps and channels of (x - x_zero) * (w - w_zero)                int32, wraps
//     y = what `igemm_u8s8_output` makes of sum and scale[k]
//
// A driver over igemm_u8s8, and conv_dw_nhwc_u8s8 where each channel is convolved by itself. Pixels are addressed where
// they lie; only where the kernel wants other elements (int16, channels in fours, the other sign) a copy is made. In a
// copy of few channels (images) the taps along the last dimension follow each other without a gap, and count as one.
// Use: where conv_nhwc_u8s8_suits the weights, make a plan once per shape, pack, bind, run with plan.scratch_bytes.
// Integers: the same bits for any number of threads and any batch neighbour.
#pragma once

#include "kernels/conv_dw_nhwc_u8s8/conv_dw_nhwc_u8s8.h"
#include "kernels/igemm_u8s8/igemm_u8s8.h"
#include "kernels/pack_format.h"
#include "kernels/window.h"

typedef struct conv_nhwc_u8s8_shape {
  window window;
  size_t batch, groups, in_channels, out_channels;  // channels of all groups, multiples of groups
  size_t threads;
  bool x_signed, w_signed;
  int32_t w_zero;
} conv_nhwc_u8s8_shape;

typedef struct conv_nhwc_u8s8_plan {
  conv_nhwc_u8s8_shape shape;
  const igemm_u8s8_kernel *kernel;
  const conv_dw_nhwc_u8s8_kernel *depthwise;  // else NULL
  const char *name;                           // kernel shown by inspect
  bool copies;                                // x is copied
  bool merged;                                // neighbouring taps of few channels are one
  size_t taps;                                // as the kernel reads them
  size_t element;                             // bytes of what the kernel reads
  size_t depth;                               // elements of a pixel's group as the kernel reads it
  size_t panels;                              // of a group
  size_t panel_bytes;                         // of the widest
  size_t block, blocks, splits;               // pixels of a block; parts of the panels, as tasks
  size_t row_bytes, copy_bytes, table_bytes;  // scratch: a pixel of zeros, the copy, addresses of a worker
  size_t packed_bytes, bound_bytes, scratch_bytes;
} conv_nhwc_u8s8_plan;

typedef struct conv_nhwc_u8s8_call {
  const void *x, *packed, *bound;
  int32_t x_zero;
  igemm_u8s8_output output;
  const uint8_t *other;  // that is added, of y's shape; else NULL
  uint8_t *y;
} conv_nhwc_u8s8_call;

// Whether all weights less their zero point are int8, as the kernels want them.
bool conv_nhwc_u8s8_suits(const void *weights, size_t count, bool is_signed, int32_t zero);
// false: a size overflows.
bool conv_nhwc_u8s8_plan_init(conv_nhwc_u8s8_plan *plan, const conv_nhwc_u8s8_shape *shape);
// The same with given variants (tests and benchmarks).
bool conv_nhwc_u8s8_plan_with(conv_nhwc_u8s8_plan *plan, const conv_nhwc_u8s8_shape *shape, const kernel_entry *variant,
                              const conv_dw_nhwc_u8s8_kernel *depthwise);
// weights: [out_channels][in_channels / groups][kernel...]; packed: plan.packed_bytes, 64-byte aligned.
void conv_nhwc_u8s8_pack(const conv_nhwc_u8s8_plan *plan, const void *weights, void *packed);
pack_format conv_nhwc_u8s8_format(const conv_nhwc_u8s8_plan *plan);
// Bias and scale as kernels read them: plan.bound_bytes, 64-byte aligned, for any number of runs with this zero point.
// bias: [out_channels] or NULL; scale: [out_channels].
void conv_nhwc_u8s8_bind(const conv_nhwc_u8s8_plan *plan, const void *packed, int32_t x_zero, const int32_t *bias,
                         const float *scale, void *bound);
// scratch: 64-byte aligned.
void conv_nhwc_u8s8_run(const conv_nhwc_u8s8_plan *plan, const conv_nhwc_u8s8_call *call, void *scratch);

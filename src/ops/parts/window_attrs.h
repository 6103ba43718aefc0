// SPDX-License-Identifier: Apache-2.0
// The attributes of sliding windows (kernel_shape, strides, dilations, pads, auto_pad, ceil_mode) as
// convolutions and pools share them: read and checked once, turned into output sizes and into the
// geometry of kernels/window.h.
#pragma once

#include "kernels/window.h"
#include "ops/record.h"

typedef enum auto_pad { PAD_NOTSET, PAD_SAME_UPPER, PAD_SAME_LOWER, PAD_VALID } auto_pad;

typedef struct window_attrs {
  auto_pad auto_pad;
  bool ceil_mode;
  size_t rank;                                         // spatial dimensions the lists agree on; 0: no list given
  const int64_t *kernel, *strides, *dilations, *pads;  // NULL: absent
} window_attrs;

// Errors name the attribute, the index and the bound.
sdx_status window_attrs_read(op_params_context *c, window_attrs *w);
// Spatial rank from an input of shape [N, C, spatial...]: checked against the lists and against the
// largest rank the kernels know. Unknown rank: *spatial = -1.
sdx_status window_attrs_rank(op_step *c, const window_attrs *w, size_t input, int *spatial);
// Output size of one dimension (DIM_UNKNOWN or a kept symbol if `in` or `kernel` is free), and the padding.
// `name` is the place for messages.
sdx_status window_attrs_output(op_step *c, const window_attrs *w, size_t d, int64_t in, int64_t kernel, int64_t *out);
// Geometry when everything is known. kernel: spatial dims of the weights, or NULL for kernel_shape.
void window_attrs_build(const window_attrs *w, size_t rank, const int64_t *in, const int64_t *kernel,
                        const int64_t *out, window *window);
// The weights have 1 to 2^30 taps in each dimension, as many as kernel_shape says if it is given.
sdx_status window_attrs_match(op_step *c, const window_attrs *w, size_t input, const int64_t *kernel, size_t rank);

static inline int64_t window_attrs_stride(const window_attrs *w, size_t d) { return w->strides ? w->strides[d] : 1; }
static inline int64_t window_attrs_dilation(const window_attrs *w, size_t d) {
  return w->dilations ? w->dilations[d] : 1;
}

// SPDX-License-Identifier: Apache-2.0
// Small pieces of graphs that many formats need, spelled as the model's opset wants them, and the functions between
// scores and predictions in the arithmetic of those who made the model.
#pragma once

#include "convert/format.h"

sdx_ref node_cast(conversion *c, sdx_ref x, sdx_dtype to);
sdx_ref node_unsqueeze(conversion *c, sdx_ref x, int64_t axis);
sdx_ref node_concat(conversion *c, const char *name, int64_t axis, size_t count, const sdx_ref *parts);
bool node_axes_are_inputs(const conversion *c, const char *reduction);  // or attributes, as older opsets have them
// Reduces along one axis, which stays with one element. op: "ReduceSum", "ReduceMax".
sdx_ref node_reduce(conversion *c, const char *op, sdx_ref x, int64_t axis);
sdx_ref node_arg_max(conversion *c, sdx_ref x, int64_t axis);                     // int64, without the axis
sdx_ref node_threshold(conversion *c, sdx_ref x, sdx_dtype dtype, double above);  // int64: 1 above, else 0
// e^x of floats to the same float as the C library's expf (ONNX leaves the precision of Exp open).
sdx_ref node_exp_f32(conversion *c, sdx_ref x);
sdx_ref node_log1p_f64(conversion *c, sdx_ref x);  // log(1 + x) of finite doubles above -1
// Quotients that are rounded down, and what they leave, which has the divisor's sign.
sdx_ref node_floor_div(conversion *c, const char *name, sdx_ref a, sdx_ref b, sdx_dtype dtype);
sdx_ref node_floor_mod(conversion *c, const char *name, sdx_ref a, sdx_ref b, sdx_dtype dtype);
// Two columns [1 - p, p] of p [N].
sdx_ref node_two_classes(conversion *c, sdx_ref p, sdx_dtype dtype);

// Where the bytes of a constant lie: in memory, or in a file.
typedef struct node_data {
  const void *bytes;  // NULL: in the file
  int file;
  uint64_t offset;
} node_data;
// `size` of the bytes from `at` on; false: they cannot be read.
bool node_data_read(const node_data *data, uint64_t at, void *to, size_t size);
enum { NODE_RANK = 8 };
// A constant of `size` bytes, which must fit; `shape` is theirs, and `order` that in which its dimensions are wanted
// (NULL: as they are). They are read, and turned, when the model is written.
sdx_ref node_constant(conversion *c, const char *name, sdx_dtype dtype, size_t rank, const int64_t *shape,
                      const int64_t *order, const node_data *data, size_t size);

// The window of a convolution or a pool: sizes of the kernel, steps, and padding in TensorFlow's words.
typedef struct node_window {
  size_t n;
  int64_t kernel[3], stride[3], dilation[3];
  bool same;
} node_window;
// Attributes of the node added last; sizes: of what it goes over, -1: not known; pads: instead of what follows from the
// window, all begins, then all ends (NULL: none).
void node_set_window(conversion *c, const node_window *w, const int64_t *sizes, const int64_t *pads, bool dilations);
int64_t node_windows(const node_window *w, size_t i, int64_t size);  // how many fit into this size; -1: not known
// Of a transposed convolution: what comes out of it, to[] or -1; TensorFlow's own where sizes are not known.
void node_set_transposed(conversion *c, const node_window *w, const int64_t *sizes, const int64_t *to);
// Of a Resize: to which places in the input the result's belong, in TensorFlow's words.
void node_set_resize(conversion *c, bool nearest, bool align_corners, bool half_pixel_centers);

// The order of dimensions that brings the last, channels, to the second place, or back.
void node_order_to_first(size_t rank, int64_t *order);
void node_order_to_last(size_t rank, int64_t *order);
// Elements of a slice of a dimension; ends may lie outside, or count from the end where they are negative.
int64_t node_slice_length(int64_t size, int64_t from, int64_t to, int64_t step);

// One axis, behind which `rest` more follow, resized to `size` (int64, a scalar) as TensorFlow's ResizeBicubic does it:
// with weights from a table (nodes_cubic.c), which ONNX's Resize would miss by 0.002.
sdx_ref node_resize_cubic(conversion *c, sdx_ref x, int64_t axis, size_t rest, sdx_ref size, bool corners, bool half);

// A tensor input [N, columns], and outputs [N] or [N, columns] (columns 0: [N]).
sdx_ref node_rows_input(conversion *c, const char *name, sdx_dtype dtype, size_t columns);
void node_rows_output(conversion *c, const char *name, sdx_ref value, sdx_dtype dtype, size_t columns);

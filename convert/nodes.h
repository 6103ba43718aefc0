// SPDX-License-Identifier: Apache-2.0
// Small pieces of graphs that many formats need, spelled as the model's opset wants them, and the functions between
// scores and predictions in the arithmetic of those who made the model.
#pragma once

#include "convert/format.h"

sdx_ref node_cast(conversion *c, sdx_ref x, sdx_dtype to);
sdx_ref node_unsqueeze(conversion *c, sdx_ref x, int64_t axis);
sdx_ref node_concat(conversion *c, const char *name, int64_t axis, size_t count, const sdx_ref *parts);
// Reduces along one axis, which stays with one element. op: "ReduceSum", "ReduceMax".
sdx_ref node_reduce(conversion *c, const char *op, sdx_ref x, int64_t axis);
sdx_ref node_arg_max(conversion *c, sdx_ref x, int64_t axis);                     // int64, without the axis
sdx_ref node_threshold(conversion *c, sdx_ref x, sdx_dtype dtype, double above);  // int64: 1 above, else 0
// e^x of floats to the same float as the C library's expf (ONNX leaves the precision of Exp open).
sdx_ref node_exp_f32(conversion *c, sdx_ref x);
sdx_ref node_log1p_f64(conversion *c, sdx_ref x);  // log(1 + x) of finite doubles above -1
// Two columns [1 - p, p] of p [N].
sdx_ref node_two_classes(conversion *c, sdx_ref p, sdx_dtype dtype);

// A tensor input [N, columns], and outputs [N] or [N, columns] (columns 0: [N]).
sdx_ref node_rows_input(conversion *c, const char *name, sdx_dtype dtype, size_t columns);
void node_rows_output(conversion *c, const char *name, sdx_ref value, sdx_dtype dtype, size_t columns);

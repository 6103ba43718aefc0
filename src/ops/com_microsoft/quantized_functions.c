// SPDX-License-Identifier: Apache-2.0
// Quantised operators that are defined as "dequantise, compute in float, quantise": written out so at import.
// DynamicQuantizeLSTM is an LSTM whose 8-bit weights are made float once, while the graph is folded; its
// activations keep float precision.
#include "ops/parts/rewrite.h"

#include <math.h>

static sdx_status become_quantized(op_upgrade *u, value_id x, value_id scale, value_id zero) {
  return become3(u, "QuantizeLinear", x, scale, zero);
}
// Inputs `at` to `at` + 2: a tensor, its scale and zero point.
static value_id dequantized(op_upgrade *u, size_t at) {
  return insert3(u, "DequantizeLinear", input(u, at), input(u, at + 1), input(u, at + 2));
}

// Without a zero point QuantizeLinear gives uint8; here the input decides.
static value_id zero_like(op_upgrade *u, size_t given, size_t x) {
  return input(u, given) ? input(u, given) : scalar_like(u, 0, input(u, x));
}

static sdx_status reduce_mean(op_upgrade *u) {
  const attr *axes = node_attr(u->node, "axes");
  attr keep = attr_of_int("keepdims", node_attr_int(u->node, "keepdims", 1));
  value_id in[2] = {dequantized(u, 0)};
  if (axes->ints.count) in[1] = ints(u, axes->ints.at, axes->ints.count);
  value_id mean = upgrade_insert(u, "ReduceMean", in[1] ? 2 : 1, in, &keep, 1);
  return become_quantized(u, mean, input(u, 3), zero_like(u, 4, 0));
}

// An infinite scale, which calibration gives where a mask of -inf was seen, leaves no numbers. What ONNX Runtime then
// gives is the lowest value, as QuantizeLinear does, but with a negative zero point the highest.
static bool infinite_scale(const op_upgrade *u) {
  const tensor *scale = u->graph->values[input(u, 1)].constant, *zero = u->graph->values[input(u, 4)].constant;
  return scale && scale->dtype == SDX_FLOAT && scale->count == 1 && isinf(*(const float *)scale->data) && zero &&
         zero->dtype == SDX_INT8 && zero->count == 1 && *(const int8_t *)zero->data < 0;
}

static sdx_status softmax(op_upgrade *u) {
  int64_t axis = node_attr_int(u->node, "axis", -1), old = node_attr_int(u->node, "opset", 13) < 13;
  value_id p = insert1(u, "Softmax", dequantized(u, 0));
  with_attr(u, p, attr_of_int("axis", axis));
  with_attr(u, p, attr_of_int("_flatten", old));
  if (infinite_scale(u)) {
    value_id lost = insert1(u, "IsNaN", p), infinite = scalar(u, SDX_FLOAT, INFINITY);
    p = insert3(u, "Where", lost, infinite, p);
  }
  return become_quantized(u, p, input(u, 3), input(u, 4));
}

static sdx_status where(op_upgrade *u) {
  value_id x = dequantized(u, 1), y = dequantized(u, 4);
  return become_quantized(u, insert3(u, "Where", input(u, 0), x, y), input(u, 7), input(u, 8));
}

// [directions, inputs, 4 * hidden] bytes to LSTM's [directions, 4 * hidden, inputs]; scale and zero point are one
// a direction or one a column.
static value_id lstm_weights(op_upgrade *u, size_t bytes, size_t scale, size_t zero) {
  static const int64_t shape[3] = {0, 1, -1};
  value_id w = cast(u, input(u, bytes), SDX_FLOAT);
  w = insert2(u, "Sub", w, reshape(u, cast(u, input(u, zero), SDX_FLOAT), shape, 3));
  w = insert2(u, "Mul", w, reshape(u, input(u, scale), shape, 3));
  return transpose(u, w, (int64_t[]){0, 2, 1}, 3);
}

static sdx_status lstm(op_upgrade *u) {
  node *n = u->node;
  value_id w = lstm_weights(u, 1, 8, 9), r = lstm_weights(u, 2, 10, 11);
  value_id in[8] = {input(u, 0), w, r, input(u, 3), input(u, 4), input(u, 5), input(u, 6), input(u, 7)};
  attr *attrs = n->attrs;
  uint32_t count = n->attr_count;
  n->attrs = NULL;
  SDX_TRY(upgrade_become(u, "LSTM", 8, in, NULL, 0));
  n->attrs = attrs, n->attr_count = count;
  return SDX_OK;
}

// (A - A_zero) (B - B_zero) and plain sums and products of narrow integers, in int32.
static value_id centred(op_upgrade *u, size_t x, size_t zero) {
  value_id v = cast(u, input(u, x), SDX_INT32);
  return input(u, zero) ? insert2(u, "Sub", v, cast(u, input(u, zero), SDX_INT32)) : v;
}
static sdx_status mul_integer(op_upgrade *u) {
  value_id a = centred(u, 0, 1), b = centred(u, 2, 3);
  return become2(u, "Mul", a, b);
}

static sdx_status matmul_integer16(op_upgrade *u) {
  value_id a = cast(u, input(u, 0), SDX_INT32), b = cast(u, input(u, 1), SDX_INT32);
  return become2(u, "MatMul", a, b);
}

static sdx_status reduce_sum_integer(op_upgrade *u) {
  const attr *axes = node_attr(u->node, "axes");
  attr keep = attr_of_int("keepdims", node_attr_int(u->node, "keepdims", 1));
  value_id in[2] = {cast(u, input(u, 0), SDX_INT32)};
  if (axes->ints.count) in[1] = ints(u, axes->ints.at, axes->ints.count);
  return upgrade_become(u, "ReduceSum", in[1] ? 2 : 1, in, &keep, 1);
}

SDX_CASES = {
    "data=uint8[2,3,4] data_scale=float(0.1) data_zero_point=uint8(3) reduced_scale=float(0.05) "
    "reduced_zero_point=uint8(5) axes=1 keepdims=1",
    NULL};
static const char *const softmax_cases[] = {
    "X=uint8[2,3,4] X_scale=float(0.1) x_zero_point=uint8(3) y_scale=float(0.004) y_zero_point=uint8(0) opset=13",
    NULL};
static const char *const mul_cases[] = {"A=uint8[2,3] A_zero_point=uint8(3) B=uint8[3] B_zero_point=uint8(5)", NULL};
static const char *const matmul_cases[] = {"A=int16[2,3] B=int16[3,4]", NULL};
static const char *const sum_cases[] = {"data=int8[2,3,4] axes=1 keepdims=0", NULL};

// clang-format off
#define RECORD .since = 1, .versions = "1", .flags = OP_REWRITE
SDX_OP_MS(QLinearReduceMean) = {
    RECORD, .inputs = "data:T data_scale:float data_zero_point:T? reduced_scale:float reduced_zero_point:T?",
    .outputs = "reduced:T", .types = "T=uint8,int8", .attrs = "axes:ints! keepdims:int!", .upgrade = reduce_mean,
    .cases = cases};
SDX_OP_MS(QLinearSoftmax) = {
    RECORD, .inputs = "X:T X_scale:float x_zero_point:T? y_scale:float y_zero_point:T", .outputs = "Y:T",
    .types = "T=uint8,int8", .attrs = "axis:int=-1 opset:int!", .upgrade = softmax, .cases = softmax_cases};
static const char *const qlinear_where_cases[] = {
    "condition=bool[2,3] X=uint8[2,3]@0..255 x_scale=float(0.1) x_zero_point=uint8(5) Y=uint8[3]@0..255 "
    "y_scale=float(0.2) y_zero_point=uint8(9) z_scale=float(0.15) z_zero_point=uint8(7)", NULL};

SDX_OP_MS(QLinearWhere) = {
    RECORD, .inputs = "condition:bool X:T x_scale:TF x_zero_point:T Y:T y_scale:TF y_zero_point:T z_scale:TF "
                      "z_zero_point:T",
    .outputs = "Z:T", .types = "T=uint8,int8;TF=float", .upgrade = where,
    .cases = qlinear_where_cases,
};
static const char *const dynamic_quantize_lstm_cases[] = {
    "X=float[4,2,3] W=int8[1,3,20] R=int8[1,5,20] B=float[1,40] sequence_lens= initial_h= initial_c= P= "
    "W_scale=float[1](0.05) W_zero_point=int8[1](0) R_scale=float[1](0.05) R_zero_point=int8[1](0) hidden_size=5 "
    "outputs=3", NULL};

SDX_OP_MS(DynamicQuantizeLSTM) = {
    RECORD, .inputs = "X:T W:T2 R:T3 B:T? sequence_lens:int32? initial_h:T? initial_c:T? P:T? W_scale:T "
                      "W_zero_point:T2 R_scale:T R_zero_point:T3",
    .outputs = "Y:T? Y_h:T? Y_c:T?", .types = "T=float;T2=uint8,int8;T3=uint8,int8",
    .attrs = "activation_alpha:floats activation_beta:floats activations:strings clip:float direction:string=forward "
             "hidden_size:int input_forget:int=0",
    .upgrade = lstm,
    .cases = dynamic_quantize_lstm_cases,
};
SDX_OP_MS(MulInteger) = {RECORD, .inputs = "A:T A_zero_point:T? B:T B_zero_point:T?", .outputs = "C:int32",
                         .types = "T=uint8,int8", .upgrade = mul_integer, .cases = mul_cases};
SDX_OP_MS(MatMulInteger16) = {RECORD, .inputs = "A:T1 B:T2", .outputs = "Y:int32",
                              .types = "T1=int16,uint16;T2=int16,uint16", .upgrade = matmul_integer16,
                              .cases = matmul_cases};
SDX_OP_MS(ReduceSumInteger) = {RECORD, .inputs = "data:T1", .outputs = "reduced:int32", .types = "T1=int8,uint8",
                               .attrs = "axes:ints! keepdims:int!", .upgrade = reduce_sum_integer, .cases = sum_cases};
// clang-format on

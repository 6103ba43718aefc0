// SPDX-License-Identifier: Apache-2.0
// Quantised operators that are defined as "dequantise, compute in float, quantise": written out so at import.
// DynamicQuantizeLSTM is an LSTM whose 8-bit weights are made float once, while the graph is folded; its
// activations keep float precision.
#include "ops/parts/rewrite.h"

#include <math.h>

static sdx_status quantize(op_upgrade *u, value_id x, value_id scale, value_id zero) {
  return BECOME("QuantizeLinear", x, scale, zero);
}
#define DEQUANTIZED(x, scale, zero) NODE("DequantizeLinear", IN(x), IN(scale), IN(zero))

// Without a zero point QuantizeLinear gives uint8; here the input decides.
static value_id zero_like(op_upgrade *u, size_t given, size_t x) {
  return IN(given) ? IN(given) : NODE("CastLike", rewrite_scalar(u, SDX_FLOAT, 0), IN(x));
}

static sdx_status reduce_mean(op_upgrade *u) {
  const attr *axes = node_attr(u->node, "axes");
  int64_t keep = node_attr_int(u->node, "keepdims", 1);
  value_id in[2] = {DEQUANTIZED(0, 1, 2), rewrite_constant(u, axes->ints.at, axes->ints.count)};
  value_id mean = upgrade_insert(u, "ReduceMean", axes->ints.count ? 2 : 1, in, ATTRS(attr_of_int("keepdims", keep)));
  return quantize(u, mean, IN(3), zero_like(u, 4, 0));
}

// An infinite scale, which calibration gives where a mask of -inf was seen, leaves no numbers. What ONNX Runtime then
// gives is the lowest value, as QuantizeLinear does, but with a negative zero point the highest.
static bool infinite_scale(const op_upgrade *u) {
  const tensor *scale = u->graph->values[IN(1)].constant, *zero = u->graph->values[IN(4)].constant;
  return scale && scale->dtype == SDX_FLOAT && scale->count == 1 && isinf(*(const float *)scale->data) && zero &&
         zero->dtype == SDX_INT8 && zero->count == 1 && *(const int8_t *)zero->data < 0;
}

static sdx_status softmax(op_upgrade *u) {
  int64_t axis = node_attr_int(u->node, "axis", -1), old = node_attr_int(u->node, "opset", 13) < 13;
  value_id p =
      NODE_WITH("Softmax", ATTRS(attr_of_int("axis", axis), attr_of_int("_flatten", old)), DEQUANTIZED(0, 1, 2));
  if (infinite_scale(u)) p = NODE("Where", NODE("IsNaN", p), rewrite_scalar(u, SDX_FLOAT, INFINITY), p);
  return quantize(u, p, IN(3), IN(4));
}

static sdx_status where(op_upgrade *u) {
  return quantize(u, NODE("Where", IN(0), DEQUANTIZED(1, 2, 3), DEQUANTIZED(4, 5, 6)), IN(7), IN(8));
}

// [directions, inputs, 4 * hidden] bytes to LSTM's [directions, 4 * hidden, inputs]; scale and zero point are one
// a direction or one a column.
static value_id lstm_weights(op_upgrade *u, size_t bytes, size_t scale, size_t zero) {
  value_id shape = INTS(0, 1, -1);
  value_id offset =
      NODE("Sub", rewrite_cast(u, IN(bytes), SDX_FLOAT), NODE("Reshape", rewrite_cast(u, IN(zero), SDX_FLOAT), shape));
  value_id w = NODE("Mul", offset, NODE("Reshape", IN(scale), shape));
  return NODE_WITH("Transpose", ATTRS(attr_of_ints("perm", (const int64_t[]){0, 2, 1}, 3)), w);
}

static sdx_status lstm(op_upgrade *u) {
  node *n = u->node;
  value_id in[8] = {IN(0), lstm_weights(u, 1, 8, 9), lstm_weights(u, 2, 10, 11), IN(3), IN(4), IN(5), IN(6), IN(7)};
  attr *attrs = n->attrs;
  uint32_t count = n->attr_count;
  n->attrs = NULL;
  SDX_TRY(upgrade_become(u, "LSTM", 8, in, NULL, 0));
  n->attrs = attrs, n->attr_count = count;
  return SDX_OK;
}

// (A - A_zero) (B - B_zero) and plain sums and products of narrow integers, in int32.
static value_id centred(op_upgrade *u, size_t x, size_t zero) {
  value_id v = rewrite_cast(u, IN(x), SDX_INT32);
  return IN(zero) ? NODE("Sub", v, rewrite_cast(u, IN(zero), SDX_INT32)) : v;
}
static sdx_status mul_integer(op_upgrade *u) { return BECOME("Mul", centred(u, 0, 1), centred(u, 2, 3)); }

static sdx_status matmul_integer16(op_upgrade *u) {
  return BECOME("MatMul", rewrite_cast(u, IN(0), SDX_INT32), rewrite_cast(u, IN(1), SDX_INT32));
}

static sdx_status reduce_sum_integer(op_upgrade *u) {
  const attr *axes = node_attr(u->node, "axes");
  int64_t keep = node_attr_int(u->node, "keepdims", 1);
  value_id in[2] = {rewrite_cast(u, IN(0), SDX_INT32), rewrite_constant(u, axes->ints.at, axes->ints.count)};
  return upgrade_become(u, "ReduceSum", axes->ints.count ? 2 : 1, in, ATTRS(attr_of_int("keepdims", keep)));
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

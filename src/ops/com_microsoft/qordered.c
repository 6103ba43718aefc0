// SPDX-License-Identifier: Apache-2.0
// int8 matrices in the orders of cublasLt, as formulas over dequantised row-major ones:
//   0 columns   1 rows   2 strips of 32 columns   3, 4 strips of tiles of 8 and of 32 rows, which weights have after
//   they were transposed
// A stored matrix keeps the shape it means. Products and attention are computed in float and rounded where the records
// name a scale of a result; scores and probabilities of attention are not rounded in between.
#include "ops/parts/rewrite.h"

enum { COLUMNS, ROWS, STRIPS, TILES_8, TILES_32, ORDERS };
enum { R = -2, C = -3 };  // in a split: the rows or columns, divided by what stands in `by`

// How a row-major matrix is cut into axes, and the order they are stored in. The first axis is the batch.
typedef struct order {
  int64_t rank, rows_by, columns_by;
  int64_t split[8], stored[8];
} order;
static const order orders[ORDERS] = {
    [COLUMNS] = {3, 1, 1, {-1, R, C}, {0, 2, 1}},
    [ROWS] = {3, 1, 1, {-1, R, C}, {0, 1, 2}},
    [STRIPS] = {4, 1, 32, {-1, R, C, 32}, {0, 2, 1, 3}},
    [TILES_8] = {8, 8, 32, {-1, R, 4, 2, C, 4, 2, 4}, {0, 4, 1, 3, 5, 6, 2, 7}},
    [TILES_32] = {7, 32, 32, {-1, R, 4, 4, 2, C, 32}, {0, 5, 1, 3, 2, 4, 6}},
};

// The attribute; NULL: error is set.
static const order *order_of(op_upgrade *u, const char *name) {
  int64_t at = node_attr_int(u->node, name, ROWS);
  if (at >= 0 && at < ORDERS) return &orders[at];
  upgrade_fail_at(u, at_attribute(name), SDX_INVALID_ARGUMENT, "is %lld, expected 0 to 4", (long long)at);
  return NULL;
}

static value_id size_at(op_upgrade *u, value_id x, int64_t axis) {
  return slice(u, dims(u, x, -2, INT64_MAX), axis, axis + 1);
}

// Brings a matrix of these sizes into an order (`store`) or back: [batch, rows, columns].
static value_id reordered(op_upgrade *u, value_id x, const order *o, value_id rows, value_id columns, bool store) {
  if (!o) return VALUE_ABSENT;
  value_id parts[8], sizes[8];
  int64_t back[8];
  rows = insert2(u, "Div", rows, ints1(u, o->rows_by));
  columns = insert2(u, "Div", columns, ints1(u, o->columns_by));
  for (int64_t i = 0; i < o->rank; i++) {
    sizes[i] = o->split[i] == R ? rows : o->split[i] == C ? columns : ints1(u, o->split[i]);
    back[o->stored[i]] = i;
  }
  for (int64_t i = 0; i < o->rank; i++) parts[i] = sizes[store ? i : o->stored[i]];
  x = insert2(u, "Reshape", x, concat(u, 0, (size_t)o->rank, parts));
  return transpose(u, x, store ? o->stored : back, (size_t)o->rank);
}
static value_id moved(op_upgrade *u, value_id x, const char *name, bool store) {
  const order *o = order_of(u, name);
  if (o == &orders[ROWS]) return x;
  value_id rows = size_at(u, x, 0), columns = size_at(u, x, 1);
  value_id y = reordered(u, x, o, rows, columns, store);
  return insert2(u, "Reshape", y, insert1(u, "Shape", x));
}
static value_id rows_of(op_upgrade *u, size_t i, const char *name) { return moved(u, input(u, i), name, false); }

static value_id weights_of(op_upgrade *u, size_t i, const char *name) {
  const order *o = order_of(u, name);
  if (!o || o - orders < TILES_8) return rows_of(u, i, name);
  value_id w = input(u, i), k = size_at(u, w, 0), n = size_at(u, w, 1), any = ints1(u, -1);
  value_id transposed = reordered(u, w, o, n, k, false);
  transposed = insert2(u, "Reshape", transposed, concat3(u, 0, any, n, k));
  transposed = transpose(u, transposed, (int64_t[]){0, 2, 1}, 3);
  return insert2(u, "Reshape", transposed, insert1(u, "Shape", w));
}

static value_id dequantized(op_upgrade *u, value_id q, value_id scale) {
  return insert2(u, "DequantizeLinear", q, as_scalar(u, scale));
}
static value_id quantized(op_upgrade *u, value_id x, value_id scale) {
  value_id one = as_scalar(u, scale), zero = scalar(u, SDX_INT8, 0);
  return insert3(u, "QuantizeLinear", x, one, zero);
}
// What is left of a float after it was a quantised result.
static value_id rounded(op_upgrade *u, value_id x, value_id scale) {
  return dequantized(u, quantized(u, x, scale), scale);
}
// Input i as row-major floats; the scale is the input behind it.
static value_id rows_as_float(op_upgrade *u, size_t i, const char *name) {
  return dequantized(u, rows_of(u, i, name), input(u, i + 1));
}
// Weights with a scale or one for each column.
static value_id widened(op_upgrade *u, size_t i, const char *name, value_id scale) {
  return insert2(u, "Mul", cast(u, weights_of(u, i, name), SDX_FLOAT), scale);
}
static sdx_status become_stored(op_upgrade *u, value_id y, value_id scale, const char *name) {
  return become1(u, "Identity", moved(u, quantized(u, y, scale), name, true));
}

static sdx_status quantize(op_upgrade *u) {
  return become_stored(u, cast(u, rows_of(u, 0, "order_input"), SDX_FLOAT), input(u, 1), "order_output");
}

static sdx_status dequantize(op_upgrade *u) {
  attr to = attr_of_int("to", node_attr_int(u->node, "to", SDX_FLOAT));
  value_id x = moved(u, rows_as_float(u, 0, "order_input"), "order_output", true);
  return upgrade_become(u, "Cast", 1, &x, &to, 1);
}

static sdx_status gelu(op_upgrade *u) {
  value_id y = insert1(u, "Gelu", dequantized(u, input(u, 0), input(u, 1)));
  return become1(u, "Identity", quantized(u, y, input(u, 2)));
}

static sdx_status layer_norm(op_upgrade *u) {
  value_id x = rows_as_float(u, 0, "order_X"), gamma = cast(u, input(u, 2), SDX_FLOAT);
  value_id beta = input(u, 3) ? cast(u, input(u, 3), SDX_FLOAT) : VALUE_ABSENT;
  value_id y = insert3(u, "LayerNormalization", x, gamma, beta);
  with_attr(u, y, attr_of_int("axis", node_attr_int(u->node, "axis", -1)));
  with_attr(u, y, attr_of_float("epsilon", node_attr_float(u->node, "epsilon", 1e-5f)));
  return become_stored(u, y, input(u, 4), "order_Y");
}

static sdx_status matmul(op_upgrade *u) {
  value_id a = rows_as_float(u, 0, "order_A"), b = widened(u, 2, "order_B", input(u, 3));
  value_id y = insert2(u, "MatMul", a, b);
  if (input(u, 5)) y = insert2(u, "Add", y, input(u, 5));
  if (input(u, 6)) y = insert2(u, "Add", y, rows_as_float(u, 6, "order_A"));
  return become_stored(u, y, input(u, 4), "order_Y");
}

static sdx_status attention(op_upgrade *u) {
  value_id x = rows_as_float(u, 0, "order_input"), in[5] = {0, 0, 0, 0, input(u, 17)};
  if (input(u, 18) || input(u, 19))
    return upgrade_fail(u, SDX_NOT_SUPPORTED, "inputs 18 and 19 (past, attention_bias)");
  for (size_t i = 0; i < 3; i++) {
    value_id product = insert2(u, "MatMul", x, widened(u, 5 + i, "order_weight", input(u, 8 + i)));
    in[i] = rounded(u, insert2(u, "Add", product, input(u, 11 + i)), input(u, 2 + i));
  }
  value_id y = insert_n(u, "com.microsoft::MultiHeadAttention", 5, in);
  with_attr(u, y, attr_of_int("num_heads", node_attr_int(u->node, "num_heads", 0)));
  with_attr(u, y, attr_of_int("unidirectional", node_attr_int(u->node, "unidirectional", 0)));
  return become_stored(u, y, input(u, 16), "order_output");
}

static sdx_status longformer(op_upgrade *u) {
  value_id in[7] = {[2] = input(u, 4), [5] = input(u, 10), [6] = input(u, 12)};
  in[0] = rows_as_float(u, 0, "order_input");
  in[1] = widened(u, 2, "order_weight", input(u, 3));
  in[3] = cast(u, input(u, 7), SDX_FLOAT);
  in[4] = widened(u, 8, "order_global_weight", input(u, 9));
  value_id y = insert_n(u, "com.microsoft::LongformerAttention", 7, in);
  with_attr(u, y, attr_of_int("num_heads", node_attr_int(u->node, "num_heads", 0)));
  with_attr(u, y, attr_of_int("window", node_attr_int(u->node, "window", 0)));
  return become_stored(u, y, input(u, 13), "order_output");
}

SDX_CASES = {"input=float[2,64] scale_input=float(0.1) order_input=1 order_output=2",
             "input=float16[8,32] scale_input=float(0.1) order_input=1 order_output=3", NULL};
static const char *const dequantize_cases[] = {
    "input=int8[32,32]@-127..127 scale_input=float(0.1) order_input=4 order_output=1 to=1", NULL};
static const char *const gelu_cases[] = {"X=int8[2,5]@-127..127 scale_X=float(0.02) scale_Y=float(0.03)", NULL};
static const char *const norm_cases[] = {
    "X=int8[2,3,32]@-127..127 scale_X=float(0.02) scale=float[32] B=float[32] scale_Y=float(0.03) order_X=2 order_Y=2",
    NULL};
static const char *const matmul_cases[] = {
    "A=int8[2,3,4]@-127..127 scale_A=float(0.02) B=int8[4,5]@-127..127 scale_B=float[5]@0.01..0.02 scale_Y=float(0.1) "
    "bias=float[5] C=int8[2,3,5]@-127..127 scale_C=float(0.1) order_A=1 order_B=0 order_Y=1",
    NULL};
static const char *const attention_cases[] = {
    "input=int8[2,3,4]@-127..127 scale_input=float(0.02) scale_Q_gemm=float(0.05) scale_K_gemm=float(0.05) "
    "scale_V_gemm=float(0.05) Q_weight=int8[4,6]@-127..127 K_weight=int8[4,6]@-127..127 V_weight=int8[4,6]@-127..127 "
    "scale_Q_weight=float[6]@0.01..0.02 scale_K_weight=float(0.01) scale_V_weight=float(0.01) Q_bias=float[6] "
    "K_bias=float[6] V_bias=float[6] scale_values_gemm=float(0.05) mask_index=int32[2](3,2) num_heads=2 order_input=1 "
    "order_weight=0 order_output=1",
    NULL};
static const char *const longformer_cases[] = {
    "input=int8[1,8,4]@-127..127 scale_input=float(0.02) weight=int8[4,12]@-127..127 scale_weight=float(0.01) "
    "bias=float[12] scale_bias=float(1) scale_qkv_gemm=float(0.05) mask=float16[1,8](0,0,0,0,0,0,0,-10000) "
    "global_weight=int8[4,12]@-127..127 scale_global_weight=float(0.01) global_bias=float[12] "
    "scale_global_gemm=float(0.05) global=int32[1,8](1,0,0,0,0,0,0,0) scale_output=float(0.05) num_heads=2 window=2 "
    "order_input=1 order_weight=0 order_global_weight=0 order_output=1",
    NULL};

// clang-format off
#define RECORD .since = 1, .versions = "1", .flags = OP_REWRITE
SDX_OP_MS(QuantizeWithOrder) = {
    RECORD, .inputs = "input:F scale_input:S", .outputs = "output:Q", .types = "F=float16,float;S=float;Q=int8",
    .attrs = "order_input:int! order_output:int!", .upgrade = quantize, .cases = cases};
SDX_OP_MS(DequantizeWithOrder) = {
    RECORD, .inputs = "input:Q scale_input:S", .outputs = "output:F", .types = "Q=int8;S=float;F=float16,float",
    .attrs = "order_input:int! order_output:int! to:int!", .upgrade = dequantize, .cases = dequantize_cases};
SDX_OP_MS(QOrderedGelu) = {
    RECORD, .inputs = "X:Q scale_X:S scale_Y:S", .outputs = "Y:Q", .types = "Q=int8;S=float",
    .attrs = "order_X:int order_Y:int", .upgrade = gelu, .cases = gelu_cases};
SDX_OP_MS(QOrderedLayerNormalization) = {
    RECORD, .inputs = "X:Q scale_X:S scale:F B:F? scale_Y:S", .outputs = "Y:Q",
    .types = "Q=int8;S=float;F=float16,float", .attrs = "axis:int=-1 epsilon:float=1e-5 order_X:int=1 order_Y:int=1",
    .upgrade = layer_norm, .cases = norm_cases};
SDX_OP_MS(QOrderedMatMul) = {
    RECORD, .inputs = "A:Q scale_A:S B:Q scale_B:S scale_Y:S bias:S? C:Q? scale_C:S?", .outputs = "Y:Q",
    .types = "Q=int8;S=float", .attrs = "order_A:int! order_B:int! order_Y:int!", .upgrade = matmul,
    .cases = matmul_cases};
SDX_OP_MS(QOrderedAttention) = {
    RECORD, .inputs = "input:Q scale_input:S scale_Q_gemm:S scale_K_gemm:S scale_V_gemm:S Q_weight:Q K_weight:Q "
                      "V_weight:Q scale_Q_weight:S scale_K_weight:S scale_V_weight:S Q_bias:S K_bias:S V_bias:S "
                      "scale_QKT_gemm:S? scale_QKT_softmax:S? scale_values_gemm:S mask_index:G? past:Q? "
                      "attention_bias:S?",
    .outputs = "output:Q", .types = "Q=int8;S=float;G=int32",
    .attrs = "num_heads:int! order_input:int! order_output:int! order_weight:int! qkv_hidden_sizes:ints "
             "unidirectional:int=0", .upgrade = attention, .cases = attention_cases};
SDX_OP_MS(QOrderedLongformerAttention) = {
    RECORD, .inputs = "input:Q scale_input:S weight:Q scale_weight:S bias:S scale_bias:S scale_qkv_gemm:S mask:F "
                      "global_weight:Q scale_global_weight:S global_bias:S scale_global_gemm:S global:G scale_output:S",
    .outputs = "output:Q", .types = "Q=int8;S=float;G=int32;F=float16",
    .attrs = "num_heads:int! order_global_weight:int! order_input:int! order_output:int! order_weight:int! "
             "window:int!", .upgrade = longformer, .cases = longformer_cases};
// clang-format on

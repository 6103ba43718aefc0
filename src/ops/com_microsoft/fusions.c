// SPDX-License-Identifier: Apache-2.0
// Chains of ai.onnx operators that onnxruntime's optimizer writes as one node. They are taken apart again at import,
// so that our own passes see them; the formulas are the definition.
#include <stdio.h>

#include "ops/parts/rewrite.h"

// X + bias + skip
static sdx_status bias_add(op_upgrade *u) { return BECOME("Add", NODE("Add", IN(0), IN(1)), IN(2)); }

// a * gelu(b) where a and b are the halves of X + bias
static sdx_status bias_split_gelu(op_upgrade *u) {
  value_id halves[2] = {0}, sum = NODE("Add", IN(0), IN(1));
  upgrade_insert_many(u, "Split", 1, &sum, ATTRS(attr_of_int("axis", -1), attr_of_int("num_outputs", 2)), 2, halves);
  return BECOME("Mul", halves[0], NODE("Gelu", halves[1]));
}

// fast_gelu(X W + bias)
static sdx_status gemm_fast_gelu(op_upgrade *u) {
  value_id product = NODE("MatMul", IN(0), IN(1));
  if (IN(2)) product = NODE("Add", product, IN(2));
  return BECOME_WITH("Gelu", ATTRS(attr_of_string("approximate", "tanh")), product);
}

// Normalised sum of three embeddings: word, position, and segment where there is one. `look_up` makes a row of
// input `table`, whatever form it is stored in.
typedef value_id (*look_up)(op_upgrade *u, size_t table, value_id ids);
typedef struct embedding_inputs {
  size_t segment_ids, word, position, segment, mask, position_ids;
} embedding_inputs;

static sdx_status embed(op_upgrade *u, const embedding_inputs *at, look_up rows, value_id gamma, value_id beta) {
  float epsilon = node_attr_float(u->node, "epsilon", 1e-12f);
  value_id ids = IN(0), positions = IN(at->position_ids);
  if (!positions) {  // 0, 1, ... along the sequence
    value_id length = NODE("Squeeze", NODE_WITH("Shape", ATTRS(attr_of_int("start", 1), attr_of_int("end", 2)), ids));
    positions = NODE("Range", rewrite_scalar(u, SDX_INT64, 0), length, rewrite_scalar(u, SDX_INT64, 1));
  }
  value_id sum = NODE("Add", rows(u, at->word, ids), rows(u, at->position, positions));
  if (IN(at->segment)) {
    if (!IN(at->segment_ids))
      return upgrade_fail(u, SDX_INVALID_GRAPH, "input %zu ('segment_embedding') needs input 1 ('segment_ids')",
                          at->segment);
    sum = NODE("Add", sum, rows(u, at->segment, IN(at->segment_ids)));
  }
  if (rewrite_wants(u, 1)) {  // how many words each sample has
    value_id mask = IN(at->mask) ? IN(at->mask) : NODE("Sub", ids, ids);
    rewrite_output(u, 1, NODE_WITH("ReduceSum", ATTRS(attr_of_int("keepdims", 0)), mask, INTS(1)));
  }
  rewrite_output(u, 2, sum);
  return BECOME_WITH("LayerNormalization", ATTRS(attr_of_float("epsilon", epsilon)), sum, gamma, beta);
}

static value_id look_up_plain(op_upgrade *u, size_t table, value_id ids) { return NODE("Gather", IN(table), ids); }

static sdx_status embed_layer_normalization(op_upgrade *u) {
  static const embedding_inputs at = {
      .segment_ids = 1, .word = 2, .position = 3, .segment = 4, .mask = 7, .position_ids = 8};
  return embed(u, &at, look_up_plain, IN(5), IN(6));
}

// Quantised: tables at 2 to 6 have their scales at 8 to 12 and their zero points at 13 to 17.
enum { Q_FIRST = 2, Q_SCALE = 8, Q_ZERO = 13 };

static value_id dequantized(op_upgrade *u, size_t table, value_id bytes) {
  return NODE("DequantizeLinear", bytes, IN(table - Q_FIRST + Q_SCALE), IN(table - Q_FIRST + Q_ZERO));
}
static value_id look_up_quantized(op_upgrade *u, size_t table, value_id ids) {
  return dequantized(u, table, NODE("Gather", IN(table), ids));
}

static sdx_status qembed_layer_normalization(op_upgrade *u) {
  static const embedding_inputs at = {
      .segment_ids = 1, .word = 2, .position = 3, .segment = 4, .mask = 7, .position_ids = SIZE_MAX};
  return embed(u, &at, look_up_quantized, dequantized(u, 5, IN(5)), dequantized(u, 6, IN(6)));
}

// Quantised projections of one normalised input: the node's inputs 0 to 2 are it, what is added to it, and the scale.
// `weights` is the first of packed weights, scales and bias.
static value_id normalized_input(op_upgrade *u, size_t sum_output, float epsilon) {
  value_id x = IN(0);
  if (IN(1)) x = NODE("Add", x, IN(1));
  rewrite_output(u, sum_output, x);
  if (!IN(2)) return x;
  return NODE_WITH("com.microsoft::SimplifiedLayerNormalization",
                   ATTRS(attr_of_float("epsilon", node_attr_float(u->node, "epsilon", epsilon))), x, IN(2));
}
static value_id projection(op_upgrade *u, value_id x, const char *columns, size_t weights) {
  const node *n = u->node;
  return NODE_WITH("com.microsoft::MatMulNBits",
                   ATTRS(attr_of_int("K", node_attr_int(n, "K", 0)), attr_of_int("N", node_attr_int(n, columns, 0)),
                         attr_of_int("bits", node_attr_int(n, "bits", 4)),
                         attr_of_int("block_size", node_attr_int(n, "block_size", 0))),
                   x, IN(weights), IN(weights + 1), VALUE_ABSENT, VALUE_ABSENT, IN(weights + 2));
}

static sdx_status nbits_mlp(op_upgrade *u) {
  static const struct {
    const char *name, *op;
  } known[] = {{"silu", "Swish"}, {"swish", "Swish"}, {"gelu", "Gelu"}, {"relu", "Relu"}, {"sigmoid", "Sigmoid"}};
  str name = node_attr(u->node, "activation")->s;
  value_id x = normalized_input(u, 1, 1e-5f), gate = projection(u, x, "N", 3), up = projection(u, x, "N", 6);
  for (size_t i = 0; i < sizeof known / sizeof *known; i++)
    if (str_is(name, known[i].name)) return BECOME("Mul", NODE(known[i].op, gate), up);
  return upgrade_fail(u, SDX_NOT_SUPPORTED, "attribute 'activation': '%.*s' is not known", STR_ARG(name));
}

static sdx_status nbits_qkv(op_upgrade *u) {
  value_id x = normalized_input(u, 3, 1e-6f);
  rewrite_output(u, 1, projection(u, x, "Nkv", 6));
  rewrite_output(u, 2, projection(u, x, "Nkv", 9));
  return BECOME("Identity", projection(u, x, "Nq", 3));
}

static sdx_status matmul_activation(op_upgrade *u) {
  static const char *const of_product[] = {"alpha", "transA", "transB", "transBatchA", "transBatchB"};
  static const char *const of_activation[] = {"alpha", "beta", "gamma", "axis"};
  attr product[5], after[4];
  size_t count = 0;
  value_id in[2] = {IN(0), IN(1)};
  char name[64];
  for (size_t i = 0; i < 5; i++)
    if (node_attr(u->node, of_product[i])) product[count++] = *node_attr(u->node, of_product[i]);
  value_id y = upgrade_insert(u, "com.microsoft::FusedMatMul", 2, in, product, count);
  count = 0;
  for (size_t i = 0; i < 4; i++) {
    snprintf(name, sizeof name, "activation_%s", of_activation[i]);
    const attr *given = node_attr(u->node, name);
    if (given) after[count] = *given, after[count++].name = str_from(of_activation[i]);
  }
  const attr *activation = node_attr(u->node, "activation");
  const char *op = arena_format(u->graph->memory, "%.*s", STR_ARG(activation->s));
  if (!op) return error_no_memory(u->err, activation->s.size);
  return upgrade_become(u, op, 1, &y, after, count);
}

// A (B' in blocks of float8 numbers that each have a scale) + bias; A goes through float8, too, if it has a scale.
static sdx_status fp8_matmul(op_upgrade *u) {
  value_id a = rewrite_cast(u, IN(0), SDX_FLOAT);
  if (IN(3)) {
    value_id scale = NODE("Reshape", IN(3), rewrite_constant(u, NULL, 0));
    value_id low = NODE_WITH("QuantizeLinear", ATTRS(attr_of_int("output_dtype", SDX_FLOAT8E4M3FN)), a, scale);
    a = NODE("DequantizeLinear", low, scale);
  }
  attr blocks[2] = {attr_of_int("axis", 1), attr_of_int("block_size", node_attr_int(u->node, "block_size", 128))};
  value_id y = NODE_WITH("com.microsoft::FusedMatMul", ATTRS(attr_of_int("transB", 1)), a,
                         upgrade_insert(u, "DequantizeLinear", 2, (value_id[]){IN(1), IN(2)}, blocks, 2));
  if (IN(4)) y = NODE("Add", y, rewrite_cast(u, IN(4), SDX_FLOAT));
  return BECOME("CastLike", y, IN(0));
}

// The same with pairs of float4 in a byte, a float8 (as a byte) for each block, and one scale for all.
static sdx_status fp4_matmul(op_upgrade *u) {
  value_id low = NODE("BitwiseAnd", IN(1), rewrite_scalar(u, SDX_UINT8, 15)),
           high = NODE_WITH("BitShift", ATTRS(attr_of_string("direction", "RIGHT")), IN(1),
                            rewrite_scalar(u, SDX_UINT8, 4));
  value_id codes = NODE_WITH("Concat", ATTRS(attr_of_int("axis", -1)), NODE("Unsqueeze", low, INTS(-1)),
                             NODE("Unsqueeze", high, INTS(-1)));
  codes = rewrite_cast(u, NODE("Reshape", codes, INTS(0, -1)), SDX_INT32);
  value_id halves = rewrite_cast(u, INTS(0, 1, 2, 3, 4, 6, 8, 12, 0, -1, -2, -3, -4, -6, -8, -12), SDX_FLOAT);
  value_id values = NODE("Gather", NODE("Mul", halves, rewrite_scalar(u, SDX_FLOAT, 0.5)), codes);
  value_id columns = NODE("Squeeze", NODE_WITH("Shape", ATTRS(attr_of_int("start", -1)), codes));
  value_id places = NODE("Range", rewrite_scalar(u, SDX_INT64, 0), columns, rewrite_scalar(u, SDX_INT64, 1));
  value_id blocks = NODE("Div", places, INTS(node_attr_int(u->node, "block_size", 16)));
  value_id scales = rewrite_cast(u, NODE_WITH("BitCast", ATTRS(attr_of_int("to", SDX_FLOAT8E4M3FN)), IN(2)), SDX_FLOAT);
  scales = NODE("Mul", NODE_WITH("Gather", ATTRS(attr_of_int("axis", 1)), scales, blocks),
                NODE("Reshape", IN(3), rewrite_constant(u, NULL, 0)));
  value_id weights = NODE("CastLike", NODE("Mul", values, scales), IN(0));
  value_id y = NODE_WITH("com.microsoft::FusedMatMul", ATTRS(attr_of_int("transB", 1)), IN(0), weights);
  return IN(5) ? BECOME("Add", y, IN(5)) : BECOME("Identity", y);
}

// A learned gate for each head and query row over the biases of relative positions.
static sdx_status gated_position_bias(op_upgrade *u) {
  const int64_t perm[4] = {0, 2, 1, 3};
  value_id parts[2] = {0}, x = NODE("Add", IN(0), IN(1));
  if (IN(6)) x = NODE("com.microsoft::RestorePadding", x, IN(6));
  x = NODE("Reshape", x, INTS(0, 0, node_attr_int(u->node, "num_heads", 0), -1));
  x = NODE_WITH("Transpose", ATTRS(attr_of_ints("perm", perm, 4)), x);
  x = NODE("Reshape", NODE("Add", NODE("MatMul", x, IN(3)), IN(4)), INTS(0, 0, 0, 2, -1));
  x = NODE("Sigmoid", NODE_WITH("ReduceSum", ATTRS(attr_of_int("keepdims", 0)), x, INTS(-1)));
  upgrade_insert_many(u, "Split", 1, &x, ATTRS(attr_of_int("axis", -1), attr_of_int("num_outputs", 2)), 2, parts);
  value_id one = NODE("CastLike", rewrite_scalar(u, SDX_FLOAT, 1), x),
           two = NODE("CastLike", rewrite_scalar(u, SDX_FLOAT, 2), x);
  value_id gate = NODE("Mul", parts[0], NODE("Sub", NODE("Mul", parts[1], IN(5)), one));
  return BECOME("Mul", NODE("Add", gate, two), IN(2));
}

SDX_CASES = {"X=float[2,3,4] bias=float[4] skip=float[2,3,4]", NULL};
static const char *const split_cases[] = {"X=float[2,3,8] bias=float[8]", NULL};
static const char *const gemm_cases[] = {"X=float[2,3,4] W=float[4,5] bias=float[5]", NULL};

static const char *const mlp_cases[] = {
    "A=float[2,3,32] skip=float[2,3,32] norm_scale=float[32] gate_B=uint8[5,2,8]@0..255 "
    "gate_scales=float[10]@0.01..0.1 "
    "gate_bias=float[5] up_B=uint8[5,2,8]@0..255 up_scales=float[10]@0.01..0.1 K=32 N=5 block_size=16 activation=silu "
    "outputs=2",
    NULL};
static const char *const qkv_cases[] = {
    "A=float[2,3,32] norm_scale=float[32] q_B=uint8[5,2,8]@0..255 q_scales=float[10]@0.01..0.1 "
    "k_B=uint8[3,2,8]@0..255 k_scales=float[6]@0.01..0.1 v_B=uint8[3,2,8]@0..255 v_scales=float[6]@0.01..0.1 "
    "K=32 Nq=5 Nkv=3 block_size=16 outputs=3",
    NULL};
static const char *const activation_cases[] = {
    "A=float[2,3] B=float[4,3] transB=1 activation=LeakyRelu activation_alpha=0.2", NULL};
static const char *const position_cases[] = {
    "query_layer=float[2,3,8] query_bias=float[8] rel_pos=float[1,2,3,3] weight=float[4,6] bias=float[6] "
    "eco_a=float[1,2,1,1] num_heads=2",
    NULL};

static const char *const fp8_cases[] = {
    "A=float16[3,32] B=float8e4m3fn[5,32] b_scale=float[5,2]@0.01..0.1 a_scale=float(0.1) bias=float16[5] "
    "block_size=16",
    NULL};

static const char *const fp4_cases[] = {
    "A=float16[3,32] B=uint8[5,16]@0..255 weight_scale=uint8[5,2]@40..60 weight_scale_2=float(0.1) bias=float16[5]",
    NULL};

// clang-format off
#define RECORD .since = 1, .versions = "1", .flags = OP_REWRITE
SDX_OP_MS(BiasAdd) = {RECORD, .inputs = "X:T bias:T skip:T", .outputs = "Y:T", .types = "T=float,float16,bfloat16",
                      .upgrade = bias_add, .cases = cases};
SDX_OP_MS(BiasSplitGelu) = {RECORD, .inputs = "X:T bias:T", .outputs = "Y:T", .types = "T=float,float16,bfloat16",
                            .upgrade = bias_split_gelu, .cases = split_cases};
SDX_OP_MS(GemmFastGelu) = {RECORD, .inputs = "X:T W:T bias:T?", .outputs = "Y:T", .types = "T=float,float16,bfloat16",
                           .upgrade = gemm_fast_gelu, .cases = gemm_cases};
static const char *const embed_layer_normalization_cases[] = {
    "input_ids=int32[2,3]@0..6 segment_ids=int32[2,3]@0..1 word_embedding=float[7,4] position_embedding=float[5,4] "
    "segment_embedding=float[2,4] gamma=float[4] beta=float[4] mask=int32[2,3](1,1,0,1,1,1) outputs=2", NULL};

SDX_OP_MS(EmbedLayerNormalization) = {
    RECORD, .inputs = "input_ids:T1 segment_ids:T1? word_embedding:T position_embedding:T segment_embedding:T? gamma:T "
                      "beta:T mask:T1? position_ids:T1?",
    .outputs = "output:T mask_index:T1? embedding_sum:T?", .types = "T1=int32;T=float,float16",
    .attrs = "epsilon:float=1e-12 mask_index_type:int=0", .upgrade = embed_layer_normalization,
    .cases = embed_layer_normalization_cases,
};
static const char *const q_embed_cases[] = {
    "input_ids=int32[2,3]@0..6 segment_ids=int32[2,3]@0..1 word_embedding_quant=uint8[7,4]@0..255 "
    "position_embedding_quant=uint8[5,4]@0..255 segment_embedding=uint8[2,4]@0..255 gamma_quant=uint8[4]@0..255 "
    "beta_quant=uint8[4]@0..255 mask=int32[2,3](1,1,0,1,1,1) word_embedding_scale=float(0.1) "
    "position_embedding_scale=float(0.1) segment_embedding_scale=float(0.1) gamma_scale=float(0.02) "
    "beta_scale=float(0.1) word_embedding_zero_point=uint8(128) position_embedding_zero_point=uint8(128) "
    "segment_embedding_zero_point=uint8(128) gamma_zero_point=uint8(10) beta_zero_point=uint8(128) outputs=2", NULL};

SDX_OP_MS(QEmbedLayerNormalization) = {
    RECORD, .inputs = "input_ids:T1 segment_ids:T1? word_embedding_quant:T2 position_embedding_quant:T2 "
                      "segment_embedding:T2? gamma_quant:T2 beta_quant:T2 mask:T1? word_embedding_scale:T "
                      "position_embedding_scale:T segment_embedding_scale:T? gamma_scale:T beta_scale:T "
                      "word_embedding_zero_point:T2 position_embedding_zero_point:T2 "
                      "segment_embedding_zero_point:T2? gamma_zero_point:T2 beta_zero_point:T2",
    .outputs = "layernorm_out:T mask_index_out:T1?", .types = "T1=int32;T2=int8,uint8;T=float",
    .attrs = "epsilon:float=1e-12", .upgrade = qembed_layer_normalization,
    .cases = q_embed_cases,
};
#define NBITS "K:int! accuracy_level:int=0 bits:int=4 block_size:int! "
SDX_OP_MS(MatMulNBitsMlp) = {
    RECORD, .inputs = "A:T1 skip:T1? norm_scale:T1? gate_B:T2 gate_scales:T1 gate_bias:T1? up_B:T2 up_scales:T1 "
                      "up_bias:T1?",
    .outputs = "Y:T1 input_skip_bias_sum:T1?", .types = "T1=float,float16,bfloat16;T2=uint8",
    .attrs = NBITS "N:int! activation:string! epsilon:float=1e-5", .upgrade = nbits_mlp, .cases = mlp_cases};
SDX_OP_MS(MatMulNBitsQkv) = {
    RECORD, .inputs = "A:T1 skip:T1? norm_scale:T1 q_B:T2 q_scales:T1 q_bias:T1? k_B:T2 k_scales:T1 k_bias:T1? v_B:T2 "
                      "v_scales:T1 v_bias:T1?",
    .outputs = "Q:T1 K:T1 V:T1 input_skip_bias_sum:T1?", .types = "T1=float,float16,bfloat16;T2=uint8",
    .attrs = NBITS "Nkv:int! Nq:int! epsilon:float=1e-6", .upgrade = nbits_qkv, .cases = qkv_cases};
SDX_OP_MS(FusedMatMulActivation) = {
    RECORD, .inputs = "A:T B:T", .outputs = "Y:T", .types = "T=float16,float,double,bfloat16",
    .attrs = "activation:string! activation_alpha:float activation_axis:int activation_beta:float "
             "activation_gamma:float alpha:float=1 transA:int=0 transB:int=0 transBatchA:int=0 transBatchB:int=0",
    .upgrade = matmul_activation, .cases = activation_cases};
SDX_OP_MS(GatedRelativePositionBias) = {
    RECORD, .inputs = "query_layer:T query_bias:T rel_pos:T weight:T bias:T eco_a:T token_offset:M?",
    .outputs = "output:T", .types = "T=float,float16;M=int32", .attrs = "num_heads:int!",
    .upgrade = gated_position_bias, .cases = position_cases};
SDX_OP_MS(MatMulBlockQuantizedFp8Weight) = {
    RECORD, .inputs = "A:T B:T1 b_scale:T2 a_scale:T2? bias:T?", .outputs = "Y:T",
    .types = "T=float16,bfloat16,float;T1=float8e4m3fn;T2=float", .attrs = "block_size:int=128",
    .upgrade = fp8_matmul, .cases = fp8_cases};
SDX_OP_MS(MatMulBlockQuantizedFp4Weight) = {
    RECORD, .inputs = "A:T B:T1 weight_scale:T2 weight_scale_2:T3 input_scale:T3? bias:T?", .outputs = "Y:T",
    .types = "T=float16,bfloat16,float;T1=uint8;T2=uint8;T3=float", .attrs = "block_size:int=16",
    .upgrade = fp4_matmul, .cases = fp4_cases};
// clang-format on

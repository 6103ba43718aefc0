// SPDX-License-Identifier: Apache-2.0
// Chains of ai.onnx operators that onnxruntime's optimizer writes as one node. They are taken apart again at import,
// so that our own passes see them; the formulas are the definition.
#include <stdio.h>

#include "ops/parts/rewrite.h"

// X + bias + skip
static sdx_status bias_add(op_upgrade *u) {
  value_id sum = insert2(u, "Add", input(u, 0), input(u, 1));
  return become2(u, "Add", sum, input(u, 2));
}

// a * gelu(b) where a and b are the halves of X + bias
static sdx_status bias_split_gelu(op_upgrade *u) {
  value_id halves[2], sum = insert2(u, "Add", input(u, 0), input(u, 1));
  split2(u, sum, -1, halves);
  value_id gate = insert1(u, "Gelu", halves[1]);
  return become2(u, "Mul", halves[0], gate);
}

// fast_gelu(X W + bias)
static sdx_status gemm_fast_gelu(op_upgrade *u) {
  value_id product = insert2(u, "MatMul", input(u, 0), input(u, 1));
  if (input(u, 2)) product = insert2(u, "Add", product, input(u, 2));
  SDX_TRY(become1(u, "Gelu", product));
  return upgrade_set_attr(u, u->node, attr_of_string("approximate", "tanh"));
}

// Normalised sum of three embeddings: word, position, and segment where there is one. `look_up` makes a row of
// input `table`, whatever form it is stored in.
typedef value_id (*look_up)(op_upgrade *u, size_t table, value_id ids);
typedef struct embedding_inputs {
  size_t segment_ids, word, position, segment, mask, position_ids;
} embedding_inputs;

static value_id embedding_sum(op_upgrade *u, const embedding_inputs *at, look_up rows) {
  value_id ids = input(u, 0), positions = input(u, at->position_ids);
  if (!positions) {  // 0, 1, ... along the sequence
    value_id length = dims(u, ids, 1, 2);
    positions = range_to(u, insert1(u, "Squeeze", length));
  }
  value_id word = rows(u, at->word, ids), position = rows(u, at->position, positions);
  value_id sum = insert2(u, "Add", word, position);
  if (!input(u, at->segment)) return sum;
  return insert2(u, "Add", sum, rows(u, at->segment, input(u, at->segment_ids)));
}

static sdx_status embed(op_upgrade *u, const embedding_inputs *at, look_up rows, value_id gamma, value_id beta) {
  attr epsilon = attr_of_float("epsilon", node_attr_float(u->node, "epsilon", 1e-12f));
  if (input(u, at->segment) && !input(u, at->segment_ids))
    return upgrade_fail_at(u, at_input(at->segment), SDX_INVALID_GRAPH, "needs input 1 ('segment_ids')");
  value_id sum = embedding_sum(u, at, rows);
  if (wants_output(u, 1)) {  // how many words each sample has
    value_id ids = input(u, 0), mask = input(u, at->mask);
    give_output(u, 1, sum_over(u, mask ? mask : insert2(u, "Sub", ids, ids), 1));
  }
  give_output(u, 2, sum);
  return upgrade_become(u, "LayerNormalization", 3, (value_id[]){sum, gamma, beta}, &epsilon, 1);
}

static value_id look_up_plain(op_upgrade *u, size_t table, value_id ids) {
  return insert2(u, "Gather", input(u, table), ids);
}

static sdx_status embed_layer_normalization(op_upgrade *u) {
  static const embedding_inputs at = {
      .segment_ids = 1, .word = 2, .position = 3, .segment = 4, .mask = 7, .position_ids = 8};
  return embed(u, &at, look_up_plain, input(u, 5), input(u, 6));
}

// Quantised: tables at 2 to 6 have their scales at 8 to 12 and their zero points at 13 to 17.
enum { Q_FIRST = 2, Q_SCALE = 8, Q_ZERO = 13 };

static value_id dequantized(op_upgrade *u, size_t table, value_id bytes) {
  size_t scale = table - Q_FIRST + Q_SCALE, zero = table - Q_FIRST + Q_ZERO;
  return insert3(u, "DequantizeLinear", bytes, input(u, scale), input(u, zero));
}
static value_id look_up_quantized(op_upgrade *u, size_t table, value_id ids) {
  return dequantized(u, table, insert2(u, "Gather", input(u, table), ids));
}

static sdx_status qembed_layer_normalization(op_upgrade *u) {
  static const embedding_inputs at = {
      .segment_ids = 1, .word = 2, .position = 3, .segment = 4, .mask = 7, .position_ids = SIZE_MAX};
  value_id gamma = dequantized(u, 5, input(u, 5)), beta = dequantized(u, 6, input(u, 6));
  return embed(u, &at, look_up_quantized, gamma, beta);
}

// Quantised projections of one normalised input: the node's inputs 0 to 2 are it, what is added to it, and the scale.
// `weights` is the first of packed weights, scales and bias.
static value_id normalized_input(op_upgrade *u, size_t sum_output, float epsilon) {
  value_id x = input(u, 0);
  if (input(u, 1)) x = insert2(u, "Add", x, input(u, 1));
  give_output(u, sum_output, x);
  if (!input(u, 2)) return x;
  return with_attr(u, insert2(u, "com.microsoft::SimplifiedLayerNormalization", x, input(u, 2)),
                   attr_of_float("epsilon", node_attr_float(u->node, "epsilon", epsilon)));
}
static value_id projection(op_upgrade *u, value_id x, const char *columns, size_t weights) {
  const node *n = u->node;
  value_id in[6] = {x, input(u, weights), input(u, weights + 1), 0, 0, input(u, weights + 2)};
  attr attrs[] = {attr_of_int("K", node_attr_int(n, "K", 0)), attr_of_int("N", node_attr_int(n, columns, 0)),
                  attr_of_int("bits", node_attr_int(n, "bits", 4)),
                  attr_of_int("block_size", node_attr_int(n, "block_size", 0))};
  return upgrade_insert(u, "com.microsoft::MatMulNBits", 6, in, attrs, 4);
}

static sdx_status nbits_mlp(op_upgrade *u) {
  static const struct {
    const char *name, *op;
  } known[] = {{"silu", "Swish"}, {"swish", "Swish"}, {"gelu", "Gelu"}, {"relu", "Relu"}, {"sigmoid", "Sigmoid"}};
  str name = node_attr(u->node, "activation")->s;
  value_id x = normalized_input(u, 1, 1e-5f), gate = projection(u, x, "N", 3), up = projection(u, x, "N", 6);
  for (size_t i = 0; i < sizeof known / sizeof *known; i++)
    if (str_is(name, known[i].name)) return become2(u, "Mul", insert1(u, known[i].op, gate), up);
  return upgrade_fail_at(u, at_attribute("activation"), SDX_NOT_SUPPORTED, "is '%.*s', which is not known",
                         STR_ARG(name));
}

static sdx_status nbits_qkv(op_upgrade *u) {
  value_id x = normalized_input(u, 3, 1e-6f);
  give_output(u, 1, projection(u, x, "Nkv", 6));
  give_output(u, 2, projection(u, x, "Nkv", 9));
  return become1(u, "Identity", projection(u, x, "Nq", 3));
}

static sdx_status matmul_activation(op_upgrade *u) {
  static const char *const of_product[] = {"alpha", "transA", "transB", "transBatchA", "transBatchB"};
  static const char *const of_activation[] = {"alpha", "beta", "gamma", "axis"};
  attr product[5], after[4];
  size_t count = 0;
  value_id in[2] = {input(u, 0), input(u, 1)};
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

static value_id matmul_transposed(op_upgrade *u, value_id a, value_id b) {
  return with_attr(u, insert2(u, "com.microsoft::FusedMatMul", a, b), attr_of_int("transB", 1));
}

// A (B' in blocks of float8 numbers that each have a scale) + bias; A goes through float8, too, if it has a scale.
static sdx_status fp8_matmul(op_upgrade *u) {
  value_id a = cast(u, input(u, 0), SDX_FLOAT);
  if (input(u, 3)) {
    value_id scale = as_scalar(u, input(u, 3)), low = insert2(u, "QuantizeLinear", a, scale);
    with_attr(u, low, attr_of_int("output_dtype", SDX_FLOAT8E4M3FN));
    a = insert2(u, "DequantizeLinear", low, scale);
  }
  value_id b = insert2(u, "DequantizeLinear", input(u, 1), input(u, 2));
  with_attr(u, b, attr_of_int("axis", 1));
  with_attr(u, b, attr_of_int("block_size", node_attr_int(u->node, "block_size", 128)));
  value_id y = matmul_transposed(u, a, b);
  if (input(u, 4)) y = insert2(u, "Add", y, cast(u, input(u, 4), SDX_FLOAT));
  return become2(u, "CastLike", y, input(u, 0));
}

// Pairs of float4 in a byte, the low one first.
static value_id float4_values(op_upgrade *u, value_id bytes) {
  static const int64_t twice[16] = {0, 1, 2, 3, 4, 6, 8, 12, 0, -1, -2, -3, -4, -6, -8, -12};
  value_id low = insert2(u, "BitwiseAnd", bytes, scalar(u, SDX_UINT8, 15));
  value_id high = insert2(u, "BitShift", bytes, scalar(u, SDX_UINT8, 4));
  with_attr(u, high, attr_of_string("direction", "RIGHT"));
  low = insert2(u, "Unsqueeze", low, ints1(u, -1));
  high = insert2(u, "Unsqueeze", high, ints1(u, -1));
  value_id codes = reshape(u, concat2(u, -1, low, high), (int64_t[]){0, -1}, 2);
  codes = cast(u, codes, SDX_INT32);
  value_id table = cast(u, ints(u, twice, 16), SDX_FLOAT);
  table = insert2(u, "Mul", table, scalar(u, SDX_FLOAT, 0.5));
  return insert2(u, "Gather", table, codes);
}

// A B' + bias with B in float4, a float8 (as a byte) for each block, and one scale for all.
static sdx_status fp4_matmul(op_upgrade *u) {
  value_id values = float4_values(u, input(u, 1));
  value_id columns = insert1(u, "Squeeze", dims(u, values, -1, INT64_MAX)), places = range_to(u, columns);
  value_id blocks = insert2(u, "Div", places, ints1(u, node_attr_int(u->node, "block_size", 16)));
  value_id scales = with_attr(u, insert1(u, "BitCast", input(u, 2)), attr_of_int("to", SDX_FLOAT8E4M3FN));
  scales = insert2(u, "Gather", cast(u, scales, SDX_FLOAT), blocks);
  with_attr(u, scales, attr_of_int("axis", 1));
  scales = insert2(u, "Mul", scales, as_scalar(u, input(u, 3)));
  value_id weights = insert2(u, "Mul", values, scales);
  weights = insert2(u, "CastLike", weights, input(u, 0));
  value_id y = matmul_transposed(u, input(u, 0), weights);
  return input(u, 5) ? become2(u, "Add", y, input(u, 5)) : become1(u, "Identity", y);
}

// A learned gate for each head and query row over the biases of relative positions.
static sdx_status gated_position_bias(op_upgrade *u) {
  const int64_t by_head[4] = {0, 0, node_attr_int(u->node, "num_heads", 0), -1};
  value_id parts[2], x = insert2(u, "Add", input(u, 0), input(u, 1));
  if (input(u, 6)) x = insert2(u, "com.microsoft::RestorePadding", x, input(u, 6));
  x = transpose(u, reshape(u, x, by_head, 4), (int64_t[]){0, 2, 1, 3}, 4);
  x = insert2(u, "Add", insert2(u, "MatMul", x, input(u, 3)), input(u, 4));
  x = reshape(u, x, (int64_t[]){0, 0, 0, 2, -1}, 5);
  x = insert1(u, "Sigmoid", sum_over(u, x, -1));
  split2(u, x, -1, parts);
  value_id one = scalar_like(u, 1, x), two = scalar_like(u, 2, x);
  value_id gate = insert2(u, "Sub", insert2(u, "Mul", parts[1], input(u, 5)), one);
  gate = insert2(u, "Add", insert2(u, "Mul", parts[0], gate), two);
  return become2(u, "Mul", gate, input(u, 2));
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

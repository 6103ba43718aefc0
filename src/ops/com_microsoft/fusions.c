// SPDX-License-Identifier: Apache-2.0
// Chains of ai.onnx operators that onnxruntime's optimizer writes as one node. They are taken apart again at import,
// so that our own passes see them; the formulas are the definition.
#include "ops/com_microsoft/rewrite.h"

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

SDX_CASES = {"X=float[2,3,4] bias=float[4] skip=float[2,3,4]", NULL};
static const char *const split_cases[] = {"X=float[2,3,8] bias=float[8]", NULL};
static const char *const gemm_cases[] = {"X=float[2,3,4] W=float[4,5] bias=float[5]", NULL};

// clang-format off
#define RECORD .since = 1, .versions = "1", .flags = OP_REWRITE
SDX_OP_MS(BiasAdd) = {RECORD, .inputs = "X:T bias:T skip:T", .outputs = "Y:T", .types = "T=float,float16,bfloat16",
                      .upgrade = bias_add, .cases = cases};
SDX_OP_MS(BiasSplitGelu) = {RECORD, .inputs = "X:T bias:T", .outputs = "Y:T", .types = "T=float,float16,bfloat16",
                            .upgrade = bias_split_gelu, .cases = split_cases};
SDX_OP_MS(GemmFastGelu) = {RECORD, .inputs = "X:T W:T bias:T?", .outputs = "Y:T", .types = "T=float,float16,bfloat16",
                           .upgrade = gemm_fast_gelu, .cases = gemm_cases};
static const char *const embed_layer_normalization_cases[] = {"input_ids=int32[2,3]@0..6 segment_ids=int32[2,3]@0..1 word_embedding=float[7,4] position_embedding=float[5,4] segment_embedding=float[2,4] gamma=float[4] beta=float[4] mask=int32[2,3](1,1,0,1,1,1) outputs=2", NULL};

SDX_OP_MS(EmbedLayerNormalization) = {
    RECORD, .inputs = "input_ids:T1 segment_ids:T1? word_embedding:T position_embedding:T segment_embedding:T? gamma:T "
                      "beta:T mask:T1? position_ids:T1?",
    .outputs = "output:T mask_index:T1? embedding_sum:T?", .types = "T1=int32;T=float,float16",
    .attrs = "epsilon:float=1e-12 mask_index_type:int=0", .upgrade = embed_layer_normalization,
    .cases = embed_layer_normalization_cases,
};
static const char *const q_embed_cases[] = {"input_ids=int32[2,3]@0..6 segment_ids=int32[2,3]@0..1 word_embedding_quant=uint8[7,4]@0..255 position_embedding_quant=uint8[5,4]@0..255 segment_embedding=uint8[2,4]@0..255 gamma_quant=uint8[4]@0..255 beta_quant=uint8[4]@0..255 mask=int32[2,3](1,1,0,1,1,1) word_embedding_scale=float(0.1) position_embedding_scale=float(0.1) segment_embedding_scale=float(0.1) gamma_scale=float(0.02) beta_scale=float(0.1) word_embedding_zero_point=uint8(128) position_embedding_zero_point=uint8(128) segment_embedding_zero_point=uint8(128) gamma_zero_point=uint8(10) beta_zero_point=uint8(128) outputs=2", NULL};

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
// clang-format on

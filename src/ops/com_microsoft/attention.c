// SPDX-License-Identifier: Apache-2.0
// The attention operators that start with the projection or have another order of inputs, as MultiHeadAttention
// (multi_head_attention.c): the projection is a MatMul, whose weights are then packed like any others.
//
//   Attention                        MatMul(input, weights), past and present as one tensor [2, ...]
//   QAttention                       MatMulIntegerToFloat instead
//   DecoderMaskedSelfAttention       as Attention, with the beams of the cache
//   DecoderMaskedMultiHeadAttention  one new row, cache in a longer buffer
#include "ops/parts/rewrite.h"

enum { MOST_ATTRS = 8 };
typedef struct attributes {
  attr at[MOST_ATTRS];
  size_t count;
} attributes;

static void keep(op_upgrade *u, attributes *a, const char *name, const char *as) {
  const attr *found = node_attr(u->node, name);
  if (!found) return;
  a->at[a->count] = *found;
  a->at[a->count++].name = str_from(as);
}
static attributes keep_all(op_upgrade *u) {
  attributes a = {.count = 0};
  keep(u, &a, "num_heads", "num_heads");
  keep(u, &a, "scale", "scale");
  keep(u, &a, "mask_filter_value", "mask_filter_value");
  keep(u, &a, "unidirectional", "unidirectional");
  keep(u, &a, "qkv_hidden_sizes", "_hidden");
  return a;
}

static sdx_status to_heads(op_upgrade *u, const value_id in[10], const attributes *a) {
  return upgrade_become(u, "com.microsoft::MultiHeadAttention", 10, in, a->at, a->count);
}

// Query, key and value beside one another in `product`; past and present [2, batch, heads, time, width].
static sdx_status projected(op_upgrade *u, value_id product, value_id bias, value_id mask, value_id past, value_id add,
                            value_id length, value_id beams) {
  node *n = u->node;
  attributes a = keep_all(u);
  if (node_attr_int(n, "do_rotary", 0))
    return upgrade_fail_at(u, at_attribute("do_rotary"), SDX_NOT_SUPPORTED,
                           "is 1; use GroupQueryAttention or RotaryEmbedding");
  bool shared = node_attr_int(n, "past_present_share_buffer", 0) != 0;
  value_id in[10] = {product, 0, 0, bias, mask, add, 0, 0, shared ? length : 0, shared ? beams : 0};
  for (int i = 0; past && i < 2; i++) in[6 + i] = insert2(u, "Gather", past, scalar(u, SDX_INT64, i));
  if (!wants_output(u, 1)) return to_heads(u, in, &a);
  value_id *outputs = arena_array(u->graph->memory, 3, sizeof *outputs), halves[2];
  if (!outputs) return error_no_memory(u->err, 3 * sizeof *outputs);
  outputs[0] = n->outputs[0];
  for (int i = 0; i < 2; i++) {
    outputs[1 + i] = graph_add_value(u->graph, STR(""));
    if (!outputs[1 + i]) return error_no_memory(u->err, sizeof(graph_value));
    halves[i] = insert2(u, "Unsqueeze", outputs[1 + i], ints1(u, 0));
  }
  give_output(u, 1, concat(u, 0, 2, halves));
  n->outputs = outputs, n->output_count = 3;
  return to_heads(u, in, &a);
}

static sdx_status attention(op_upgrade *u) {
  value_id product = insert2(u, "MatMul", input(u, 0), input(u, 1));
  return projected(u, product, input(u, 2), input(u, 3), input(u, 4), input(u, 5), input(u, 6), VALUE_ABSENT);
}
static sdx_status decoder_self(op_upgrade *u) {
  value_id product = insert2(u, "MatMul", input(u, 0), input(u, 1));
  return projected(u, product, input(u, 2), input(u, 3), input(u, 4), input(u, 5), input(u, 6), input(u, 8));
}

static sdx_status qattention(op_upgrade *u) {
  value_id in[7] = {input(u, 0), input(u, 1), input(u, 3), input(u, 4), input(u, 6), input(u, 7), input(u, 2)};
  value_id product = insert_n(u, "com.microsoft::MatMulIntegerToFloat", 7, in);
  return projected(u, product, VALUE_ABSENT, input(u, 5), input(u, 8), VALUE_ABSENT, VALUE_ABSENT, VALUE_ABSENT);
}

static sdx_status decoder(op_upgrade *u) {
  attributes a = keep_all(u);
  bool shared = node_attr_int(u->node, "past_present_share_buffer", 0) != 0;
  value_id in[10] = {input(u, 0),  input(u, 1), input(u, 2),
                     input(u, 10), input(u, 3), input(u, 4),
                     input(u, 5),  input(u, 6), shared ? input(u, 7) : 0,
                     input(u, 9)};
  return to_heads(u, in, &a);
}

SDX_CASES = {"input=float[2,3,8] weights=float[8,24]@-0.3..0.3 bias=float[24] num_heads=2",
             "input=float[2,3,8] weights=float[8,20]@-0.3..0.3 num_heads=2 qkv_hidden_sizes=8,8,4 unidirectional=1",
             NULL};
static const char *const decoder_cases[] = {"query=float[2,1,8] key=float[2,1,8] value=float[2,1,8] num_heads=2", NULL};

static const char *const self_cases[] = {
    "input=float[2,1,6] weights=float[6,24] bias=float[24] past=float[2,2,2,5,4] past_sequence_length=int32[1](3) "
    "cache_indirection=int32[1,2,5]@0..1 num_heads=2 past_present_share_buffer=1 outputs=2",
    NULL};

// clang-format off
#define RECORD .since = 1, .versions = "1", .flags = OP_REWRITE
#define ATTENTION "do_rotary:int=0 mask_filter_value:float=-10000 num_heads:int! past_present_share_buffer:int=0 " \
                  "scale:float=0 unidirectional:int=0"
SDX_OP_MS(Attention) = {
    RECORD, .inputs = "input:T weights:T bias:T? mask_index:M? past:T? attention_bias:T? past_sequence_length:M?",
    .outputs = "output:T present:T?", .types = "T=float,float16,bfloat16;M=int32",
    .attrs = ATTENTION " qkv_hidden_sizes:ints rotary_embedding_dim:int=0", .upgrade = attention, .cases = cases};
static const char *const qattention_cases[] = {
    "input=uint8[2,3,8]@0..255 weight=int8[8,24] bias=float[24] input_scale=float(0.02) weight_scale=float(0.05) "
    "mask_index= input_zero_point=uint8(128) weight_zero_point=int8(0) num_heads=2", NULL};

SDX_OP_MS(QAttention) = {
    RECORD, .inputs = "input:T1 weight:T2 bias:T3 input_scale:T3 weight_scale:T3 mask_index:T4? input_zero_point:T1? "
                      "weight_zero_point:T2? past:T3?",
    .outputs = "output:T3 present:T3?", .types = "T1=int8,uint8;T2=int8,uint8;T3=float,float16;T4=int32",
    .attrs = ATTENTION, .upgrade = qattention,
    .cases = qattention_cases,
};
SDX_OP_MS(DecoderMaskedSelfAttention) = {
    RECORD, .inputs = "input:T weights:T bias:T mask_index:M? past:T attention_bias:T? past_sequence_length:M "
                      "beam_width:M? cache_indirection:M?",
    .outputs = "output:T present:T", .types = "T=float,float16;M=int32",
    .attrs = "do_rotary:int=0 mask_filter_value:float=-10000 num_heads:int! past_present_share_buffer:int=0 "
             "scale:float=0", .upgrade = decoder_self, .cases = self_cases};
SDX_OP_MS(DecoderMaskedMultiHeadAttention) = {
    RECORD, .inputs = "query:T key:T? value:T? mask_index:M? attention_bias:T? past_key:T? past_value:T? "
                      "past_sequence_length:M? beam_width:M? cache_indirection:M? bias:T?",
    .outputs = "output:T present_key:T? present_value:T? qk:QK?",
    .types = "T=float,float16;QK=float,float16;M=int32",
    .attrs = "mask_filter_value:float=-10000 num_heads:int! output_qk:int=0 past_present_share_buffer:int=0 "
             "scale:float=0", .upgrade = decoder, .cases = decoder_cases};
// clang-format on

// SPDX-License-Identifier: Apache-2.0
// Gates and residual streams of recent decoders, as formulas; what their records call float32 arithmetic is a Cast.
// Streams (hyper-connections) are [..., branches, width], or flat, [..., branches * width], with num_branches.
#include "ops/parts/rewrite.h"

static value_id wide(op_upgrade *u, value_id x) { return cast(u, x, SDX_FLOAT); }
static value_id number(op_upgrade *u, float v) { return scalar(u, SDX_FLOAT, (double)v); }
static value_id last_size(op_upgrade *u, value_id x) { return dims(u, x, -1, INT64_MAX); }

static value_id mean_of_last(op_upgrade *u, value_id x) { return insert2(u, "ReduceMean", x, ints1(u, -1)); }

// x / rms(x) over the last dimension, in float.
static value_id normalized(op_upgrade *u, value_id x, float epsilon) {
  value_id mean = mean_of_last(u, insert2(u, "Mul", x, x));
  value_id square = insert2(u, "Add", mean, number(u, epsilon));
  return insert2(u, "Div", x, insert1(u, "Sqrt", square));
}

// The shape [..., branches, -1] of the node's streams.
static value_id stream_shape(op_upgrade *u) {
  int64_t branches = node_attr_int(u->node, "num_branches", 0);
  value_id outer = with_attr(u, insert1(u, "Shape", input(u, 0)), attr_of_int("end", branches > 0 ? -1 : -2));
  value_id count = branches > 0 ? ints1(u, branches) : dims(u, input(u, 0), -2, -1);
  return concat3(u, 0, outer, count, ints1(u, -1));
}
static value_id as_streams(op_upgrade *u, size_t i, value_id shape) {
  return insert2(u, "Reshape", wide(u, input(u, i)), shape);
}

static sdx_status gated_add(op_upgrade *u) {
  value_id gated = insert2(u, "Mul", input(u, 1), input(u, 2));
  return become2(u, "Add", input(u, 0), gated);
}

static sdx_status scaled_silu(op_upgrade *u) {
  value_id scale = input(u, 1) ? as_scalar(u, wide(u, input(u, 1))) : number(u, node_attr_float(u->node, "alpha", 1));
  value_id z = insert2(u, "Mul", wide(u, input(u, 0)), scale);
  z = insert2(u, "CastLike", z, input(u, 0));
  return become2(u, "Mul", z, insert1(u, "Sigmoid", z));
}

// The node's result, computed in float, in the type and shape of its first input.
static sdx_status become_like_first(op_upgrade *u, value_id v) {
  value_id narrow = insert2(u, "CastLike", v, input(u, 0));
  return become2(u, "Reshape", narrow, insert1(u, "Shape", input(u, 0)));
}

static sdx_status branchwise_rms(op_upgrade *u) {
  value_id shape = stream_shape(u), x = as_streams(u, 0, shape);
  value_id y = normalized(u, x, node_attr_float(u->node, "epsilon", 1e-5f));
  if (input(u, 1)) {  // one scale for a branch or for all of them
    value_id any = ints1(u, -1), rows = concat2(u, 0, any, last_size(u, x));
    y = insert2(u, "Mul", y, as_streams(u, 1, rows));
  }
  return become_like_first(u, y);
}

static sdx_status linear_attention_gate(op_upgrade *u) {
  if (wants_output(u, 1)) {
    if (!input(u, 3)) return upgrade_fail_at(u, at_output(1), SDX_INVALID_GRAPH, "needs input 3 ('b')");
    value_id beta = insert1(u, "Sigmoid", wide(u, input(u, 3)));
    give_output(u, 1, insert2(u, "CastLike", beta, input(u, 3)));
  }
  value_id rise = insert1(u, "Softplus", insert2(u, "Add", wide(u, input(u, 0)), input(u, 1)));
  value_id decay = insert2(u, "Mul", rise, input(u, 2));
  return become2(u, "CastLike", decay, input(u, 0));
}

static sdx_status pre_mix(op_upgrade *u) {
  value_id shape = stream_shape(u), streams = as_streams(u, 0, shape), weights = as_streams(u, 1, shape);
  value_id sum = sum_over(u, insert2(u, "Mul", streams, weights), -2);
  sum = insert2(u, "Mul", sum, number(u, node_attr_float(u->node, "reduction_scale", 1)));
  return become2(u, "CastLike", sum, input(u, 0));
}

static sdx_status post_mix(op_upgrade *u) {
  value_id shape = stream_shape(u), streams = as_streams(u, 0, shape);
  if (input(u, 3)) {
    streams = insert2(u, "com.microsoft::FusedMatMul", wide(u, input(u, 3)), streams);
    with_attr(u, streams, attr_of_int("transA", 1));
  }
  value_id gate = as_streams(u, 2, shape), minus_2 = ints1(u, -2);
  value_id branch = insert2(u, "Unsqueeze", wide(u, input(u, 1)), minus_2);
  value_id mixed = insert2(u, "Mul", gate, branch);
  return become_like_first(u, insert2(u, "Add", streams, mixed));
}

// normalized(x) times a scale that the node has as an input.
static value_id scaled_norm(op_upgrade *u, value_id x, size_t scale) {
  value_id normal = normalized(u, x, node_attr_float(u->node, "epsilon", 1e-5f));
  return insert2(u, "Mul", normal, wide(u, input(u, scale)));
}

static sdx_status engram_gate(op_upgrade *u) {
  value_id key = scaled_norm(u, wide(u, input(u, 0)), 3), query = scaled_norm(u, wide(u, input(u, 1)), 4);
  value_id root = insert1(u, "Sqrt", wide(u, last_size(u, input(u, 0))));
  value_id mean = mean_of_last(u, insert2(u, "Mul", key, query));
  value_id dot = insert2(u, "Mul", mean, root);  // the sum over the root
  value_id least = number(u, 1e-6f), size = insert2(u, "Max", insert1(u, "Abs", dot), least);
  size = insert1(u, "Sqrt", size);
  value_id gate = insert1(u, "Sigmoid", insert2(u, "Mul", insert1(u, "Sign", dot), size));
  value_id minus_2 = ints1(u, -2), value = insert2(u, "Unsqueeze", wide(u, input(u, 2)), minus_2);
  value_id gated = insert2(u, "Mul", gate, value);
  if (wants_output(u, 1)) {
    if (!input(u, 5)) return upgrade_fail_at(u, at_output(1), SDX_INVALID_GRAPH, "needs input 5 ('conv_norm_scale')");
    give_output(u, 1, insert2(u, "CastLike", scaled_norm(u, gated, 5), input(u, 0)));
  }
  return become2(u, "CastLike", gated, input(u, 0));
}

SDX_CASES = {"X=float[2,3,4] Y=float[2,3,4] gate=float[2,3,1]", NULL};
static const char *const silu_cases[] = {"X=float[2,3] alpha=0.5", "X=float[2,3] scale=float(1.5)", NULL};
static const char *const rms_cases[] = {"X=float[2,3,4] scale=float[12]", "X=float[2,12] scale=float[4] num_branches=3",
                                        NULL};
static const char *const gate_cases[] = {
    "a=float[2,3,4] dt_bias=float[4] decay_scale=float[4] b=float[2,3,4] outputs=2", NULL};
static const char *const pre_cases[] = {"streams=float[2,3,4] pre_mix=float[2,3]",
                                        "streams=float[2,12] pre_mix=float[2,12] num_branches=3", NULL};
static const char *const post_cases[] = {
    "streams=float[2,3,4] block_output=float[2,4] post_mix=float[2,3] stream_mix=float[2,3,3]", NULL};
static const char *const engram_cases[] = {
    "key=float[2,3,2,4] query=float[2,3,2,4] value=float[2,3,4] key_norm_scale=float[2,4] query_norm_scale=float[2,4] "
    "conv_norm_scale=float[2,4] outputs=2",
    NULL};

// clang-format off
#define RECORD .since = 1, .versions = "1", .flags = OP_REWRITE
#define TYPES "float,float16,bfloat16"
SDX_OP_MS(GatedAdd) = {RECORD, .inputs = "X:T Y:T gate:T", .outputs = "output:T", .types = "T=" TYPES,
                       .upgrade = gated_add, .cases = cases};
SDX_OP_MS(ScaledSiLU) = {RECORD, .inputs = "X:T scale:M?", .outputs = "Y:T", .types = "T=" TYPES ";M=" TYPES,
                         .attrs = "alpha:float=1", .upgrade = scaled_silu, .cases = silu_cases};
SDX_OP_MS(BranchwiseRMSNorm) = {RECORD, .inputs = "X:T scale:M?", .outputs = "Y:T",
                                .types = "T=" TYPES ";M=" TYPES, .attrs = "epsilon:float=1e-5 num_branches:int=0",
                                .upgrade = branchwise_rms, .cases = rms_cases};
SDX_OP_MS(LinearAttentionGate) = {RECORD, .inputs = "a:T dt_bias:TF decay_scale:TF b:T?",
                                  .outputs = "decay:T beta:T?", .types = "T=" TYPES ";TF=float",
                                  .upgrade = linear_attention_gate, .cases = gate_cases};
SDX_OP_MS(HyperConnectionPreMix) = {RECORD, .inputs = "streams:T pre_mix:M", .outputs = "output:T",
                                    .types = "T=" TYPES ";M=" TYPES,
                                    .attrs = "num_branches:int=0 reduction_scale:float=1", .upgrade = pre_mix,
                                    .cases = pre_cases};
SDX_OP_MS(HyperConnectionPostMix) = {RECORD, .inputs = "streams:T block_output:T post_mix:M stream_mix:M?",
                                     .outputs = "output:T", .types = "T=" TYPES ";M=" TYPES,
                                     .attrs = "num_branches:int=0", .upgrade = post_mix, .cases = post_cases};
SDX_OP_MS(EngramGate) = {RECORD, .inputs = "key:T query:T value:T key_norm_scale:T query_norm_scale:T "
                                           "conv_norm_scale:T?", .outputs = "output:T gated_value_normed:T?",
                         .types = "T=" TYPES, .attrs = "epsilon:float=1e-5", .upgrade = engram_gate,
                         .cases = engram_cases};
// clang-format on

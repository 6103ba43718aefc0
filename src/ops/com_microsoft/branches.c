// SPDX-License-Identifier: Apache-2.0
// Gates and residual streams of recent decoders, as formulas; what their records call float32 arithmetic is a Cast.
// Streams (hyper-connections) are [..., branches, width], or flat, [..., branches * width], with num_branches.
#include "ops/parts/rewrite.h"

static value_id wide(op_upgrade *u, value_id x) { return rewrite_cast(u, x, SDX_FLOAT); }
static value_id like(op_upgrade *u, value_id x, value_id of) { return NODE("CastLike", x, of); }
static value_id number(op_upgrade *u, float v) { return rewrite_scalar(u, SDX_FLOAT, (double)v); }

// x / rms(x) over the last dimension, in float.
static value_id normalized(op_upgrade *u, value_id x, float epsilon) {
  value_id mean = NODE("ReduceMean", NODE("Mul", x, x), INTS(-1));
  return NODE("Div", x, NODE("Sqrt", NODE("Add", mean, number(u, epsilon))));
}

// The shape [..., branches, -1] of the node's streams.
static value_id stream_shape(op_upgrade *u) {
  int64_t branches = node_attr_int(u->node, "num_branches", 0);
  value_id outer = NODE_WITH("Shape", ATTRS(attr_of_int("end", branches > 0 ? -1 : -2)), IN(0)), count = INTS(branches);
  if (branches <= 0) count = NODE_WITH("Shape", ATTRS(attr_of_int("start", -2), attr_of_int("end", -1)), IN(0));
  return NODE_WITH("Concat", ATTRS(attr_of_int("axis", 0)), outer, count, INTS(-1));
}
static value_id last_size(op_upgrade *u, value_id x) { return NODE_WITH("Shape", ATTRS(attr_of_int("start", -1)), x); }

static sdx_status gated_add(op_upgrade *u) { return BECOME("Add", IN(0), NODE("Mul", IN(1), IN(2))); }

static sdx_status scaled_silu(op_upgrade *u) {
  value_id alpha = number(u, node_attr_float(u->node, "alpha", 1));
  value_id scale = IN(1) ? NODE("Reshape", wide(u, IN(1)), rewrite_constant(u, NULL, 0)) : alpha;
  value_id z = like(u, NODE("Mul", wide(u, IN(0)), scale), IN(0));
  return BECOME("Mul", z, NODE("Sigmoid", z));
}

static sdx_status branchwise_rms(op_upgrade *u) {
  value_id x = NODE("Reshape", wide(u, IN(0)), stream_shape(u));
  value_id y = normalized(u, x, node_attr_float(u->node, "epsilon", 1e-5f));
  if (IN(1)) {  // one scale for a branch or for all of them
    value_id shape = NODE_WITH("Concat", ATTRS(attr_of_int("axis", 0)), INTS(-1), last_size(u, x));
    y = NODE("Mul", y, NODE("Reshape", wide(u, IN(1)), shape));
  }
  return BECOME("Reshape", like(u, y, IN(0)), NODE("Shape", IN(0)));
}

static sdx_status linear_attention_gate(op_upgrade *u) {
  if (rewrite_wants(u, 1)) {
    if (!IN(3)) return upgrade_fail(u, SDX_INVALID_GRAPH, "output 1 ('beta') needs input 3 ('b')");
    rewrite_output(u, 1, like(u, NODE("Sigmoid", wide(u, IN(3))), IN(3)));
  }
  value_id rise = NODE("Softplus", NODE("Add", wide(u, IN(0)), IN(1)));
  return BECOME("CastLike", NODE("Mul", rise, IN(2)), IN(0));
}

static sdx_status pre_mix(op_upgrade *u) {
  value_id shape = stream_shape(u), streams = NODE("Reshape", wide(u, IN(0)), shape);
  value_id product = NODE("Mul", streams, NODE("Reshape", wide(u, IN(1)), shape));
  value_id sum = NODE_WITH("ReduceSum", ATTRS(attr_of_int("keepdims", 0)), product, INTS(-2));
  float scale = node_attr_float(u->node, "reduction_scale", 1);
  return BECOME("CastLike", NODE("Mul", sum, number(u, scale)), IN(0));
}

static sdx_status post_mix(op_upgrade *u) {
  value_id shape = stream_shape(u), streams = NODE("Reshape", wide(u, IN(0)), shape);
  if (IN(3))
    streams = NODE_WITH("com.microsoft::FusedMatMul", ATTRS(attr_of_int("transA", 1)), wide(u, IN(3)), streams);
  value_id gate = NODE("Reshape", wide(u, IN(2)), shape), branch = NODE("Unsqueeze", wide(u, IN(1)), INTS(-2));
  value_id sum = NODE("Add", streams, NODE("Mul", gate, branch));
  return BECOME("Reshape", like(u, sum, IN(0)), NODE("Shape", IN(0)));
}

static sdx_status engram_gate(op_upgrade *u) {
  float epsilon = node_attr_float(u->node, "epsilon", 1e-5f);
  value_id key = NODE("Mul", normalized(u, wide(u, IN(0)), epsilon), wide(u, IN(3)));
  value_id query = NODE("Mul", normalized(u, wide(u, IN(1)), epsilon), wide(u, IN(4)));
  value_id root = NODE("Sqrt", wide(u, last_size(u, IN(0))));
  value_id dot = NODE("Mul", NODE("ReduceMean", NODE("Mul", key, query), INTS(-1)), root);  // the sum over the root
  value_id size = NODE("Sqrt", NODE("Max", NODE("Abs", dot), number(u, 1e-6f)));
  value_id gate = NODE("Sigmoid", NODE("Mul", NODE("Sign", dot), size));
  value_id gated = NODE("Mul", gate, NODE("Unsqueeze", wide(u, IN(2)), INTS(-2)));
  if (rewrite_wants(u, 1)) {
    if (!IN(5)) return upgrade_fail(u, SDX_INVALID_GRAPH, "output 1 needs input 5 ('conv_norm_scale')");
    value_id y = NODE("Mul", normalized(u, gated, epsilon), wide(u, IN(5)));
    rewrite_output(u, 1, like(u, y, IN(0)));
  }
  return BECOME("CastLike", gated, IN(0));
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

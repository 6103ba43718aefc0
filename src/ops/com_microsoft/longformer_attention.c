// SPDX-License-Identifier: Apache-2.0
// LongformerAttention: every token attends to `window` tokens on both sides and to the global ones; global tokens
// attend to all, through projections of their own. As two MultiHeadAttentions, one with everything closed that is
// neither near nor global, and a choice between their rows. `mask` is added to the scores of each key.
#include <math.h>

#include "ops/parts/rewrite.h"

static value_id attention(op_upgrade *u, value_id weight, value_id bias, value_id add) {
  int64_t heads = node_attr_int(u->node, "num_heads", 0);
  return NODE_WITH("com.microsoft::MultiHeadAttention", ATTRS(attr_of_int("num_heads", heads)),
                   NODE("MatMul", IN(0), weight), VALUE_ABSENT, VALUE_ABSENT, bias, VALUE_ABSENT, add);
}

static sdx_status longformer(op_upgrade *u) {
  int64_t window = node_attr_int(u->node, "window", 0);
  if (window < 1)
    return upgrade_fail(u, SDX_OUT_OF_RANGE, "attribute 'window' is %lld, expected at least 1", (long long)window);
  value_id size = NODE_WITH("Shape", ATTRS(attr_of_int("start", 1), attr_of_int("end", 2)), IN(0));
  value_id places =
      NODE("Range", rewrite_scalar(u, SDX_INT64, 0), NODE("Squeeze", size), rewrite_scalar(u, SDX_INT64, 1));
  value_id distance = NODE("Abs", NODE("Sub", NODE("Unsqueeze", places, INTS(1)), places));
  value_id near = NODE("LessOrEqual", distance, INTS(window));
  value_id global = rewrite_cast(u, IN(6), SDX_BOOL), mask = NODE("Unsqueeze", IN(3), INTS(1, 2));
  value_id closed = NODE("CastLike", rewrite_scalar(u, SDX_FLOAT, -INFINITY), mask);
  value_id seen = NODE("Or", near, NODE("Unsqueeze", global, INTS(1, 2)));
  value_id local_bias = NODE("Where", seen, mask, closed);
  value_id local = attention(u, IN(1), IN(2), local_bias);
  value_id all = attention(u, IN(4), IN(5), NODE("Expand", mask, NODE("Shape", local_bias)));
  return BECOME("Where", NODE("Unsqueeze", global, INTS(2)), all, local);
}

SDX_CASES = {
    "input=float[2,8,6] weight=float[6,18] bias=float[18] mask=float[2,8](0,0,0,0,0,0,-10000,-10000,0,0,0,0,0,0,"
    "0,0) global_weight=float[6,18] global_bias=float[18] global=int32[2,8]@0..1 num_heads=2 window=2",
    NULL};

// clang-format off
SDX_OP_MS(LongformerAttention) = {
    .since = 1, .versions = "1", .flags = OP_REWRITE,
    .inputs = "input:T weight:T bias:T mask:T global_weight:T global_bias:T global:G", .outputs = "output:T",
    .types = "T=float,float16;G=int32", .attrs = "num_heads:int! window:int!", .upgrade = longformer, .cases = cases,
};
// clang-format on

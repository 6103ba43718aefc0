// SPDX-License-Identifier: Apache-2.0
// LongformerAttention: every token attends to `window` tokens on both sides and to the global ones; global tokens
// attend to all, through projections of their own. As two MultiHeadAttentions, one with everything closed that is
// neither near nor global, and a choice between their rows. `mask` is added to the scores of each key.
#include <math.h>

#include "ops/parts/rewrite.h"

static value_id attention(op_upgrade *u, value_id weight, value_id bias, value_id add) {
  attr heads = attr_of_int("num_heads", node_attr_int(u->node, "num_heads", 0));
  value_id in[6] = {insert2(u, "MatMul", input(u, 0), weight), 0, 0, bias, 0, add};
  return upgrade_insert(u, "com.microsoft::MultiHeadAttention", 6, in, &heads, 1);
}

static sdx_status longformer(op_upgrade *u) {
  int64_t window = node_attr_int(u->node, "window", 0);
  if (window < 1)
    return upgrade_fail_at(u, at_attribute("window"), SDX_OUT_OF_RANGE, "is %lld, expected at least 1",
                           (long long)window);
  value_id size = insert1(u, "Squeeze", dims(u, input(u, 0), 1, 2)), places = range_to(u, size);
  value_id column = insert2(u, "Unsqueeze", places, ints1(u, 1));
  value_id distance = insert1(u, "Abs", insert2(u, "Sub", column, places));
  value_id near = insert2(u, "LessOrEqual", distance, ints1(u, window));
  value_id global = cast(u, input(u, 6), SDX_BOOL), mask = insert2(u, "Unsqueeze", input(u, 3), ints2(u, 1, 2));
  value_id closed = scalar_like(u, -INFINITY, mask);
  value_id seen = insert2(u, "Or", near, insert2(u, "Unsqueeze", global, ints2(u, 1, 2)));
  value_id local_bias = insert3(u, "Where", seen, mask, closed);
  value_id local = attention(u, input(u, 1), input(u, 2), local_bias);
  value_id global_bias = insert2(u, "Expand", mask, insert1(u, "Shape", local_bias));
  value_id all = attention(u, input(u, 4), input(u, 5), global_bias);
  return become3(u, "Where", insert2(u, "Unsqueeze", global, ints1(u, 2)), all, local);
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

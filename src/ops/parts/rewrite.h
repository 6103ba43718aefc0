// SPDX-License-Identifier: Apache-2.0
// Writing rewrites (OP_REWRITE) as formulas: NODE("Add", x, bias) inserts a node and is its output. A failure
// is kept in u->err, makes the nodes after it do nothing, and comes back from BECOME, which must end every rewrite:
//
//   static sdx_status bias_add(op_upgrade *u) {
//     return BECOME("Add", NODE("Add", IN(0), IN(1)), IN(2));
//   }
#pragma once

#include "ops/record.h"

#define IN(i) upgrade_input(u, i)
#define IDS(...) \
  sizeof((value_id[]){__VA_ARGS__}) / sizeof(value_id), (value_id[]) { __VA_ARGS__ }
#define ATTRS(...) ((attr[]){__VA_ARGS__}), sizeof((attr[]){__VA_ARGS__}) / sizeof(attr)
#define NODE(Type, ...) upgrade_insert(u, Type, IDS(__VA_ARGS__), NULL, 0)
// NODE_WITH("Cast", ATTRS(attr_of_int("to", SDX_FLOAT)), x)
#define NODE_WITH(Type, Attrs, ...) upgrade_insert(u, Type, IDS(__VA_ARGS__), Attrs)
#define BECOME(Type, ...) upgrade_become(u, Type, IDS(__VA_ARGS__), NULL, 0)
#define BECOME_WITH(Type, Attrs, ...) upgrade_become(u, Type, IDS(__VA_ARGS__), Attrs)

static inline value_id rewrite_constant(op_upgrade *u, const int64_t *at, size_t count) {
  value_id v = graph_constant_i64(u->graph, at, count);
  if (!v) error_no_memory(u->err, sizeof(tensor));
  return v;
}
static inline value_id rewrite_scalar(op_upgrade *u, sdx_dtype dtype, double number) {
  value_id v = graph_constant_scalar(u->graph, dtype, number);
  if (!v) error_no_memory(u->err, sizeof(tensor));
  return v;
}
#define INTS(...) \
  rewrite_constant(u, (const int64_t[]){__VA_ARGS__}, sizeof((int64_t[]){__VA_ARGS__}) / sizeof(int64_t))

static inline value_id rewrite_cast(op_upgrade *u, value_id x, sdx_dtype to) {
  return NODE_WITH("Cast", ATTRS(attr_of_int("to", to)), x);
}
static inline bool rewrite_wants(const op_upgrade *u, size_t output) {
  return output < u->node->output_count && u->node->outputs[output] != VALUE_ABSENT;
}
// The node's output `index` becomes what `v` computes, by an Identity that passes remove; the node gives it up.
static inline void rewrite_output(op_upgrade *u, size_t index, value_id v) {
  if (!rewrite_wants(u, index) || u->err->status != SDX_OK) return;
  value_id out = u->node->outputs[index];
  u->node->outputs[index] = VALUE_ABSENT;
  while (u->node->output_count > 1 && !u->node->outputs[u->node->output_count - 1]) u->node->output_count--;
  if (!graph_add_node(u->graph, STR(""), STR("Identity"), 1, &v, 1, &out, u->err)) return;
}

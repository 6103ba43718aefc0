// SPDX-License-Identifier: Apache-2.0
// Writing rewrites (OP_REWRITE) as formulas. A call inserts one node and gives its output:
//
//   static sdx_status bias_add(op_upgrade *u) {
//     value_id sum = insert2(u, "Add", input(u, 0), input(u, 1));
//     return become2(u, "Add", sum, input(u, 2));
//   }
//
// Nodes stand in the order of the calls. C leaves open which argument of a call is computed first, so one at most may
// insert nodes itself (tools/lint looks). A failure is kept in u->err, makes the calls after it do nothing, and comes
// back from become, which must end every rewrite. Names are short here: only files of formulas include this.
#pragma once

#include "ops/record.h"

// Input i of the node, VALUE_ABSENT if it is left out.
static inline value_id input(const op_upgrade *u, size_t i) {
  return i < u->node->input_count ? u->node->inputs[i] : VALUE_ABSENT;
}
static inline bool wants_output(const op_upgrade *u, size_t i) {
  return i < u->node->output_count && u->node->outputs[i] != VALUE_ABSENT;
}

// ---- nodes --------------------------------------------------------------------------------------

static inline value_id insert1(op_upgrade *u, const char *op_type, value_id a) {
  return upgrade_insert(u, op_type, 1, &a, NULL, 0);
}
static inline value_id insert2(op_upgrade *u, const char *op_type, value_id a, value_id b) {
  return upgrade_insert(u, op_type, 2, (value_id[]){a, b}, NULL, 0);
}
static inline value_id insert3(op_upgrade *u, const char *op_type, value_id a, value_id b, value_id c) {
  return upgrade_insert(u, op_type, 3, (value_id[]){a, b, c}, NULL, 0);
}
static inline value_id insert_n(op_upgrade *u, const char *op_type, size_t count, const value_id *in) {
  return upgrade_insert(u, op_type, count, in, NULL, 0);
}
// The node that computes `v` gets an attribute: with_attr(u, insert1(u, "Softmax", x), attr_of_int("axis", 1)).
static inline value_id with_attr(op_upgrade *u, value_id v, attr a) {
  if (u->err->status == SDX_OK) upgrade_set_attr(u, u->graph->nodes[u->graph->values[v].producer - 1], a);
  return v;
}

// The node itself becomes another one, with these inputs and no attributes.
static inline sdx_status become1(op_upgrade *u, const char *op_type, value_id a) {
  return upgrade_become(u, op_type, 1, &a, NULL, 0);
}
static inline sdx_status become2(op_upgrade *u, const char *op_type, value_id a, value_id b) {
  return upgrade_become(u, op_type, 2, (value_id[]){a, b}, NULL, 0);
}
static inline sdx_status become3(op_upgrade *u, const char *op_type, value_id a, value_id b, value_id c) {
  return upgrade_become(u, op_type, 3, (value_id[]){a, b, c}, NULL, 0);
}
// Output `i`, if it is wanted, becomes what `v` computes, by an Identity that passes remove; the node gives it up.
static inline void give_output(op_upgrade *u, size_t i, value_id v) {
  if (!wants_output(u, i) || u->err->status != SDX_OK) return;
  value_id out = u->node->outputs[i];
  u->node->outputs[i] = VALUE_ABSENT;
  while (u->node->output_count > 1 && !u->node->outputs[u->node->output_count - 1]) u->node->output_count--;
  graph_add_node(u->graph, STR(""), STR("Identity"), 1, &v, 1, &out, u->err);
}

// ---- constants ----------------------------------------------------------------------------------

static inline value_id constant_or_fail(op_upgrade *u, value_id v) {
  if (!v) error_no_memory(u->err, sizeof(tensor));
  return v;
}
static inline value_id scalar(op_upgrade *u, sdx_dtype dtype, double number) {
  return constant_or_fail(u, graph_constant_scalar(u->graph, dtype, number));
}
// Lists of int64: shapes, axes.
static inline value_id ints(op_upgrade *u, const int64_t *at, size_t count) {
  return constant_or_fail(u, graph_constant_i64(u->graph, at, count));
}
static inline value_id ints1(op_upgrade *u, int64_t a) { return ints(u, &a, 1); }
static inline value_id ints2(op_upgrade *u, int64_t a, int64_t b) { return ints(u, (int64_t[]){a, b}, 2); }

// ---- what many formulas need --------------------------------------------------------------------

static inline value_id cast(op_upgrade *u, value_id x, sdx_dtype to) {
  return with_attr(u, insert1(u, "Cast", x), attr_of_int("to", to));
}
static inline value_id scalar_like(op_upgrade *u, double number, value_id like) {
  return insert2(u, "CastLike", scalar(u, SDX_DOUBLE, number), like);
}
static inline value_id reshape(op_upgrade *u, value_id x, const int64_t *shape, size_t rank) {
  return insert2(u, "Reshape", x, ints(u, shape, rank));
}
static inline value_id as_scalar(op_upgrade *u, value_id x) { return reshape(u, x, NULL, 0); }
static inline value_id flat(op_upgrade *u, value_id x) { return reshape(u, x, (int64_t[]){-1}, 1); }
static inline value_id transpose(op_upgrade *u, value_id x, const int64_t *perm, size_t rank) {
  return with_attr(u, insert1(u, "Transpose", x), attr_of_ints("perm", perm, rank));
}
// Dimensions [from, to) of a shape, from the end where negative; to = INT64_MAX: all from there.
static inline value_id dims(op_upgrade *u, value_id x, int64_t from, int64_t to) {
  value_id shape = with_attr(u, insert1(u, "Shape", x), attr_of_int("start", from));
  return to == INT64_MAX ? shape : with_attr(u, shape, attr_of_int("end", to));
}
static inline value_id slice(op_upgrade *u, value_id x, int64_t from, int64_t to) {
  value_id begin = ints1(u, from);
  return insert3(u, "Slice", x, begin, ints1(u, to));
}
static inline value_id concat(op_upgrade *u, int64_t axis, size_t count, const value_id *in) {
  return with_attr(u, insert_n(u, "Concat", count, in), attr_of_int("axis", axis));
}
static inline value_id concat2(op_upgrade *u, int64_t axis, value_id a, value_id b) {
  return concat(u, axis, 2, (value_id[]){a, b});
}
static inline value_id concat3(op_upgrade *u, int64_t axis, value_id a, value_id b, value_id c) {
  return concat(u, axis, 3, (value_id[]){a, b, c});
}
// The sum over one axis, which goes.
static inline value_id sum_over(op_upgrade *u, value_id x, int64_t axis) {
  return with_attr(u, insert2(u, "ReduceSum", x, ints1(u, axis)), attr_of_int("keepdims", 0));
}
// 0, 1, ... up to a scalar.
static inline value_id range_to(op_upgrade *u, value_id limit) {
  value_id zero = scalar(u, SDX_INT64, 0), one = scalar(u, SDX_INT64, 1);
  return insert3(u, "Range", zero, limit, one);
}
static inline void split2(op_upgrade *u, value_id x, int64_t axis, value_id halves[2]) {
  halves[0] = halves[1] = VALUE_ABSENT;
  attr attrs[] = {attr_of_int("axis", axis), attr_of_int("num_outputs", 2)};
  upgrade_insert_many(u, "Split", 1, &x, attrs, 2, 2, halves);
}

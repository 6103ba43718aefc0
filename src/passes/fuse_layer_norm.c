// SPDX-License-Identifier: Apache-2.0
// LayerNormalization over the last axis, as exporters wrote it before opset 17:
//   d = x - ReduceMean(x); y = d / Sqrt(ReduceMean(d^2) + epsilon) * scale [+ bias]
#include "passes/match.h"

// The other input of a commutative node; 0 if `v` is not one of the two.
static value_id other_input(const node *n, value_id v) {
  if (n->input_count != 2 || (n->inputs[0] != v && n->inputs[1] != v)) return VALUE_ABSENT;
  return n->inputs[0] == v ? n->inputs[1] : n->inputs[0];
}

// v = ReduceMean over the last axis, which is kept; gives its input.
static value_id mean_of(const graph *g, value_id v) {
  const node *n = match_producer(g, v);
  if (!match_is(n, "ReduceMean") || n->input_count < 2 || !n->inputs[1] || !node_attr_int(n, "keepdims", 1))
    return VALUE_ABSENT;
  const tensor *axes = g->values[n->inputs[1]].constant;
  const type_info *t = &g->values[n->inputs[0]].type;
  if (!axes || axes->dtype != SDX_INT64 || axes->count != 1 || t->kind != TYPE_TENSOR || t->rank < 1)
    return VALUE_ABSENT;
  int64_t axis = *(const int64_t *)axes->data;
  return axis == -1 || axis == t->rank - 1 ? n->inputs[0] : VALUE_ABSENT;
}

static value_id square_of(const graph *g, value_id v) {
  const node *n = match_producer(g, v);
  float power;
  if (match_is(n, "Mul") && n->inputs[0] == n->inputs[1]) return n->inputs[0];
  return match_is(n, "Pow") && match_scalar(g, n, 1, 0, &power) && power == 2 ? n->inputs[0] : VALUE_ABSENT;
}

// A vector as long as the last dimension of t, which is known.
static bool is_row(const graph *g, value_id v, const type_info *t) {
  const type_info *row = &g->values[v].type;
  return v && row->kind == TYPE_TENSOR && row->dtype == SDX_FLOAT && row->rank == 1 && row->dims[0] >= 0 &&
         row->dims[0] == t->dims[t->rank - 1];
}

// From the Div: x and epsilon.
static bool read_division(const graph *g, const node *div, value_id *x, float *epsilon) {
  const node *root = match_producer(g, div->inputs[1]);
  const node *sum = match_is(root, "Sqrt") ? match_producer(g, root->inputs[0]) : NULL;
  if (!match_is(sum, "Add")) return false;
  for (size_t i = 0; i < 2; i++) {
    value_id variance = sum->inputs[1 - i];
    if (!g->values[sum->inputs[i]].constant || !match_scalar(g, sum, i, 0, epsilon)) continue;
    const node *minus = match_producer(g, div->inputs[0]);
    value_id squares = mean_of(g, variance);
    if (!squares || square_of(g, squares) != div->inputs[0] || !match_is(minus, "Sub")) return false;
    *x = minus->inputs[0];
    return mean_of(g, minus->inputs[1]) == *x && *x;
  }
  return false;
}

static sdx_status fuse(pass_context *c, node *div, node **reader) {
  graph *g = c->graph;
  value_id in[3] = {0}, normal = div->outputs[0];
  float epsilon;
  if (g->values[normal].type.dtype != SDX_FLOAT || !read_division(g, div, &in[0], &epsilon) || epsilon < 0)
    return SDX_OK;
  const type_info *t = &g->values[in[0]].type;
  if (g->values[normal].type.rank != t->rank) return SDX_OK;  // epsilon had more dimensions than x
  node *mul = reader[normal], *add;
  if (!match_is(mul, "Mul") || !is_row(g, in[1] = other_input(mul, normal), t)) return SDX_OK;
  node *last = mul;
  add = reader[mul->outputs[0]];
  if (match_is(add, "Add") && is_row(g, in[2] = other_input(add, mul->outputs[0]), t)) last = add;
  node *made =
      graph_add_node(g, (str){0}, STR("LayerNormalization"), last == add ? 3 : 2, in, 1, last->outputs, c->err);
  if (!made) return SDX_NO_MEMORY;
  made->name = last->name;
  SDX_TRY(node_set_attr(g, made, attr_of_int("axis", -1)));
  SDX_TRY(node_set_attr(g, made, attr_of_float("epsilon", epsilon)));
  div->dead = mul->dead = last->dead = c->changed = true;
  return op_bind(g, made, 0, c->err);
}

static sdx_status run(pass_context *c) {
  graph *g = c->graph;
  node **reader = match_sole_readers(g, c->scratch);
  if (!reader) return error_no_memory(c->err, g->value_count * sizeof *reader);
  for (uint32_t i = 0, count = g->node_count; i < count; i++)
    if (match_is(g->nodes[i], "Div")) SDX_TRY(fuse(c, g->nodes[i], reader));
  return SDX_OK;
}

const pass_def pass_fuse_layer_norm = {.name = "fuse_layer_norm",
                                       .help = "recognises LayerNormalization written as several nodes",
                                       .level = 2,
                                       .reassociates = true,
                                       .run = run};

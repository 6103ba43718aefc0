// SPDX-License-Identifier: Apache-2.0
// The root of a mean of squares in 16 bits (LayerNormalization, RMSNormalization and variances written as nodes, over
// any axes): the squares overflow where the root does not, so all from the square to the root is computed in float, as
// the operators of those names do. Casts that stand between are seen through.
//   Sqrt(ReduceMean(d^2) [+ epsilon])  ->  Cast<16 bits>(Sqrt(ReduceMean(Cast<float>(d)^2) [+ Cast<float>(epsilon)]))
#include "passes/match.h"
#include "tensor/convert.h"

static bool is_short(const graph *g, value_id v) {
  const type_info *t = &g->values[v].type;
  return t->kind == TYPE_TENSOR && (t->dtype == SDX_FLOAT16 || t->dtype == SDX_BFLOAT16);
}

// The steps between the root and what is squared.
typedef struct squares {
  value_id d;
  const node *mean;
  value_id epsilon;  // 0: none
  bool has_short;    // something on the way has 16 bits
} squares;

// Steps back over Casts between 16 bits and float.
static value_id behind_casts(const graph *g, value_id v, squares *s) {
  for (;;) {
    s->has_short |= is_short(g, v);
    const node *n = match_producer(g, v);
    if (!match_is(n, "Cast")) return v;
    const type_info *from = &g->values[n->inputs[0]].type;
    if (!is_short(g, n->inputs[0]) && from->dtype != SDX_FLOAT) return v;
    v = n->inputs[0];
  }
}

static bool is_number(const graph *g, value_id v, double number) {
  const tensor *t = v ? g->values[v].constant : NULL;
  return t && t->count == 1 && t->dtype != SDX_STRING && tensor_number_at(t, 0) == number;
}

static bool find_mean(const graph *g, value_id v, squares *s) {
  s->mean = match_producer(g, behind_casts(g, v, s));
  if (!match_is(s->mean, "ReduceMean")) return false;
  const node *square = match_producer(g, behind_casts(g, s->mean->inputs[0], s));
  squares unused = {0};  // d itself may have any type
  if (match_is(square, "Mul")) {
    s->d = behind_casts(g, square->inputs[0], &unused);
    return s->d == behind_casts(g, square->inputs[1], &unused);
  }
  if (!match_is(square, "Pow") || !is_number(g, square->inputs[1], 2)) return false;
  s->d = behind_casts(g, square->inputs[0], &unused);
  return true;
}

static bool find_squares(const graph *g, value_id under_root, squares *s) {
  if (find_mean(g, under_root, s)) return s->has_short;
  const node *sum = match_producer(g, behind_casts(g, under_root, s));
  for (size_t i = 0; match_is(sum, "Add") && i < 2; i++) {
    s->epsilon = sum->inputs[1 - i];
    if (find_mean(g, sum->inputs[i], s)) return s->has_short;
  }
  return false;
}

static bool is_root(const graph *g, const node *n) {
  return match_is(n, "Sqrt") ||
         (match_is(n, "Pow") && (is_number(g, n->inputs[1], 0.5) || is_number(g, n->inputs[1], -0.5)));
}

// A node with a new value; 0: failed, which c->err says.
static value_id add(pass_context *c, const char *op_type, size_t count, const value_id *in, const node *like) {
  value_id out = graph_add_value(c->graph, (str){0});
  node *n = out ? graph_add_node(c->graph, (str){0}, str_from(op_type), count, in, 1, &out, c->err) : NULL;
  if (!n) {
    error_no_memory(c->err, sizeof *n);
    return VALUE_ABSENT;
  }
  bool good = true;
  for (uint32_t i = 0; like && good && i < like->attr_count; i++)
    good = node_set_attr(c->graph, n, like->attrs[i]) == SDX_OK;
  return good && op_bind(c->graph, n, 0, c->err) == SDX_OK ? out : VALUE_ABSENT;
}

static sdx_status cast(pass_context *c, value_id v, sdx_dtype to, value_id out) {
  node *n = graph_add_node(c->graph, (str){0}, STR("Cast"), 1, &v, 1, &out, c->err);
  if (!n) return SDX_NO_MEMORY;
  SDX_TRY(node_set_attr(c->graph, n, attr_of_int("to", to)));
  return op_bind(c->graph, n, 0, c->err);
}

static value_id as_float(pass_context *c, value_id v) {
  if (c->graph->values[v].type.dtype == SDX_FLOAT) return v;
  value_id out = graph_add_value(c->graph, (str){0});
  return out && cast(c, v, SDX_FLOAT, out) == SDX_OK ? out : VALUE_ABSENT;
}

static sdx_status widen(pass_context *c, node *root, const squares *s) {
  value_id d = as_float(c, s->d), exponent = VALUE_ABSENT;
  value_id axes = s->mean->input_count > 1 ? s->mean->inputs[1] : VALUE_ABSENT;
  value_id v = d ? add(c, "Mul", 2, (value_id[]){d, d}, NULL) : VALUE_ABSENT;
  if (v) v = add(c, "ReduceMean", s->mean->input_count, (value_id[]){v, axes}, s->mean);
  if (v && s->epsilon) {
    value_id epsilon = as_float(c, s->epsilon);
    v = epsilon ? add(c, "Add", 2, (value_id[]){v, epsilon}, NULL) : VALUE_ABSENT;
  }
  if (v && root->input_count == 2) v = (exponent = as_float(c, root->inputs[1])) ? v : VALUE_ABSENT;
  if (v) v = add(c, root->input_count == 2 ? "Pow" : "Sqrt", root->input_count, (value_id[]){v, exponent}, NULL);
  if (!v) return c->err->status ? c->err->status : error_no_memory(c->err, sizeof(node));
  root->dead = c->changed = true;
  return cast(c, v, c->graph->values[root->outputs[0]].type.dtype, root->outputs[0]);
}

static sdx_status run(pass_context *c) {
  graph *g = c->graph;
  for (uint32_t i = 0, count = g->node_count; i < count; i++) {
    squares s = {0};
    if (is_root(g, g->nodes[i]) && find_squares(g, g->nodes[i]->inputs[0], &s)) SDX_TRY(widen(c, g->nodes[i], &s));
  }
  return SDX_OK;
}

const pass_def pass_widen_squares = {.name = "widen_squares",
                                     .help = "computes means of 16-bit squares under a root in float",
                                     .level = 1,
                                     .reassociates = true,
                                     .run = run};

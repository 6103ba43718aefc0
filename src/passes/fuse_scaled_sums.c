// SPDX-License-Identifier: Apache-2.0
// Products of bytes that are quantised while they run (DynamicQuantizeLinear) are scaled where they are made:
//
//   Mul(Cast(MatMulInteger(A, B)), a_scale * b_scale) + bias    MatMulIntegerToFloat
//
// The bias may be absent; scales are one number or one for each column. The arithmetic of an element is the same.
#include "passes/match.h"

typedef struct sums {
  pass_context *c;
  graph *graph;
  node **reader;
  node *product;
  int64_t columns;
} sums;

static bool is_one(const graph *g, value_id v) {
  const type_info *t = &g->values[v].type;
  if (t->kind != TYPE_TENSOR || t->dtype != SDX_FLOAT || t->rank < 0 || t->rank > 1) return false;
  return t->rank == 0 || t->dims[0] == 1;
}

static bool is_row(const sums *s, value_id v) {
  const type_info *t = &s->graph->values[v].type;
  return t->kind == TYPE_TENSOR && t->dtype == SDX_FLOAT && t->rank == 1 && t->dims[0] == s->columns;
}

// The node that alone reads v, if it is an operator of this kind.
static node *next_of(const sums *s, value_id v, const char *op_type) {
  node *n = s->reader[v];
  return n && match_is(n, op_type) ? n : NULL;
}

static value_id beside(const node *n, value_id v) { return n->inputs[n->inputs[0] == v]; }

// Both scales of the factor, a_scale first. false: it is none.
static bool read_scales(const sums *s, value_id factor, value_id scales[2]) {
  const graph *g = s->graph;
  const node *n = match_producer(g, factor);
  if (!is_one(g, factor) && !is_row(s, factor)) return false;
  if (match_is(n, "Mul"))
    for (int i = 0; i < 2; i++) {
      scales[0] = n->inputs[i], scales[1] = n->inputs[1 - i];
      if (is_one(g, scales[0]) && (is_one(g, scales[1]) || is_row(s, scales[1]))) return true;
    }
  scales[0] = VALUE_ABSENT, scales[1] = factor;
  return true;
}

static sdx_status fuse(sums *s) {
  graph *g = s->graph;
  node *product = s->product, *cast = next_of(s, product->outputs[0], "Cast");
  const type_info *a = &g->values[product->inputs[0]].type, *b = &g->values[product->inputs[1]].type;
  if (!cast || g->values[cast->outputs[0]].type.dtype != SDX_FLOAT || a->rank < 2 || b->rank < 2) return SDX_OK;
  s->columns = b->dims[b->rank - 1];
  node *multiply = next_of(s, cast->outputs[0], "Mul");
  value_id scales[2];
  if (!multiply || !read_scales(s, beside(multiply, cast->outputs[0]), scales)) return SDX_OK;
  node *add = next_of(s, multiply->outputs[0], "Add");
  value_id bias = add ? beside(add, multiply->outputs[0]) : VALUE_ABSENT;
  if (add && (s->columns < 0 || !is_row(s, bias))) add = NULL, bias = VALUE_ABSENT;
  if (!scales[0] && !(scales[0] = graph_constant_scalar(g, SDX_FLOAT, 1)))
    return error_no_memory(s->c->err, sizeof(tensor));
  const value_id in[] = {product->inputs[0],
                         product->inputs[1],
                         scales[0],
                         scales[1],
                         product->input_count > 2 ? product->inputs[2] : VALUE_ABSENT,
                         product->input_count > 3 ? product->inputs[3] : VALUE_ABSENT,
                         bias};
  value_id y = (add ? add : multiply)->outputs[0];
  node *made = graph_add_node(g, STR("com.microsoft"), STR("MatMulIntegerToFloat"), 7, in, 1, &y, s->c->err);
  if (!made) return s->c->err->status;
  made->name = product->name;
  product->dead = cast->dead = multiply->dead = s->c->changed = true;
  if (add) add->dead = true;
  return op_bind(g, made, 0, s->c->err);
}

static sdx_status run(pass_context *c) {
  sums s = {.c = c, .graph = c->graph, .reader = match_sole_readers(c->graph, c->scratch)};
  if (!s.reader) return error_no_memory(c->err, c->graph->value_count * sizeof *s.reader);
  for (uint32_t i = 0, count = c->graph->node_count; i < count; i++) {
    s.product = c->graph->nodes[i];
    if (match_is(s.product, "MatMulInteger")) SDX_TRY(fuse(&s));
  }
  return SDX_OK;
}

const pass_def pass_fuse_scaled_sums = {
    .name = "fuse_scaled_sums", .help = "scales integer products where they are made", .level = 2, .run = run};

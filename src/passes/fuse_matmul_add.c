// SPDX-License-Identifier: Apache-2.0
// MatMul of matrices followed by Add of a constant row becomes Gemm, which adds on the finished tile.
#include "passes/match.h"

static bool is_matrix(const graph *g, value_id v) {
  const type_info *t = &g->values[v].type;
  return t->kind == TYPE_TENSOR && t->rank == 2;
}

// The other operand of `add` if it is a constant vector as long as the product's rows.
static value_id row_of(const graph *g, const node *add, value_id product) {
  value_id other = add->inputs[0] == product ? add->inputs[1] : add->inputs[0];
  const tensor *t = g->values[other].constant;
  const type_info *p = &g->values[product].type;
  if (!t || other == product || t->rank < 1 || t->rank > 2 || (t->rank == 2 && t->dims[0] != 1)) return VALUE_ABSENT;
  return t->dims[t->rank - 1] == p->dims[1] ? other : VALUE_ABSENT;
}

static sdx_status run(pass_context *c) {
  graph *g = c->graph;
  node **reader = match_sole_readers(g, c->scratch);
  if (!reader) return error_no_memory(c->err, g->value_count * sizeof *reader);
  for (uint32_t i = 0; i < g->node_count; i++) {
    node *product = g->nodes[i];
    if (!match_is(product, "MatMul") || !is_matrix(g, product->inputs[0]) || !is_matrix(g, product->inputs[1]))
      continue;
    if (g->values[product->outputs[0]].type.dtype != SDX_FLOAT || !is_matrix(g, product->outputs[0])) continue;
    node *add = reader[product->outputs[0]];
    if (!match_is(add, "Add")) continue;
    value_id row = row_of(g, add, product->outputs[0]);
    if (!row) continue;
    value_id in[3] = {product->inputs[0], product->inputs[1], row};
    node *gemm = graph_add_node(g, (str){0}, STR("Gemm"), 3, in, 1, add->outputs, c->err);
    if (!gemm) return SDX_NO_MEMORY;
    gemm->name = product->name;
    SDX_TRY(op_bind(g, gemm, 0, c->err));
    product->dead = add->dead = c->changed = true;
  }
  return SDX_OK;
}

const pass_def pass_fuse_matmul_add = {
    .name = "fuse_matmul_add", .help = "turns MatMul + Add of a row into Gemm", .level = 2, .run = run};

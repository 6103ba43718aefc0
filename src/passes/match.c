// SPDX-License-Identifier: Apache-2.0
// See match.h.
#include "passes/match.h"

node **match_sole_readers(const graph *g, arena *scratch) {
  uint32_t *uses = graph_count_uses(g, scratch);
  node **reader = arena_array(scratch, g->value_count, sizeof *reader);
  if (!uses || !reader) return NULL;
  for (uint32_t i = 0; i < g->node_count; i++) {
    node *n = g->nodes[i];
    for (uint32_t k = 0; k < n->input_count && !n->dead; k++)
      if (uses[n->inputs[k]] == 1) reader[n->inputs[k]] = n;
  }
  return reader;
}

bool match_is(const node *n, const char *op_type) {
  return n && !n->dead && n->op && !*n->op->domain && str_is(n->op_type, op_type);
}

node *match_producer(const graph *g, value_id v) {
  uint32_t p = g->values[v].producer;
  return p ? g->nodes[p - 1] : NULL;
}

bool match_scalar(const graph *g, const node *n, size_t i, float otherwise, float *out) {
  *out = otherwise;
  if (i >= n->input_count || !n->inputs[i]) return true;
  const tensor *t = g->values[n->inputs[i]].constant;
  if (!t || t->dtype != SDX_FLOAT || t->count != 1) return false;
  *out = *(const float *)t->data;
  return true;
}

bool match_same_shape(const type_info *a, const type_info *b) {
  if (a->kind != TYPE_TENSOR || b->kind != TYPE_TENSOR || a->rank < 0 || a->rank != b->rank) return false;
  for (int i = 0; i < a->rank; i++)
    if (a->dims[i] != b->dims[i] || a->dims[i] == DIM_UNKNOWN) return false;
  return true;
}

bool match_all_ones(const attr *ints) {
  for (size_t i = 0; ints && i < ints->ints.count; i++)
    if (ints->ints.at[i] != 1) return false;
  return true;
}

sdx_status match_new_constant(pass_context *c, sdx_dtype dtype, size_t rank, const int64_t *dims, value_id *id,
                              void **data) {
  sdx_value *made;
  SDX_TRY(value_create(c->account, dtype, rank, dims, NULL, NULL, NULL, &made, c->err));
  sdx_status status = c->keep(c->context, made, c->err);
  if (status != SDX_OK) {
    value_release(made);
    return status;
  }
  c->made_bytes += made->value.tensor.bytes;
  *id = graph_add_constant(c->graph, (str){0}, &made->value.tensor);
  *data = made->value.tensor.data;
  return *id ? SDX_OK : error_no_memory(c->err, sizeof(graph_value));
}

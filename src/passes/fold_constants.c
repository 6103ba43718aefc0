// SPDX-License-Identifier: Apache-2.0
// Computes nodes whose inputs are all constant, under a budget. A node that fails or would pass the
// budget stays: it is computed at run time instead, and nothing else loses its folding. What dequantises constants
// waits (fold_dequantized): operators on bytes read the constants themselves.
#include "base/size.h"
#include "passes/match.h"

static bool foldable(const graph *g, const node *n) {
  if (n->dead || !n->op || !n->op->compute || n->capture_count) return false;
  if (n->op->flags & (OP_NONDETERMINISTIC | OP_CONTROL)) return false;
  for (uint32_t i = 0; i < n->input_count; i++)
    if (n->inputs[i] && !g->values[n->inputs[i]].constant) return false;
  return true;
}

// Bytes of the results as far as inference knows them: refuses early what is clearly too big.
static size_t known_bytes(const graph *g, const node *n) {
  size_t sum = 0;
  for (uint32_t i = 0; i < n->output_count; i++) {
    const type_info *t = &g->values[n->outputs[i]].type;
    tensor shaped;
    if (!n->outputs[i] || t->kind != TYPE_TENSOR || t->rank < 0) continue;
    if (tensor_init(&shaped, (sdx_dtype)t->dtype, (size_t)t->rank, t->dims, NULL) != SDX_OK) continue;
    if (!size_add(sum, shaped.bytes, &sum)) return SIZE_MAX;
  }
  return sum;
}

// Bytes of a result, those of its strings included.
static size_t held_bytes(const tensor *t) {
  size_t sum = t->bytes;
  for (size_t i = 0; t->dtype == SDX_STRING && i < t->count; i++) sum += ((const str *)t->data)[i].size;
  return sum;
}

static void set_constant(graph *g, value_id id, const tensor *t) {
  graph_value *v = &g->values[id];
  v->constant = t;
  v->producer = 0;
  v->type = (type_info){.kind = TYPE_TENSOR, .dtype = t->dtype, .rank = (int8_t)t->rank, .dims = t->dims};
}

// What shows bytes that are there already, an attribute's or those of a constant in another shape, copies nothing.
static sdx_status show(pass_context *c, node *n, bool *done) {
  graph *g = c->graph;
  const attr *value = match_is(n, "Constant") ? node_attr(n, "value") : NULL;
  const tensor *t = value && value->kind == ATTR_TENSOR ? value->tensor : NULL;
  const type_info *type = &g->values[n->outputs[0]].type;
  if (!t && (n->op->flags & OP_VIEW) && n->input_count && n->inputs[0] && type_is_fixed(type)) {
    const tensor *from = g->values[n->inputs[0]].constant;
    tensor *to = arena_zalloc(g->memory, sizeof *to);
    const int64_t *dims = arena_copy(g->memory, type->dims, (size_t)type->rank * sizeof *dims);
    if (!to || !dims) return error_no_memory(c->err, sizeof *to);
    SDX_TRY(tensor_init(to, (sdx_dtype)type->dtype, (size_t)type->rank, dims, c->err));
    to->data = from->data;
    if (to->bytes == from->bytes) t = to;
  }
  *done = t && n->outputs[0];
  for (uint32_t i = 1; i < n->output_count; i++) *done &= !n->outputs[i];
  if (!*done) return SDX_OK;
  set_constant(g, n->outputs[0], t);
  n->dead = c->changed = true;
  return SDX_OK;
}

static sdx_status fold(pass_context *c, node *n) {
  graph *g = c->graph;
  bool shown = false;
  SDX_TRY(show(c, n, &shown));
  if (shown) return SDX_OK;
  size_t expected = known_bytes(g, n);
  if (expected > c->fold_node_bytes || expected > c->fold_total_bytes - c->folded_bytes) return SDX_OK;
  sdx_value **made = arena_array(c->scratch, n->output_count + 1, sizeof *made);
  if (!made) return error_no_memory(c->err, n->output_count * sizeof *made);
  error ignored = {0};
  if (c->evaluate(c->context, g, n, made, &ignored) != SDX_OK) return SDX_OK;
  size_t bytes = 0;
  bool tensors = true;
  for (uint32_t i = 0; i < n->output_count; i++) {
    if (!n->outputs[i]) continue;
    tensors &= made[i] && made[i]->value.kind == VALUE_TENSOR;
    if (tensors) bytes += held_bytes(&made[i]->value.tensor);
  }
  bool keep = tensors && bytes <= c->fold_node_bytes && bytes <= c->fold_total_bytes - c->folded_bytes;
  sdx_status status = SDX_OK;
  for (uint32_t i = 0; i < n->output_count; i++) {
    if (!made[i]) continue;
    if (!keep || !n->outputs[i] || status != SDX_OK) {
      value_release(made[i]);
      continue;
    }
    status = c->keep(c->context, made[i], c->err);
    if (status != SDX_OK) {
      value_release(made[i]);
      continue;
    }
    set_constant(g, n->outputs[i], &made[i]->value.tensor);
  }
  if (!keep || status != SDX_OK) return status;
  c->folded_bytes += bytes;
  c->made_bytes += bytes;
  n->dead = c->changed = true;
  return SDX_OK;
}

static sdx_status fold_all(pass_context *c, bool dequantized) {
  for (uint32_t i = 0; i < c->graph->node_count; i++) {
    node *n = c->graph->nodes[i];
    if (!foldable(c->graph, n) || match_is(n, "DequantizeLinear") != dequantized) continue;
    SDX_TRY(fold(c, n));
    passes_sweep(c);
  }
  return SDX_OK;
}

static sdx_status run(pass_context *c) { return fold_all(c, false); }
static sdx_status run_dequantized(pass_context *c) { return fold_all(c, true); }

const pass_def pass_fold_constants = {
    .name = "fold_constants", .help = "computes what depends on constants only", .level = 1, .run = run};
const pass_def pass_fold_dequantized = {.name = "fold_dequantized",
                                        .help = "dequantises constants that no operator reads as bytes",
                                        .level = 1,
                                        .run = run_dequantized};

// SPDX-License-Identifier: Apache-2.0
// Attention as exporters write it becomes one node, whose scores never exist as a whole:
//   Softmax(MatMul(q, Transpose(k)) [* or / number] [+ mask]) -> MatMul(., v)
// q, k and v are [batch, heads, rows, width], with equal batch and heads. The keys are turned back by a Transpose that
// merge_chains joins with the one that turned them. A row that sees no key stays NaN.
#include "passes/match.h"

typedef struct attention_parts {
  value_id q, k, v, mask;  // k: turned
  double scale;
} attention_parts;

static const type_info *type_of(const graph *g, value_id v) { return &g->values[v].type; }

static bool is_float4(const graph *g, value_id v) {
  const type_info *t = type_of(g, v);
  return t->kind == TYPE_TENSOR && t->dtype == SDX_FLOAT && t->rank == 4;
}

static bool same_dim(const type_info *a, int i, const type_info *b, int j) {
  return a->dims[i] == b->dims[j] && a->dims[i] != DIM_UNKNOWN;
}

static bool same_heads(const type_info *a, const type_info *b) { return same_dim(a, 0, b, 0) && same_dim(a, 1, b, 1); }

// scores = MatMul(q, k) times a number, nothing of it read by another.
static bool read_scores(const graph *g, value_id scores, node *const *reader, attention_parts *p) {
  const node *n = match_producer(g, scores), *turn;
  float by = 1;
  p->scale = 1;
  if ((match_is(n, "Mul") || match_is(n, "Div")) && type_of(g, n->inputs[0])->rank == 4 &&
      g->values[n->inputs[1]].constant && match_scalar(g, n, 1, 1, &by)) {
    p->scale = match_is(n, "Div") ? 1.0 / (double)by : (double)by;
    scores = n->inputs[0];
    n = reader[scores] == n ? match_producer(g, scores) : NULL;
  }
  if (!match_is(n, "MatMul")) return false;
  p->q = n->inputs[0], p->k = n->inputs[1];
  turn = match_producer(g, p->k);
  return is_float4(g, p->q) && is_float4(g, p->k) && match_is(turn, "Transpose") &&
         same_heads(type_of(g, p->q), type_of(g, p->k));
}

// A mask that is added to [batch, heads, rows, columns] without making them more.
static bool is_mask(const graph *g, value_id v, const type_info *scores) {
  const type_info *t = type_of(g, v);
  if (t->kind != TYPE_TENSOR || t->dtype != SDX_FLOAT || t->rank < 1 || t->rank > 4) return false;
  for (int i = 0, at = 4 - t->rank; i < t->rank; i++, at++)
    if (!same_dim(t, i, scores, at) && (t->dims[i] != 1 || at == 3)) return false;
  return true;
}

static bool read_attention(const graph *g, const node *softmax, node *const *reader, attention_parts *p) {
  value_id scores = softmax->inputs[0], weights = softmax->outputs[0];
  const node *mix = reader[weights], *sum;
  int64_t axis = node_attr_int(softmax, "axis", -1);
  if (!is_float4(g, scores) || (axis != -1 && axis != 3) || node_attr_int(softmax, "_flatten", 0) ||
      reader[scores] != softmax || !match_is(mix, "MatMul") || mix->inputs[0] != weights)
    return false;
  p->v = mix->inputs[1], p->mask = VALUE_ABSENT;
  if (!is_float4(g, p->v)) return false;
  sum = match_producer(g, scores);
  bool found = false;
  if (!match_is(sum, "Add")) found = read_scores(g, scores, reader, p);
  for (size_t i = 0; i < 2 && !found && match_is(sum, "Add"); i++) {
    p->mask = sum->inputs[1 - i];
    found = reader[sum->inputs[i]] == sum && is_mask(g, p->mask, type_of(g, scores)) &&
            read_scores(g, sum->inputs[i], reader, p);
  }
  return found && same_heads(type_of(g, p->q), type_of(g, p->v));
}

static sdx_status fuse(pass_context *c, node *softmax, node *const *reader, const attention_parts *p) {
  graph *g = c->graph;
  node *mix = reader[softmax->outputs[0]];
  value_id in[4] = {p->q, graph_add_value(g, (str){0}), p->v, p->mask};
  int64_t *perm = arena_array(g->memory, 4, sizeof *perm);
  if (!in[1] || !perm) return error_no_memory(c->err, sizeof(graph_value));
  perm[0] = 0, perm[1] = 1, perm[2] = 3, perm[3] = 2;
  node *turn = graph_add_node(g, (str){0}, STR("Transpose"), 1, &p->k, 1, &in[1], c->err);
  if (!turn) return SDX_NO_MEMORY;
  SDX_TRY(node_set_attr(g, turn, attr_of_ints("perm", perm, 4)));
  SDX_TRY(op_bind(g, turn, 0, c->err));
  node *made = graph_add_node(g, (str){0}, STR("Attention"), p->mask ? 4 : 3, in, 1, mix->outputs, c->err);
  if (!made) return SDX_NO_MEMORY;
  made->name = softmax->name;
  SDX_TRY(node_set_attr(g, made, attr_of_float("scale", (float)p->scale)));
  SDX_TRY(node_set_attr(g, made, attr_of_int("_plain_softmax", 1)));
  softmax->dead = mix->dead = c->changed = true;
  return op_bind(g, made, 0, c->err);
}

static sdx_status run(pass_context *c) {
  graph *g = c->graph;
  node **reader = match_sole_readers(g, c->scratch);
  if (!reader) return error_no_memory(c->err, g->value_count * sizeof *reader);
  for (uint32_t i = 0, count = g->node_count; i < count; i++) {
    attention_parts p;
    if (match_is(g->nodes[i], "Softmax") && read_attention(g, g->nodes[i], reader, &p))
      SDX_TRY(fuse(c, g->nodes[i], reader, &p));
  }
  return SDX_OK;
}

const pass_def pass_fuse_attention = {.name = "fuse_attention",
                                      .help = "recognises attention written as products and a Softmax",
                                      .level = 2,
                                      .reassociates = true,
                                      .run = run};

// SPDX-License-Identifier: Apache-2.0
// Common subexpressions: nodes of the same operator, attributes and inputs compute the same; the
// first one serves all readers.
#include <string.h>

#include "base/str.h"
#include "passes/passes.h"

static bool comparable(const node *n) {
  return !n->dead && n->op && n->capture_count == 0 &&
         !(n->op->flags & (OP_NONDETERMINISTIC | OP_CONTROL | OP_FREE_ATTRS));
}

static bool same_bytes(const void *a, const void *b, size_t bytes) { return bytes == 0 || memcmp(a, b, bytes) == 0; }

static bool same_attr(const attr *a, const attr *b) {
  if (a->kind != b->kind) return false;
  switch (a->kind) {
    case ATTR_INT:
      return a->i == b->i;
    case ATTR_FLOAT:
      return memcmp(&a->f, &b->f, sizeof a->f) == 0;
    case ATTR_STRING:
      return str_equal(a->s, b->s);
    case ATTR_INTS:
      return a->ints.count == b->ints.count && same_bytes(a->ints.at, b->ints.at, a->ints.count * sizeof *a->ints.at);
    case ATTR_FLOATS:
      return a->floats.count == b->floats.count &&
             same_bytes(a->floats.at, b->floats.at, a->floats.count * sizeof *a->floats.at);
    case ATTR_TENSOR:
      return a->tensor->dtype == b->tensor->dtype && a->tensor->dtype != SDX_STRING &&
             tensor_same_shape(a->tensor, b->tensor) && same_bytes(a->tensor->data, b->tensor->data, a->tensor->bytes);
    default:
      return false;
  }
}

static bool same_node(const node *a, const node *b) {
  if (a->op != b->op || a->input_count != b->input_count || a->output_count != b->output_count ||
      a->attr_count != b->attr_count)
    return false;
  if (!same_bytes(a->inputs, b->inputs, a->input_count * sizeof *a->inputs)) return false;
  for (uint32_t i = 0; i < a->output_count; i++)
    if (!a->outputs[i] != !b->outputs[i]) return false;
  for (uint32_t i = 0; i < a->attr_count; i++) {
    uint32_t k = 0;
    while (k < b->attr_count && !str_equal(b->attrs[k].name, a->attrs[i].name)) k++;
    if (k == b->attr_count || !same_attr(&a->attrs[i], &b->attrs[k])) return false;
  }
  return true;
}

static uint64_t hash_node(const node *n) {
  uint64_t h = str_hash((str){(const char *)n->inputs, n->input_count * sizeof *n->inputs});
  return h ^ (uint64_t)(uintptr_t)n->op * 0x9e3779b97f4a7c15u;
}

static sdx_status run(pass_context *c) {
  graph *g = c->graph;
  size_t capacity = 16;
  while (capacity < (size_t)g->node_count * 2) capacity *= 2;
  node **table = arena_array(c->scratch, capacity, sizeof *table);
  value_id *instead = arena_array(c->scratch, g->value_count, sizeof *instead);
  if (!table || !instead) return error_no_memory(c->err, capacity * sizeof *table);
  for (uint32_t i = 0; i < g->node_count; i++) {
    node *n = g->nodes[i];
    if (!comparable(n)) continue;
    for (uint32_t k = 0; k < n->input_count; k++)
      if (instead[n->inputs[k]]) n->inputs[k] = instead[n->inputs[k]];
    size_t slot = hash_node(n) & (capacity - 1), probes = 0;
    while (table[slot] && !same_node(table[slot], n) && probes++ < 64) slot = (slot + 1) & (capacity - 1);
    if (!table[slot]) table[slot] = n;
    if (table[slot] == n || !same_node(table[slot], n)) continue;
    for (uint32_t k = 0; k < n->output_count; k++)
      if (n->outputs[k]) instead[n->outputs[k]] = table[slot]->outputs[k];
    n->dead = c->changed = true;
  }
  if (c->changed) graph_replace_many(g, instead);
  return SDX_OK;
}

const pass_def pass_merge_common = {
    .name = "merge_common", .help = "computes equal expressions once", .level = 1, .run = run};

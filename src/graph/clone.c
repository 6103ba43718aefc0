// SPDX-License-Identifier: Apache-2.0
// A copy of a graph that passes may change without changing the original: lists are copied, what they point to and
// nobody changes (names, types, tensors, params) is shared and must live as long. Read next: graph.h.
#include "graph/graph.h"

typedef struct cloner {
  arena *memory;
  bool failed;
} cloner;

static void *copy(cloner *c, const void *at, size_t count, size_t element_bytes) {
  void *copied = at ? arena_copy(c->memory, at, count * element_bytes) : NULL;
  c->failed |= at && !copied;
  return copied;
}

#define COPY(list, count) ((list) = copy(c, list, count, sizeof *(list)))

static graph *clone(cloner *c, const graph *from, graph *parent);

static void clone_bodies(cloner *c, attr *a, graph *owner) {
  if (a->kind == ATTR_GRAPH) a->graph = clone(c, a->graph, owner);
  if (a->kind != ATTR_GRAPHS) return;
  COPY(a->graphs.at, a->graphs.count);
  for (size_t i = 0; !c->failed && i < a->graphs.count; i++) a->graphs.at[i] = clone(c, a->graphs.at[i], owner);
}

static node *clone_node(cloner *c, const node *from, graph *owner) {
  node *n = copy(c, from, 1, sizeof *from);
  if (!n) return NULL;
  COPY(n->inputs, n->input_count);
  COPY(n->outputs, n->output_count);
  COPY(n->captures, n->capture_count);
  COPY(n->attrs, n->attr_count);
  for (uint32_t i = 0; !c->failed && i < n->attr_count; i++) clone_bodies(c, &n->attrs[i], owner);
  return n;
}

// Recursion is as deep as graphs are nested, which the import bounds.
static graph *clone(cloner *c, const graph *from, graph *parent) {
  graph *g = copy(c, from, 1, sizeof *from);
  if (!g) return NULL;
  g->memory = c->memory;
  g->parent = parent;
  COPY(g->values, g->value_capacity = g->value_count);
  COPY(g->nodes, g->node_capacity = g->node_count);
  COPY(g->symbols, g->symbol_capacity = g->symbol_count);
  COPY(g->inputs, g->input_count);
  COPY(g->outputs, g->output_count);
  COPY(g->defaults, g->default_count);
  c->failed |= !str_map_copy(&g->names, &from->names, c->memory) ||
               !str_map_copy(&g->symbol_names, &from->symbol_names, c->memory);
  for (uint32_t i = 0; !c->failed && i < g->node_count; i++) g->nodes[i] = clone_node(c, g->nodes[i], g);
  return g;
}

graph *graph_clone(arena *memory, const graph *from) {
  cloner c = {memory, false};
  graph *g = clone(&c, from, NULL);
  return c.failed ? NULL : g;
}

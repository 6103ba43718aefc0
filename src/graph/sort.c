// SPDX-License-Identifier: Apache-2.0
// Topological order: drops dead nodes, moves what is out of place before its first reader, renumbers
// producers. A depth-first walk with an explicit stack, so a chain of any length is fine; nodes that
// are in order already keep their order. Nothing is allocated for a graph that is sorted.
#include <stdio.h>

#include "base/size.h"
#include "graph/graph.h"

// Reads of a node: its inputs, then its captures.
static uint32_t read_count(const node *n) { return n->input_count + n->capture_count; }
static value_id read_at(const node *n, uint32_t i) {
  return i < n->input_count ? n->inputs[i] : n->captures[i - n->input_count];
}

static sdx_status fail_two_producers(const graph *g, value_id v, const node *n, error *err) {
  const node *first = g->nodes[g->values[v].producer - 1];
  error_at(err, part_named(PART_VALUE, g->values[v].name), SDX_INVALID_GRAPH,
           "is made by two nodes: '%.*s' (%.*s) and '%.*s' (%.*s)", STR_ARG(first->name), STR_ARG(first->op_type),
           STR_ARG(n->name), STR_ARG(n->op_type));
  error_code(err, "duplicate-name");
  return SDX_INVALID_GRAPH;
}

static sdx_status number_producers(graph *g, error *err) {
  for (uint32_t v = 0; v < g->value_count; v++) g->values[v].producer = 0;
  for (uint32_t i = 0; i < g->node_count; i++) {
    const node *n = g->nodes[i];
    for (uint32_t k = 0; k < n->output_count; k++) {
      value_id v = n->outputs[k];
      if (!v) continue;
      if (g->values[v].producer) return fail_two_producers(g, v, n, err);
      g->values[v].producer = i + 1;
    }
  }
  return SDX_OK;
}

static void drop_dead(graph *g) {
  uint32_t kept = 0;
  for (uint32_t i = 0; i < g->node_count; i++)
    if (!g->nodes[i]->dead) g->nodes[kept++] = g->nodes[i];
  g->node_count = kept;
}

static bool is_sorted(const graph *g) {
  for (uint32_t i = 0; i < g->node_count; i++) {
    const node *n = g->nodes[i];
    for (uint32_t k = 0; k < read_count(n); k++)
      if (g->values[read_at(n, k)].producer > i) return false;
  }
  return true;
}

// One node on the walk and how many of its reads have been followed.
typedef struct step {
  uint32_t node, read;
} step;

// The cycle is the part of the stack from the node met again to the top.
static sdx_status fail_cycle(const graph *g, const step *stack, uint32_t depth, uint32_t again, error *err) {
  enum { SHOWN = 8 };
  char path[700];
  size_t used = 0;
  uint32_t first = depth;
  while (first > 0 && stack[first - 1].node != again) first--;
  if (first > 0) first--;
  uint32_t length = depth - first;
  for (uint32_t i = 0; i < length && i < SHOWN; i++) {
    // The stack goes from readers to producers; the path reads better in the direction of the data.
    const node *n = g->nodes[stack[depth - 1 - i].node];
    str name = n->output_count && n->outputs[0] ? g->values[n->outputs[0]].name : n->name;
    int wrote =
        snprintf(path + used, sizeof path - used, "%.*s '%.*s' -> ", (int)(n->op_type.size < 30 ? n->op_type.size : 30),
                 n->op_type.at, (int)(name.size < 40 ? name.size : 40), name.at);
    if (wrote > 0) used += (size_t)wrote;
  }
  const node *start = g->nodes[stack[depth - 1].node];
  error_set(err, SDX_INVALID_GRAPH, "the graph has a cycle of %u node%s: %s%s%.*s", length, length == 1 ? "" : "s",
            path, length > SHOWN ? "... -> " : "", STR_ARG(start->op_type));
  error_code(err, "cycle");
  return SDX_INVALID_GRAPH;
}

static sdx_status sort_walk(graph *g, arena *scratch, error *err) {
  enum { NEW, OPEN, DONE };
  uint32_t count = g->node_count, depth = 0, placed = 0;
  uint8_t *state = arena_array(scratch, count, 1);
  step *stack = arena_array(scratch, count, sizeof *stack);
  node **order = arena_array(scratch, count, sizeof *order);
  if (!state || !stack || !order) return error_no_memory(err, count * (sizeof *stack + sizeof *order + 1));
  for (uint32_t root = 0; root < count; root++) {
    if (state[root] != NEW) continue;
    state[root] = OPEN;
    stack[depth++] = (step){root, 0};
    while (depth) {
      step *top = &stack[depth - 1];
      const node *n = g->nodes[top->node];
      if (top->read == read_count(n)) {
        state[top->node] = DONE;
        order[placed++] = g->nodes[top->node];
        depth--;
        continue;
      }
      uint32_t producer = g->values[read_at(n, top->read++)].producer;
      if (producer == 0 || state[producer - 1] == DONE) continue;
      if (state[producer - 1] == OPEN) return fail_cycle(g, stack, depth, producer - 1, err);
      state[producer - 1] = OPEN;
      stack[depth++] = (step){producer - 1, 0};
    }
  }
  memcpy(g->nodes, order, count * sizeof *order);
  return number_producers(g, err);
}

static sdx_status sort_one(graph *g, arena *scratch, error *err) {
  drop_dead(g);
  SDX_TRY(number_producers(g, err));
  return is_sorted(g) ? SDX_OK : sort_walk(g, scratch, err);
}

// Graphs still to be sorted; a subgraph waits here until its parent is done.
typedef struct pending {
  struct pending *next;
  graph *graph;
} pending;

static sdx_status push_subgraphs(const graph *g, arena *scratch, pending **list, error *err) {
  for (uint32_t i = 0; i < g->node_count; i++) {
    const node *n = g->nodes[i];
    for (uint32_t k = 0; k < n->attr_count; k++) {
      struct graph *const *bodies;
      size_t count = attr_graphs(&n->attrs[k], &bodies);
      for (size_t b = 0; b < count; b++) {
        pending *p = arena_alloc(scratch, sizeof *p);
        if (!p) return error_no_memory(err, sizeof *p);
        *p = (pending){*list, bodies[b]};
        *list = p;
      }
    }
  }
  return SDX_OK;
}

sdx_status graph_sort(graph *g, error *err) {
  arena scratch;
  arena_init(&scratch, g->memory->account);
  pending *list = NULL;
  sdx_status status = sort_one(g, &scratch, err);
  if (status == SDX_OK) status = push_subgraphs(g, &scratch, &list, err);
  while (status == SDX_OK && list) {
    graph *body = list->graph;
    list = list->next;
    status = sort_one(body, &scratch, err);
    if (status == SDX_OK) status = push_subgraphs(body, &scratch, &list, err);
  }
  arena_deinit(&scratch);
  return status;
}

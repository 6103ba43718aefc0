// SPDX-License-Identifier: Apache-2.0
// The rules of a graph that need no operator table. They hold after import, after parsing and after
// every pass: ids in range, one maker for every value that is read, order, subgraphs that stand in for
// values their node captures, ranks and names within limits. Iterative over nested graphs.
#include <stdarg.h>

#include "graph/graph.h"

typedef struct pending {
  struct pending *next;
  const graph *graph;
  size_t depth;
} pending;

typedef struct verifier {
  const graph *graph;
  const graph_limits *limits;
  const problem_sink *sink;
  error *err;
  arena scratch;
  pending *todo;
  uint8_t *state;  // per value: how it comes into being
  size_t depth, nodes;
} verifier;

enum { MADE_BY_NODE = 1, IS_INPUT = 2 };

enum { NO_NODE = -1 };

// Reports to the sink and goes on (SDX_OK), or returns the problem.
__attribute__((format(printf, 6, 7))) static sdx_status problem(verifier *v, int64_t node, error_part part,
                                                                sdx_status status, const char *code, const char *format,
                                                                ...) {
  error found = {0};
  va_list args;
  va_start(args, format);
  error_at_list(&found, part, status, format, args);
  va_end(args);
  error_code(&found, code);
  if (node >= 0) error_node(&found, node, v->graph->nodes[node]->name, v->graph->nodes[node]->op_type);
  if (v->depth) error_within(&found, "in a subgraph");
  if (!v->sink) return error_copy(v->err, &found);
  v->sink->report(v->sink->context, false, &found);
  return SDX_OK;
}

// The value `id` that a node reads as `part`, an input or (PART_VALUE) a captured value.
static sdx_status check_read(verifier *v, uint32_t node, error_part part, value_id id) {
  const graph *g = v->graph;
  if (id == VALUE_ABSENT) return SDX_OK;
  if (id >= g->value_count)
    return problem(v, node, part, SDX_INTERNAL, "value-id", "names value %u, which the graph does not have", id);
  const graph_value *value = &g->values[id];
  part.name = value->name;
  if (value->producer > node)
    return problem(v, node, part, SDX_INVALID_GRAPH, "order", "is made by node %u, which does not come before",
                   value->producer - 1);
  if (!v->state[id] && !value->constant && !value->outer)
    return problem(v, node, part, SDX_INVALID_GRAPH, "unknown-value", "is made by no node and is no input or constant");
  return SDX_OK;
}

static sdx_status check_output(verifier *v, uint32_t node, uint32_t output) {
  const graph *g = v->graph;
  value_id id = g->nodes[node]->outputs[output];
  error_part part = at_output(output);
  if (id == VALUE_ABSENT) return SDX_OK;
  if (id >= g->value_count)
    return problem(v, node, part, SDX_INTERNAL, "value-id", "names value %u, which the graph does not have", id);
  const graph_value *value = &g->values[id];
  part.name = value->name;
  if (v->state[id] || value->constant || value->outer)
    return problem(v, node, part, SDX_INVALID_GRAPH, "duplicate-name",
                   "is already an input, a constant or the output of another node");
  v->state[id] = MADE_BY_NODE;
  if (value->producer != node + 1) return problem(v, node, part, SDX_INTERNAL, "producer", "does not know its node");
  return SDX_OK;
}

static sdx_status check_captured(verifier *v, uint32_t index, const graph *body) {
  const node *n = v->graph->nodes[index];
  for (uint32_t i = 1; i < body->value_count; i++) {
    value_id outer = body->values[i].outer;
    if (outer && node_find_capture(n, outer) == n->capture_count)
      SDX_TRY(problem(v, index, (error_part){0}, SDX_INTERNAL, "capture",
                      "a subgraph reads outer value %u, which the node does not capture", outer));
  }
  return SDX_OK;
}

static sdx_status check_subgraphs(verifier *v, uint32_t index) {
  const node *n = v->graph->nodes[index];
  for (uint32_t k = 0; k < n->attr_count; k++) {
    struct graph *const *bodies;
    size_t count = attr_graphs(&n->attrs[k], &bodies);
    for (size_t b = 0; b < count; b++) {
      if (v->depth >= v->limits->max_subgraph_depth)
        return error_set(v->err, SDX_LIMIT_EXCEEDED,
                         "subgraphs are nested more than %zu deep (limit max_subgraph_depth)",
                         v->limits->max_subgraph_depth);
      SDX_TRY(check_captured(v, index, bodies[b]));
      pending *p = arena_alloc(&v->scratch, sizeof *p);
      if (!p) return error_no_memory(v->err, sizeof *p);
      *p = (pending){v->todo, bodies[b], v->depth + 1};
      v->todo = p;
    }
  }
  return SDX_OK;
}

static sdx_status check_ranks(verifier *v, const graph_value *value, const type_info *type) {
  for (const type_info *t = type; t; t = t->element) {
    if (t->rank <= 0 || (size_t)t->rank <= v->limits->max_rank) continue;
    SDX_TRY(problem(v, NO_NODE, part_named(PART_VALUE, value->name), SDX_LIMIT_EXCEEDED, "rank",
                    "has rank %d, expected at most %zu (limit max_rank)", t->rank, v->limits->max_rank));
  }
  return SDX_OK;
}

static sdx_status check_values(verifier *v) {
  const graph *g = v->graph;
  for (uint32_t i = 1; i < g->value_count; i++) {
    const graph_value *value = &g->values[i];
    if (value->name.size > v->limits->max_name_bytes)
      SDX_TRY(problem(v, NO_NODE, part_at(PART_VALUE, i), SDX_LIMIT_EXCEEDED, "name-length",
                      "has a name of %zu bytes, expected at most %zu", value->name.size, v->limits->max_name_bytes));
    SDX_TRY(check_ranks(v, value, &value->type));
    SDX_TRY(check_ranks(v, value, &value->declared));
    if (value->outer && (!g->parent || value->outer >= g->parent->value_count))
      SDX_TRY(problem(v, NO_NODE, part_named(PART_VALUE, value->name), SDX_INTERNAL, "outer",
                      "stands for a value that its outer graph does not have"));
  }
  return SDX_OK;
}

static sdx_status check_ends(verifier *v, bool outputs) {
  const graph *g = v->graph;
  for (uint32_t i = 0; i < (outputs ? g->output_count : g->input_count); i++) {
    value_id id = outputs ? g->outputs[i] : g->inputs[i];
    error_part part = part_at(outputs ? PART_OUTPUT : PART_INPUT, i);
    if (id == VALUE_ABSENT || id >= g->value_count) {
      SDX_TRY(problem(v, NO_NODE, part, SDX_INVALID_GRAPH, "value-id", "names no value"));
      continue;
    }
    const graph_value *value = &g->values[id];
    part.name = value->name;
    bool made = v->state[id] || value->constant || value->outer;
    if (made == outputs) {
      if (!outputs) v->state[id] = IS_INPUT;
      continue;
    }
    SDX_TRY(problem(v, NO_NODE, part, SDX_INVALID_GRAPH, outputs ? "unknown-value" : "duplicate-name", "%s",
                    outputs ? "is made by no node and is no input or constant" : "is listed twice"));
  }
  return SDX_OK;
}

static sdx_status check_nodes(verifier *v) {
  const graph *g = v->graph;
  for (uint32_t i = 0; i < g->node_count; i++) {  // makers first, so that a wrong order is told from a missing maker
    const node *n = g->nodes[i];
    if (n->dead) continue;
    if (++v->nodes > v->limits->max_nodes)
      return error_set(v->err, SDX_LIMIT_EXCEEDED, "the model has more than %zu nodes (limit max_nodes)",
                       v->limits->max_nodes);
    for (uint32_t k = 0; k < n->output_count; k++) SDX_TRY(check_output(v, i, k));
  }
  for (uint32_t i = 0; i < g->node_count; i++) {
    const node *n = g->nodes[i];
    if (n->dead) continue;
    if (n->op_type.size == 0)
      SDX_TRY(problem(v, i, (error_part){0}, SDX_INVALID_GRAPH, "op-type", "it has no operator"));
    for (uint32_t k = 0; k < n->input_count; k++) SDX_TRY(check_read(v, i, at_input(k), n->inputs[k]));
    for (uint32_t k = 0; k < n->capture_count; k++) SDX_TRY(check_read(v, i, part_at(PART_VALUE, k), n->captures[k]));
    SDX_TRY(check_subgraphs(v, i));
  }
  return SDX_OK;
}

static sdx_status check_graph(verifier *v) {
  arena memory;  // one graph's marks only: nested graphs are checked one after the other
  arena_init(&memory, v->graph->memory->account);
  v->state = arena_zalloc(&memory, (size_t)v->graph->value_count + 1);
  sdx_status status = v->state ? SDX_OK : error_no_memory(v->err, v->graph->value_count);
  if (status == SDX_OK) status = check_values(v);
  if (status == SDX_OK) status = check_ends(v, false);
  if (status == SDX_OK) status = check_nodes(v);
  if (status == SDX_OK) status = check_ends(v, true);
  arena_deinit(&memory);
  return status;
}

sdx_status graph_verify(const graph *g, const graph_limits *limits, const problem_sink *sink, error *err) {
  verifier v = {.limits = limits, .sink = sink, .err = err};
  arena_init(&v.scratch, g->memory->account);
  pending first = {NULL, g, 0};
  sdx_status status = SDX_OK;
  v.todo = &first;
  while (status == SDX_OK && v.todo) {
    v.graph = v.todo->graph;
    v.depth = v.todo->depth;
    v.todo = v.todo->next;
    status = check_graph(&v);
  }
  arena_deinit(&v.scratch);
  return status;
}

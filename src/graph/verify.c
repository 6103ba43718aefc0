// SPDX-License-Identifier: Apache-2.0
// The rules of a graph that need no operator table. They hold after import, after parsing and after
// every pass: ids in range, one maker for every value that is read, order, subgraphs that stand in for
// values their node captures, ranks and names within limits. Iterative over nested graphs.
#include <stdarg.h>
#include <stdio.h>

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

// Reports to the sink and goes on (SDX_OK), or returns the problem.
__attribute__((format(printf, 5, 6))) static sdx_status problem(verifier *v, sdx_status status, const char *code,
                                                                const char *place, const char *format, ...) {
  char message[600];
  va_list args;
  va_start(args, format);
  vsnprintf(message, sizeof message, format, args);
  va_end(args);
  if (!v->sink) return error_set(v->err, status, "%s: %s", place, message);
  v->sink->report(v->sink->context, status, code, place, message, "");
  return SDX_OK;
}

static int cut(str s) { return (int)(s.size < 120 ? s.size : 120); }

static const char *node_place(const verifier *v, uint32_t index, char *buffer, size_t size) {
  const node *n = v->graph->nodes[index];
  snprintf(buffer, size, "%snode %u '%.*s' (%.*s)", v->depth ? "in a subgraph, " : "", index, cut(n->name), n->name.at,
           cut(n->op_type), n->op_type.at);
  return buffer;
}

static sdx_status check_read(verifier *v, uint32_t index, const char *what, value_id id) {
  char place[400];
  const graph *g = v->graph;
  if (id == VALUE_ABSENT) return SDX_OK;
  node_place(v, index, place, sizeof place);
  if (id >= g->value_count)
    return problem(v, SDX_INTERNAL, "value-id", place, "%s %u is no value of the graph", what, id);
  const graph_value *value = &g->values[id];
  if (value->producer > index + 1 || (value->producer == index + 1))
    return problem(v, SDX_INVALID_GRAPH, "order", place, "%s '%.*s' is made by node %u, which does not come before",
                   what, cut(value->name), value->name.at, value->producer - 1);
  if (!v->state[id] && !value->constant && !value->outer)
    return problem(v, SDX_INVALID_GRAPH, "unknown-value", place,
                   "%s '%.*s' is made by no node and is no input or constant", what, cut(value->name), value->name.at);
  return SDX_OK;
}

static sdx_status check_output(verifier *v, uint32_t index, value_id id) {
  char place[400];
  const graph *g = v->graph;
  if (id == VALUE_ABSENT) return SDX_OK;
  node_place(v, index, place, sizeof place);
  if (id >= g->value_count)
    return problem(v, SDX_INTERNAL, "value-id", place, "output %u is no value of the graph", id);
  const graph_value *value = &g->values[id];
  if (v->state[id] || value->constant || value->outer)
    return problem(v, SDX_INVALID_GRAPH, "duplicate-name", place,
                   "output '%.*s' is already an input, a constant or the output of another node", cut(value->name),
                   value->name.at);
  v->state[id] = MADE_BY_NODE;
  if (value->producer != index + 1)
    return problem(v, SDX_INTERNAL, "producer", place, "output '%.*s' does not know its node", cut(value->name),
                   value->name.at);
  return SDX_OK;
}

static sdx_status check_captured(verifier *v, uint32_t index, const graph *body) {
  char place[400];
  const node *n = v->graph->nodes[index];
  for (uint32_t i = 1; i < body->value_count; i++) {
    value_id outer = body->values[i].outer;
    if (outer && node_find_capture(n, outer) == n->capture_count)
      SDX_TRY(problem(v, SDX_INTERNAL, "capture", node_place(v, index, place, sizeof place),
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
  char place[200];
  for (const type_info *t = type; t; t = t->element) {
    if (t->rank <= 0 || (size_t)t->rank <= v->limits->max_rank) continue;
    snprintf(place, sizeof place, "value '%.*s'", cut(value->name), value->name.at);
    SDX_TRY(problem(v, SDX_LIMIT_EXCEEDED, "rank", place, "its rank is %d; the limit is %zu", t->rank,
                    v->limits->max_rank));
  }
  return SDX_OK;
}

static sdx_status check_values(verifier *v) {
  const graph *g = v->graph;
  char place[200];
  for (uint32_t i = 1; i < g->value_count; i++) {
    const graph_value *value = &g->values[i];
    if (value->name.size > v->limits->max_name_bytes) {
      snprintf(place, sizeof place, "value %u", i);
      SDX_TRY(problem(v, SDX_LIMIT_EXCEEDED, "name-length", place, "its name has %zu bytes; the limit is %zu",
                      value->name.size, v->limits->max_name_bytes));
    }
    SDX_TRY(check_ranks(v, value, &value->type));
    SDX_TRY(check_ranks(v, value, &value->declared));
    if (value->outer && (!g->parent || value->outer >= g->parent->value_count)) {
      snprintf(place, sizeof place, "value '%.*s'", cut(value->name), value->name.at);
      SDX_TRY(problem(v, SDX_INTERNAL, "outer", place, "it stands for a value that its outer graph does not have"));
    }
  }
  return SDX_OK;
}

static sdx_status check_ends(verifier *v, bool outputs) {
  const graph *g = v->graph;
  char place[200];
  for (uint32_t i = 0; i < (outputs ? g->output_count : g->input_count); i++) {
    value_id id = outputs ? g->outputs[i] : g->inputs[i];
    snprintf(place, sizeof place, "%sgraph %s %u", v->depth ? "in a subgraph, " : "", outputs ? "output" : "input", i);
    if (id == VALUE_ABSENT || id >= g->value_count) {
      SDX_TRY(problem(v, SDX_INVALID_GRAPH, "value-id", place, "it names no value"));
      continue;
    }
    const graph_value *value = &g->values[id];
    bool made = v->state[id] || value->constant || value->outer;
    if (made == outputs) {
      if (!outputs) v->state[id] = IS_INPUT;
      continue;
    }
    SDX_TRY(problem(v, SDX_INVALID_GRAPH, outputs ? "unknown-value" : "duplicate-name", place, "'%.*s' %s",
                    cut(value->name), value->name.at,
                    outputs ? "is made by no node and is no input or constant" : "is listed twice"));
  }
  return SDX_OK;
}

static sdx_status check_nodes(verifier *v) {
  const graph *g = v->graph;
  char place[400];
  for (uint32_t i = 0; i < g->node_count; i++) {  // makers first, so that a wrong order is told from a missing maker
    const node *n = g->nodes[i];
    if (n->dead) continue;
    if (++v->nodes > v->limits->max_nodes)
      return error_set(v->err, SDX_LIMIT_EXCEEDED, "the model has more than %zu nodes (limit max_nodes)",
                       v->limits->max_nodes);
    for (uint32_t k = 0; k < n->output_count; k++) SDX_TRY(check_output(v, i, n->outputs[k]));
  }
  for (uint32_t i = 0; i < g->node_count; i++) {
    const node *n = g->nodes[i];
    if (n->dead) continue;
    if (n->op_type.size == 0)
      SDX_TRY(problem(v, SDX_INVALID_GRAPH, "op-type", node_place(v, i, place, sizeof place), "it has no operator"));
    for (uint32_t k = 0; k < n->input_count; k++) SDX_TRY(check_read(v, i, "input", n->inputs[k]));
    for (uint32_t k = 0; k < n->capture_count; k++) SDX_TRY(check_read(v, i, "captured value", n->captures[k]));
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

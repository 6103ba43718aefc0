// SPDX-License-Identifier: Apache-2.0
// Two models become one (edit.h): the nodes of the other move over as they are, with their bodies; what counts by
// number within a graph (values, symbols of dimensions) gets the numbers of this one, and names that are taken get a
// number behind them. Read next: builder.h.
#include "builder/builder.h"
#include "run/session.h"

typedef struct move {
  sdx_builder *to;
  graph *from;
  const char *prefix;
  int64_t *symbols;  // by number in `from`: the dimension here
} move;

// ---- symbols ----------------------------------------------------------------------------------------

static bool map_symbols(move *m) {
  const graph *from = m->from;
  m->symbols = arena_array(build_memory(m->to), from->symbol_count + 1, sizeof *m->symbols);
  for (uint32_t i = 1; m->symbols && i < from->symbol_count; i++) {
    str name = from->symbols[i];
    m->symbols[i] = name.size ? ~graph_symbol(m->to->main->graph, name) : DIM_UNKNOWN;
  }
  return m->symbols != NULL;
}

static bool map_type(move *m, type_info *t) {
  if (t->kind != TYPE_TENSOR || t->rank <= 0) return true;
  int64_t *dims = arena_copy(build_memory(m->to), t->dims, (size_t)t->rank * sizeof *dims);
  for (int i = 0; dims && i < t->rank; i++) {
    int64_t symbol = ~dims[i];
    if (dims[i] >= 0) continue;
    dims[i] = symbol > 0 && symbol < m->from->symbol_count && m->symbols[symbol] ? m->symbols[symbol] : DIM_UNKNOWN;
  }
  t->dims = dims;
  return dims != NULL;
}

// ---- names ------------------------------------------------------------------------------------------

static str prefixed(const move *m, str name) {
  if (!name.size) return name;
  char *text = arena_format(build_memory(m->to), "%s%.*s", m->prefix, (int)name.size, name.at);
  if (!text) build_no_memory(m->to);
  return text ? build_name(m->to, (str){text, strlen(text)}) : (str){0};
}

// Values of bodies keep their numbers. Recursion is as deep as graphs are nested.
static bool rename_body(move *m, graph *g) {
  for (value_id v = 1; v < g->value_count; v++) {
    graph_value *value = &g->values[v];
    if (!map_type(m, &value->type) || !map_type(m, &value->declared)) return false;
    value->name = value->outer ? g->parent->values[value->outer].name : prefixed(m, value->name);
    if (!str_map_put(&g->names, value->name, v)) return false;
  }
  for (uint32_t i = 0; i < g->node_count; i++)
    for (uint32_t k = 0; k < g->nodes[i]->attr_count; k++) {
      graph *const *bodies;
      size_t count = attr_graphs(&g->nodes[i]->attrs[k], &bodies);
      for (size_t b = 0; b < count; b++)
        if (!rename_body(m, bodies[b])) return false;
    }
  return true;
}

// ---- moving -----------------------------------------------------------------------------------------

static value_id *move_values(move *m) {
  graph *g = m->to->main->graph, *from = m->from;
  value_id *map = arena_array(build_memory(m->to), from->value_count, sizeof *map);
  for (value_id v = 1; map && v < from->value_count; v++) {
    graph_value value = from->values[v];
    value.name = prefixed(m, value.name);
    if (!value.name.size || !map_type(m, &value.type) || !map_type(m, &value.declared)) return NULL;
    map[v] = graph_add_value(g, value.name);
    if (!map[v]) return NULL;
    value.producer = 0;
    g->values[map[v]] = value;
  }
  return map;
}

static void map_list(value_id *list, uint32_t count, const value_id *map) {
  for (uint32_t i = 0; i < count; i++) list[i] = map[list[i]];
}

static bool move_node(move *m, node *n, const value_id *map) {
  sdx_builder *b = m->to;
  graph *g = b->main->graph;
  node *moved = graph_add_node(g, n->domain, n->op_type, 0, NULL, 0, NULL, &b->err);
  if (!moved) return false;
  *moved = *n;
  if (n->name.size) {
    const char *name = arena_format(build_memory(b), "%s%s", m->prefix, n->name.at);
    if (!name) return false;
    moved->name = str_from(name);
  }
  map_list(moved->inputs, moved->input_count, map);
  map_list(moved->outputs, moved->output_count, map);
  for (uint32_t i = 0; i < moved->output_count; i++)
    if (moved->outputs[i]) g->values[moved->outputs[i]].producer = g->node_count;
  for (uint32_t k = 0; k < moved->attr_count; k++) {
    graph *const *bodies;
    size_t count = attr_graphs(&moved->attrs[k], &bodies);
    for (size_t i = 0; i < count; i++) {
      bodies[i]->parent = g;
      for (value_id v = 1; v < bodies[i]->value_count; v++)
        bodies[i]->values[v].outer = map[bodies[i]->values[v].outer];
      if (!rename_body(m, bodies[i]) || !build_adopt_body(b->main, bodies[i])) return false;
    }
  }
  return true;
}

static bool move_all(move *m) {
  sdx_builder *b = m->to;
  graph *g = b->main->graph, *from = m->from;
  const value_id *map = map_symbols(m) ? move_values(m) : NULL;
  if (!map) return false;
  for (uint32_t i = 0; i < from->node_count; i++)
    if (!from->nodes[i]->dead && !move_node(m, from->nodes[i], map)) return false;
  for (uint32_t i = 0; i < from->input_count; i++)
    build_append_end(b, &g->inputs, &g->input_count, map[from->inputs[i]]);
  for (uint32_t i = 0; i < from->default_count; i++)
    build_append_end(b, &g->defaults, &g->default_count, map[from->defaults[i]]);
  for (uint32_t i = 0; i < from->output_count; i++)
    build_append_end(b, &g->outputs, &g->output_count, map[from->outputs[i]]);
  return true;
}

sdx_status sdx_builder_append(sdx_builder *b, sdx_builder *other, const char *prefix) {
  other->next_part = b->parts;
  b->parts = other;
  if (build_failed(b)) return b->err.status;
  if (build_complete(other) != SDX_OK) {
    error_copy(&b->err, &other->err);
    return b->err.status;
  }
  for (size_t i = 0; i < other->model.opset_count; i++) {
    opset_import theirs = other->model.opsets[i];
    int64_t ours = sdx_builder_opset(b, theirs.domain.at);
    if (ours && ours != theirs.version)
      return sdx_builder_fail(b, SDX_CONFLICT, "the models import version %lld and %lld of domain '%s'",
                              (long long)ours, (long long)theirs.version,
                              theirs.domain.size ? theirs.domain.at : "ai.onnx");
    sdx_builder_import(b, theirs.domain.at, theirs.version);
  }
  if (other->model.ir_version > b->model.ir_version) b->model.ir_version = other->model.ir_version;
  move m = {.to = b, .from = other->model.graph, .prefix = prefix};
  if (!build_failed(b) && !move_all(&m) && !build_failed(b)) build_no_memory(b);
  return b->err.status;
}

// SPDX-License-Identifier: Apache-2.0
// Looking at a graph through references, and changing what stands in it (edit.h). Read next: rewrite.c, append.c.
#include "builder/builder.h"

static bool is_ref(const sdx_builder *b, sdx_ref ref) { return ref && ref < b->value_count; }
static graph_value *value_of(const sdx_builder *b, sdx_ref ref) {
  build_value v = b->values[ref];
  return &v.graph->graph->values[v.id];
}

// The reference of a value as a graph sees it: that of the graph where it is made.
static sdx_ref ref_of(sdx_graph *s, value_id id) {
  while (id && s->parent && s->graph->values[id].outer) {
    id = s->graph->values[id].outer;
    s = s->parent;
  }
  return id ? build_refer(s, id) : 0;
}

// ---- values -----------------------------------------------------------------------------------------

size_t sdx_graph_input_count(const sdx_graph *s) { return s->graph->input_count; }
size_t sdx_graph_output_count(const sdx_graph *s) { return s->graph->output_count; }
sdx_ref sdx_graph_input(sdx_graph *s, size_t i) {
  return i < s->graph->input_count ? ref_of(s, s->graph->inputs[i]) : 0;
}
sdx_ref sdx_graph_output(sdx_graph *s, size_t i) {
  return i < s->graph->output_count ? ref_of(s, s->graph->outputs[i]) : 0;
}
size_t sdx_graph_value_count(const sdx_graph *s) { return s->graph->value_count - 1; }
sdx_ref sdx_graph_value(sdx_graph *s, size_t number) {
  if (!number || number >= s->graph->value_count || s->graph->values[number].outer) return 0;
  return build_refer(s, (value_id)number);
}

sdx_io sdx_graph_describe(sdx_graph *s, sdx_ref ref) {
  sdx_builder *b = s->builder;
  sdx_io io = {.name = "", .type = ""};
  if (!is_ref(b, ref)) return io;
  const graph_value *v = value_of(b, ref);
  const type_info *t = type_best_known(v);
  io.name = v->name.at;
  if (t->kind != TYPE_TENSOR) return io;
  io.dtype = (sdx_dtype)t->dtype;
  io.has_shape = t->rank >= 0;
  io.rank = t->rank < 0 ? 0 : (size_t)t->rank;
  int64_t *shape = arena_array(build_memory(b), io.rank, sizeof *shape);
  const char **symbols = arena_array(build_memory(b), io.rank, sizeof *symbols);
  if (!shape || !symbols) {
    build_no_memory(b);
    return (sdx_io){.name = "", .type = ""};
  }
  for (size_t i = 0; i < io.rank; i++) {
    shape[i] = t->dims[i] < 0 ? -1 : t->dims[i];
    str symbol = t->dims[i] < 0 ? graph_symbol_name(b->main->graph, t->dims[i]) : (str){0};
    if (symbol.size) symbols[i] = str_to_c(build_memory(b), symbol);
  }
  io.shape = shape, io.symbols = symbols;
  return io;
}

static sdx_value *lend(const tensor *t) {
  if (!t || t->dtype == SDX_STRING) return NULL;
  return sdx_tensor_borrow((sdx_dtype)t->dtype, t->rank, t->dims, t->data, NULL, NULL);
}

sdx_value *sdx_graph_constant(sdx_graph *s, sdx_ref ref) {
  return is_ref(s->builder, ref) ? lend(value_of(s->builder, ref)->constant) : NULL;
}

void sdx_graph_declare(sdx_graph *s, sdx_ref ref, const sdx_io *io) {
  if (!is_ref(s->builder, ref)) return;
  build_value v = s->builder->values[ref];
  build_set_type(v.graph, v.id, io);
  v.graph->graph->values[v.id].declared = v.graph->graph->values[v.id].type;
}

void sdx_graph_replace(sdx_graph *s, sdx_ref from, sdx_ref to, size_t first) {
  sdx_builder *b = s->builder;
  value_id old = build_resolve(s, from), new = build_resolve(s, to);
  graph *g = s->graph;
  if (!old || !new || old == new) return;
  value_id *instead = mem_zalloc(NULL, g->value_count * sizeof *instead);
  if (!instead) return build_no_memory(b);
  instead[old] = new;
  // Nodes before `first` keep what they read: they are looked at as if they were not there.
  graph rest = *g;
  rest.nodes = g->nodes + first;
  rest.node_count = first < g->node_count ? g->node_count - (uint32_t)first : 0;
  for (uint32_t i = 0; i < rest.node_count; i++)
    if (node_collect_captures(g, rest.nodes[i]) != SDX_OK) build_no_memory(b);
  graph_replace_many(&rest, instead);
  mem_free(instead);
}

bool sdx_graph_is_read(sdx_graph *s, sdx_ref ref) {
  value_id id = build_resolve(s, ref);
  const graph *g = s->graph;
  for (uint32_t i = 0; i < g->node_count; i++) {
    const node *n = g->nodes[i];
    for (uint32_t k = 0; k < n->input_count && !n->dead; k++)
      if (n->inputs[k] == id) return true;
    for (uint32_t k = 0; k < n->capture_count && !n->dead; k++)
      if (n->captures[k] == id) return true;
  }
  for (uint32_t i = 0; i < g->output_count; i++)
    if (g->outputs[i] == id) return true;
  return false;
}

static uint32_t drop(value_id *list, uint32_t count, value_id id) {
  uint32_t kept = 0;
  for (uint32_t i = 0; i < count; i++)
    if (list[i] != id) list[kept++] = list[i];
  return kept;
}

static void detach(graph *g, value_id id) {
  for (uint32_t i = 0; i < g->node_count; i++)
    for (uint32_t k = 0; k < g->nodes[i]->output_count; k++)
      if (g->nodes[i]->outputs[k] == id) g->nodes[i]->outputs[k] = VALUE_ABSENT;
  g->default_count = drop(g->defaults, g->default_count, id);
  g->values[id].producer = 0;
  g->values[id].constant = NULL;
}

void sdx_graph_make_input(sdx_graph *s, sdx_ref ref) {
  sdx_builder *b = s->builder;
  if (!is_ref(b, ref) || b->values[ref].graph != s) return;
  value_id id = b->values[ref].id;
  graph_value *v = &s->graph->values[id];
  for (uint32_t i = 0; i < s->graph->input_count; i++)
    if (s->graph->inputs[i] == id) return;
  v->type = *type_best_known(v);
  detach(s->graph, id);
  build_append_end(b, &s->graph->inputs, &s->graph->input_count, id);
}

void sdx_graph_remove_input(sdx_graph *s, sdx_ref ref) {
  value_id id = build_resolve(s, ref);
  if (!id) return;
  s->graph->input_count = drop(s->graph->inputs, s->graph->input_count, id);
}
void sdx_graph_remove_output(sdx_graph *s, size_t index) {
  graph *g = s->graph;
  if (index >= g->output_count) return;
  g->output_count--;
  memmove(g->outputs + index, g->outputs + index + 1, (g->output_count - index) * sizeof *g->outputs);
}
void sdx_graph_clear_outputs(sdx_graph *s) { s->graph->output_count = 0; }
value_id build_own_output(sdx_graph *s, uint32_t i) {
  sdx_builder *b = s->builder;
  graph *g = s->graph;
  value_id id = g->outputs[i], made = graph_add_value(g, build_name(b, g->values[id].name));
  node *n = made ? graph_add_node(g, STR(""), STR("Identity"), 1, &id, 1, &made, &b->err) : NULL;
  if (!n) {
    build_no_memory(b);
    return VALUE_ABSENT;
  }
  g->values[made].type = g->values[id].type;
  return g->outputs[i] = made;
}

void build_name_output(sdx_graph *s, uint32_t i, str name) {
  sdx_builder *b = s->builder;
  graph *g = s->graph;
  value_id id = g->outputs[i], old = build_find(s, name);
  if (str_equal(g->values[id].name, name)) return;
  bool own = g->values[id].producer;
  for (uint32_t k = 0; k < g->output_count; k++) own &= k == i || g->outputs[k] != id;
  if (old) {
    g->values[old].name = build_name(b, name);
    if (!str_map_put(&g->names, g->values[old].name, old)) build_no_memory(b);
  }
  if (!own) id = build_own_output(s, i);
  g->values[id].name = name;
  if (!str_map_put(&g->names, name, id)) build_no_memory(b);
}

void sdx_graph_set_output(sdx_graph *s, size_t i, sdx_ref ref, const char *name) {
  value_id id = build_resolve(s, ref);
  str text = build_text(s->builder, name);
  if (!id || i >= s->graph->output_count || build_failed(s->builder)) return;
  s->graph->outputs[i] = id;
  build_name_output(s, (uint32_t)i, text);
}

// ---- nodes ------------------------------------------------------------------------------------------

static const node *node_at(const sdx_graph *s, size_t i) {
  static const node none = {.dead = true};
  return i < s->graph->node_count && !s->graph->nodes[i]->dead ? s->graph->nodes[i] : &none;
}

size_t sdx_graph_node_count(const sdx_graph *s) { return s->graph->node_count; }
const char *sdx_graph_node_op(const sdx_graph *s, size_t i) {
  const node *n = node_at(s, i);
  if (n->dead) return "";
  if (!n->domain.size) return n->op_type.at;
  const char *op = arena_format(build_memory(s->builder), "%s::%s", n->domain.at, n->op_type.at);
  return op ? op : "";
}
const char *sdx_graph_node_name(const sdx_graph *s, size_t i) {
  const node *n = node_at(s, i);
  return n->name.at ? n->name.at : "";
}
size_t sdx_graph_node_input_count(const sdx_graph *s, size_t i) { return node_at(s, i)->input_count; }
size_t sdx_graph_node_output_count(const sdx_graph *s, size_t i) { return node_at(s, i)->output_count; }
sdx_ref sdx_graph_node_input(sdx_graph *s, size_t i, size_t k) {
  const node *n = node_at(s, i);
  return k < n->input_count ? ref_of(s, n->inputs[k]) : 0;
}
sdx_ref sdx_graph_node_output(sdx_graph *s, size_t i, size_t k) {
  const node *n = node_at(s, i);
  return k < n->output_count ? ref_of(s, n->outputs[k]) : 0;
}

void sdx_graph_node_set_input(sdx_graph *s, size_t i, size_t k, sdx_ref ref) {
  const node *n = node_at(s, i);
  value_id id = ref ? build_resolve(s, ref) : VALUE_ABSENT;
  if (k < n->input_count && !build_failed(s->builder)) n->inputs[k] = id;
}

void sdx_graph_node_set_output(sdx_graph *s, size_t i, size_t k, sdx_ref ref) {
  const node *n = node_at(s, i);
  value_id id = build_resolve(s, ref);
  if (k >= n->output_count || !id) return;
  detach(s->graph, id);
  n->outputs[k] = id;
  s->graph->values[id].producer = (uint32_t)i + 1;
}

void sdx_graph_node_rename(sdx_graph *s, size_t i, const char *name) {
  if (i < s->graph->node_count) s->graph->nodes[i]->name = build_text(s->builder, name);
}
void sdx_graph_node_remove(sdx_graph *s, size_t i) {
  if (i < s->graph->node_count) s->graph->nodes[i]->dead = true;
}

int64_t sdx_graph_producer(sdx_graph *s, sdx_ref ref) {
  if (!is_ref(s->builder, ref) || s->builder->values[ref].graph != s) return SDX_NO_NODE;
  return (int64_t)value_of(s->builder, ref)->producer - 1;
}

sdx_graph *sdx_graph_node_body(sdx_graph *s, size_t i, size_t index) {
  const node *n = node_at(s, i);
  for (uint32_t k = 0; k < n->attr_count; k++) {
    graph *const *bodies;
    size_t count = attr_graphs(&n->attrs[k], &bodies);
    if (index < count) return build_graph_of(s->builder, bodies[index]);
    index -= count;
  }
  return NULL;
}

// ---- attributes -------------------------------------------------------------------------------------

static const attr *attr_at(const sdx_graph *s, size_t i, const char *name, attr_kind kind) {
  const node *n = node_at(s, i);
  const attr *a = n->dead ? NULL : node_attr(n, name);
  return a && a->kind == kind ? a : NULL;
}

int64_t sdx_graph_node_int(const sdx_graph *s, size_t i, const char *name, int64_t otherwise) {
  const attr *a = attr_at(s, i, name, ATTR_INT);
  return a ? a->i : otherwise;
}
float sdx_graph_node_float(const sdx_graph *s, size_t i, const char *name, float otherwise) {
  const attr *a = attr_at(s, i, name, ATTR_FLOAT);
  return a ? a->f : otherwise;
}
const int64_t *sdx_graph_node_ints(const sdx_graph *s, size_t i, const char *name, size_t *count) {
  const attr *a = attr_at(s, i, name, ATTR_INTS);
  *count = a ? a->ints.count : 0;
  return a ? a->ints.at : NULL;
}
sdx_value *sdx_graph_node_tensor(const sdx_graph *s, size_t i, const char *name) {
  const attr *a = attr_at(s, i, name, ATTR_TENSOR);
  return a ? lend(a->tensor) : NULL;
}
void sdx_graph_node_drop(sdx_graph *s, size_t i, const char *name) {
  if (i < s->graph->node_count) node_remove_attr(s->graph->nodes[i], name);
}
void sdx_graph_select(sdx_graph *s, size_t i) {
  if (i < s->graph->node_count) s->last = s->graph->nodes[i];
}

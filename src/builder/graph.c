// SPDX-License-Identifier: Apache-2.0
// Values, constants, nodes and attributes of a graph that is being built (builder.h). Read next: save.c.
#include <stdio.h>

#include "builder/builder.h"
#include "ops/record.h"

enum { MOST_DEEP = 250 };  // what is nested deeper cannot be written

sdx_graph *sdx_graph_create(sdx_graph *parent) {
  sdx_builder *b = parent->builder;
  arena *memory = build_memory(b);
  sdx_graph *s = arena_zalloc(memory, sizeof *s);
  graph *g = graph_create(memory, parent->graph);
  if (!s || !g) {
    build_no_memory(b);
    return parent;  // never used: nothing is added any more
  }
  size_t depth = 0;
  for (const sdx_graph *up = parent; up; up = up->parent) depth++;
  if (depth > MOST_DEEP) sdx_builder_fail(b, SDX_LIMIT_EXCEEDED, "bodies are nested more than %d deep", MOST_DEEP);
  *s = (sdx_graph){.builder = b, .graph = g, .parent = parent, .next = b->graphs};
  b->graphs = s;
  return s;
}

// ---- references -------------------------------------------------------------------------------------

static value_id stand_in(sdx_graph *s, build_value v);

value_id build_find(const sdx_graph *s, str name) {
  value_id id = graph_find(s->graph, name);
  return id && str_equal(s->graph->values[id].name, name) ? id : VALUE_ABSENT;
}

// The value in `s` that stands for one of its parent.
static value_id stand_in_for(sdx_graph *s, value_id outer) {
  str name = s->parent->graph->values[outer].name;
  value_id id = build_find(s, name);
  if (id && s->graph->values[id].outer == outer) return id;
  id = graph_add_value(s->graph, name);
  if (id) s->graph->values[id].outer = outer;
  return id;
}

static value_id stand_in(sdx_graph *s, build_value v) {
  sdx_graph *path[MOST_DEEP + 2];
  size_t depth = 0;
  for (; s && s != v.graph; s = s->parent) path[depth++] = s;
  if (!s) return VALUE_ABSENT;
  value_id id = v.id;
  while (depth && id) id = stand_in_for(path[--depth], id);
  return id;
}

// The value of a reference as `s` sees it; false after a failure.
static bool resolve(sdx_graph *s, sdx_ref ref, const char *what, value_id *id) {
  sdx_builder *b = s->builder;
  *id = VALUE_ABSENT;
  if (build_failed(b)) return false;
  if (ref == 0) return true;
  if (ref >= b->value_count) {
    sdx_builder_fail(b, SDX_INVALID_ARGUMENT, "%s: %u is no value of this model", what, ref);
    return false;
  }
  build_value v = b->values[ref];
  *id = stand_in(s, v);
  if (!*id)
    sdx_builder_fail(b, SDX_INVALID_GRAPH, "%s: value '%.*s' belongs to a graph that is not around this one", what,
                     STR_ARG(v.graph->graph->values[v.id].name));
  return *id != VALUE_ABSENT;
}

value_id build_resolve(sdx_graph *s, sdx_ref ref) {
  value_id id;
  return resolve(s, ref, "value", &id) ? id : VALUE_ABSENT;
}

const char *sdx_graph_name(const sdx_graph *s, sdx_ref ref) {
  const sdx_builder *b = s->builder;
  if (!ref || ref >= b->value_count) return "";
  return b->values[ref].graph->graph->values[b->values[ref].id].name.at;
}

sdx_ref sdx_graph_find(sdx_graph *s, const char *name) {
  if (build_failed(s->builder)) return 0;
  for (; s; s = s->parent) {
    value_id id = build_find(s, str_from(name));
    if (id && !s->graph->values[id].outer) return build_refer(s, id);
  }
  return 0;
}

static bool set_name(sdx_graph *s, value_id id, str name) {
  graph_value *v = &s->graph->values[id];
  v->name = name;
  return str_map_put(&s->graph->names, name, id);
}

void sdx_graph_rename(sdx_graph *s, sdx_ref ref, const char *name) {
  sdx_builder *b = s->builder;
  if (build_failed(b) || !ref || ref >= b->value_count) return;
  build_value v = b->values[ref];
  str wish = build_text(b, name);
  if (build_failed(b) || str_equal(v.graph->graph->values[v.id].name, wish)) return;
  wish = build_name(b, wish);
  if (!build_failed(b) && !set_name(v.graph, v.id, wish)) build_no_memory(b);
}

// ---- values -----------------------------------------------------------------------------------------

static value_id add_value(sdx_graph *s, str name) {
  sdx_builder *b = s->builder;
  name = build_name(b, name);
  if (build_failed(b)) return VALUE_ABSENT;
  value_id id = graph_add_value(s->graph, name);
  if (!id) build_no_memory(b);
  return id;
}

static bool copy_parts(sdx_builder *b, const type_info *from, type_info *to) {
  *to = *from;
  for (type_info *at = to; at->element;) {
    type_info *part = arena_copy(build_memory(b), at->element, sizeof *part);
    at->element = part;
    if (!part) return false;
    at = part;
  }
  return true;
}

void build_set_type(sdx_graph *s, value_id id, const sdx_io *io) {
  sdx_builder *b = s->builder;
  type_info *t = &s->graph->values[id].type, room[VALUE_MAX_NESTING];
  if (io->dtype == SDX_UNDEFINED && !io->type) return;
  if (io->dtype == SDX_UNDEFINED) {
    const type_info *parsed = type_parse(io->type, room, VALUE_MAX_NESTING);
    if (!parsed || parsed->kind == TYPE_UNKNOWN)
      sdx_builder_fail(b, SDX_INVALID_ARGUMENT, "value '%s': '%s' is no type", io->name, io->type);
    else if (!copy_parts(b, parsed, t)) build_no_memory(b);
    return;
  }
  *t = (type_info){.kind = TYPE_TENSOR, .dtype = (uint8_t)io->dtype, .rank = io->has_shape ? (int8_t)io->rank : -1};
  if (dtype_bits(io->dtype) == 0 || (io->has_shape && io->rank > TENSOR_MAX_RANK)) {
    sdx_builder_fail(b, SDX_INVALID_ARGUMENT, "value '%s': element type %d, rank %zu; the rank is at most %d", io->name,
                     (int)io->dtype, io->rank, TENSOR_MAX_RANK);
    return;
  }
  if (!io->has_shape || io->rank == 0) return;
  int64_t *dims = arena_copy(build_memory(b), io->shape, io->rank * sizeof *dims);
  for (size_t i = 0; dims && i < io->rank; i++)
    if (dims[i] < 0) {
      str symbol = build_text(b, io->symbols && io->symbols[i] ? io->symbols[i] : "");
      dims[i] = symbol.size ? ~graph_symbol(s->graph, symbol) : DIM_UNKNOWN;
      if (symbol.size && dims[i] == DIM_UNKNOWN) dims = NULL;
    }
  t->dims = dims;
  if (!dims) build_no_memory(b);
}

// One more in the list of the graph's inputs or outputs.
void build_append_end(sdx_builder *b, value_id **list, uint32_t *count, value_id id) {
  if ((*count & (*count - 1)) == 0) {  // full whenever it holds a power of two
    value_id *more = arena_array(build_memory(b), *count ? (size_t)*count * 2 : 1, sizeof *more);
    if (!more) return build_no_memory(b);
    if (*count) memcpy(more, *list, *count * sizeof *more);
    *list = more;
  }
  (*list)[(*count)++] = id;
}

sdx_ref sdx_graph_add_input(sdx_graph *s, const sdx_io *io) {
  sdx_builder *b = s->builder;
  str name = build_text(b, io->name);
  if (!build_failed(b) && str_map_find(&b->names, name, NULL))
    sdx_builder_fail(b, SDX_INVALID_GRAPH, "input '%s': the name is taken", io->name);
  value_id id = add_value(s, name);
  if (!id) return 0;
  build_set_type(s, id, io);
  build_append_end(b, &s->graph->inputs, &s->graph->input_count, id);
  return build_refer(s, id);
}

// An output of its own name may be renamed; what is an input, a constant, of another graph or an output already is not.
static bool may_rename(const sdx_graph *s, value_id id) {
  const graph *g = s->graph;
  if (!g->values[id].producer) return false;
  for (uint32_t i = 0; i < g->output_count; i++)
    if (g->outputs[i] == id) return false;
  return true;
}

void sdx_graph_add_output(sdx_graph *s, sdx_ref ref, const sdx_io *io) {
  sdx_builder *b = s->builder;
  value_id id;
  char what[200];
  snprintf(what, sizeof what, "output '%.150s'", io->name);
  if (!resolve(s, ref, what, &id)) return;
  if (!id) {
    sdx_builder_fail(b, SDX_INVALID_GRAPH, "%s: there is no value", what);
    return;
  }
  if (strcmp(sdx_graph_name(s, ref), io->name) != 0) {
    if (str_map_find(&b->names, str_from(io->name), NULL)) {
      sdx_builder_fail(b, SDX_INVALID_GRAPH, "%s: the name is taken", what);
      return;
    }
    if (!may_rename(s, id)) ref = sdx_graph_add_node(s, "Identity", NULL, 1, &ref);
    sdx_graph_rename(s, ref, io->name);
    if (!resolve(s, ref, what, &id)) return;
  }
  build_set_type(s, id, io);
  build_append_end(b, &s->graph->outputs, &s->graph->output_count, id);
}

// ---- constants --------------------------------------------------------------------------------------

// Takes the reference over, whatever happens. NULL after a failure.
static const tensor *keep(sdx_builder *b, const char *what, sdx_value *v) {
  if (!v || !build_grow((void **)&b->kept, b->kept_count, &b->kept_capacity, sizeof *b->kept)) {
    sdx_value_release(v);
    build_no_memory(b);
    return NULL;
  }
  b->kept[b->kept_count++] = v;
  if (build_failed(b)) return NULL;
  if (v->value.kind == VALUE_TENSOR) return &v->value.tensor;
  sdx_builder_fail(b, SDX_INVALID_ARGUMENT, "%s: a constant is a tensor", what ? what : "constant");
  return NULL;
}

static sdx_ref add_constant(sdx_graph *s, const char *name, const tensor *t) {
  sdx_builder *b = s->builder;
  str text = build_name(b, build_text(b, name));
  if (build_failed(b)) return 0;
  return build_refer(s, graph_add_constant(s->graph, text, t));
}

sdx_ref sdx_graph_add_initializer(sdx_graph *s, const char *name, sdx_value *v) {
  const tensor *t = keep(s->builder, name, v);
  return t ? add_constant(s, name, t) : 0;
}

sdx_ref sdx_graph_add_filled(sdx_graph *s, const char *name, sdx_dtype dtype, size_t rank, const int64_t *shape,
                             sdx_fill fill, void *context) {
  sdx_builder *b = s->builder;
  if (build_failed(b)) return 0;
  build_filled *f = arena_zalloc(build_memory(b), sizeof *f);
  int64_t *dims = arena_copy(build_memory(b), shape, rank * sizeof *dims);
  if (!f || !dims) {
    build_no_memory(b);
    return 0;
  }
  f->fill = fill;
  f->context = context;
  if (dtype == SDX_STRING) error_set(&b->err, SDX_NOT_SUPPORTED, "strings are given as a tensor");
  else tensor_init(&f->tensor, dtype, rank, dims, &b->err);
  if (build_failed(b)) {
    error_in_part(&b->err, part_named(PART_INITIALIZER, str_from(name)));
    return 0;
  }
  return add_constant(s, name, &f->tensor);
}

sdx_ref sdx_graph_add_ints(sdx_graph *s, size_t count, const int64_t *ints) {
  value_id id = build_failed(s->builder) ? VALUE_ABSENT : graph_constant_i64(s->graph, ints, count);
  if (!id || !set_name(s, id, build_name(s->builder, STR("const")))) id = VALUE_ABSENT;
  return build_refer(s, id);
}

sdx_ref sdx_graph_add_scalar(sdx_graph *s, sdx_dtype dtype, double number) {
  value_id id = build_failed(s->builder) ? VALUE_ABSENT : graph_constant_scalar(s->graph, dtype, number);
  if (!id || !set_name(s, id, build_name(s->builder, STR("const")))) id = VALUE_ABSENT;
  return build_refer(s, id);
}

// ---- nodes ------------------------------------------------------------------------------------------

sdx_ref sdx_graph_add_node(sdx_graph *s, const char *op, const char *name, size_t count, const sdx_ref *inputs) {
  sdx_builder *b = s->builder;
  const char *colons = strstr(op, "::");
  str type = build_text(b, colons ? colons + 2 : op), domain = STR("");
  if (colons) {
    domain = build_text(b, op);
    if (build_failed(b)) return 0;
    ((char *)domain.at)[colons - op] = 0;
    domain.size = (size_t)(colons - op);
    if (str_is(domain, "ai.onnx")) domain = STR("");
  }
  str label = build_text(b, name);
  char what[200];
  snprintf(what, sizeof what, "node '%.100s' (%.50s)", name ? name : "", op);
  value_id *in = build_failed(b) ? NULL : arena_array(build_memory(b), count, sizeof *in);
  for (size_t i = 0; in && i < count; i++)
    if (!resolve(s, inputs[i], what, &in[i])) return 0;
  if (build_failed(b)) return 0;
  s->last = in ? graph_add_node(s->graph, domain, type, count, in, 0, NULL, &b->err) : NULL;
  if (!s->last) {
    build_no_memory(b);
    return 0;
  }
  s->last->name = label;
  return sdx_graph_add_node_output(s);
}

sdx_ref sdx_graph_add_node_output(sdx_graph *s) {
  sdx_builder *b = s->builder;
  node *n = s->last;
  if (build_failed(b) || !n) {
    sdx_builder_fail(b, SDX_INVALID_ARGUMENT, "there is no node to add an output to");
    return 0;
  }
  value_id id = add_value(s, n->name.size ? n->name : n->op_type);
  if (!id) return 0;
  s->graph->values[id].producer = s->graph->node_count;
  build_append_end(b, &n->outputs, &n->output_count, id);
  return build_refer(s, id);
}

// ---- attributes -------------------------------------------------------------------------------------

// Sets the attribute and gives it its name; what it holds is in the model's memory already.
static void set(sdx_graph *s, const char *name, attr a) {
  sdx_builder *b = s->builder;
  a.name = build_text(b, name);
  if (build_failed(b)) return;
  if (!s->last) sdx_builder_fail(b, SDX_INVALID_ARGUMENT, "attribute '%s': there is no node to set it on", name);
  else if (node_attr(s->last, name))
    sdx_builder_fail(b, SDX_INVALID_GRAPH, "node '%.*s' (%.*s): attribute '%s' is set twice", STR_ARG(s->last->name),
                     STR_ARG(s->last->op_type), name);
  else if (node_set_attr(s->graph, s->last, a) != SDX_OK) build_no_memory(b);
}

static const void *copy_list(sdx_graph *s, const void *at, size_t count, size_t element_bytes) {
  if (build_failed(s->builder)) return NULL;
  void *copy = arena_array(build_memory(s->builder), count, element_bytes);
  if (!copy) build_no_memory(s->builder);
  else if (count) memcpy(copy, at, count * element_bytes);
  return copy;
}

void sdx_graph_set_int(sdx_graph *s, const char *name, int64_t value) {
  set(s, name, (attr){.kind = ATTR_INT, .i = value});
}
void sdx_graph_set_float(sdx_graph *s, const char *name, float value) {
  set(s, name, (attr){.kind = ATTR_FLOAT, .f = value});
}
void sdx_graph_set_string(sdx_graph *s, const char *name, const char *text) {
  set(s, name, (attr){.kind = ATTR_STRING, .s = build_text(s->builder, text)});
}
void sdx_graph_lend_ints(sdx_graph *s, const char *name, size_t count, const int64_t *ints) {
  set(s, name, (attr){.kind = ATTR_INTS, .ints = {ints, count}});
}
void sdx_graph_set_ints(sdx_graph *s, const char *name, size_t count, const int64_t *ints) {
  sdx_graph_lend_ints(s, name, count, copy_list(s, ints, count, sizeof *ints));
}
void sdx_graph_set_floats(sdx_graph *s, const char *name, size_t count, const float *floats) {
  set(s, name, (attr){.kind = ATTR_FLOATS, .floats = {copy_list(s, floats, count, sizeof *floats), count}});
}

void sdx_graph_set_strings(sdx_graph *s, const char *name, size_t count, const char *const *texts) {
  sdx_builder *b = s->builder;
  str *list = build_failed(b) ? NULL : arena_array(build_memory(b), count, sizeof *list);
  if (!list) return build_no_memory(b);
  for (size_t i = 0; i < count; i++) list[i] = build_text(b, texts[i]);
  set(s, name, (attr){.kind = ATTR_STRINGS, .strings = {list, count}});
}

void sdx_graph_set_tensor(sdx_graph *s, const char *name, sdx_value *v) {
  const tensor *t = keep(s->builder, name, v);
  if (t) set(s, name, (attr){.kind = ATTR_TENSOR, .tensor = t});
}

void sdx_graph_set_graph(sdx_graph *s, const char *name, sdx_graph *body) {
  if (!build_failed(s->builder) && (body->parent != s || body->attached))
    sdx_builder_fail(s->builder, SDX_INVALID_GRAPH, "attribute '%s': the body belongs to another %s", name,
                     body->attached ? "node" : "graph");
  if (build_failed(s->builder)) return;
  body->attached = true;
  if (!body->graph->name.size) body->graph->name = build_text(s->builder, name);
  set(s, name, (attr){.kind = ATTR_GRAPH, .graph = body->graph});
}

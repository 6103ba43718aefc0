// SPDX-License-Identifier: Apache-2.0
// Inputs that have an initializer of their name: constants that a run may feed another value for. From IR version 4 on
// a graph says so by listing an initializer among its inputs; older files had to list all of them, so that it says
// nothing. Read next: run/variants.c, which makes graphs for runs that do.
#include "onnx/import_scope.h"

enum { IR_WITH_DEFAULTS = 4 };

sdx_status import_own_dims(importer *im, graph *g, type_info *t, bool named) {
  if (t->kind != TYPE_TENSOR || t->rank < 1) return SDX_OK;
  int64_t *dims = arena_copy(g->memory, t->dims, (size_t)t->rank * sizeof *dims);
  if (!dims) return import_no_memory(im);
  for (int i = 0; i < t->rank; i++) {
    str name = graph_symbol_name(g, dims[i]);
    if (dims[i] >= 0 || (named && !dim_name_is_placeholder(name))) continue;
    dims[i] = ~graph_add_symbol(g, name);
    if (dims[i] == DIM_UNKNOWN) return import_no_memory(im);
  }
  t->dims = dims;
  return SDX_OK;
}

static sdx_status check_fits(importer *im, const graph *g, const tensor *t, const type_info *declared) {
  char said[200], found[200];
  bool fits = declared->kind == TYPE_UNKNOWN || declared->kind == TYPE_TENSOR;
  if (fits && declared->dtype && declared->dtype != t->dtype) fits = false;
  if (fits && declared->rank >= 0) {
    fits = (size_t)declared->rank == t->rank;
    for (int i = 0; fits && i < declared->rank; i++) fits = declared->dims[i] < 0 || declared->dims[i] == t->dims[i];
  }
  if (fits) return SDX_OK;
  return error_set(im->err, SDX_INVALID_GRAPH, "it is declared as %s but its initializer is %s",
                   type_describe(g, declared, said, sizeof said), tensor_describe(t, found, sizeof found));
}

static bool is_default(const graph *g, value_id id) { return g->values[id].declared.kind != TYPE_UNKNOWN; }

static sdx_status add(importer *im, graph *g, value_id id, const type_info *declared) {
  graph_value *v = &g->values[id];
  if (is_default(g, id)) return scope_fail_twice(im, part_named(PART_INPUT, v->name), "an input twice");
  if (!g->defaults) g->defaults = arena_array(g->memory, g->value_count, sizeof *g->defaults);
  if (!g->defaults) return import_no_memory(im);
  v->declared = *declared;
  v->declared.kind = TYPE_TENSOR;
  v->declared.dtype = (uint8_t)v->constant->dtype;
  g->defaults[g->default_count++] = id;
  return import_own_dims(im, g, &v->declared, false);
}

sdx_status default_declare(importer *im, graph *g, value_id id, const type_info *declared) {
  SDX_TRY(check_fits(im, g, g->values[id].constant, declared));
  bool offered = im->model->ir_version >= IR_WITH_DEFAULTS || im->options->as_prepared;
  return offered && !g->parent ? add(im, g, id, declared) : SDX_OK;
}

static sdx_status add_named(importer *im, graph *g, str name) {
  char hint[300];
  str_nearest nearest;
  str_nearest_init(&nearest, name);
  bool all = str_is(name, "*"), found = all;
  for (value_id id = 1; id < g->value_count; id++) {
    const graph_value *v = &g->values[id];
    if (!v->constant) continue;
    str_nearest_offer(&nearest, v->name);
    if (!all && !str_equal(v->name, name)) continue;
    found = true;
    if (!is_default(g, id)) SDX_TRY(add(im, g, id, &v->type));
  }
  if (found) return SDX_OK;
  error_at(im->err, at_option("overridable_initializers"), SDX_INVALID_ARGUMENT, "names no initializer: '%.*s'",
           STR_ARG(name));
  error_hint(im->err, "%s", str_nearest_hint(&nearest, hint, sizeof hint));
  return SDX_INVALID_ARGUMENT;
}

sdx_status defaults_add_named(importer *im, graph *g) {
  for (const char *p = im->options->overridable; p && *p;) {
    str name = {p, strcspn(p, ",")};
    if (name.size) SDX_TRY(add_named(im, g, name));
    p += name.size + (p[name.size] == ',');
  }
  return SDX_OK;
}

// SPDX-License-Identifier: Apache-2.0
// A builder over a model that is there already (edit.h): the import of a session, which stays behind it for its bytes
// and for what passes make. Every value and body gets its reference at once, so that whoever walks the graph meets the
// same ones again. Read next: edit.c, rewrite.c.
#include "builder/builder.h"
#include "run/session.h"

// ---- what the graph holds already ---------------------------------------------------------------------

static str c_text(sdx_builder *b, str s) {
  const char *copy = str_to_c(build_memory(b), s);
  if (!copy) build_no_memory(b);
  return copy ? (str){copy, s.size} : (str){0};
}

sdx_graph *build_graph_of(sdx_builder *b, const graph *g) {
  sdx_graph *s = b->graphs;
  while (s && s->graph != g) s = s->next;
  return s;
}

// Lists that an import made are exactly as long as they are; build_append_end wants room up to a power of two.
static void own_list(sdx_builder *b, value_id **list, uint32_t count) {
  uint32_t room = 1;
  while (room < count) room *= 2;
  value_id *copy = arena_array(build_memory(b), room, sizeof *copy);
  if (!copy) return build_no_memory(b);
  if (count) memcpy(copy, *list, count * sizeof *copy);
  *list = copy;
}

static bool adopt(sdx_graph *s);

bool build_adopt_body(sdx_graph *parent, graph *g) {
  sdx_builder *b = parent->builder;
  sdx_graph *s = arena_zalloc(build_memory(b), sizeof *s);
  if (!s) {
    build_no_memory(b);
    return false;
  }
  *s = (sdx_graph){.builder = b, .graph = g, .parent = parent, .next = b->graphs, .attached = true};
  b->graphs = s;
  return adopt(s);
}

// Recursion is as deep as graphs are nested, which the import bounds.
static bool adopt(sdx_graph *s) {
  sdx_builder *b = s->builder;
  graph *g = s->graph;
  own_list(b, &g->inputs, g->input_count);
  own_list(b, &g->outputs, g->output_count);
  own_list(b, &g->defaults, g->default_count);
  for (value_id v = 1; v < g->value_count && !build_failed(b); v++) {
    graph_value *value = &g->values[v];
    value->name = c_text(b, value->name);
    if (value->outer) continue;
    if (!value->name.size) continue;
    if (!str_map_put(&b->names, value->name, 1)) build_no_memory(b);
  }
  for (uint32_t i = 0; i < g->node_count && !build_failed(b); i++) {
    node *n = g->nodes[i];
    n->name = c_text(b, n->name), n->op_type = c_text(b, n->op_type), n->domain = c_text(b, n->domain);
    for (uint32_t k = 0; k < n->attr_count; k++) {
      graph *const *bodies;
      size_t count = attr_graphs(&n->attrs[k], &bodies);
      for (size_t i_body = 0; i_body < count; i_body++)
        if (!build_adopt_body(s, bodies[i_body])) return false;
    }
  }
  return !build_failed(b);
}

enum { FIRST_IR_OF_DEFAULTS = 4 };

// ---- opening ----------------------------------------------------------------------------------------

static void take_model(sdx_builder *b, const model *m) {
  arena own = b->model.memory;
  opset_import *opsets = b->model.opsets;
  b->model = *m;
  b->model.memory = own, b->model.opsets = opsets;
  b->model.metadata = NULL, b->model.metadata_count = 0, b->model.opset_count = 0;
  b->model.functions = NULL, b->model.function_count = 0;
  b->model.warnings = b->model.external_files = (text){0};
  b->main->graph = m->graph;
  // Older files list all constants among the inputs; the import has told the two apart.
  if (b->model.ir_version < FIRST_IR_OF_DEFAULTS) b->model.ir_version = FIRST_IR_OF_DEFAULTS;
  for (size_t i = 0; i < m->opset_count && !build_failed(b); i++) {
    str domain = c_text(b, str_is(m->opsets[i].domain, "ai.onnx") ? STR("") : m->opsets[i].domain);
    if (!build_failed(b)) sdx_builder_import(b, domain.at, m->opsets[i].version);
  }
  if (!m->opset_count) sdx_builder_import(b, "", 1);
  for (size_t i = 0; i < m->metadata_count && !build_failed(b); i++)
    sdx_builder_add_metadata(b, c_text(b, m->metadata[i].key).at, c_text(b, m->metadata[i].value).at);
}

// Nodes of local functions are in the versions that their function imports; the model can import one.
static bool of_one_version(const sdx_builder *b) {
  for (const sdx_graph *s = b->graphs; s; s = s->next)
    for (uint32_t i = 0; i < s->graph->node_count; i++) {
      const node *n = s->graph->nodes[i];
      int64_t version = sdx_builder_opset(b, n->domain.at);
      if (version && n->version && n->version != version) return false;
    }
  return true;
}

static sdx_status open_model(sdx_builder *b, const char *path) {
  sdx_session *s = b->source;
  SDX_TRY(session_open(s, path));
  SDX_TRY(session_fetch(s));
  import_options import = session_import_options(s);
  import.spent = NULL;
  SDX_TRY(onnx_import(s->bytes, s->size, &import, NULL, &s->model, &s->err));
  take_model(b, s->model);
  return SDX_OK;
}

sdx_status sdx_builder_open(const char *path, const sdx_options *options, sdx_builder **out) {
  sdx_builder *b = *out = sdx_builder_create(0);
  if (!b) return SDX_NO_MEMORY;
  b->source = session_create(options);
  if (!b->source) {
    build_no_memory(b);
    return b->err.status;
  }
  if (open_model(b, path) != SDX_OK) error_copy(&b->err, &b->source->err);
  if (!build_failed(b)) adopt(b->main);
  if (!build_failed(b) && !of_one_version(b)) sdx_builder_raise(b, 0);
  return b->err.status;
}

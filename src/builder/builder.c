// SPDX-License-Identifier: Apache-2.0
// The builder itself: versions, descriptions, names, and the check of the whole (builder.h). Read next: graph.c.
#include <stdio.h>
#include <stdlib.h>

#include "builder/builder.h"
#include "ops/record.h"

// Which versions were released together; an opset that is not listed belongs to the row above it.
static const struct release {
  int opset, ir, ml;
} releases[] = {{7, 4, 1},  {10, 5, 1},  {11, 6, 2},  {12, 7, 2},  {15, 8, 2},  {16, 8, 3}, {19, 9, 3},
                {20, 9, 4}, {21, 10, 5}, {23, 11, 5}, {24, 12, 5}, {25, 13, 5}, {28, 14, 5}};
static const size_t protobuf_end = ((size_t)1 << 31) - ((size_t)1 << 20);  // it ends at 2 GiB
enum { OLDEST_OPSET = 7, RELEASES = sizeof releases / sizeof *releases };

static const struct release *release_of(int64_t opset) {
  size_t i = RELEASES - 1;
  while (i && releases[i].opset > opset) i--;
  return &releases[i];
}

// ---- memory and names -------------------------------------------------------------------------------

void build_no_memory(sdx_builder *b) { error_no_memory(&b->err, 0); }

bool build_grow(void **at, size_t count, size_t *capacity, size_t element_bytes) {
  if (count < *capacity) return true;
  size_t more = *capacity ? 2 * *capacity : 16;
  void *bigger = mem_alloc(NULL, more * element_bytes);
  if (!bigger) return false;
  if (count) memcpy(bigger, *at, count * element_bytes);
  mem_free(*at);
  *at = bigger;
  *capacity = more;
  return true;
}

str build_text(sdx_builder *b, const char *text) {
  if (build_failed(b)) return (str){0};
  if (!text) text = "";
  size_t size = strlen(text);
  char *copy = arena_copy(build_memory(b), text, size + 1);
  if (!copy) build_no_memory(b);
  return copy ? (str){copy, size} : (str){0};
}

str build_name(sdx_builder *b, str wish) {
  if (build_failed(b)) return (str){0};
  str name = wish;
  while (name.size == 0 || str_map_find(&b->names, name, NULL)) {
    const char *stem = wish.size ? wish.at : "v";
    char *text = arena_format(build_memory(b), "%.*s_%u", (int)(wish.size ? wish.size : 1), stem, ++b->fresh);
    name = str_from(text);
    if (!text) break;
  }
  if (name.at && str_map_put(&b->names, name, 1)) return name;
  build_no_memory(b);
  return (str){0};
}

sdx_ref build_refer(sdx_graph *g, value_id id) {
  sdx_builder *b = g->builder;
  if (id == VALUE_ABSENT || build_failed(b)) {
    if (!build_failed(b)) build_no_memory(b);
    return 0;
  }
  while (id >= g->ref_capacity) {
    size_t old = g->ref_capacity, more = old ? 2 * old : 16;
    if (more <= id) more = (size_t)id + 1;
    sdx_ref *refs = arena_array(build_memory(b), more, sizeof *refs);
    if (!refs) {
      build_no_memory(b);
      return 0;
    }
    if (old) memcpy(refs, g->refs, old * sizeof *refs);
    g->refs = refs, g->ref_capacity = more;
  }
  if (g->refs[id]) return g->refs[id];
  if (!build_grow((void **)&b->values, b->value_count, &b->value_capacity, sizeof *b->values)) {
    build_no_memory(b);
    return 0;
  }
  b->values[b->value_count] = (build_value){g, id};
  return g->refs[id] = (sdx_ref)b->value_count++;
}

// ---- versions ---------------------------------------------------------------------------------------

int64_t sdx_builder_opset(const sdx_builder *b, const char *domain) {
  const model *m = &b->model;
  for (size_t i = 0; i < m->opset_count; i++)
    if (str_is(m->opsets[i].domain, domain)) return m->opsets[i].version;
  return 0;
}

// version 0: that of the same release.
static void import(sdx_builder *b, str domain, int64_t version) {
  model *m = &b->model;
  for (size_t i = 0; i < m->opset_count; i++)
    if (str_equal(m->opsets[i].domain, domain)) {
      if (version) m->opsets[i].version = version;
      return;
    }
  if (!version) version = str_is(domain, "ai.onnx.ml") ? release_of(sdx_builder_opset(b, ""))->ml : 1;
  if (!build_grow((void **)&m->opsets, m->opset_count, &b->opset_capacity, sizeof *m->opsets)) build_no_memory(b);
  else m->opsets[m->opset_count++] = (opset_import){domain, version};
}

// ---- life -------------------------------------------------------------------------------------------

sdx_builder *sdx_builder_create(int64_t opset) {
  sdx_builder *b = mem_zalloc(NULL, sizeof *b);
  if (!b) return NULL;
  arena_init(&b->model.memory, NULL);
  str_map_init(&b->names, build_memory(b));
  if (opset == 0) opset = ONNX_NEWEST_OPSET;
  if (opset < OLDEST_OPSET || opset > ONNX_NEWEST_OPSET)
    error_set(&b->err, SDX_INVALID_ARGUMENT, "opset %lld cannot be written, expected %d to %d", (long long)opset,
              OLDEST_OPSET, ONNX_NEWEST_OPSET);
  arena *memory = build_memory(b);
  b->main = arena_zalloc(memory, sizeof *b->main);
  graph *g = graph_create(memory, NULL);
  if (!b->main || !g || !build_grow((void **)&b->values, 0, &b->value_capacity, sizeof *b->values)) {
    sdx_builder_destroy(b);
    return NULL;
  }
  *b->main = (sdx_graph){.builder = b, .graph = g, .attached = true};
  b->graphs = b->main;
  b->values[b->value_count++] = (build_value){0};
  b->model.graph = g;
  b->most_inside = protobuf_end;
  b->model.ir_version = release_of(opset)->ir;
  import(b, STR(""), opset);
  return b;
}

void sdx_builder_destroy(sdx_builder *b) {
  if (!b) return;
  for (size_t i = 0; i < b->kept_count; i++) sdx_value_release(b->kept[i]);
  for (sdx_builder *part = b->parts, *next; part; part = next) {
    next = part->next_part;
    sdx_builder_destroy(part);
  }
  sdx_session_destroy(b->source);
  mem_free(b->kept);
  mem_free(b->values);
  mem_free(b->model.opsets);
  mem_free(b->model.metadata);
  arena_deinit(&b->model.memory);
  mem_free(b);
}

sdx_status sdx_builder_status(const sdx_builder *b) { return b->err.status; }
const char *sdx_builder_error(const sdx_builder *b) { return b->err.message; }

sdx_status sdx_builder_fail(sdx_builder *b, sdx_status status, const char *format, ...) {
  va_list list;
  va_start(list, format);
  error_at_list(&b->err, (error_part){0}, status, format, list);
  va_end(list);
  return status;
}

// ---- descriptions -----------------------------------------------------------------------------------

void sdx_builder_import(sdx_builder *b, const char *domain, int64_t version) {
  if (version < 1 && !build_failed(b))
    sdx_builder_fail(b, SDX_INVALID_ARGUMENT, "domain '%s': version %lld, expected 1 or more", domain,
                     (long long)version);
  str copy = build_text(b, domain);
  if (!build_failed(b)) import(b, copy, version);
}

void sdx_builder_describe(sdx_builder *b, const char *key, const char *value) {
  model *m = &b->model;
  const struct {
    const char *key;
    str *field;
  } fields[] = {{"producer_name", &m->producer_name},
                {"producer_version", &m->producer_version},
                {"domain", &m->domain},
                {"description", &m->doc},
                {"graph_name", &m->graph->name},
                {"graph_description", &m->graph->doc}};
  str text = build_text(b, value);
  if (build_failed(b)) return;
  for (size_t i = 0; i < sizeof fields / sizeof *fields; i++)
    if (!strcmp(key, fields[i].key)) {
      *fields[i].field = text;
      return;
    }
  if (!strcmp(key, "model_version")) m->model_version = strtoll(value, NULL, 10);
  else sdx_builder_fail(b, SDX_INVALID_ARGUMENT, "a model has no description called '%s'", key);
}

void sdx_builder_add_metadata(sdx_builder *b, const char *key, const char *value) {
  model *m = &b->model;
  str k = build_text(b, key), v = build_text(b, value);
  if (build_failed(b)) return;
  for (size_t i = 0; i < m->metadata_count; i++)
    if (str_equal(m->metadata[i].key, k)) {
      m->metadata[i].value = v;
      return;
    }
  if (!build_grow((void **)&m->metadata, m->metadata_count, &b->metadata_capacity, sizeof *m->metadata))
    build_no_memory(b);
  else m->metadata[m->metadata_count++] = (key_value){k, v};
}

void sdx_builder_on_progress(sdx_builder *b, void (*report)(void *, uint64_t, uint64_t), void *context) {
  b->report = report;
  b->report_context = context;
}

sdx_graph *sdx_builder_graph(sdx_builder *b) { return b->main; }

// ---- the check ----------------------------------------------------------------------------------------

// What came from a file was checked as it was read, and may be of a domain that only its reader knows.
static sdx_status check_node(sdx_builder *b, node *n) {
  import(b, n->domain, 0);
  if (n->version) return SDX_OK;
  n->version = (int32_t)sdx_builder_opset(b, n->domain.at);
  return op_check(n, n->version, &b->err);
}

void build_fit_release(sdx_builder *b, int64_t opset) {
  const struct release *r = release_of(opset);
  if (b->model.ir_version < r->ir) b->model.ir_version = r->ir;
}

sdx_status build_complete(sdx_builder *b) {
  for (sdx_graph *s = b->graphs; s && !build_failed(b); s = s->next) {
    graph *g = s->graph;
    for (uint32_t i = 0; i < g->node_count && !build_failed(b); i++) {
      if (g->nodes[i]->dead) continue;
      check_node(b, g->nodes[i]);
      if (node_collect_captures(g, g->nodes[i]) != SDX_OK) build_no_memory(b);
    }
  }
  return b->err.status;
}

sdx_status build_check(sdx_builder *b) {
  build_complete(b);
  for (sdx_graph *s = b->graphs; s && !build_failed(b); s = s->next) {
    graph *g = s->graph;
    for (uint32_t i = 0; i < g->input_count && s == b->main; i++)
      if (g->values[g->inputs[i]].type.kind == TYPE_UNKNOWN)
        sdx_builder_fail(b, SDX_INVALID_ARGUMENT, "input '%.*s' has no type", STR_ARG(g->values[g->inputs[i]].name));
    for (uint32_t i = 0; i < g->output_count && s == b->main; i++)
      if (type_best_known(&g->values[g->outputs[i]])->kind == TYPE_UNKNOWN)
        sdx_builder_fail(b, SDX_INVALID_ARGUMENT, "output '%.*s' has no type", STR_ARG(g->values[g->outputs[i]].name));
  }
  if (!build_failed(b) && b->main->graph->output_count == 0)
    sdx_builder_fail(b, SDX_INVALID_GRAPH, "the model has no output");
  if (build_failed(b) || graph_sort(b->model.graph, &b->err) != SDX_OK) return b->err.status;
  graph_limits limits = {SIZE_MAX, TENSOR_MAX_RANK, 256, SIZE_MAX};
  return graph_verify(b->model.graph, &limits, NULL, &b->err);
}

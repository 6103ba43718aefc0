// SPDX-License-Identifier: Apache-2.0
// What a model declares of its results has no say in what it computes: with the declarations dropped, stale (traced at
// batch 1) or all free dimensions of one name, passes may change results no more than they do anyway.
#include "ops/record.h"
#include "passes/passes.h"
#include "tests/passes/models.h"

typedef enum change { DROPPED, STALE, RENAMED, CHANGES } change;
static const char *const change_names[] = {"declarations dropped", "stale declarations", "one name for all dimensions"};

static model *import(const char *path, const text *bytes) {
  model *m;
  error err = {0};
  if (onnx_import(bytes->at, bytes->size, &(import_options){.external_dir = "."}, NULL, &m, &err) != SDX_OK)
    fail_msg("%s: %s", path, err.message);
  return m;
}

static void set_free_dims(arena *memory, type_info *t, int64_t dim) {
  if (t->kind != TYPE_TENSOR || t->rank < 1) return;
  int64_t *dims = arena_copy(memory, t->dims, (size_t)t->rank * sizeof *dims);
  for (int i = 0; i < t->rank; i++)
    if (dims[i] < 0) dims[i] = dim;
  t->dims = dims;
}

// The types of all values where every free dimension of an input is 1.
static model *traced(const char *path, const text *bytes) {
  model *m = import(path, bytes);
  graph *g = m->graph;
  error err = {0};
  arena scratch;
  arena_init(&scratch, NULL);
  for (uint32_t i = 0; i < g->input_count; i++) set_free_dims(&m->memory, &g->values[g->inputs[i]].type, 1);
  if (ops_bind_graph(g, m->opsets, m->opset_count, NULL, NULL, NULL, &err) == SDX_OK)
    passes_infer(g, &scratch, NULL, NULL, false, &err);  // as far as it goes: some models take no 1
  arena_deinit(&scratch);
  return m;
}

static void change_graph(graph *g, change how, const graph *trace) {
  for (value_id v = 1; v < g->value_count; v++) {
    graph_value *value = &g->values[v];
    if (how == DROPPED) value->declared = (type_info){.rank = -1};
    if (how == RENAMED) {
      int64_t name = ~graph_symbol(g, STR("N"));
      set_free_dims(g->memory, &value->type, name);
      set_free_dims(g->memory, &value->declared, name);
    }
    if (how != STALE || !value->producer) continue;
    value_id known = trace ? graph_find(trace, value->name) : VALUE_ABSENT;
    if (known && trace->values[known].type.kind == TYPE_TENSOR) value->declared = trace->values[known].type;
    set_free_dims(g->memory, &value->declared, 1);
  }
  for (uint32_t i = 0; i < g->node_count; i++)
    for (uint32_t k = 0; k < g->nodes[i]->attr_count; k++) {
      graph *const *bodies;
      size_t count = attr_graphs(&g->nodes[i]->attrs[k], &bodies);
      for (size_t b = 0; b < count; b++) change_graph(bodies[b], how, NULL);
    }
}

static void check_change(const char *path, const text *bytes, change how, sdx_session *simple, const sdx_run *plain,
                         int64_t free_dim) {
  model *m = import(path, bytes), *trace = how == STALE ? traced(path, bytes) : NULL;
  change_graph(m->graph, how, trace ? trace->graph : NULL);
  wire_out out = {0};
  assert_int_equal(onnx_export(m, NULL, &out), SDX_OK);
  sdx_session *s;
  if (sdx_session_load_bytes(out.kept.at, out.kept.size, false, NULL, &s) != SDX_OK)
    fail_msg("%s, %s: %s", path, change_names[how], sdx_session_error(s));
  sdx_run *r = models_run(s, free_dim, 0, true);
  if (!r) fail_msg("%s fails: %s", path, change_names[how]);
  models_compare(path, change_names[how], simple, free_dim, plain, r, 1e-5);
  sdx_run_destroy(r);
  sdx_session_destroy(s);
  text_deinit(&out.kept);
  model_destroy(m);
  model_destroy(trace);
}

static void declarations_have_no_say(void **state) {
  static const int64_t sizes[] = {2, 1, 512, 0};
  for (size_t i = 0; i < model_count; i++) {
    sdx_session *s;
    int64_t free_dim;
    sdx_run *plain = models_plain(models[i], sizes, &free_dim, &s);
    text bytes = file_bytes(models[i]);
    for (int how = 0; how < CHANGES && plain; how++) check_change(models[i], &bytes, (change)how, s, plain, free_dim);
    text_deinit(&bytes);
    sdx_run_destroy(plain);
    sdx_session_destroy(s);
    free(models[i]);
  }
}

int main(int count, char **arguments) {
  static const char *const folders[] = {"examples", "../shared/models", "../shared/cases", NULL};
  models_find(count, arguments, folders);
  const struct CMUnitTest tests[] = {cmocka_unit_test(declarations_have_no_say)};
  return cmocka_run_group_tests(tests, NULL, NULL);
}

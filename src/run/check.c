// SPDX-License-Identifier: Apache-2.0
// Every problem of a model at once: import, binding and inference report into one list instead of
// stopping at the first.
#include <stdio.h>

#include "passes/passes.h"
#include "run/optimized.h"

typedef struct report {
  text json;
  size_t count;
} report;

// What helps, by kind of problem, where nothing more is known.
static const struct {
  const char *code, *hint;
} hints[] = {
    {"arity", "`sardonyx ops NAME --json` shows what the operator takes"},
    {"attribute-kind", "`sardonyx ops NAME --json` shows what the operator takes"},
    {"declared-shape", "what the operators say counts; the exporter, or an editor, left the declaration behind"},
    {"cycle", "nodes cannot wait for each other; what repeats is the body of a Loop or Scan"},
    {"duplicate-name", "rename one of them"},
    {"initializer", "the file is cut or damaged, or its exporter is at fault: fetch or export it again"},
    {"missing-attribute", "`sardonyx ops NAME --json` shows what the operator takes"},
    {"missing-file", "put the file there, or name its folder with the option external_data_dir"},
    {"opset", "every domain is imported once, with a version from 1 on"},
    {"type-or-shape", "Cast, Reshape and Transpose make types and shapes fit"},
    {"unknown-attribute", "`sardonyx ops NAME --json` shows what the operator takes"},
    {"unknown-operator", "an operator of your own is added with sdx_options_add_op"},
    {"unknown-value", "add what makes it; an input that is left out has an empty name"},
    {"value", "add what makes it, or drop it from the graph's inputs or outputs"},
};

static const char *usual_hint(const char *code) {
  for (size_t i = 0; i < sizeof hints / sizeof *hints; i++)
    if (strcmp(hints[i].code, code) == 0) return hints[i].hint;
  return "";
}

static void add(void *context, bool warning, const error *problem) {
  report *r = context;
  char place[ERROR_PLACE];
  error said = *problem;
  if (!*error_place(&said, place)) error_within(&said, "model");
  if (!*said.hint && said.code) error_hint(&said, "%s", usual_hint(said.code));
  text_format(&r->json, "%s\n{\"severity\":\"%s\"", r->count++ ? "," : "", warning ? "warning" : "error");
  error_json(&r->json, &said);
  text_put(&r->json, "}");
}

static void add_text(const problem_sink *sink, bool warning, sdx_status status, const char *code, str text) {
  error problem = {0};
  error_set(&problem, status, "%.*s", (int)(text.size < sizeof problem.sentence ? text.size : sizeof problem.sentence),
            text.at);
  error_code(&problem, code);
  sink->report(sink->context, warning, &problem);
}

static void check_optimized(sdx_session *s, const problem_sink *sink) {
  sdx_status status = optimized_load(s, NULL, NULL);
  if (status == SDX_OK) status = optimized_verify(s, &s->err);
  if (status == SDX_OK) return;
  error_code(&s->err, "optimized");
  sink->report(sink->context, false, &s->err);
}

static void check_model(sdx_session *s, const problem_sink *sink) {
  import_options import = session_import_options(s);
  sdx_status status = session_fetch(s);
  if (status == SDX_OK) status = onnx_import(s->bytes, s->size, &import, sink, &s->model, &s->err);
  if (!s->model) {
    error_code(&s->err, "not-readable");
    if (((report *)sink->context)->count == 0) add(sink->context, false, &s->err);
    return;
  }
  error_clear(&s->err);
  graph *g = s->model->graph;
  status = custom_bind(s);
  if (status == SDX_OK)
    status = ops_bind_graph(g, s->model->opsets, s->model->opset_count, &s->custom, sink, &s->model->warnings, &s->err);
  if (status != SDX_NO_MEMORY) {
    error_clear(&s->err);
    arena scratch;
    arena_init(&scratch, &s->account);
    status = passes_infer(g, &scratch, sink, &s->model->warnings, s->options->strict_dims, &s->err);
    arena_deinit(&scratch);
  }
  // Problems of the model went to the sink; that there was no memory to look for them did not.
  if (status == SDX_NO_MEMORY) add_text(sink, false, status, "not-finished", str_from(status_text(status)));
  for (const char *line = s->model->warnings.at; line && *line;) {
    size_t n = strcspn(line, "\n");
    add_text(sink, true, SDX_INVALID_MODEL, "warning", (str){line, n});
    line += n + (line[n] == '\n');
  }
}

static char *check(sdx_session *s, sdx_status opened) {
  report r = {0};
  problem_sink sink = {add, &r};
  text_append(&r.json, "[", 1);
  error_code(&s->err, "not-readable");
  if (opened != SDX_OK) add(&r, false, &s->err);
  else if (optimized_is(s)) check_optimized(s, &sink);
  else check_model(s, &sink);
  text_append(&r.json, "\n]\n", 3);
  sdx_session_destroy(s);
  if (!r.json.failed) return r.json.at;
  text_deinit(&r.json);
  return NULL;
}

char *sdx_check_file(const char *path, const sdx_options *options) {
  sdx_session *s = session_create(options);
  if (!s) return NULL;
  return check(s, session_open(s, path));
}

char *sdx_check_bytes(const void *bytes, size_t size, const sdx_options *options) {
  sdx_session *s = session_create(options);
  if (!s) return NULL;
  s->bytes = (void *)bytes;
  s->size = size;
  s->bytes_kind = BYTES_BORROWED;
  return check(s, SDX_OK);
}

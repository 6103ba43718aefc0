// SPDX-License-Identifier: Apache-2.0
// `sardonyx optimize`: a model after passes, with its weights packed for this machine, in one file.
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>

#include "cli/edit.h"
#include "cli/engine.h"
#include "cli/files.h"
#include "cli/locate.h"
#include "cli/table.h"

static const cli_option options[] = {
    OPTION("output", ARG_TEXT, "FILE",
           "the file to write (default: MODEL with .sdx); one that ends in .onnx is plain ONNX; - is standard output",
           .letter = 'o'),
    OPTION_FLAG("onnx", "write plain ONNX that any engine loads"),
    OPTION_FLAG("contrib", "the same, with fused operators of com.microsoft"),
    ENGINE_OPTIONS,
    OPTION_FLAG("json", "machine-readable"),
    {0},
};

static char *default_target(const char *path) {
  size_t length = strlen(path);
  if (path_has_suffix(path, ".onnx")) length -= strlen(".onnx");
  return xformat("%.*s.sdx", (int)length, path);
}

// What was written, from the session that it was written of.
static int report(const args *a, const char *path, const char *target, const sdx_session *session) {
  json_t *memory = engine_json(sdx_session_describe(session, "memory"), path);
  struct stat st;
  if (!memory || stat(target, &st)) {
    json_decref(memory);
    return cli_error(CLI_FAILED, "%s cannot be examined", target);
  }
  json_int_t packs = json_integer_value(json_object_get(memory, "packs"));
  if (args_has(a, "json")) {
    json_print(json_pack("{s:s,s:s,s:I,s:I}", "source", path, "output", target, "bytes", (json_int_t)st.st_size,
                         "packs", packs));
  } else {
    char size[32];
    printf("%s to %s: %s, %lld packed weights\n", path, target, bytes_describe((double)st.st_size, size),
           (long long)packs);
  }
  json_decref(memory);
  return CLI_OK;
}

typedef struct job {
  const args *a;
  const char *path;
  const sdx_options *engine;
  bool tell;
} job;

static int optimize(void *context, const char *target) {
  const job *j = context;
  sdx_session *session = NULL;
  sdx_status status = sdx_optimize_file(j->path, target, j->engine, &session);
  int code = status    ? engine_report_load(j->a, j->path, session, status)
             : j->tell ? report(j->a, j->path, target, session)
                       : CLI_OK;
  if (!status) engine_note_warnings(session);
  sdx_session_destroy(session);
  return code;
}

static int rewrite(edit *e) {
  const char *passes = args_has(e->a, "contrib") ? "contrib" : "standard";
  return sdx_builder_rewrite(e->builder, passes) ? edit_failed(e) : CLI_OK;
}

static int run(const args *a) {
  if (args_has(a, "onnx") || args_has(a, "contrib") || path_has_suffix(args_text(a, "output", ""), ".onnx"))
    return edit_run(a, "optimize", rewrite);
  int code;
  why w;
  const char *word = a->words[0], *output = args_text(a, "output", is_standard_stream(word) ? "-" : "");
  bool to_stdout = is_standard_stream(output);
  if (to_stdout && args_has(a, "json"))
    return cli_error(CLI_USAGE,
                     "optimize: standard output takes the model or the report; give -o FILE or leave --json");
  if (to_stdout && !output_possible(output, true, &w)) return cli_error(CLI_FAILED, "%s", w.text);
  char *name, *path = model_locate(word, &name);
  if (!path) return CLI_FAILED;
  sdx_options *engine = engine_options(a, &code);
  char *target = *output ? xstrdup(output) : default_target(path);
  bool streams = output_is_stream(target);
  job j = {a, path, engine, !streams};
  if (engine) code = streams ? output_by_file(target, "model.sdx", optimize, &j) : optimize(&j, target);
  sdx_options_destroy(engine);
  free(target);
  free(path);
  free(name);
  return code;
}

CLI_COMMAND(optimize) = {
    "optimize",
    "Prepare a model for this machine, so that it loads at once",
    "MODEL [-o FILE]",
    "The file holds the graph after passes, its weights, and their packed forms for the declared shapes (free "
    "dimensions\n"
    "count as 1; fix them with --dim). It is loaded like any model, by mapping it: no passes, no packing, no copies, "
    "the\n"
    "same results. It serves this version of sardonyx on machines with the same kernels; others refuse it and say "
    "why.\n"
    "'sardonyx check FILE' also compares its weights with their hashes. To let every load keep such files by itself:\n"
    "--option cache_dir=FOLDER.\n"
    "Plain ONNX holds the graph after the passes that any engine gains by, in standard operators (--contrib: those of\n"
    "com.microsoft as well); ONNX Runtime, OpenVINO and others load it.\n\n"
    "Examples:\n"
    "  sardonyx optimize model.onnx                 # model.sdx\n"
    "  sardonyx optimize model.onnx -o fast.sdx --dim batch=8\n"
    "  sardonyx optimize model.onnx -o plain.onnx   # for other engines\n"
    "  sardonyx run fast.sdx --random\n",
    options,
    1,
    1,
    run,
};

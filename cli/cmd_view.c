// SPDX-License-Identifier: Apache-2.0
// `sardonyx view`: the model's graph as a page or a picture (view/view.h). The command loads and writes; what is told
// and how it is drawn lies there.
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "cli/engine.h"
#include "cli/files.h"
#include "cli/foreign.h"
#include "view/view.h"

static const cli_option options[] = {
    OPTION("output", ARG_TEXT, "FILE", "where the page goes; '-' is standard output. Without it a browser opens it",
           .letter = 'o'),
    OPTION("diff", ARG_TEXT, "MODEL", "show another model beside it, and what differs"),
    OPTION("passes", ARG_TEXT, "WHEN",
           "the graph 'before' the passes, as the file has it (default), 'after', or 'both'"),
    OPTION("profile", ARG_TEXT, "FILE", "colour nodes by time, from what `sardonyx run --profile` wrote"),
    OPTION("weights", ARG_NUMBER, "MB", "weights that the page carries for download, the smallest first (default 4)",
           .max = 1e6),
    OPTION_FLAG("svg", "the main graph as a picture"),
    OPTION_FLAG("png", "the same as PNG; needs rsvg-convert"),
    ENGINE_OPTIONS,
    {0},
};

static int report(const fault *f, const char *place) {
  cli_error(CLI_FAILED, "%s%s%s", place, *place ? ": " : "", f->message);
  if (*f->hint) cli_hint("%s", f->hint);
  return CLI_FAILED;
}

// ---- what is shown ----------------------------------------------------------------------------------

static sdx_status add_times(const args *a, json_t *model, fault *f) {
  why w;
  size_t size;
  const char *path = args_text(a, "profile", NULL);
  char *text = path ? file_read(path, &size, &w) : NULL;
  if (!path) return SDX_OK;
  if (!text) return fault_set(f, SDX_NOT_FOUND, "%s", w.text);
  json_error_t error;
  json_t *trace = json_loadb(text, size, JSON_ALLOW_NUL, &error);
  free(text);
  if (!trace) return fault_set(f, SDX_INVALID_ARGUMENT, "%s: no JSON: line %d: %s", path, error.line, error.text);
  sdx_status status = view_add_times(model, trace, f);
  if (status) fault_place(f, "%s", path);
  json_decref(trace);
  return status;
}

static json_t *load(const args *a, const char *path, bool after, int *code) {
  fault f = {0};
  const char *slash = strrchr(path, '/'), *name = slash && slash[1] ? slash + 1 : path;
  sdx_session *session = after ? engine_load(a, path, code) : engine_read(a, path, code);
  if (!session) return NULL;
  char *title = xformat("%s%s", name, after ? " (after passes)" : "");
  json_t *model = view_model(session, title, (size_t)(args_number(a, "weights", VIEW_WEIGHT_BYTES / 1e6) * 1e6), &f);
  sdx_session_destroy(session);
  free(title);
  if (model && add_times(a, model, &f) == SDX_OK) return model;
  json_decref(model);
  *code = report(&f, path);
  return NULL;
}

static json_t *make_document(const args *a, int *code) {
  const char *when = args_text(a, "passes", "before"), *second = args_text(a, "diff", NULL);
  bool both = !strcmp(when, "both"), after = !strcmp(when, "after");
  fault f = {0};
  if (!both && !after && strcmp(when, "before") != 0)
    *code = cli_error(CLI_USAGE, "--passes: '%s' is none of before, after, both", when);
  else if (both && second) *code = cli_error(CLI_USAGE, "--passes both and --diff: a page shows two graphs, not four");
  if (*code) return NULL;
  json_t *model = load(a, a->words[0], after, code), *other = NULL;
  if (model && both) other = load(a, a->words[0], true, code);
  else if (model && second) other = load(a, second, after, code);
  if (!model || *code) {
    json_decref(model);
    return NULL;
  }
  json_t *document = view_document(model, other, &f);
  if (!document) *code = report(&f, a->words[0]);
  return document;
}

// ---- where it goes ----------------------------------------------------------------------------------

static bool put(void *context, const char *bytes, size_t size) { return fwrite(bytes, 1, size, context) == size; }

static sdx_status render(const args *a, const json_t *document, char **bytes, size_t *size, fault *f) {
  if (args_has(a, "png")) return view_png(document, bytes, size, f);
  FILE *memory = open_memstream(bytes, size);
  if (!memory) return fault_no_memory(f);
  view_sink sink = {put, memory};
  sdx_status status = args_has(a, "svg") ? view_svg(document, &sink, f) : view_page(document, &sink, f);
  return fclose(memory) ? fault_no_memory(f) : status;
}

// A page of its own name among the temporary files, and a browser for it.
static int open_in_browser(const char *bytes, size_t size) {
  const char *folder = getenv("TMPDIR");
  char *path = xformat("%s/sardonyx-view-XXXXXX.html", folder && *folder ? folder : "/tmp");
  int fd = mkstemps(path, 5);
  FILE *file = fd < 0 ? NULL : fdopen(fd, "w");
  bool good = file && fwrite(bytes, 1, size, file) == size;
  if (file) good = !fclose(file) && good;
  int code = good ? CLI_OK : cli_error(CLI_FAILED, "%s: the page could not be written", path);
  char *const command[] = {"xdg-open", path, NULL};
  extern char **environ;
  pid_t pid;
  bool screen = getenv("DISPLAY") || getenv("WAYLAND_DISPLAY");
  if (good) printf("%s\n", path);
  if (good && (!screen || posix_spawnp(&pid, "xdg-open", NULL, NULL, command, environ)))
    cli_note("no browser could be opened from here; -o FILE names the page");
  free(path);
  return code;
}

static int deliver(const args *a, const json_t *document) {
  why w;
  fault f = {0};
  char *bytes = NULL, *name = NULL;
  size_t size = 0;
  bool picture = args_has(a, "png") || args_has(a, "svg");
  const char *path = args_text(a, "output", NULL);
  int code = render(a, document, &bytes, &size, &f) ? report(&f, a->words[0]) : CLI_OK;
  if (!code && !path && picture) {
    char *onnx = foreign_output_name(a->words[0]), *slash = strrchr(onnx, '/');
    path = name = xformat("%.*s%s", (int)strlen(slash ? slash + 1 : onnx) - 5, slash ? slash + 1 : onnx,
                          args_has(a, "png") ? ".png" : ".svg");
    free(onnx);
  }
  if (!code && !path) code = open_in_browser(bytes, size);
  else if (!code && !file_write(path, args_has(a, "png"), bytes, size, &w)) code = cli_error(CLI_FAILED, "%s", w.text);
  free(bytes);
  free(name);
  return code;
}

static int run(const args *a) {
  why w;
  int code = CLI_OK;
  const char *path = args_text(a, "output", NULL);
  if (args_has(a, "png") && args_has(a, "svg")) return cli_error(CLI_USAGE, "--png and --svg: one picture at a time");
  if (path && !output_possible(path, args_has(a, "png"), &w)) return cli_error(CLI_USAGE, "%s", w.text);
  json_t *document = make_document(a, &code);
  if (!document) return code;
  code = deliver(a, document);
  json_decref(document);
  return code;
}

CLI_COMMAND(view) = {
    "view",
    "Show a model's graph in a browser, or draw it",
    "MODEL [-o FILE] [--diff MODEL] [--passes before|after|both] [--profile FILE] [--svg|--png]",
    "One page that needs nothing beside itself: search, folding, details of nodes, weights with histograms, bodies "
    "and\n"
    "functions, paths, in six languages. A model is shown even where it could not be run.\n\n"
    "Examples:\n"
    "  sardonyx view model.onnx\n"
    "  sardonyx view model.tflite -o model.html\n"
    "  sardonyx view old.onnx --diff new.onnx -o changes.html\n"
    "  sardonyx view model.onnx --passes both -o passes.html\n"
    "  sardonyx run model.onnx --random --profile trace.json && sardonyx view model.onnx --profile trace.json\n"
    "  sardonyx view model.onnx --svg -o model.svg\n",
    options,
    1,
    1,
    run,
};

// SPDX-License-Identifier: Apache-2.0
// Conversion on the fly (foreign.h).
#include "cli/foreign.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/host.h"
#include "cli/locate.h"
#include "cli/table.h"
#include "sardonyx/sardonyx.h"
#include "server/model_name.h"

enum { PATIENCE_MS = 700, STEP_MS = 200 };

void foreign_report_progress(void *context, const char *what, uint64_t done, uint64_t total) {
  foreign_progress *p = context;
  uint64_t now = clock_ns();
  if (!p->started_ns) p->started_ns = now;
  if (!isatty(STDERR_FILENO) || now - p->started_ns < PATIENCE_MS * 1000000u) return;
  if (now - p->shown_ns < STEP_MS * 1000000u && done != total) return;
  p->shown_ns = now;
  p->shown = true;
  fprintf(stderr, "\r%s %3.0f %%", what, total ? 100.0 * (double)done / (double)total : 0);
}

void foreign_end_progress(foreign_progress *p) {
  if (p->shown) fprintf(stderr, "\r%*s\r", 40, "");
}

void foreign_print_problems(const char *path, const convert_report *r, const fault *f) {
  if (r->problem_count == 0) {
    cli_error(CLI_FAILED, "%s", f->message);
    if (*f->hint) cli_hint("%s", f->hint);
  }
  if (r->problem_count > 1) cli_error(CLI_FAILED, "%s: %zu problems", path, r->problem_count);
  for (size_t i = 0; i < r->problem_count; i++) {
    const convert_problem *p = &r->problems[i];
    cli_error(CLI_FAILED, "%s%s%s", p->place, *p->place ? ": " : "", p->message);
    if (*p->hint) cli_hint("%s", p->hint);
  }
}

void foreign_print_notes(const convert_report *r) {
  for (size_t i = 0; i < r->note_count; i++) cli_note("%s", r->notes[i]);
}

char *foreign_output_name(const char *path) {
  size_t size = strlen(path);
  while (size > 1 && path[size - 1] == '/') size--;
  const char *slash = memrchr(path, '/', size), *name = slash ? slash + 1 : path;
  const char *dot = memrchr(name, '.', size - (size_t)(name - path));
  if (dot && dot != name) size = (size_t)(dot - path);
  return xformat("%.*s.onnx", (int)size, path);
}

static void append_problems(json_t *to, const convert_report *r, const fault *f) {
  for (size_t i = 0; i < r->problem_count; i++) {
    const convert_problem *p = &r->problems[i];
    json_array_append_new(
        to, json_pack("{s:s,s:s,s:s,s:s,s:s}", "severity", "error", "code", sdx_status_name(p->status), "place",
                      p->place, "message", p->message, "hint", p->hint));
  }
  if (r->problem_count == 0)
    json_array_append_new(
        to, json_pack("{s:s,s:s,s:s,s:s,s:s}", "severity", "error", "code", sdx_status_name(f->status), "place", "",
                      "message", f->message, "hint", f->hint));
}

char *foreign_to_onnx(const char *path, json_t *problems) {
  convert_report report;
  fault f = {0};
  foreign_progress progress = {0};
  convert_options options = {.progress = foreign_report_progress, .context = &progress};
  char *onnx = convert_for_use(path, &options, &report, &f);
  foreign_end_progress(&progress);
  if (!onnx && problems) append_problems(problems, &report, &f);
  else if (!onnx) foreign_print_problems(path, &report, &f);
  else foreign_print_notes(&report);
  convert_report_free(&report);
  return onnx;
}

// A model that was converted is called after what it was converted from.
static char *find(const char *path, char **name) {
  char *onnx = foreign_to_onnx(path, NULL);
  if (onnx && strcmp(onnx, path)) {
    char *file = foreign_output_name(path);
    *name = xmalloc(MODEL_NAME_BYTES);
    model_name_from_path(file, *name);
    free(file);
  }
  return onnx;
}

MODEL_SCHEME(foreign) = {"", find};

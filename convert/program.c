// SPDX-License-Identifier: Apache-2.0
// Programs for other sources (program.h).
#include "convert/program.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "support/embedded.h"
#include "support/process.h"

enum { PATIENCE_MS = 30 * 60 * 1000 };
static const size_t most_bytes = INT32_MAX;  // what one protobuf message can have

static const char *text_of(const char *program) {
  const embedded_file *f = embedded_converters;
  while (f->name && strcmp(f->name, program) != 0) f++;
  return f->bytes;
}

// "kind: text" lines of what it said, the last of each kind but notes, which are all told.
static void hear(conversion *c, char *said, const char **error, const char **hint) {
  for (char *line = said, *next; line; line = next) {
    next = strchr(line, '\n');
    if (next) *next++ = 0;
    if (!strncmp(line, "error: ", 7)) *error = line + 7;
    if (!strncmp(line, "hint: ", 6)) *hint = line + 6;
    if (!strncmp(line, "note: ", 6)) convert_note(c, "%s", line + 6);
  }
}

static sdx_status run(conversion *c, const char *python, const char *path, process_output *o) {
  char opset[24];
  snprintf(opset, sizeof opset, "%lld", (long long)c->options->opset);
  const char *slash = strrchr(path, '/');
  const char *const arguments[] = {python,
                                   "-c",
                                   text_of(c->report->format->program),
                                   path,
                                   opset,
                                   "source.file",
                                   slash ? slash + 1 : path,
                                   "source.digest",
                                   c->source->digest,
                                   NULL};
  static const char *const everything[] = {"/", NULL};
  const sandbox box = {.read = everything, .run = everything, .processes = true};
  const program p = {.arguments = arguments, .box = &box};
  return process_run(p, NULL, 0, most_bytes, PATIENCE_MS, o, c->f);
}

sdx_status program_convert(conversion *c, const char *path, char **model, size_t *size) {
  process_output o = {0};
  const char *python = c->options->python ? c->options->python : "python3";
  const char *error = NULL, *hint = NULL;
  char *found = program_find(python);
  if (!found)
    return convert_fail(c, SDX_NOT_FOUND, python, "--python names the Python that has the framework",
                        "it is not in the folders of PATH");
  SDX_TRY(source_hash(c->source, c->f));
  sdx_status status = run(c, found, path, &o);
  free(found);
  if (status) return status;
  hear(c, o.err, &error, &hint);
  if (o.late || o.excess) error = o.late ? "it took longer than half an hour" : "the model is larger than 2 GB";
  if (o.code != 0 || error || !o.out_size)
    status = convert_fail(c, SDX_NOT_SUPPORTED, path, hint, "%s", error ? error : "its Python ended without a word");
  if (!status) {
    *model = o.out;
    *size = o.out_size;
    o.out = NULL;
  }
  process_output_free(&o);
  return status;
}

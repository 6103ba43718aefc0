// SPDX-License-Identifier: Apache-2.0
// Programs for other sources (program.h).
#include "convert/program.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "support/embedded.h"
#include "support/files.h"

enum { PATIENCE_MS = 30 * 60 * 1000, MOST_WORDS = 12 };
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

extern char **environ;

// What this process has, and where temporary files go. NULL: no memory.
static const char **environment_with(char *temporary, char *variable, size_t size) {
  size_t count = 0;
  while (environ[count]) count++;
  const char **all = malloc((count + 2) * sizeof *all);
  snprintf(variable, size, "TMPDIR=%s", temporary);
  if (!all) return NULL;
  all[0] = variable;
  memcpy(all + 1, environ, (count + 1) * sizeof *all);
  return all;
}

sdx_status program_run(const char *python, const char *text, const char *const *arguments, const void *input,
                       size_t size, process_output *o, fault *f) {
  static const char *const everything[] = {"/", NULL};
  char temporary[] = "/tmp/sardonyx-convert-XXXXXX", variable[sizeof temporary + sizeof "TMPDIR="];
  const char *const writable[] = {temporary, NULL};
  const sandbox box = {.read = everything, .run = everything, .write = writable, .processes = true};
  char *found = program_find(python ? python : "python3");
  const char *words[MOST_WORDS + 1] = {found, "-c", text};
  for (size_t i = 3; i < MOST_WORDS && *arguments; i++) words[i] = *arguments++;
  if (!found) {
    fault_set(f, SDX_NOT_FOUND, "no program '%s' is in the folders of PATH", python ? python : "python3");
    fault_hint(f, "--python names the Python that has the framework");
    return f->status;
  }
  const char **environment = mkdtemp(temporary) ? environment_with(temporary, variable, sizeof variable) : NULL;
  program p = {.arguments = words, .environment = environment, .box = &box};
  if (!environment) {
    fault_set(f, SDX_NO_MEMORY, "%s cannot be made", temporary);
  } else if (!process_run(p, input, size, most_bytes, PATIENCE_MS, o, f)) {
    if (o->late) fault_set(f, SDX_DEADLINE_EXCEEDED, "it took longer than half an hour");
    if (o->excess) fault_set(f, SDX_LIMIT_EXCEEDED, "what it gives is larger than 2 GB");
  }
  tree_remove(AT_FDCWD, temporary, &(fault){0});
  free(environment);
  free(found);
  return f->status;
}

sdx_status program_convert(conversion *c, const char *path, char **model, size_t *size) {
  process_output o = {0};
  const char *error = NULL, *hint = NULL, *slash = strrchr(path, '/');
  char opset[24];
  snprintf(opset, sizeof opset, "%lld", (long long)c->options->opset);
  SDX_TRY(source_hash(c->source, c->f));
  const convert_options *given = c->options;
  const char *arguments[MOST_WORDS] = {path, opset};
  size_t count = 2;
  if (c->report->format->takes_shape) {
    arguments[count++] = given->shape ? given->shape : "";
    arguments[count++] = given->class_name ? given->class_name : "";
  }
  const char *const metadata[] = {"source.file", slash ? slash + 1 : path, "source.digest", c->source->digest, NULL};
  memcpy(arguments + count, metadata, sizeof metadata);
  fault f = {0};
  sdx_status status = program_run(c->options->python, text_of(c->report->format->program), arguments, NULL, 0, &o, &f);
  if (status) {
    convert_fail(c, status, path, *f.hint ? f.hint : NULL, "%s", f.message);
  } else {
    hear(c, o.err, &error, &hint);
    if (o.code != 0 || error || !o.out_size)
      status = convert_fail(c, SDX_NOT_SUPPORTED, path, hint, "%s", error ? error : "its Python ended without a word");
  }
  if (!status) {
    *model = o.out;
    *size = o.out_size;
    o.out = NULL;
  }
  process_output_free(&o);
  return status;
}

// SPDX-License-Identifier: Apache-2.0
// Collecting the server's program with its libraries (runtime.h). The loader itself is asked which files it would take.
#include "deploy/runtime.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "support/files.h"
#include "support/process.h"

enum { LIST_BYTES = 1 << 20, LIST_MS = 10000 };

static char *find_program(const char *command, fault *f) {
  static const char *const beside[] = {"sardonyx-runtime", "../libexec/sardonyx/sardonyx-runtime"};
  const char *given = getenv("SARDONYX_RUNTIME"), *slash = strrchr(command, '/');
  char *path = given ? strdup(given) : NULL;
  for (size_t i = 0; i < 2 && !given && (!path || access(path, X_OK)); i++) {
    free(path);
    path = path_format("%.*s%s", slash ? (int)(slash - command + 1) : 0, command, beside[i]);
  }
  if (!path) {
    fault_no_memory(f);
  } else if (access(path, X_OK)) {
    fault_set(f, SDX_NOT_FOUND, "the program that images run is not there: %s", path);
    fault_hint(f, "'make install' puts it into libexec/sardonyx; SARDONYX_RUNTIME names another");
    free(path);
    path = NULL;
  }
  return path;
}

static const char *base_name(const char *path) {
  const char *slash = strrchr(path, '/');
  return slash ? slash + 1 : path;
}

static sdx_status add_library(layer *l, const char *from, fault *f) {
  char *path = path_format("opt/sardonyx/lib/%s", base_name(from));
  if (!path) return fault_no_memory(f);
  layer_add_file(l, path, 0755, from, f);
  free(path);
  return f->status;
}

// "\tlibz.so.1 => /lib/x86_64-linux-gnu/libz.so.1 (0x...)"; the kernel's own has no path.
static sdx_status add_line(layer *l, char *line, const char *program, fault *f) {
  char *arrow = strstr(line, " => "), *address = strstr(line, " (0x");
  if (!arrow) return SDX_OK;
  if (!address)
    return fault_set(f, SDX_NOT_FOUND, "%s needs %.*s, which is not there", program, (int)(arrow - line - 1), line + 1);
  *address = 0;
  return arrow[4] == '/' ? add_library(l, arrow + 4, f) : SDX_OK;
}

sdx_status runtime_add(layer *l, const char *command, fault *f) {
  const char *const *loader = sandbox_system_run;
  while (*loader && access(*loader, X_OK)) loader++;
  char *program = find_program(command, f);
  if (!program) return f->status;
  process_output o = {0};
  const char *arguments[] = {*loader, "--list", program, NULL};
  if (!*loader) fault_set(f, SDX_NOT_SUPPORTED, "the loader of this machine's programs is not known here");
  else if (!process_run((struct program){.arguments = arguments, .pass = -1}, NULL, 0, LIST_BYTES, LIST_MS, &o, f) &&
           o.code)
    fault_set(f, SDX_INTERNAL, "%s: %.300s", program, o.err);
  char *rest = o.out;
  while (!f->status && rest && *rest) {
    char *line = strsep(&rest, "\n");
    add_line(l, line, program, f);
  }
  if (!f->status && !add_library(l, *loader, f)) layer_add_file(l, &RUNTIME_PROGRAM[1], 0755, program, f);
  process_output_free(&o);
  free(program);
  return f->status;
}

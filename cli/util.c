// SPDX-License-Identifier: Apache-2.0
// Small things every sub-command needs: messages, bookkeeping memory.
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "cli/cli.h"
#include "cli/table.h"

static void say(const char *prefix, ink colour, const char *format, va_list list) {
  fflush(stdout);
  fprintf(stderr, "%s%s%s", ink_on(stderr, colour), prefix, ink_off(stderr));
  vfprintf(stderr, format, list);
  fputc('\n', stderr);
}

int cli_error(int code, const char *format, ...) {
  va_list list;
  va_start(list, format);
  say("sardonyx: error: ", INK_RED, format, list);
  va_end(list);
  return code;
}

void cli_hint(const char *format, ...) {
  va_list list;
  va_start(list, format);
  say("  hint: ", INK_GREEN, format, list);
  va_end(list);
}

void cli_note(const char *format, ...) {
  va_list list;
  va_start(list, format);
  say("sardonyx: note: ", INK_DIM, format, list);
  va_end(list);
}

void *xrealloc(void *old, size_t bytes) {
  void *memory = realloc(old, bytes ? bytes : 1);
  if (memory) return memory;
  fputs("sardonyx: error: out of memory\n", stderr);
  exit(CLI_FAILED);
}

void *xmalloc(size_t bytes) { return memset(xrealloc(NULL, bytes), 0, bytes); }

char *xstrdup(const char *text) {
  size_t size = strlen(text) + 1;
  return memcpy(xmalloc(size), text, size);
}

char *xformat_list(const char *format, va_list list) {
  va_list again;
  va_copy(again, list);
  size_t size = (size_t)vsnprintf(NULL, 0, format, list) + 1;
  char *text = xmalloc(size);
  vsnprintf(text, size, format, again);
  va_end(again);
  return text;
}

char *xformat(const char *format, ...) {
  va_list list;
  va_start(list, format);
  char *text = xformat_list(format, list);
  va_end(list);
  return text;
}

void *why_set(why *w, const char *format, ...) {
  va_list list;
  va_start(list, format);
  vsnprintf(w->text, sizeof w->text, format, list);
  va_end(list);
  return NULL;
}

bool path_has_suffix(const char *path, const char *suffix) {
  size_t n = strlen(path), m = strlen(suffix);
  return n >= m && !strcasecmp(path + n - m, suffix);
}

// SPDX-License-Identifier: Apache-2.0
// Small things every sub-command needs: messages, bookkeeping memory, whole files, nearest names.
#include <ctype.h>
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/stat.h>

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

// ---- nearest name ----------------------------------------------------------------------------

// Edits (insert, delete, replace, swap of neighbours) between two words; case costs nothing.
static size_t edits(const char *a, const char *b) {
  enum { LONGEST = 63 };
  size_t rows[3][LONGEST + 1], n = strlen(a), m = strlen(b);
  if (n > LONGEST || m > LONGEST) return SIZE_MAX;
  for (size_t j = 0; j <= m; j++) rows[0][j] = j;
  for (size_t i = 1; i <= n; i++) {
    size_t *row = rows[i % 3], *up = rows[(i + 2) % 3], *up2 = rows[(i + 1) % 3];
    row[0] = i;
    for (size_t j = 1; j <= m; j++) {
      int ca = tolower((unsigned char)a[i - 1]), cb = tolower((unsigned char)b[j - 1]);
      size_t best = up[j - 1] + (ca != cb);
      if (up[j] + 1 < best) best = up[j] + 1;
      if (row[j - 1] + 1 < best) best = row[j - 1] + 1;
      if (i > 1 && j > 1 && ca == tolower((unsigned char)b[j - 2]) && cb == tolower((unsigned char)a[i - 2]) &&
          up2[j - 2] + 1 < best)
        best = up2[j - 2] + 1;
      row[j] = best;
    }
  }
  return rows[n % 3][m];
}

const char *name_closest(const char *wrong, const char *const *names, size_t count) {
  size_t length = strlen(wrong), limit = length < 3 ? 1 : length < 6 ? 2 : 3, best = limit + 1;
  const char *found = NULL;
  for (size_t i = 0; i < count; i++) {
    size_t distance = edits(wrong, names[i]);
    // A beginning that is long enough is meant too: "thr" for "threads".
    if (distance > limit && length >= 3 && !strncasecmp(wrong, names[i], length)) distance = limit;
    if (distance < best) {
      best = distance;
      found = names[i];
    }
  }
  return found;
}

// ---- files -----------------------------------------------------------------------------------

void *why_set(why *w, const char *format, ...) {
  va_list list;
  va_start(list, format);
  vsnprintf(w->text, sizeof w->text, format, list);
  va_end(list);
  return NULL;
}

char *file_read(const char *path, size_t *size, why *w) {
  bool from_stdin = !strcmp(path, "-");
  struct stat info;
  if (!from_stdin && !stat(path, &info) && S_ISDIR(info.st_mode))
    return why_set(w, "%s is a folder, expected a file", path);
  FILE *file = from_stdin ? stdin : fopen(path, "rb");
  if (!file) return why_set(w, "cannot open %s: %s", path, strerror(errno));
  size_t capacity = !from_stdin && !fstat(fileno(file), &info) && info.st_size > 0 ? (size_t)info.st_size + 1 : 65536;
  char *bytes = malloc(capacity);
  *size = 0;
  while (bytes) {
    size_t got = fread(bytes + *size, 1, capacity - *size, file);
    *size += got;
    if (*size < capacity) break;
    char *more = capacity > SIZE_MAX / 2 ? NULL : realloc(bytes, capacity *= 2);
    if (!more) free(bytes);
    bytes = more;
  }
  if (!bytes) {
    why_set(w, "%s: not enough memory to read it", path);
  } else if (ferror(file)) {
    why_set(w, "cannot read %s: %s", path, strerror(errno));
    free(bytes);
    bytes = NULL;
  } else {
    bytes[*size] = 0;  // there is room: the loop ends below capacity
  }
  if (!from_stdin) fclose(file);
  return bytes;
}

bool file_write(const char *path, const void *bytes, size_t size, why *w) {
  FILE *file = fopen(path, "wb");
  bool ok = file && fwrite(bytes, 1, size, file) == size;
  int failure = errno;
  if (file && fclose(file) && ok) {
    failure = errno;
    ok = false;
  }
  if (!ok) why_set(w, "cannot write %s: %s", path, strerror(failure));
  return ok;
}

bool path_has_suffix(const char *path, const char *suffix) {
  size_t n = strlen(path), m = strlen(suffix);
  return n >= m && !strcasecmp(path + n - m, suffix);
}

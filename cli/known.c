// SPDX-License-Identifier: Apache-2.0
// See known.h. Braces are written out while reading, so finding is a comparison of ends.
#include "cli/known.h"

#include <stdlib.h>
#include <string.h>

#include "cli/files.h"

static void add(known_list *list, char *pattern, const char *reason) {
  char *open = strchr(pattern, '{'), *close = open ? strchr(open, '}') : NULL;
  if (!close) {
    list->at = xrealloc(list->at, (list->count + 1) * sizeof *list->at);
    list->at[list->count++] = (known_set){pattern, xstrdup(reason)};
    return;
  }
  for (char *word = open + 1; word <= close;) {
    size_t length = strcspn(word, ",}");
    add(list, xformat("%.*s%.*s%s", (int)(open - pattern), pattern, (int)length, word, close + 1), reason);
    word += length + 1;
  }
  free(pattern);
}

bool known_list_read(known_list *list, const char *path, why *w) {
  size_t size;
  char *text = file_read(path, &size, w);
  if (!text) return false;
  char *rest = NULL;
  for (char *line = strtok_r(text, "\n", &rest); line; line = strtok_r(NULL, "\n", &rest)) {
    size_t length = strcspn(line, " \t");
    if (length && *line != '#')
      add(list, xformat("%.*s", (int)length, line), line + length + strspn(line + length, " \t"));
  }
  free(text);
  return true;
}

void known_list_free(known_list *list) {
  for (size_t i = 0; i < list->count; i++) {
    free(list->at[i].pattern);
    free(list->at[i].reason);
  }
  free(list->at);
}

static bool matches(const char *pattern, const char *path) {
  size_t n = strlen(pattern), length = strlen(path);
  return n <= length && !strcmp(path + length - n, pattern) && (n == length || path[length - n - 1] == '/');
}

const char *known_list_find(const known_list *list, const char *model, const char *set) {
  const char *slash = strrchr(model, '/'), *found = NULL;
  char *one = xformat("%s:%s", model, set), *folder = xformat("%.*s", slash ? (int)(slash - model) : 0, model);
  for (size_t i = 0; i < list->count && !found; i++) {
    const char *pattern = list->at[i].pattern;
    if (matches(pattern, model) || matches(pattern, one) || matches(pattern, folder)) found = list->at[i].reason;
  }
  free(one);
  free(folder);
  return found;
}

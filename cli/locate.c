// SPDX-License-Identifier: Apache-2.0
// From the word for a model to its path (locate.h).
#include "cli/locate.h"

#include <stdlib.h>
#include <string.h>

#include "cli/cli.h"
#include "cli/files.h"

char *model_locate(const char *word, char **name) {
  *name = NULL;
  const model_scheme *best = NULL;
  for (const model_scheme *const *s = model_schemes; *s; s++) {
    size_t length = strlen((*s)->prefix);
    if (!strncmp(word, (*s)->prefix, length) && (!best || length > strlen(best->prefix))) best = *s;
  }
  why w;
  char *path = best && *best->prefix ? xstrdup(word) : file_reopenable(word, &w), *found = NULL;
  if (!path) cli_error(CLI_FAILED, "%s", w.text);
  else found = best ? best->find(path, name) : xstrdup(path);
  free(path);
  return found;
}

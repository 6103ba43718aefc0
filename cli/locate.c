// SPDX-License-Identifier: Apache-2.0
// From the word for a model to its path (locate.h).
#include "cli/locate.h"

#include <string.h>

#include "cli/cli.h"

char *model_locate(const char *word, char **name) {
  *name = NULL;
  const model_scheme *best = NULL;
  for (const model_scheme *const *s = model_schemes; *s; s++) {
    size_t length = strlen((*s)->prefix);
    if (!strncmp(word, (*s)->prefix, length) && (!best || length > strlen(best->prefix))) best = *s;
  }
  return best ? best->find(word, name) : xstrdup(word);
}

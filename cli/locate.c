// SPDX-License-Identifier: Apache-2.0
// From the word for a model to its path (locate.h).
#include "cli/locate.h"

#include <string.h>

#include "cli/cli.h"

char *model_locate(const char *word, char **name) {
  *name = NULL;
  for (const model_scheme *const *s = model_schemes; *s; s++)
    if (!strncmp(word, (*s)->prefix, strlen((*s)->prefix))) return (*s)->find(word, name);
  return xstrdup(word);
}

// SPDX-License-Identifier: Apache-2.0
// Labels of a file (labels.h); how they are spelt: server/labels.c.
#include "cli/labels.h"

#include <stdlib.h>

#include "cli/files.h"

bool labels_load(class_labels *l, const char *path, why *w) {
  size_t size = 0;
  *l = (class_labels){0};
  char *bytes = file_read(path, &size, w);
  if (!bytes) return false;
  labels_read(l, bytes, "\n");
  free(bytes);
  return l->count || why_set(w, "%s: no labels in it; expected a line for each class, or JSON", path);
}

// SPDX-License-Identifier: Apache-2.0
// What the classes of a model are called: from a file of the operator, else from the model's own metadata.
#pragma once

#include <stddef.h>

#include "sardonyx/sardonyx.h"

typedef struct class_labels {
  char **at;  // by class; NULL for one without a name
  size_t count, capacity;
} class_labels;

// A JSON list, an object {"0": "cat"} or {"cat": 0}, Python's spelling of these, or names between `separators`. What
// memory is lacking for has no name.
void labels_read(class_labels *l, const char *text, const char *separators);
void labels_of_session(class_labels *l, const sdx_session *session);  // none: l stays empty
const char *labels_get(const class_labels *l, size_t index);          // NULL: none
void labels_free(class_labels *l);

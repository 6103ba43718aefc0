// SPDX-License-Identifier: Apache-2.0
// What the classes of a model are called: from a file of the user, else from the model's own metadata.
#pragma once

#include "cli/cli.h"
#include "sardonyx/sardonyx.h"

typedef struct labels {
  char **at;  // by class; NULL for one without a name
  size_t count;
} labels;

// A line each, a JSON list, or an object {"0": "cat"} or {"cat": 0}. `path` NULL: what the metadata says, if anything.
bool labels_load(labels *l, const char *path, const sdx_session *session, why *w);
const char *labels_get(const labels *l, size_t index);  // NULL: none
void labels_free(labels *l);

// SPDX-License-Identifier: Apache-2.0
// Reference sets whose stored numbers are known to be wrong: a text file with a pattern and the evidence on each line.
#pragma once

#include "cli/cli.h"

typedef struct known_set {
  char *pattern, *reason;
} known_set;

typedef struct known_list {
  known_set *at;
  size_t count;
} known_list;

// Appends the lines of a file. A pattern names a model MODEL or one of its sets MODEL:SET by the end of the path, or
// the folder of the model the same way; {a,b} stands for each of its words.
bool known_list_read(known_list *list, const char *path, why *w);
void known_list_free(known_list *list);
// The evidence against a set ("path/model.onnx", "test_data_set_0"), or NULL.
const char *known_list_find(const known_list *list, const char *model, const char *set);

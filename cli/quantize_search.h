// SPDX-License-Identifier: Apache-2.0
// Static quantisation as a command does it: calibrate, compare, leave more in float, compare again.
#pragma once

#include "cli/edit.h"
#include "cli/engine.h"
#include "quantize/quantize.h"

// Nodes, by name, and operators that stay in float.
typedef struct keep_list {
  char **words;
  size_t count;
} keep_list;
void keep_list_add(keep_list *k, const char *word);
void keep_list_words(keep_list *k, const char *list);  // separated by commas
bool keep_list_has(void *context, const char *op, const char *name);
int keep_list_check(const edit *e, const keep_list *k);  // an exit code, after printing what is not there
void keep_list_free(keep_list *k);

// The model as quantisation wants it: shrunk, of an opset not older than `least`, every node with a name, those of
// `kept` among them. CLI_OK, or a code after printing.
int quantize_prepare(edit *e, int64_t least, const keep_list *kept);
int quantize_search(edit *e, quantize_options *o, keep_list *kept);

// SPDX-License-Identifier: Apache-2.0
// Models that are named otherwise than by a path: oci://HOST/REPOSITORY[:TAG], registry:NAME[:VERSION]. Each way is one
// MODEL_SCHEME record, found by scanning; the longest prefix counts. The program of images has none.
#pragma once

#include <stdbool.h>

typedef struct model_scheme {
  const char *prefix;  // "oci://"; "" for whatever has no other
  // The path of the model; *name: what it is called. Both malloc'ed. NULL after printing.
  char *(*find)(const char *text, char **name);
} model_scheme;

#define MODEL_SCHEME(id) const model_scheme model_scheme_##id

extern const model_scheme *const model_schemes[];  // generated, ends with NULL

// The path of a MODEL, and its name where the word says one (else NULL); xmalloc'ed. NULL after printing.
char *model_locate(const char *word, char **name);

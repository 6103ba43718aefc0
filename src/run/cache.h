// SPDX-License-Identifier: Apache-2.0
// The option cache_dir: a folder of optimized models (optimized.h), one for each model, options that a graph depends
// on, kernels and version. An entry is found by the beginning and end of the model, and taken when the hash of all of
// it, keyed by a number drawn for that entry, agrees: a model made to be taken for another one would have to know it.
// What does not agree, or cannot be written, costs one line among the warnings. Once a new
// entry makes them more than cache_limit_bytes together, those go that were not used for longest; an entry's time of
// change says when that was. Any number of processes may find, keep and remove: entries appear whole, and what was
// mapped stays readable.
#pragma once

#include "run/optimized.h"

typedef struct cache_key {
  char *path;  // of the entry, in the session's arena; NULL: nothing is kept
  optimized_source source;
  text notes;  // lines for the session's warnings
} cache_key;

// Looks for the model of a session that was opened and not read. True: *hit is a session of it.
bool cache_find(sdx_session *s, cache_key *key, sdx_session **hit);
// Keeps the session, which was made ready since.
void cache_keep(sdx_session *s, cache_key *key);

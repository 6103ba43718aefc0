// SPDX-License-Identifier: Apache-2.0
// Keys of the endpoint: one or two of a file, so that one can be replaced while clients still use the other; and one
// that tokens are signed with (support/token.h). Where there are any, every path but those of health asks for a key or
// a token: "Authorization: Bearer KEY".
#pragma once

#include <pthread.h>
#include <stdbool.h>
#include <stddef.h>

#include "base/str.h"

enum { KEYS_MOST = 2, KEY_SHORTEST = 16, KEY_LONGEST = 128 };

typedef struct keys {
  const char *path, *token_path;  // NULL: none; both: all is allowed
  pthread_mutex_t lock;
  char at[KEYS_MOST][KEY_LONGEST + 1];
  char token_key[KEY_LONGEST + 1];
  size_t count;
} keys;

// Reads the files, one key a line. False: said in the log.
bool keys_init(keys *k, const char *path, const char *token_path);
void keys_deinit(keys *k);
// Reads it again; what is no good leaves the old keys in force.
void keys_reload(keys *k);
// `authorization`: the header's value, NULL: none. Takes as long whatever is wrong with it.
bool keys_allow(keys *k, const str *authorization);

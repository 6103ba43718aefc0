// SPDX-License-Identifier: Apache-2.0
// Any bytes as a token: nobody gets in without the key; and one that was made gets in, until a byte of it is changed.
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "support/token.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void need(bool holds) {
  if (!holds) abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  static const char key[] = "a key that no input has";
  need(!token_good(key, (const char *)data, size));
  char *token = token_make(key, "digits", 60);
  need(token && token_good(key, token, strlen(token)));
  // The first two bytes choose a place, the third what is put there.
  if (size >= 3) {
    size_t at = (data[0] | (size_t)data[1] << 8) % strlen(token);
    bool same = token[at] == (char)data[2];
    token[at] = (char)data[2];
    need(token_good(key, token, strlen(token)) == same);
  }
  free(token);
  return 0;
}

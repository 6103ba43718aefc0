// SPDX-License-Identifier: Apache-2.0
// Any bytes as a baseline: what is read can be written, and is the same when it is read again.
#include <stdlib.h>
#include <string.h>

#include "server/monitor/baseline.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static baseline *read_text(const char *at, size_t size) {
  json j;
  char *copy = malloc(size + 1);
  if (!copy) abort();
  memcpy(copy, at, size);
  json_init(&j, copy, size, 8, 100000);
  baseline *b = baseline_read(&j);
  if (!b && !*j.message) abort();
  free(copy);
  return b;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  text first = {0}, second = {0};
  baseline *b = read_text((const char *)data, size);
  if (!b) return 0;
  baseline_write(b, &first);
  baseline_free(b);
  b = read_text(first.at, first.size);
  if (!b) abort();
  baseline_write(b, &second);
  if (first.size != second.size || memcmp(first.at, second.at, first.size) != 0) abort();
  baseline_free(b);
  text_deinit(&first);
  text_deinit(&second);
  return 0;
}

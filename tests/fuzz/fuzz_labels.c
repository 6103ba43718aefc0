// SPDX-License-Identifier: Apache-2.0
// Any text as the names of classes, from a model's metadata or a file: each ends in a bounded number of names.
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "server/labels.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  class_labels l = {0};
  char *text = malloc(size + 1);
  if (!text) return 0;
  memcpy(text, data, size);
  text[size] = 0;
  labels_read(&l, text, size && data[0] & 1 ? "\n" : ",");
  if (l.count > 1 << 20) abort();
  for (size_t i = 0; i <= l.count; i++)
    if (labels_get(&l, i) && strlen(labels_get(&l, i)) > size) abort();
  if (labels_get(&l, l.count)) abort();
  labels_free(&l);
  free(text);
  return 0;
}

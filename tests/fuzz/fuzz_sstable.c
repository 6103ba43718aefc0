// SPDX-License-Identifier: Apache-2.0
// Sorted tables of any bytes: values lie within the table, names and values together are bounded by its size, a refusal
// has a message.
#include <stdlib.h>
#include <string.h>

#include "convert/sstable.h"

typedef struct seen {
  str table;
  size_t entries, key_bytes;
} seen;

static sdx_status take(void *context, str key, str value) {
  seen *s = context;
  if (value.at < s->table.at || value.size > (size_t)(s->table.at + s->table.size - value.at)) abort();
  if (memchr(key.at, 0, key.size) == key.at + key.size) abort();  // all of it can be read
  s->key_bytes += key.size;
  if (++s->entries > s->table.size || s->key_bytes / 65 > s->table.size) abort();
  return SDX_OK;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  seen s = {.table = {(const char *)data, size}};
  error err = {0};
  sdx_status status = sstable_read(s.table, take, &s, &err);
  if (status != err.status || (status && !err.message[0])) abort();
  return 0;
}

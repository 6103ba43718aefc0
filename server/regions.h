// SPDX-License-Identifier: Apache-2.0
// System shared memory, the extension for clients on the server's machine: a region is a name for a part of a POSIX
// shared memory object; requests name regions instead of bringing bytes. Bytes are copied by pread and pwrite, never
// mapped: whoever made the object may shrink it at any time.
#pragma once

#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/str.h"

enum { REGIONS_MOST = 1024, REGION_NAME_BYTES = 129, REGION_KEY_BYTES = REGION_NAME_BYTES + 1 };

typedef struct region {
  char name[REGION_NAME_BYTES], key[REGION_KEY_BYTES];
  uint64_t offset, size;
  int fd;
} region;

typedef struct regions {
  pthread_mutex_t lock;
  region *list;
  size_t count, capacity;
} regions;

// What a request says of a tensor: bytes [offset, offset + size) of a region.
typedef struct region_part {
  str region;  // at NULL: nothing
  int64_t offset, size;
} region_part;

void regions_init(regions *r);
void regions_deinit(regions *r);
// Names, and keys behind their '/': letters, digits, '_', '.' and '-', the last two not in front.
bool region_name_good(str name);
// 0, or the status of a refusal: why.
int regions_add(regions *r, str name, str key, int64_t offset, int64_t size, char *why, size_t why_size);
void regions_remove(regions *r, str name);               // at NULL: all; unknown names count as removed
const region *regions_find(const regions *r, str name);  // NULL: there is none; under the lock
bool regions_read(regions *r, const region_part *p, void *to, char *why, size_t why_size);
// Writes `size` bytes to where the part begins.
bool regions_write(regions *r, const region_part *p, const void *from, size_t size, char *why, size_t why_size);

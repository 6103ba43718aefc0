// SPDX-License-Identifier: Apache-2.0
// Packed weights of a session, shared by its plans: one pack per constant and format, found by hash. A pack is made
// outside of the lock; who else wants it waits for it. Read next: kernels/pack_format.h, ops/prepare.h (who asks).
#pragma once

#include <pthread.h>

#include "ops/prepare.h"

typedef struct pack {
  struct pack *next;  // of the same bucket
  tensor source;      // the constant; its dims lie behind this struct. One may be seen in several shapes
  pack_format format;
  void *data;
  size_t bytes;
  bool ready, lent;  // lent: the data belongs to whoever put it
  int64_t dims[];
} pack;

typedef struct pack_cache {
  pthread_mutex_t lock;
  pthread_cond_t made_one;
  mem_account *account;
  pack **buckets;
  size_t bucket_count, count;
  size_t made, made_bytes;  // packed by this session
} pack_cache;

void pack_cache_init(pack_cache *p, mem_account *account);
void pack_cache_deinit(pack_cache *p);
bool pack_cache_holds(pack_cache *cache, const tensor *source, const pack_format *format, size_t bytes);
// A pack that was made elsewhere; its data outlives the cache. False: no memory.
bool pack_cache_put(pack_cache *cache, const tensor *source, const pack_format *format, const void *data, size_t bytes);
// The packed form of a step's constant input, whose `pack` service it is.
const void *pack_cache_get(pack_cache *cache, op_step *c, size_t input, const pack_format *format, size_t bytes,
                           void (*fill)(void *target, const tensor *source, void *context), void *context);

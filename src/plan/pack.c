// SPDX-License-Identifier: Apache-2.0
// Packed weights: one copy per session, source and key, whatever number of plans use it.
#include <string.h>

#include "plan/plan.h"

typedef struct packed {
  struct packed *next;
  const void *source;
  void *data;
  size_t bytes, rank;
  uint8_t dtype;
  char *key;
  int64_t dims[];  // one constant may be seen in several shapes; then the key
} packed;

void pack_cache_init(pack_cache *p, mem_account *account) {
  *p = (pack_cache){.account = account};
  pthread_mutex_init(&p->lock, NULL);
}

void pack_cache_deinit(pack_cache *p) {
  while (p->first) {
    packed *e = p->first;
    p->first = e->next;
    mem_free(e->data);
    mem_free(e);
  }
  pthread_mutex_destroy(&p->lock);
}

static bool serves(const packed *e, const tensor *source, const char *key, size_t bytes) {
  return e->source == source->data && e->bytes == bytes && e->dtype == source->dtype && e->rank == source->rank &&
         (e->rank == 0 || memcmp(e->dims, source->dims, e->rank * sizeof *e->dims) == 0) && strcmp(e->key, key) == 0;
}

static packed *entry_create(mem_account *account, const tensor *source, const char *key, size_t bytes) {
  size_t dims = source->rank * sizeof(int64_t), length = strlen(key) + 1;
  packed *e = mem_zalloc(account, sizeof *e + dims + length);
  void *data = e ? mem_alloc(account, bytes) : NULL;
  if (!data) {
    mem_free(e);
    return NULL;
  }
  *e = (packed){.source = source->data, .data = data, .bytes = bytes, .rank = source->rank, .dtype = source->dtype};
  if (dims) memcpy(e->dims, source->dims, dims);
  e->key = (char *)e->dims + dims;
  memcpy(e->key, key, length);
  return e;
}

const void *pack_cache_get(pack_cache *cache, op_step *c, size_t input, const char *key, size_t bytes,
                           void (*pack)(void *target, const tensor *source, void *context), void *context) {
  const tensor *source = step_in(c, input);
  pthread_mutex_lock(&cache->lock);
  packed *e = cache->first;
  while (e && !serves(e, source, key, bytes)) e = e->next;
  if (!e && (e = entry_create(cache->account, source, key, bytes))) {
    pack(e->data, source, context);
    e->next = cache->first;
    cache->first = e;
  }
  pthread_mutex_unlock(&cache->lock);
  if (!e) error_no_memory(c->err, bytes);
  return e ? e->data : NULL;
}

// SPDX-License-Identifier: Apache-2.0
// Packed weights: one copy per session, source and key, whatever number of plans use it.
#include <string.h>

#include "plan/plan.h"

typedef struct packed {
  struct packed *next;
  const void *source;
  void *data;
  size_t bytes;
  char key[48];
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

const void *prepare_pack(op_prepare *c, size_t input, const char *key, size_t bytes,
                         void (*pack)(void *target, const tensor *source, void *context), void *context) {
  pack_cache *cache = c->session;
  const tensor *source = c->in[input];
  const void *result = NULL;
  pthread_mutex_lock(&cache->lock);
  for (packed *e = cache->first; e && !result; e = e->next)
    if (e->source == source->data && e->bytes == bytes && strncmp(e->key, key, sizeof e->key - 1) == 0)
      result = e->data;
  if (!result) {
    packed *e = mem_zalloc(cache->account, sizeof *e);
    void *data = e ? mem_alloc(cache->account, bytes) : NULL;
    if (data) {
      pack(data, source, context);
      *e = (packed){.next = cache->first, .source = source->data, .data = data, .bytes = bytes};
      memcpy(e->key, key, strnlen(key, sizeof e->key - 1));
      cache->first = e;
      result = data;
    } else {
      mem_free(e);
    }
  }
  pthread_mutex_unlock(&cache->lock);
  if (!result) error_no_memory(c->err, bytes);
  return result;
}

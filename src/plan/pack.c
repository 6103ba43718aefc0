// SPDX-License-Identifier: Apache-2.0
// Packed weights; see pack.h.
#include "plan/pack.h"

#include <string.h>

#include "base/pool.h"

enum { FIRST_BUCKETS = 64 };

void pack_cache_init(pack_cache *p, mem_account *account) {
  *p = (pack_cache){.account = account};
  pthread_mutex_init(&p->lock, NULL);
  pthread_cond_init(&p->made_one, NULL);
}

void pack_cache_deinit(pack_cache *p) {
  for (size_t i = 0; i < p->bucket_count; i++)
    while (p->buckets[i]) {
      pack *e = p->buckets[i];
      p->buckets[i] = e->next;
      if (!e->lent) mem_free(e->data);
      mem_free(e);
    }
  mem_free(p->buckets);
  pthread_cond_destroy(&p->made_one);
  pthread_mutex_destroy(&p->lock);
}

static pack **bucket_of(const pack_cache *cache, const void *source, const pack_format *format) {
  uint64_t h = (uint64_t)(uintptr_t)source;
  for (size_t i = 0; i < sizeof *format / sizeof(uint32_t); i++) {
    uint32_t word;
    memcpy(&word, (const char *)format + i * sizeof word, sizeof word);
    h = (h ^ word) * 0x9E3779B97F4A7C15u;
    h ^= h >> 32;
  }
  return &cache->buckets[h & (cache->bucket_count - 1)];
}

static pack *find(const pack_cache *cache, const tensor *source, const pack_format *format, size_t bytes) {
  if (!cache->bucket_count) return NULL;
  for (pack *e = *bucket_of(cache, source->data, format); e; e = e->next)
    if (e->source.data == source->data && e->bytes == bytes && e->source.dtype == source->dtype &&
        tensor_same_shape(&e->source, source) && memcmp(&e->format, format, sizeof *format) == 0)
      return e;
  return NULL;
}

// Twice the buckets once there are as many packs; without memory the chains get longer.
static void grow(pack_cache *cache) {
  if (cache->count < cache->bucket_count) return;
  size_t former = cache->bucket_count, count = former ? 2 * former : FIRST_BUCKETS;
  pack **old = cache->buckets, **buckets = mem_zalloc(cache->account, count * sizeof *buckets);
  if (!buckets) return;
  cache->buckets = buckets;
  cache->bucket_count = count;
  for (size_t i = 0; i < former; i++)
    for (pack *e = old[i], *next; e; e = next) {
      pack **to = bucket_of(cache, e->source.data, &e->format);
      next = e->next;
      e->next = *to;
      *to = e;
    }
  mem_free(old);
}

// Zeroed memory where no data is lent.
static pack *add(pack_cache *cache, const tensor *source, const pack_format *format, const void *lent, size_t bytes) {
  size_t dims = source->rank * sizeof(int64_t);
  grow(cache);
  pack *e = cache->bucket_count ? mem_zalloc(cache->account, sizeof *e + dims) : NULL;
  void *data = lent ? (void *)lent : e ? mem_zalloc(cache->account, bytes) : NULL;
  if (!e || !data) {
    mem_free(e);
    return NULL;
  }
  pack **bucket = bucket_of(cache, source->data, format);
  *e = (pack){
      .next = *bucket, .source = *source, .format = *format, .data = data, .bytes = bytes, .ready = lent, .lent = lent};
  if (dims) memcpy(e->dims, source->dims, dims);
  e->source.dims = e->dims;
  cache->count++;
  return *bucket = e;
}

bool pack_cache_holds(pack_cache *cache, const tensor *source, const pack_format *format, size_t bytes) {
  pthread_mutex_lock(&cache->lock);
  bool holds = find(cache, source, format, bytes) != NULL;
  pthread_mutex_unlock(&cache->lock);
  return holds;
}

bool pack_cache_put(pack_cache *cache, const tensor *source, const pack_format *format, const void *data,
                    size_t bytes) {
  pthread_mutex_lock(&cache->lock);
  bool added = add(cache, source, format, data, bytes) != NULL;
  pthread_mutex_unlock(&cache->lock);
  return added;
}

const void *pack_cache_get(pack_cache *cache, op_step *c, size_t input, const pack_format *format, size_t bytes,
                           void (*fill)(void *target, const tensor *source, void *context), void *context) {
  const tensor *source = step_in(c, input);
  pthread_mutex_lock(&cache->lock);
  pack *e = find(cache, source, format, bytes);
  bool mine = !e && (e = add(cache, source, format, NULL, bytes));
  while (e && !e->ready && !mine) pthread_cond_wait(&cache->made_one, &cache->lock);
  pthread_mutex_unlock(&cache->lock);
  if (!e) error_no_memory(c->err, bytes);
  if (!mine) return e ? e->data : NULL;
  pool_watch *former = pool_watch_set(NULL);  // what is packed now serves later runs: never half of it
  fill(e->data, source, context);
  pool_watch_set(former);
  pthread_mutex_lock(&cache->lock);
  e->ready = true;
  cache->made++;
  cache->made_bytes += bytes;
  pthread_cond_broadcast(&cache->made_one);
  pthread_mutex_unlock(&cache->lock);
  return e->data;
}

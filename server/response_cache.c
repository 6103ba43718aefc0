// SPDX-License-Identifier: Apache-2.0
// The cache of answers (response_cache.h): a hash table whose rows also stand in a list, the one asked last in front.
#include "server/response_cache.h"

#include <stdlib.h>
#include <string.h>

#include "base/host.h"
#include "server/call.h"
#include "support/digest.h"

enum { BUCKETS = 4096, MOST_BODY = 1 << 20 };

typedef struct entry {
  struct entry *chain, *newer, *older;
  char key[DIGEST_BYTES];
  uint64_t kept_ns;
  size_t bytes, header_count, header_size, body_size;
  const char *content_type;
  char data[];  // headers, then the body
} entry;

struct response_cache {
  pthread_mutex_t lock;
  uint64_t ttl_ns;
  size_t most;
  response_cache_counts counts;
  entry *newest, *oldest, *buckets[BUCKETS];
};

response_cache *response_cache_create(const limits *limits) {
  response_cache *cache = calloc(1, sizeof *cache);
  if (!cache) return NULL;
  cache->most = (size_t)limits->cache_bytes;
  cache->ttl_ns = (uint64_t)limits->cache_ttl_ms * 1000000;
  pthread_mutex_init(&cache->lock, NULL);
  return cache;
}

static entry **chain_of(response_cache *cache, const char *key) {
  char word[9] = "";
  memcpy(word, digest_hex(key), sizeof word - 1);
  return &cache->buckets[strtoul(word, NULL, 16) % BUCKETS];
}

static void unlink_row(response_cache *cache, entry *e) {
  *(e->newer ? &e->newer->older : &cache->newest) = e->older;
  *(e->older ? &e->older->newer : &cache->oldest) = e->newer;
}

static void put_in_front(response_cache *cache, entry *e) {
  e->newer = NULL;
  e->older = cache->newest;
  *(cache->newest ? &cache->newest->newer : &cache->oldest) = e;
  cache->newest = e;
}

static void drop(response_cache *cache, entry *e) {
  entry **link = chain_of(cache, e->key);
  while (*link != e) link = &(*link)->chain;
  *link = e->chain;
  unlink_row(cache, e);
  cache->counts.bytes -= e->bytes;
  cache->counts.entries--;
  free(e);
}

void response_cache_free(response_cache *cache) {
  if (!cache) return;
  while (cache->newest) drop(cache, cache->newest);
  pthread_mutex_destroy(&cache->lock);
  free(cache);
}

response_cache_counts response_cache_count(response_cache *cache) {
  response_cache_counts counts = {0};
  if (!cache) return counts;
  pthread_mutex_lock(&cache->lock);
  counts = cache->counts;
  pthread_mutex_unlock(&cache->lock);
  return counts;
}

// ---- calls ---------------------------------------------------------------------------------------

static bool may_keep(const call *c) {
  const http_request *r = &c->x.request;
  return c->srv->cache && c->model && !c->packed && !c->model->sequences && r->body.size <= MOST_BODY &&
         (!c->model->config || c->model->config->caches) && !http_request_header(r, "content-encoding");
}

static bool make_key(const call *c, char *key) {
  const http_request *r = &c->x.request;
  const str *head = http_request_header(r, "inference-header-content-length");
  uint64_t numbers[] = {c->model->serial, c->entry->number, r->target.size, head ? head->size : SIZE_MAX};
  digest_state *d = digest_create();
  if (!d) return false;
  digest_add(d, numbers, sizeof numbers);
  digest_add(d, r->target.at, r->target.size);
  if (head) digest_add(d, head->at, head->size);
  digest_add(d, r->body.at, r->body.size);
  digest_finish(d, key);
  digest_destroy(d);
  return true;
}

static entry *find(response_cache *cache, const char *key) {
  entry *e = *chain_of(cache, key);
  while (e && strcmp(e->key, key) != 0) e = e->chain;
  if (!e || clock_ns() - e->kept_ns <= cache->ttl_ns) return e;
  drop(cache, e);
  return NULL;
}

bool response_cache_answer(call *c) {
  response_cache *cache = c->srv->cache;
  http_response *r = &c->x.response;
  c->cacheable = may_keep(c) && make_key(c, c->cache_key);
  if (!c->cacheable) return false;
  pthread_mutex_lock(&cache->lock);
  entry *e = find(cache, c->cache_key);
  if (e) {
    unlink_row(cache, e);
    put_in_front(cache, e);
    text_append(&r->headers, e->data, e->header_size);
    text_append(&r->body, e->data + e->header_size, e->body_size);
    r->header_count = e->header_count;
    r->content_type = e->content_type;
    r->status = 200;
  }
  *(e ? &cache->counts.hits : &cache->counts.misses) += 1;
  pthread_mutex_unlock(&cache->lock);
  return e != NULL;
}

void response_cache_keep(call *c) {
  response_cache *cache = c->srv->cache;
  const http_response *r = &c->x.response;
  size_t bytes = sizeof(entry) + r->headers.size + r->body.size;
  if (!c->cacheable || r->status != 200 || r->body.failed || r->headers.failed || bytes > cache->most / 8) return;
  entry *e = malloc(bytes);
  if (!e) return;
  *e = (entry){.kept_ns = clock_ns(),
               .bytes = bytes,
               .header_count = r->header_count,
               .header_size = r->headers.size,
               .body_size = r->body.size,
               .content_type = r->content_type};
  memcpy(e->key, c->cache_key, sizeof e->key);
  if (r->headers.size) memcpy(e->data, r->headers.at, r->headers.size);
  if (r->body.size) memcpy(e->data + r->headers.size, r->body.at, r->body.size);
  pthread_mutex_lock(&cache->lock);
  entry *before = find(cache, e->key);
  if (before) drop(cache, before);
  entry **chain = chain_of(cache, e->key);
  e->chain = *chain;
  *chain = e;
  put_in_front(cache, e);
  cache->counts.bytes += bytes;
  cache->counts.entries++;
  while (cache->counts.bytes > cache->most) {
    drop(cache, cache->oldest);
    cache->counts.evictions++;
  }
  pthread_mutex_unlock(&cache->lock);
}

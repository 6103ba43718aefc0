// SPDX-License-Identifier: Apache-2.0
// Answers kept by what was asked: the bytes of the request, its path and the loaded model. Off unless cache-bytes says
// how much it may take; the ones asked longest ago leave. What depends on more than its bytes is not kept: sequences,
// shared memory, bodies that are compressed.
#pragma once

#include <stdbool.h>
#include <stdint.h>

struct call;
struct limits;
typedef struct response_cache response_cache;

response_cache *response_cache_create(const struct limits *limits);  // NULL: memory
void response_cache_free(response_cache *cache);                     // NULL is accepted
// The body is there. True: the response is set.
bool response_cache_answer(struct call *c);
void response_cache_keep(struct call *c);  // its response is set

typedef struct response_cache_counts {
  uint64_t hits, misses, evictions, bytes, entries;
} response_cache_counts;
response_cache_counts response_cache_count(response_cache *cache);  // NULL: zeros

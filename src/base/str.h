// SPDX-License-Identifier: Apache-2.0
// Strings with a length (names in models may hold any byte), a hash map from names to numbers with a
// random seed, and "did you mean". Text that grows: text.h.
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "base/mem.h"

typedef struct str {
  const char *at;
  size_t size;
} str;

#define STR(literal) ((str){"" literal, sizeof(literal) - 1})
// For printf: printf("%.*s", STR_ARG(s)); long names are cut.
#define STR_ARG(s) (int)((s).size < 200 ? (s).size : 200), (s).at ? (s).at : ""

static inline str str_from(const char *text) { return (str){text, text ? strlen(text) : 0}; }
static inline bool str_equal(str a, str b) {
  return a.size == b.size && (a.size == 0 || memcmp(a.at, b.at, a.size) == 0);
}
static inline bool str_is(str a, const char *text) { return str_equal(a, str_from(text)); }
char *str_to_c(arena *a, str s);  // NUL-terminated copy

// name -> uint32. Names are borrowed. Seeded per process against chosen collisions.
typedef struct str_map {
  arena *memory;
  struct str_map_slot *slots;
  size_t capacity, count;
} str_map;
void str_map_init(str_map *m, arena *memory);
bool str_map_reserve(str_map *m, size_t count);                      // room for so many without growing; false: memory
bool str_map_copy(str_map *to, const str_map *from, arena *memory);  // false: memory
bool str_map_find(const str_map *m, str key, uint32_t *value);
// Inserts or overwrites; false when memory is exhausted.
bool str_map_put(str_map *m, str key, uint32_t value);
uint64_t str_hash(str s);

// The candidate nearest to `name` by edit distance if it is near enough to be meant, else NULL.
typedef struct str_nearest {
  str wanted, best;
  size_t distance;
} str_nearest;
void str_nearest_init(str_nearest *n, str wanted);
void str_nearest_offer(str_nearest *n, str candidate);
// "" or "did you mean 'x'?" written into the buffer.
const char *str_nearest_hint(const str_nearest *n, char *buffer, size_t size);

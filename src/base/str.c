// SPDX-License-Identifier: Apache-2.0
// Strings, name map, nearest name; see str.h.
#include "base/str.h"

#include <stdatomic.h>
#include <stdio.h>
#include <sys/random.h>

char *str_to_c(arena *a, str s) {
  char *p = arena_alloc(a, s.size + 1);
  if (!p) return NULL;
  if (s.size) memcpy(p, s.at, s.size);
  p[s.size] = 0;
  return p;
}

typedef struct str_map_slot {
  str key;  // key.at NULL = free
  uint32_t hash, value;
} str_map_slot;

static uint64_t seed(void) {
  static atomic_uint_fast64_t value;
  uint64_t v = atomic_load_explicit(&value, memory_order_relaxed);
  if (v) return v;
  uint64_t fresh = 0;
  if (getrandom(&fresh, sizeof fresh, GRND_NONBLOCK) != (ssize_t)sizeof fresh) fresh = (uintptr_t)&value;
  fresh |= 1;
  uint64_t none = 0;
  return atomic_compare_exchange_strong(&value, &none, fresh) ? fresh : none;
}

// Multiply-fold over 8-byte words (the mum construction), seeded.
static uint64_t fold(uint64_t a, uint64_t b) {
  __uint128_t p = (__uint128_t)a * b;
  return (uint64_t)p ^ (uint64_t)(p >> 64);
}

uint64_t str_hash(str s) {
  uint64_t h = seed() ^ s.size, word;
  const char *p = s.at;
  size_t left = s.size;
  for (; left >= 8; p += 8, left -= 8) {
    memcpy(&word, p, 8);
    h = fold(h ^ word, 0x9e3779b97f4a7c15u ^ h);
  }
  word = 0;
  if (left) memcpy(&word, p, left);
  return fold(h ^ word, 0xd6e8feb86659fd93u) ^ h;
}

void str_map_init(str_map *m, arena *memory) { *m = (str_map){.memory = memory}; }

static str_map_slot *find_slot(const str_map *m, str key, uint32_t hash) {
  for (size_t i = hash;; i++) {
    str_map_slot *slot = &m->slots[i & (m->capacity - 1)];
    if (!slot->key.at || (slot->hash == hash && str_equal(slot->key, key))) return slot;
  }
}

bool str_map_find(const str_map *m, str key, uint32_t *value) {
  if (m->count == 0) return false;
  const str_map_slot *slot = find_slot(m, key, (uint32_t)str_hash(key));
  if (!slot->key.at) return false;
  if (value) *value = slot->value;
  return true;
}

bool str_map_reserve(str_map *m, size_t count) {
  str_map bigger = {.memory = m->memory, .capacity = m->capacity ? m->capacity : 16, .count = m->count};
  while (count / 7 >= bigger.capacity / 8) bigger.capacity *= 2;  // at most 7/8 full
  if (bigger.capacity == m->capacity) return true;
  bigger.slots = arena_array(m->memory, bigger.capacity, sizeof *bigger.slots);
  if (!bigger.slots) return false;
  for (size_t i = 0; i < m->capacity; i++)
    if (m->slots[i].key.at) *find_slot(&bigger, m->slots[i].key, m->slots[i].hash) = m->slots[i];
  *m = bigger;
  return true;
}

bool str_map_copy(str_map *to, const str_map *from, arena *memory) {
  *to = *from;
  to->memory = memory;
  if (from->capacity) to->slots = arena_copy(memory, from->slots, from->capacity * sizeof *from->slots);
  return !from->capacity || to->slots;
}

bool str_map_put(str_map *m, str key, uint32_t value) {
  if (!str_map_reserve(m, m->count + 1)) return false;
  if (!key.at) key.at = "";
  uint32_t hash = (uint32_t)str_hash(key);
  str_map_slot *slot = find_slot(m, key, hash);
  if (!slot->key.at) m->count++;
  *slot = (str_map_slot){key, hash, value};
  return true;
}

enum { NEAREST_LONGEST = 64 };

void str_nearest_init(str_nearest *n, str wanted) {
  *n = (str_nearest){.wanted = wanted, .distance = 2 + wanted.size / 4};
}

static char lower(char c) { return c >= 'A' && c <= 'Z' ? (char)(c + 32) : c; }

// Edits between two names: insert, delete, replace, swap neighbours; letters without case.
static size_t edit_distance(str a, str b) {
  size_t rows[3][NEAREST_LONGEST + 1];
  for (size_t j = 0; j <= b.size; j++) rows[0][j] = j;
  for (size_t i = 1; i <= a.size; i++) {
    size_t *now = rows[i % 3], *last = rows[(i + 2) % 3], *before = rows[(i + 1) % 3];
    now[0] = i;
    for (size_t j = 1; j <= b.size; j++) {
      char x = lower(a.at[i - 1]), y = lower(b.at[j - 1]);
      size_t best = last[j - 1] + (x != y);
      if (last[j] + 1 < best) best = last[j] + 1;
      if (now[j - 1] + 1 < best) best = now[j - 1] + 1;
      bool swapped = i > 1 && j > 1 && x == lower(b.at[j - 2]) && lower(a.at[i - 2]) == y;
      if (swapped && before[j - 2] + 1 < best) best = before[j - 2] + 1;
      now[j] = best;
    }
  }
  return rows[a.size % 3][b.size];
}

static bool begins_with(str s, str beginning) {
  size_t same = 0;
  while (same < s.size && same < beginning.size && lower(s.at[same]) == lower(beginning.at[same])) same++;
  return same == beginning.size;
}

void str_nearest_offer(str_nearest *n, str candidate) {
  if (n->wanted.size > NEAREST_LONGEST || candidate.size > NEAREST_LONGEST || candidate.size == 0) return;
  size_t distance = edit_distance(n->wanted, candidate), farthest = 1 + n->wanted.size / 4;
  // A beginning that is long enough is meant, too: "thr" for "threads".
  if (distance > farthest && n->wanted.size >= 3 && begins_with(candidate, n->wanted)) distance = farthest;
  if (distance >= n->distance) return;
  n->distance = distance;
  n->best = candidate;
}

const char *str_nearest_hint(const str_nearest *n, char *buffer, size_t size) {
  if (size) buffer[0] = 0;
  if (n->best.at) snprintf(buffer, size, "did you mean '%.*s'?", STR_ARG(n->best));
  return buffer;
}

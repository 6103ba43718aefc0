// SPDX-License-Identifier: Apache-2.0
// Strings, text buffer, name map, nearest name; see str.h.
#include "base/str.h"

#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <sys/random.h>

#include "base/size.h"

char *str_to_c(arena *a, str s) {
  char *p = arena_alloc(a, s.size + 1);
  if (!p) return NULL;
  if (s.size) memcpy(p, s.at, s.size);
  p[s.size] = 0;
  return p;
}

static bool text_reserve(text *t, size_t more) {
  size_t need;
  if (t->failed || !size_add(t->size, more, &need) || !size_add(need, 1, &need)) {
    t->failed = true;
    return false;
  }
  if (need <= t->capacity) return true;
  size_t capacity = need < 256 ? 256 : need + need / 2;
  char *p = mem_alloc(t->account, capacity);
  if (!p) {
    t->failed = true;
    return false;
  }
  if (t->size) memcpy(p, t->at, t->size);
  mem_free(t->at);
  t->at = p;
  t->capacity = capacity;
  return true;
}

void text_append(text *t, const char *bytes, size_t size) {
  if (!text_reserve(t, size)) return;
  if (size) memcpy(t->at + t->size, bytes, size);
  t->size += size;
  t->at[t->size] = 0;
}

void text_str(text *t, str s) { text_append(t, s.at, s.size); }

void text_format(text *t, const char *format, ...) {
  va_list args, again;
  va_start(args, format);
  va_copy(again, args);
  int n = vsnprintf(NULL, 0, format, args);
  va_end(args);
  if (n >= 0 && text_reserve(t, (size_t)n)) {
    vsnprintf(t->at + t->size, (size_t)n + 1, format, again);
    t->size += (size_t)n;
  }
  va_end(again);
}

// Length of the valid UTF-8 sequence at s (0 = invalid).
static size_t utf8_length(const unsigned char *s, size_t left) {
  if (s[0] < 0x80) return 1;
  size_t n = s[0] >= 0xc2 && s[0] < 0xe0 ? 2 : (s[0] & 0xf0) == 0xe0 ? 3 : s[0] >= 0xf0 && s[0] < 0xf5 ? 4 : 0;
  if (n == 0 || n > left) return 0;
  for (size_t i = 1; i < n; i++)
    if ((s[i] & 0xc0) != 0x80) return 0;
  if ((s[0] == 0xe0 && s[1] < 0xa0) || (s[0] == 0xed && s[1] > 0x9f) || (s[0] == 0xf0 && s[1] < 0x90) ||
      (s[0] == 0xf4 && s[1] > 0x8f))
    return 0;
  return n;
}

void text_json_string(text *t, str s) {
  text_append(t, "\"", 1);
  for (size_t i = 0; i < s.size;) {
    const unsigned char *p = (const unsigned char *)s.at + i;
    size_t n = utf8_length(p, s.size - i);
    if (n == 0) {
      text_append(t, "\xef\xbf\xbd", 3);
      n = 1;
    } else if (*p == '"' || *p == '\\') {
      text_format(t, "\\%c", *p);
    } else if (*p < 0x20 || *p == 0x7f) {
      text_format(t, "\\u%04x", *p);
    } else {
      text_append(t, s.at + i, n);
    }
    i += n;
  }
  text_append(t, "\"", 1);
}

void text_deinit(text *t) {
  mem_free(t->at);
  *t = (text){0};
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
  while (count / 3 >= bigger.capacity / 4) bigger.capacity *= 2;
  if (bigger.capacity == m->capacity) return true;
  bigger.slots = arena_array(m->memory, bigger.capacity, sizeof *bigger.slots);
  if (!bigger.slots) return false;
  for (size_t i = 0; i < m->capacity; i++)
    if (m->slots[i].key.at) *find_slot(&bigger, m->slots[i].key, m->slots[i].hash) = m->slots[i];
  *m = bigger;
  return true;
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

void str_nearest_offer(str_nearest *n, str candidate) {
  str a = n->wanted, b = candidate;
  if (a.size > NEAREST_LONGEST || b.size > NEAREST_LONGEST || b.size == 0) return;
  size_t row[NEAREST_LONGEST + 1];
  for (size_t j = 0; j <= b.size; j++) row[j] = j;
  for (size_t i = 1; i <= a.size; i++) {
    size_t diagonal = row[0];
    row[0] = i;
    for (size_t j = 1; j <= b.size; j++) {
      char x = a.at[i - 1], y = b.at[j - 1];
      if (x >= 'A' && x <= 'Z') x = (char)(x + 32);
      if (y >= 'A' && y <= 'Z') y = (char)(y + 32);
      size_t best = diagonal + (x != y);
      diagonal = row[j];
      if (row[j] + 1 < best) best = row[j] + 1;
      if (row[j - 1] + 1 < best) best = row[j - 1] + 1;
      row[j] = best;
    }
  }
  if (row[b.size] < n->distance) {
    n->distance = row[b.size];
    n->best = b;
  }
}

const char *str_nearest_hint(const str_nearest *n, char *buffer, size_t size) {
  if (size) buffer[0] = 0;
  if (n->best.at) snprintf(buffer, size, "; did you mean '%.*s'?", STR_ARG(n->best));
  return buffer;
}

// SPDX-License-Identifier: Apache-2.0
// Reading and writing of traceparent (trace.h): VERSION-TRACE-SPAN-FLAGS in lower-case hexadecimal digits. Versions to
// come may have more behind it; what cannot be read counts as not given.
#include "server/monitor/trace.h"

#include <stdatomic.h>
#include <stdio.h>

enum { VERSION_AT = 0, ID_AT = 3, SPAN_AT = 36, FLAGS_AT = 53, END = 55 };

static bool read_hex(const char *at, uint8_t *bytes, size_t size) {
  uint8_t any = 0;
  for (size_t i = 0; i < 2 * size; i++) {
    char c = at[i];
    int digit = c >= '0' && c <= '9' ? c - '0' : c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
    if (digit < 0) return false;
    bytes[i / 2] = (uint8_t)(i % 2 ? bytes[i / 2] << 4 | digit : digit);
    any |= bytes[i / 2];
  }
  return any || size == 1;
}

bool trace_read(trace *t, str value) {
  const char *at = value.at;
  uint8_t version;
  trace read = {.known = true, .given = true};
  if (value.size < END || !read_hex(at + VERSION_AT, &version, 1) || version == 0xFF) return false;
  if (value.size > END && (!version || at[END] != '-')) return false;
  if (at[ID_AT - 1] != '-' || at[SPAN_AT - 1] != '-' || at[FLAGS_AT - 1] != '-') return false;
  if (!read_hex(at + ID_AT, read.id, TRACE_ID) || !read_hex(at + SPAN_AT, read.parent, SPAN_ID)) return false;
  if (!read_hex(at + FLAGS_AT, &read.flags, 1)) return false;
  *t = read;
  return true;
}

const char *trace_hex(char *to, const uint8_t *bytes, size_t size) {
  static const char digits[] = "0123456789abcdef";
  for (size_t i = 0; i < 2 * size; i++) to[i] = digits[bytes[i / 2] >> (i % 2 ? 0 : 4) & 15];
  to[2 * size] = 0;
  return to;
}

const char *trace_parent(char to[TRACE_PARENT], const trace *t) {
  char id[2 * TRACE_ID + 1], span[2 * SPAN_ID + 1];
  snprintf(to, TRACE_PARENT, "00-%s-%s-%02x", trace_hex(id, t->id, TRACE_ID),
           trace_hex(span, t->recorded ? t->span : t->parent, SPAN_ID), t->flags & TRACE_SAMPLED);
  return to;
}

void trace_make_id(uint8_t *id, size_t size, uint64_t seed) {
  static atomic_uint_fast64_t serial;
  for (size_t i = 0; i < size; i += sizeof seed) {
    uint64_t word = seed + atomic_fetch_add(&serial, 1) * 0x9E3779B97F4A7C15u;  // splitmix64
    word = (word ^ word >> 30) * 0xBF58476D1CE4E5B9u;
    word = (word ^ word >> 27) * 0x94D049BB133111EBu;
    word ^= word >> 31;
    if (!word) word = 1;
    memcpy(id + i, &word, sizeof word);
  }
}

// SPDX-License-Identifier: Apache-2.0
// Growing text (out.h). Numbers are the hot part: printf needs 300 ns a float, a class score vector
// has 1,000 of them. Shortest digits come from one scaled integer and the width of the interval
// that reads back as the same number; where extended precision cannot decide, more digits are
// written, never fewer, so every number survives the round trip.
#include "server/out.h"

#include <float.h>
#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

void out_free(out *o) {
  free(o->at);
  *o = (out){.limit = o->limit};
}

// Room for `bytes` more at the end, or NULL; size is not changed.
static char *reserve(out *o, size_t bytes) {
  if (o->failed) return NULL;
  size_t need;
  if (__builtin_add_overflow(o->size, bytes, &need) || (o->limit && need > o->limit)) {
    o->failed = true;
    return NULL;
  }
  if (need > o->capacity) {
    size_t capacity = o->capacity < 256 ? 256 : o->capacity;
    while (capacity < need && capacity <= SIZE_MAX / 2) capacity *= 2;
    char *at = realloc(o->at, capacity < need ? need : capacity);
    if (!at) {
      o->failed = true;
      return NULL;
    }
    o->at = at;
    o->capacity = capacity < need ? need : capacity;
  }
  return o->at + o->size;
}

void out_bytes(out *o, const void *bytes, size_t size) {
  char *at = reserve(o, size);
  if (!at || !size) return;
  memcpy(at, bytes, size);
  o->size += size;
}

void out_format(out *o, const char *format, ...) {
  va_list list;
  va_start(list, format);
  char line[1024];
  int length = vsnprintf(line, sizeof line, format, list);
  va_end(list);
  if (length < 0) {
    o->failed = true;
  } else if ((size_t)length < sizeof line) {
    out_bytes(o, line, (size_t)length);
  } else {
    char *at = reserve(o, (size_t)length + 1);
    if (!at) return;
    va_start(list, format);
    vsnprintf(at, (size_t)length + 1, format, list);
    va_end(list);
    o->size += (size_t)length;
  }
}

// Length of the valid UTF-8 sequence at p, or 0.
static size_t utf8_length(const unsigned char *p, size_t left) {
  if (p[0] < 0x80) return 1;
  size_t n = p[0] >= 0xC2 && p[0] <= 0xDF ? 2 : (p[0] & 0xF0) == 0xE0 ? 3 : p[0] >= 0xF0 && p[0] <= 0xF4 ? 4 : 0;
  if (!n || n > left) return 0;
  for (size_t i = 1; i < n; i++)
    if ((p[i] & 0xC0) != 0x80) return 0;
  if ((p[0] == 0xE0 && p[1] < 0xA0) || (p[0] == 0xED && p[1] > 0x9F)) return 0;
  if ((p[0] == 0xF0 && p[1] < 0x90) || (p[0] == 0xF4 && p[1] > 0x8F)) return 0;
  return n;
}

void out_json_string(out *o, const char *bytes, size_t size) {
  static const char hex[] = "0123456789abcdef";
  const unsigned char *p = (const unsigned char *)bytes;
  out_bytes(o, "\"", 1);
  for (size_t i = 0, run = 0; i <= size; i++) {
    // `run` is the start of bytes that go out as they are.
    size_t n = i < size ? utf8_length(p + i, size - i) : 0;
    if (n > 1 || (n == 1 && p[i] >= 0x20 && p[i] != '"' && p[i] != '\\' && p[i] != 0x7F)) {
      i += n - 1;
      continue;
    }
    out_bytes(o, bytes + run, i - run);
    run = i + 1;
    if (i == size) break;
    if (n == 0) out_text(o, "\xEF\xBF\xBD");
    else if (p[i] == '"' || p[i] == '\\') out_bytes(o, (char[]){'\\', (char)p[i]}, 2);
    else if (p[i] == '\n') out_text(o, "\\n");
    else if (p[i] == '\t') out_text(o, "\\t");
    else if (p[i] == '\r') out_text(o, "\\r");
    else out_bytes(o, (char[]){'\\', 'u', '0', '0', hex[p[i] >> 4], hex[p[i] & 15]}, 6);
  }
  out_bytes(o, "\"", 1);
}

// Digits of n at the end of a buffer of 20; returns the first.
static char *digits(char *end, uint64_t n) {
  do *--end = (char)('0' + n % 10);
  while (n /= 10);
  return end;
}

void out_u64(out *o, uint64_t number) {
  char buffer[20], *first = digits(buffer + sizeof buffer, number);
  out_bytes(o, first, (size_t)(buffer + sizeof buffer - first));
}

void out_i64(out *o, int64_t number) {
  if (number < 0) out_bytes(o, "-", 1);
  out_u64(o, number < 0 ? 0 - (uint64_t)number : (uint64_t)number);
}

enum { POWERS = 28 };  // 10^27 is the last one a 64-bit significand holds exactly
static const long double powers[POWERS] = {1e0L,  1e1L,  1e2L,  1e3L,  1e4L,  1e5L,  1e6L,  1e7L,  1e8L,  1e9L,
                                           1e10L, 1e11L, 1e12L, 1e13L, 1e14L, 1e15L, 1e16L, 1e17L, 1e18L, 1e19L,
                                           1e20L, 1e21L, 1e22L, 1e23L, 1e24L, 1e25L, 1e26L, 1e27L};

// Writes digits * 10^exponent plainly where that is short, else with an exponent.
static void place(out *o, uint64_t number, int exponent) {
  char buffer[20], *end = buffer + sizeof buffer;
  while (number % 10 == 0) {
    number /= 10;
    exponent++;
  }
  char *first = digits(end, number);
  int count = (int)(end - first), point = count + exponent;  // digits before the decimal point
  char *at = reserve(o, 64);
  if (!at) return;
  char *start = at;
  if (point > 16 || point < -5) {
    *at++ = *first++;
    if (first < end) *at++ = '.';
    while (first < end) *at++ = *first++;
    at += snprintf(at, 8, "e%d", point - 1);
  } else if (point <= 0) {
    *at++ = '0';
    *at++ = '.';
    for (; point < 0; point++) *at++ = '0';
    while (first < end) *at++ = *first++;
  } else {
    for (; first < end; point--) {
      if (point == 0) *at++ = '.';
      *at++ = *first++;
    }
    for (; point > 0; point--) *at++ = '0';
  }
  o->size += (size_t)(at - start);
}

// value > 0, finite; `gap` half the distance to the nearer neighbour; `most` digits always suffice.
static bool shortest(out *o, long double value, long double gap, int most) {
  int exponent = (int)floor(log10((double)value));
  int scale = most - 1 - exponent;
  if (scale >= POWERS || scale <= -POWERS || LDBL_MANT_DIG < 64) return false;
  long double scaled = scale >= 0 ? value * powers[scale] : value / powers[-scale];
  long double slack = (scale >= 0 ? gap * powers[scale] : gap / powers[-scale]) - scaled * LDBL_EPSILON;
  uint64_t number = (uint64_t)(scaled + 0.5L), best = number, unit = 1;
  if (fabsl((long double)number - scaled) >= slack) return false;
  while (unit < 100000000000000000u) {
    unit *= 10;
    uint64_t rounded = (number + unit / 2) / unit * unit;
    if (rounded == 0 || fabsl((long double)rounded - scaled) >= slack) break;
    best = rounded;
  }
  place(o, best, -scale);
  return true;
}

void out_f32(out *o, float number) {
  if (!isfinite(number)) {
    out_text(o, "null");
    return;
  }
  if (signbit(number)) out_bytes(o, "-", 1);
  float size = fabsf(number);
  if (size == 0) out_text(o, "0");
  else if (size < 16777216 && size == (float)(uint32_t)size) out_u64(o, (uint32_t)size);
  else if (!shortest(o, size, ((long double)size - nextafterf(size, 0)) / 2, 9)) out_format(o, "%.9g", (double)size);
}

void out_f64(out *o, double number) {
  if (!isfinite(number)) {
    out_text(o, "null");
    return;
  }
  if (signbit(number)) out_bytes(o, "-", 1);
  double size = fabs(number);
  if (size == 0) out_text(o, "0");
  else if (size < 9007199254740992 && size == (double)(uint64_t)size) out_u64(o, (uint64_t)size);
  else if (!shortest(o, size, ((long double)size - nextafter(size, 0)) / 2, 17)) out_format(o, "%.17g", size);
}

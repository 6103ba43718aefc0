// SPDX-License-Identifier: Apache-2.0
// Growing text and JSON values; see text.h. Numbers are the hot part: printf needs 300 ns a float, and
// a class score vector has 1,000 of them, so digits come from number_shortest and are placed here.
#include "base/text.h"

#include <math.h>
#include <stdarg.h>
#include <stdio.h>

#include "base/number.h"
#include "base/size.h"
#include "base/unicode.h"

static bool reserve(text *t, size_t more) {
  size_t need, room;
  if (t->failed || !size_add(t->size, more, &need) || (t->limit && need > t->limit) || !size_add(need, 1, &room)) {
    t->failed = true;
    return false;
  }
  if (room <= t->capacity) return true;
  size_t capacity = room < 256 ? 256 : room + room / 2;
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
  if (!reserve(t, size)) return;
  if (size) memcpy(t->at + t->size, bytes, size);
  t->size += size;
  t->at[t->size] = 0;
}

void text_str(text *t, str s) { text_append(t, s.at, s.size); }

void text_format(text *t, const char *format, ...) {
  va_list args, again;
  va_start(args, format);
  va_copy(again, args);
  locale_t before = number_locale_enter();
  // Into the room there is; once more behind it where that was too little.
  size_t room = t->capacity - t->size;
  int n = vsnprintf(room ? t->at + t->size : NULL, room, format, args);
  va_end(args);
  if (n >= 0 && reserve(t, (size_t)n)) {
    if ((size_t)n >= room) vsnprintf(t->at + t->size, (size_t)n + 1, format, again);
    t->size += (size_t)n;
  } else {
    t->failed = true;
    if (room) t->at[t->size] = 0;
  }
  number_locale_leave(before);
  va_end(again);
}

void text_deinit(text *t) {
  mem_free(t->at);
  *t = (text){0};
}

// ---- JSON ----------------------------------------------------------------------------------------

static void escape(text *t, int32_t code) {
  static const char hex[] = "0123456789abcdef";
  if (code < 0) text_put(t, "\xEF\xBF\xBD");
  else if (code == '"' || code == '\\') text_append(t, (char[]){'\\', (char)code}, 2);
  else if (code == '\n') text_put(t, "\\n");
  else if (code == '\t') text_put(t, "\\t");
  else if (code == '\r') text_put(t, "\\r");
  else text_append(t, (char[]){'\\', 'u', '0', '0', hex[code >> 4], hex[code & 15]}, 6);
}

void text_json_string(text *t, str s) {
  text_append(t, "\"", 1);
  size_t begin = 0, at = 0;  // of the bytes that go out as they are
  while (at < s.size) {
    unsigned char c = (unsigned char)s.at[at];
    size_t end = at;
    if (c >= 0x20 && c < 0x7F && c != '"' && c != '\\') {
      at++;
      continue;
    }
    int32_t code = utf8_next(s, &end);
    if (code < 0x80) {
      if (at > begin) text_append(t, s.at + begin, at - begin);
      escape(t, code);
      begin = end;
    }
    at = end;
  }
  if (at > begin) text_append(t, s.at + begin, at - begin);
  text_append(t, "\"", 1);
}

// Decimal digits of n, which end where `end` points; returns the first.
static char *digits(char *end, uint64_t n) {
  do *--end = (char)('0' + n % 10);
  while (n /= 10);
  return end;
}

void text_json_u64(text *t, uint64_t number) {
  char buffer[20], *first = digits(buffer + sizeof buffer, number);
  text_append(t, first, (size_t)(buffer + sizeof buffer - first));
}

void text_json_i64(text *t, int64_t number) {
  if (number < 0) text_append(t, "-", 1);
  text_json_u64(t, number < 0 ? 0 - (uint64_t)number : (uint64_t)number);
}

// Writes number * 10^exponent plainly where that is short, else with an exponent.
static void place(text *t, uint64_t number, int exponent) {
  char buffer[20], line[64], *end = buffer + sizeof buffer, *first = digits(end, number), *at = line;
  int point = (int)(end - first) + exponent;  // digits before the decimal point
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
  text_append(t, line, (size_t)(at - line));
}

static void real(text *t, double number, bool single) {
  if (!isfinite(number)) {
    text_put(t, "null");
    return;
  }
  if (signbit(number)) text_append(t, "-", 1);
  double size = fabs(number);
  uint64_t shortest;
  int exponent;
  if (size < (single ? 0x1p24 : 0x1p53) && size == (double)(uint64_t)size) {
    text_json_u64(t, (uint64_t)size);
  } else {
    number_shortest(size, single, &shortest, &exponent);
    place(t, shortest, exponent);
  }
}

void text_json_f32(text *t, float number) { real(t, number, true); }
void text_json_f64(text *t, double number) { real(t, number, false); }

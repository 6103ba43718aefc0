// SPDX-License-Identifier: Apache-2.0
// Documents (document.h). UBJSON: one byte says the type, numbers are big-endian, a list or object may give the type
// and the count of its elements once, in front.
#include "convert/document.h"

#include <stdarg.h>
#include <stdio.h>

void document_init(document *d, source *s, bool binary) {
  *d = (document){.source = s, .binary = binary};
  json_init(&d->j, s->bytes, (size_t)s->size, DOCUMENT_DEPTH, SIZE_MAX);
  d->j.words = true;
}

bool document_fail(document *d, const char *format, ...) {
  char message[300];
  va_list list;
  va_start(list, format);
  vsnprintf(message, sizeof message, format, list);
  va_end(list);
  return json_fail_at(&d->j, "%s", message);
}

// ---- bytes ------------------------------------------------------------------------------------------

static size_t left(const document *d) { return (size_t)(d->j.end - d->j.at); }

static bool fits(document *d, uint64_t bytes) {
  if (d->j.failed) return false;
  if (bytes <= left(d)) return true;
  return document_fail(d, "%llu bytes are claimed where %zu are left; is the file cut short?",
                       (unsigned long long)bytes, left(d));
}

static uint64_t big_endian(document *d, unsigned bytes) {
  uint64_t n = 0;
  for (unsigned i = 0; i < bytes; i++) n = n << 8 | (unsigned char)d->j.at[i];
  d->j.at += bytes;
  return n;
}

static unsigned width_of(char type) {
  switch (type) {
    case 'i':
    case 'U':
    case 'C':
      return 1;
    case 'I':
      return 2;
    case 'l':
    case 'd':
      return 4;
    case 'L':
    case 'D':
      return 8;
    default:
      return 0;
  }
}

static bool is_integer(char type) { return type && strchr("iUIlL", type); }

static bool read_integer(document *d, char type, int64_t *value) {
  unsigned bytes = width_of(type);
  if (!fits(d, bytes)) return false;
  uint64_t n = big_endian(d, bytes);
  *value = type == 'i' ? (int8_t)n : type == 'I' ? (int16_t)n : type == 'l' ? (int32_t)n : (int64_t)n;
  return true;
}

// The type of the next value: that of its list, or a byte in front (no-operation bytes are passed over).
static char next_type(document *d, bool take) {
  struct document_level *level = d->depth ? &d->levels[d->depth - 1] : NULL;
  if (d->j.failed) return 0;
  if (level && level->type) return level->type;
  while (left(d) && *d->j.at == 'N') d->j.at++;
  if (!left(d)) return 0;
  return take ? *d->j.at++ : *d->j.at;
}

// A length or count: an integer with its type.
static bool read_count(document *d, uint64_t *count) {
  int64_t n;
  if (!fits(d, 1)) return false;
  char type = *d->j.at++;
  if (!is_integer(type))
    return document_fail(d, "expected a length, found type '%c' (%d)", type < ' ' ? '?' : type, type);
  if (!read_integer(d, type, &n)) return false;
  if (n < 0) return document_fail(d, "a length is negative: %lld", (long long)n);
  *count = (uint64_t)n;
  return true;
}

static bool read_text(document *d, str *text) {
  uint64_t size;
  if (!read_count(d, &size) || !fits(d, size)) return false;
  *text = (str){d->j.at, (size_t)size};
  d->j.at += size;
  return true;
}

// ---- values -----------------------------------------------------------------------------------------

static char kind_of(char type) {
  if (type == 'd' || type == 'D' || is_integer(type)) return '0';
  if (type == 'S' || type == 'C') return '"';
  if (type == 'T' || type == 'F') return 't';
  if (type == 'Z') return 'n';
  return type == '{' || type == '[' ? type : 0;
}

char document_peek(document *d) {
  if (d->binary) return kind_of(next_type(d, false));
  char c = json_peek(&d->j);
  if (c == '-' || c == 'N' || c == 'I' || (c >= '0' && c <= '9')) return '0';
  return c == 'f' ? 't' : c && strchr("{[\"tn", c) ? c : 0;
}

static bool expected(document *d, const char *what, char wanted) {
  char found = document_peek(d);
  return document_fail(d, "%s: expected %s, found %s", what, json_kind(wanted),
                       found     ? json_kind(found)
                       : left(d) ? "something else"
                                 : "the end");
}

static bool open_list(document *d, char bracket, const char *what) {
  if (!d->binary) return json_open(&d->j, bracket, what);
  if (document_peek(d) != bracket) return expected(d, what, bracket);
  if (d->depth == DOCUMENT_DEPTH) return document_fail(d, "nested deeper than %d", DOCUMENT_DEPTH);
  next_type(d, true);
  struct document_level level = {.list = bracket == '['};
  if (left(d) && *d->j.at == '$') {
    d->j.at++;
    if (!fits(d, 2)) return false;
    level.type = *d->j.at++;
    bool has_bytes = width_of(level.type) || (level.type && strchr("S[{", level.type));
    if (!has_bytes || *d->j.at != '#') return document_fail(d, "%s: the type of its elements is odd", what);
  }
  if (left(d) && *d->j.at == '#') {
    d->j.at++;
    level.counted = true;
    if (!read_count(d, &level.left)) return false;
    unsigned least = width_of(level.type);  // bytes of an element
    if (level.left > left(d) / (least ? least : 1))
      return document_fail(d, "%s: %llu elements are claimed where %zu bytes are left; is the file cut short?", what,
                           (unsigned long long)level.left, left(d));
  }
  d->levels[d->depth++] = level;
  return true;
}

static bool more_follow(document *d, char bracket, bool *first) {
  if (!d->binary) return json_more(&d->j, bracket, first);
  if (d->j.failed || !d->depth) return false;
  struct document_level *level = &d->levels[d->depth - 1];
  *first = false;
  bool more = level->counted ? level->left > 0 : true;
  if (level->counted && more) level->left--;
  while (!level->counted && left(d) && *d->j.at == 'N') d->j.at++;
  if (!level->counted) {
    if (!fits(d, 1)) return false;
    more = *d->j.at != (level->list ? ']' : '}');
    d->j.at += !more;
  }
  if (!more) d->depth--;
  return more;
}

static bool read_key(document *d, str *key) { return d->binary ? read_text(d, key) : json_key(&d->j, key); }

bool document_string(document *d, str *text, const char *what) {
  if (!d->binary) return json_string_read(&d->j, text, what);
  if (document_peek(d) != '"') return expected(d, what, '"');
  if (next_type(d, true) == 'S') return read_text(d, text);
  if (!fits(d, 1)) return false;
  *text = (str){d->j.at++, 1};
  return true;
}

bool document_bool(document *d, bool *value, const char *what) {
  int64_t n;
  if (document_peek(d) == '0') {
    if (!document_i64(d, &n, what)) return false;
    *value = n != 0;
    return n == 0 || n == 1 || document_fail(d, "%s: expected 0 or 1, found %lld", what, (long long)n);
  }
  if (!d->binary) return json_bool(&d->j, value, what);
  if (document_peek(d) != 't') return expected(d, what, 't');
  *value = next_type(d, true) == 'T';
  return true;
}

bool document_i64(document *d, int64_t *value, const char *what) {
  if (!d->binary) return json_i64(&d->j, value, what);
  if (!is_integer(next_type(d, false))) return expected(d, what, '0');
  return read_integer(d, next_type(d, true), value);
}

static bool read_real(document *d, bool single, double *value, const char *what) {
  number_decimal n;
  int64_t integer;
  if (!d->binary) {
    if (!json_number_read(&d->j, &n, what)) return false;
    *value = single ? (double)number_from_decimal_f32(&n) : number_from_decimal(&n);
    return true;
  }
  if (document_peek(d) != '0') return expected(d, what, '0');
  char type = next_type(d, true);
  if (is_integer(type)) {
    if (!read_integer(d, type, &integer)) return false;
    *value = single ? (double)(float)integer : (double)integer;
    return true;
  }
  if (!fits(d, width_of(type))) return false;
  union {
    uint64_t bits;
    double real;
  } u = {.bits = big_endian(d, width_of(type))};
  union {
    uint32_t bits;
    float real;
  } v = {.bits = (uint32_t)u.bits};
  *value = type == 'd' ? (double)v.real : single ? (double)(float)u.real : u.real;
  return true;
}

bool document_f64(document *d, double *value, const char *what) { return read_real(d, false, value, what); }

bool document_f32(document *d, float *value, const char *what) {
  double real;
  if (!read_real(d, true, &real, what)) return false;
  *value = (float)real;
  return true;
}

// ---- walking ----------------------------------------------------------------------------------------

bool document_member(document *d, const char *what, bool *first, str *key) {
  if (*first && !open_list(d, '{', what)) return false;
  return more_follow(d, '{', first) && read_key(d, key);
}

bool document_element(document *d, const char *what, bool *first) {
  if (*first && !open_list(d, '[', what)) return false;
  return more_follow(d, '[', first);
}

// One value that is no list or object.
static bool skip_scalar(document *d) {
  str text;
  double real;
  switch (document_peek(d)) {
    case '"':
      return document_string(d, &text, "value");
    case '0':
      return read_real(d, false, &real, "value");
    case 't':
    case 'n':
      next_type(d, true);
      return true;
    default:
      return document_fail(d, left(d) ? "type %d is not known" : "the document ends too early", left(d) ? *d->j.at : 0);
  }
}

// Whole runs of numbers in one step.
static bool skip_run(document *d) {
  struct document_level *level = &d->levels[d->depth - 1];
  uint64_t bytes;
  if (!level->counted || !width_of(level->type)) return false;
  if (__builtin_mul_overflow(level->left, width_of(level->type), &bytes) || !fits(d, bytes)) return false;
  d->j.at += bytes;
  level->left = 0;
  return true;
}

static bool skip_binary(document *d) {
  unsigned base = d->depth;
  bool first = true;
  str key;
  do {
    char c = document_peek(d);
    if (c == '{' || c == '[') {
      if (!open_list(d, c, "value")) return false;
      if (c == '[') skip_run(d);
    } else if (!skip_scalar(d)) {
      return false;
    }
    while (d->depth > base) {  // to the next value, or out of what ends here
      bool list = d->levels[d->depth - 1].list;
      if (more_follow(d, list ? '[' : '{', &first)) {
        if (!list && !read_key(d, &key)) return false;
        break;
      }
      if (d->j.failed) return false;
    }
  } while (d->depth > base);
  return true;
}

bool document_skip(document *d) { return d->binary ? skip_binary(d) : json_skip(&d->j); }

bool document_end(document *d) {
  if (!d->binary) return json_end(&d->j);
  if (d->j.failed) return false;
  while (left(d) && *d->j.at == 'N') d->j.at++;
  return !left(d) || document_fail(d, "%zu bytes follow the document", left(d));
}

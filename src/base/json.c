// SPDX-License-Identifier: Apache-2.0
// The JSON reader (json.h). Of a number up to 20 digits are gathered into an integer; base/number.h makes
// the nearest double or float of it.
#include "base/json.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "base/unicode.h"

enum { LONGEST_NUMBER = 400, LARGEST_EXPONENT = 100000 };

void json_init(json *j, char *bytes, size_t size, unsigned max_depth, size_t max_values) {
  static char nothing[1];  // a body that never came has no address
  if (!bytes) bytes = nothing;
  *j = (json){.begin = bytes,
              .at = bytes,
              .end = bytes + size,
              .max_depth = max_depth,
              .max_values = max_values,
              .depth_note = "",
              .values_note = ""};
}

static void say(json *j, const char *prefix, const char *format, va_list list) {
  if (j->failed) return;
  j->failed = true;
  int n = snprintf(j->message, sizeof j->message, "%s", prefix);
  vsnprintf(j->message + n, sizeof j->message - (size_t)n, format, list);
}

bool json_fail(json *j, const char *format, ...) {
  va_list list;
  va_start(list, format);
  say(j, "", format, list);
  va_end(list);
  return false;
}

bool json_fail_at(json *j, const char *format, ...) {
  char prefix[40];
  snprintf(prefix, sizeof prefix, "byte %zu: ", (size_t)(j->at - j->begin));
  va_list list;
  va_start(list, format);
  say(j, prefix, format, list);
  va_end(list);
  return false;
}

char json_peek(json *j) {
  while (j->at < j->end && (*j->at == ' ' || *j->at == '\n' || *j->at == '\r' || *j->at == '\t')) j->at++;
  // A NUL byte is no start of anything either: both end in the caller's "expected ...".
  return j->at < j->end ? *j->at : 0;
}

const char *json_kind(char first) {
  switch (first) {
    case 0:
      return "the end of the text";
    case '{':
      return "an object";
    case '[':
      return "a list";
    case '"':
      return "a string";
    case 't':
    case 'f':
      return "true or false";
    case 'n':
      return "null";
    case 'N':
    case 'I':
      return "NaN or Infinity (no JSON number)";
    case '-':
      return "a number";
  }
  return first >= '0' && first <= '9' ? "a number" : "something that is not JSON";
}

static bool count_value(json *j) {
  if (++j->values > j->max_values)
    return json_fail_at(j, "the text has more than %zu values%s", j->max_values, j->values_note);
  return true;
}

static bool expected(json *j, const char *what, const char *wanted, char found) {
  return json_fail_at(j, "%s: expected %s, found %s", what, wanted, json_kind(found));
}

bool json_open(json *j, char bracket, const char *what) {
  char found = json_peek(j);
  if (j->failed || found != bracket) return expected(j, what, json_kind(bracket), found);
  if (j->depth >= j->max_depth) return json_fail_at(j, "nested deeper than %u%s", j->max_depth, j->depth_note);
  j->depth++;
  j->at++;
  return count_value(j);
}

bool json_more(json *j, char bracket, bool *first) {
  if (j->failed) return false;
  char found = json_peek(j), close = bracket == '{' ? '}' : ']';
  if (found == close) {
    j->at++;
    j->depth--;
    return false;
  }
  if (!*first) {
    if (found != ',') return json_fail_at(j, "expected ',' or '%c', found %s", close, json_kind(found));
    j->at++;
    if (json_peek(j) == close) return json_fail_at(j, "a comma before '%c'", close);
  }
  *first = false;
  return true;
}

static int hex4(const char *p) {
  int n = 0;
  for (int i = 0; i < 4; i++) {
    char c = p[i];
    int digit = c >= '0' && c <= '9'   ? c - '0'
                : c >= 'a' && c <= 'f' ? c - 'a' + 10
                : c >= 'A' && c <= 'F' ? c - 'A' + 10
                                       : -1;
    if (digit < 0) return -1;
    n = n * 16 + digit;
  }
  return n;
}

// Reads one escape after the backslash; returns the code point, or -1 with the message set.
static int escape(json *j) {
  if (j->at == j->end) return -1;
  char c = *j->at++;
  const char *from = "\"\\/bfnrt", *to = "\"\\/\b\f\n\r\t", *known = c ? strchr(from, c) : NULL;
  if (known) return to[known - from];
  int code = c == 'u' && j->end - j->at >= 4 ? hex4(j->at) : -1;
  if (code < 0) {
    json_fail_at(j, "a string has a wrong escape");
    return -1;
  }
  j->at += 4;
  if (code < 0xD800 || code > 0xDFFF) return code;
  int low = code < 0xDC00 && j->end - j->at >= 6 && j->at[0] == '\\' && j->at[1] == 'u' ? hex4(j->at + 2) : -1;
  if (low < 0xDC00 || low > 0xDFFF) {
    json_fail_at(j, "a string has half of a surrogate pair");
    return -1;
  }
  j->at += 6;
  return 0x10000 + ((code - 0xD800) << 10) + (low - 0xDC00);
}

// Walks over a string whose quote is next. `write` NULL: only checks.
static bool walk_string(json *j, char *write, size_t *size) {
  char *start = write;
  j->at++;
  while (j->at < j->end) {
    unsigned char c = (unsigned char)*j->at;
    if (c == '"') {
      j->at++;
      if (start) *size = (size_t)(write - start);
      return true;
    }
    if (c == '\\') {
      j->at++;
      int code = escape(j);
      if (code < 0) return json_fail_at(j, "the text ends inside a string");
      if (write) write += utf8_put(write, code);
      continue;
    }
    if (c < 0x20) return json_fail_at(j, "a control character inside a string (escape it)");
    size_t n = 0;
    if (utf8_next((str){j->at, (size_t)(j->end - j->at)}, &n) < 0)
      return json_fail_at(j, "a string is not valid UTF-8");
    if (write) {
      memmove(write, j->at, n);
      write += n;
    }
    j->at += n;
  }
  return json_fail_at(j, "the text ends inside a string");
}

bool json_string_read(json *j, str *text, const char *what) {
  char found = json_peek(j);
  if (j->failed || found != '"') return expected(j, what, "a string", found);
  char *write = j->at + 1;
  text->at = write;
  return count_value(j) && walk_string(j, write, &text->size);
}

bool json_key(json *j, str *key) {
  if (!json_string_read(j, key, "name of a member")) return false;
  if (json_peek(j) != ':') return json_fail_at(j, "expected ':' after a member's name");
  j->at++;
  return true;
}

// Takes one more digit while all of them fit 64 bits.
static inline bool take_digit(number_decimal *n, int *count, char c) {
  uint64_t digit = (uint64_t)(c - '0');
  if (*count >= 19) {
    uint64_t longer;
    if (*count > 19 || __builtin_mul_overflow(n->digits, 10u, &longer) ||
        __builtin_add_overflow(longer, digit, &longer)) {
      *count = 20;  // what follows a refused digit is refused too
      return false;
    }
    n->digits = longer;
    ++*count;
    return true;
  }
  n->digits = n->digits * 10 + digit;
  *count += n->digits != 0;
  return true;
}

// Scans the number at j->at. The grammar is JSON's own: no plus, no leading zero, no bare point.
static bool scan_number(json *j, number_decimal *n) {
  const char *p = j->at, *end = j->end;
  *n = (number_decimal){.exact = true, .text.at = p};
  int dropped = 0, count = 0;
  if (p < end && *p == '-') {
    n->negative = true;
    p++;
  }
  if (p == end || *p < '0' || *p > '9') return json_fail_at(j, "a minus sign without a number");
  const char *integer = p;
  for (; p < end && *p >= '0' && *p <= '9'; p++) {
    if (!take_digit(n, &count, *p)) {
      dropped++;
      n->exact = n->exact && *p == '0';
    }
  }
  if (*integer == '0' && p - integer > 1) return json_fail_at(j, "a number begins with a needless zero");
  if (p < end && *p == '.') {
    const char *fraction = ++p;
    for (; p < end && *p >= '0' && *p <= '9'; p++) {
      if (take_digit(n, &count, *p)) dropped--;
      else n->exact = n->exact && *p == '0';
    }
    if (p == fraction) return json_fail_at(j, "a number ends in its decimal point");
  }
  int exponent = 0;
  if (p < end && (*p == 'e' || *p == 'E')) {
    bool minus = ++p < end && *p == '-';
    if (p < end && (*p == '-' || *p == '+')) p++;
    const char *first = p;
    for (; p < end && *p >= '0' && *p <= '9'; p++)
      if (exponent < LARGEST_EXPONENT) exponent = exponent * 10 + (*p - '0');
    if (p == first) return json_fail_at(j, "a number ends in its exponent sign");
    if (minus) exponent = -exponent;
  }
  n->exponent = exponent + dropped;
  n->text.size = (size_t)(p - n->text.at);
  if (n->text.size > LONGEST_NUMBER) return json_fail_at(j, "a number has more than %d characters", LONGEST_NUMBER);
  j->at += n->text.size;
  return true;
}

static bool word(json *j, const char *text) {
  size_t size = strlen(text);
  if ((size_t)(j->end - j->at) < size || memcmp(j->at, text, size) != 0) return false;
  j->at += size;
  return true;
}

// base/number.h reads the words from the text.
static bool scan_word(json *j, number_decimal *n) {
  char *begin = j->at;
  if (!word(j, "NaN") && !word(j, "Infinity") && !word(j, "-Infinity")) return false;
  *n = (number_decimal){.text = {begin, (size_t)(j->at - begin)}};
  return true;
}

bool json_number_read(json *j, number_decimal *n, const char *what) {
  char found = json_peek(j);
  if (!j->failed && j->words && scan_word(j, n)) return count_value(j);
  if (j->failed || !(found == '-' || (found >= '0' && found <= '9'))) return expected(j, what, "a number", found);
  return count_value(j) && scan_number(j, n);
}

bool json_word(json *j, const char *text) {
  json_peek(j);
  return !j->failed && word(j, text) && count_value(j);
}

bool json_bool(json *j, bool *value, const char *what) {
  char found = json_peek(j);
  *value = found == 't';
  if (j->failed || !(word(j, "true") || word(j, "false"))) return expected(j, what, "true or false", found);
  return count_value(j);
}

bool json_i64(json *j, int64_t *value, const char *what) {
  number_decimal n;
  if (!json_number_read(j, &n, what)) return false;
  uint64_t digits = n.digits;
  for (; n.exponent > 0 && digits; n.exponent--)
    if (__builtin_mul_overflow(digits, 10u, &digits)) n.exact = false;
  for (; n.exponent < 0 && digits; n.exponent++) {
    n.exact = n.exact && digits % 10 == 0;
    digits /= 10;
  }
  uint64_t most = n.negative ? (uint64_t)1 << 63 : INT64_MAX;
  if (!n.exact || digits > most)
    return json_fail_at(j, "%s: %.*s is not a 64-bit integer", what, n.text.size > 40 ? 40 : (int)n.text.size,
                        n.text.at);
  *value = n.negative ? (int64_t)(0 - digits) : (int64_t)digits;
  return true;
}

bool json_skip(json *j) {
  uint64_t is_object = 0;  // one bit a level; the first level is the lowest bit
  unsigned base = j->depth;
  number_decimal n;
  bool after_value = false;
  while (!j->failed) {
    char c = json_peek(j);
    if (!after_value) {
      bool object = c == '{';
      if (object || c == '[') {
        if (!json_open(j, c, "value")) return false;
        unsigned level = j->depth - base - 1;
        if (level == JSON_SKIP_DEPTH) return json_fail_at(j, "nested deeper than %d", JSON_SKIP_DEPTH);
        is_object = (is_object & ~((uint64_t)1 << level)) | (uint64_t)object << level;
        c = json_peek(j);
        if (c == (object ? '}' : ']')) {
          j->at++;
          j->depth--;
          after_value = true;
        }
      } else if (c == '"') {
        if (!count_value(j) || !walk_string(j, NULL, NULL)) return false;
        after_value = true;
      } else if (c == 't' || c == 'f' || c == 'n') {
        if (!word(j, "true") && !word(j, "false") && !word(j, "null")) return expected(j, "value", "JSON", 1);
        if (!count_value(j)) return false;
        after_value = true;
      } else {
        if (!json_number_read(j, &n, "value")) return false;
        after_value = true;
      }
    } else {
      if (j->depth == base) return true;
      bool object = is_object >> (j->depth - base - 1) & 1;
      if (c == (object ? '}' : ']')) {
        j->at++;
        j->depth--;
        continue;
      }
      if (c != ',') return json_fail_at(j, "expected ',' or '%c', found %s", object ? '}' : ']', json_kind(c));
      j->at++;
      after_value = false;
    }
    // The next thing inside an object is a key, which is checked but not decoded.
    if (!after_value && j->depth > base && (is_object >> (j->depth - base - 1) & 1)) {
      if (json_peek(j) != '"') return expected(j, "name of a member", "a string", json_peek(j));
      if (!count_value(j) || !walk_string(j, NULL, NULL)) return false;
      if (json_peek(j) != ':') return json_fail_at(j, "expected ':' after a member's name");
      j->at++;
    }
    if (after_value && j->depth == base) return true;
  }
  return false;
}

bool json_end(json *j) {
  if (j->failed) return false;
  char found = json_peek(j);
  if (j->at == j->end) return true;
  return json_fail_at(j, "expected the end of the text, found %s", found ? json_kind(found) : "a NUL byte");
}

// SPDX-License-Identifier: Apache-2.0
// Nested lists to tensor (json_tensor.h). The walk keeps one position a level; the first path down
// fixes the depth at which numbers stand, the first end of each level fixes its length, and
// everything after is held against both. Values are checked against the range of the type.
#include "server/json_tensor.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/half.h"

size_t json_tensor_element_bytes(sdx_dtype dtype) {
  switch (dtype) {
    case SDX_BOOL:
    case SDX_INT8:
    case SDX_UINT8:
      return 1;
    case SDX_FLOAT16:
    case SDX_BFLOAT16:
    case SDX_INT16:
    case SDX_UINT16:
      return 2;
    case SDX_FLOAT:
    case SDX_INT32:
    case SDX_UINT32:
      return 4;
    case SDX_DOUBLE:
    case SDX_INT64:
    case SDX_UINT64:
      return 8;
    case SDX_STRING:
      return sizeof(str);
    default:
      return 0;
  }
}

void json_tensor_free(json_tensor *t) {
  free(t->data);
  t->data = NULL;
  t->capacity = t->count = 0;
}

static bool reserve(json *j, json_tensor *t, size_t count) {
  if (count <= t->capacity) return true;
  size_t element = json_tensor_element_bytes(t->dtype), bytes;
  size_t capacity = t->capacity ? t->capacity * 2 : 64;
  if (capacity < count) capacity = count;
  if (capacity > t->max_count) capacity = t->max_count;
  void *data = NULL;
  if (!__builtin_mul_overflow(capacity, element, &bytes) && bytes <= SIZE_MAX / 2)
    data = aligned_alloc(64, (bytes + 63) / 64 * 64);
  if (!data) return json_fail(j, "%s: not enough memory for %zu elements", t->path, capacity);
  if (t->count) memcpy(data, t->data, t->count * element);
  free(t->data);
  t->data = data;
  t->capacity = capacity;
  return true;
}

// "data[0][3]" for the element at the positions of the open levels.
static const char *place(const json_tensor *t, const size_t *at, size_t depth, char *buffer, size_t size) {
  size_t n = (size_t)snprintf(buffer, size, "%s", t->path);
  for (size_t i = 0; i < depth && n < size; i++) n += (size_t)snprintf(buffer + n, size - n, "[%zu]", at[i]);
  return buffer;
}

// A whole number within [lowest, highest] of the type; 5.0 and 5e0 are whole.
static const char *whole(const number_decimal *n, int64_t lowest, uint64_t highest, uint64_t *out) {
  uint64_t digits = n->digits;
  if (!n->exact) return n->exponent >= 0 ? "out of range of" : "not a whole number, expected";
  for (int e = n->exponent; e < 0 && digits; e++) {
    if (digits % 10) return "not a whole number, expected";
    digits /= 10;
  }
  for (int e = n->exponent; e > 0 && digits; e--)
    if (__builtin_mul_overflow(digits, 10u, &digits)) return "out of range of";
  if (n->negative ? digits > 0 - (uint64_t)lowest : digits > highest) return "out of range of";
  *out = n->negative ? 0 - digits : digits;
  return NULL;
}

// Converts and stores; returns NULL or what is wrong with the number.
static const char *store(json_tensor *t, size_t i, const number_decimal *n) {
  uint64_t bits = 0;
  const char *wrong = NULL;
  switch (t->dtype) {
    case SDX_FLOAT: {
      float value = number_from_decimal_f32(n);
      ((float *)t->data)[i] = value;
      return isinf(value) ? "out of range of" : NULL;
    }
    case SDX_DOUBLE: {
      double value = number_from_decimal(n);
      ((double *)t->data)[i] = value;
      return isinf(value) ? "out of range of" : NULL;
    }
    case SDX_FLOAT16: {
      uint16_t half = fp16_from_double(number_from_decimal(n));
      ((uint16_t *)t->data)[i] = half;
      return (half & 0x7FFF) == 0x7C00 ? "out of range of" : NULL;
    }
    case SDX_BFLOAT16: {
      uint16_t half = bf16_from_double(number_from_decimal(n));
      ((uint16_t *)t->data)[i] = half;
      return (half & 0x7FFF) == 0x7F80 ? "out of range of" : NULL;
    }
#define WHOLE(dtype, ctype, lowest, highest)         \
  case dtype:                                        \
    wrong = whole(n, lowest, highest, &bits);        \
    if (!wrong) ((ctype *)t->data)[i] = (ctype)bits; \
    return wrong;
      WHOLE(SDX_BOOL, uint8_t, 0, 1)
      WHOLE(SDX_INT8, int8_t, INT8_MIN, INT8_MAX)
      WHOLE(SDX_UINT8, uint8_t, 0, UINT8_MAX)
      WHOLE(SDX_INT16, int16_t, INT16_MIN, INT16_MAX)
      WHOLE(SDX_UINT16, uint16_t, 0, UINT16_MAX)
      WHOLE(SDX_INT32, int32_t, INT32_MIN, INT32_MAX)
      WHOLE(SDX_UINT32, uint32_t, 0, UINT32_MAX)
      WHOLE(SDX_INT64, int64_t, INT64_MIN, INT64_MAX)
      WHOLE(SDX_UINT64, uint64_t, 0, UINT64_MAX)
#undef WHOLE
    default:
      return "not expected:";
  }
}

static bool is_real(sdx_dtype dtype) {
  return dtype == SDX_FLOAT || dtype == SDX_DOUBLE || dtype == SDX_FLOAT16 || dtype == SDX_BFLOAT16;
}

// NaN, null, Infinity and -Infinity: missing values and what Python's json module writes for them.
static bool read_word(json *j, json_tensor *t) {
  static const struct {
    const char *word;
    float value;
  } words[] = {{"null", NAN}, {"NaN", NAN}, {"Infinity", INFINITY}, {"-Infinity", -INFINITY}};
  for (size_t i = 0; i < sizeof words / sizeof *words; i++) {
    if (!json_word(j, words[i].word)) continue;
    size_t at = t->count++;
    if (t->dtype == SDX_FLOAT) ((float *)t->data)[at] = words[i].value;
    else if (t->dtype == SDX_DOUBLE) ((double *)t->data)[at] = (double)words[i].value;
    else if (t->dtype == SDX_FLOAT16) ((uint16_t *)t->data)[at] = fp16_from_double((double)words[i].value);
    else ((uint16_t *)t->data)[at] = bf16_from_double((double)words[i].value);
    return true;
  }
  return false;
}

static bool read_element(json *j, json_tensor *t, const size_t *at, size_t depth, char first) {
  char where[200];
  if (t->count == t->max_count)
    return json_fail(j, "%s: more than %zu elements", place(t, at, depth, where, sizeof where), t->max_count);
  if (t->count == t->capacity && !reserve(j, t, t->count + 1)) return false;
  if (t->dtype == SDX_STRING) {
    if (first != '"')
      return json_fail(j, "%s: found %s, expected a string", place(t, at, depth, where, sizeof where),
                       json_kind(first));
    return json_string_read(j, &((str *)t->data)[t->count++], t->path);
  }
  if (t->dtype == SDX_BOOL && (first == 't' || first == 'f')) {
    bool value;
    if (!json_bool(j, &value, place(t, at, depth, where, sizeof where))) return false;
    ((uint8_t *)t->data)[t->count++] = value;
    return true;
  }
  bool word = first == 'n' || first == 'N' || first == 'I' || (first == '-' && j->end - j->at > 1 && j->at[1] == 'I');
  if (word && is_real(t->dtype))
    return read_word(j, t) || json_fail(j, "%s: found a word that is no number; NaN, Infinity, -Infinity and null are",
                                        place(t, at, depth, where, sizeof where));
  if (first != '-' && (first < '0' || first > '9'))
    return json_fail(j, "%s: found %s, expected %s", place(t, at, depth, where, sizeof where), json_kind(first),
                     t->dtype == SDX_BOOL ? "true or false" : sdx_dtype_name(t->dtype));
  number_decimal n;
  if (!json_number_read(j, &n, t->path)) return false;
  const char *wrong = store(t, t->count, &n);
  if (wrong)
    return json_fail(j, "%s: %.*s is %s %s", place(t, at, depth, where, sizeof where),
                     n.text.size > 40 ? 40 : (int)n.text.size, n.text.at, wrong, sdx_dtype_name(t->dtype));
  t->count++;
  return true;
}

static bool walk(json *j, json_tensor *t) {
  size_t at[JSON_TENSOR_RANK], depth = 0, leaf = SIZE_MAX;
  unsigned base = j->depth;
  char where[200];
  for (size_t i = 0; i < JSON_TENSOR_RANK; i++) t->shape[i] = -1;
  for (;;) {
    char first = json_peek(j);
    bool closed = false;  // the list that was just entered is empty
    if (first == '[') {
      if (depth >= leaf)
        return json_fail(j, "%s: found a list, expected %s as before it", place(t, at, depth, where, sizeof where),
                         t->dtype == SDX_STRING ? "a string" : "a number");
      if (depth == JSON_TENSOR_RANK || !json_open(j, '[', t->path))
        return json_fail(j, "%s: nested deeper than %d", t->path, JSON_TENSOR_RANK);
      at[depth++] = 0;
      if (json_peek(j) != ']') continue;
      if (leaf == SIZE_MAX) leaf = depth;
      closed = true;
    } else {
      if (leaf == SIZE_MAX) leaf = depth;
      if (depth != leaf)
        return json_fail(j, "%s: found %s, expected a list as before it", place(t, at, depth, where, sizeof where),
                         json_kind(first));
      if (!read_element(j, t, at, depth, first)) return false;
    }
    // Close what ends here; leave the loop at a comma.
    for (;;) {
      if (depth == 0) {
        t->rank = leaf;
        return true;
      }
      char c = json_peek(j);
      if (c == ',' && !closed) {
        j->at++;
        at[depth - 1]++;
        break;
      }
      if (c != ']') {
        place(t, at, depth, where, sizeof where);
        return json_fail_at(j, "%s: expected ',' or ']' after it, found %s", where, json_kind(c));
      }
      j->at++;
      depth--;
      j->depth = base + (unsigned)depth;
      int64_t length = closed ? 0 : (int64_t)at[depth] + 1;
      closed = false;
      if (t->shape[depth] < 0) t->shape[depth] = length;
      if (t->shape[depth] != length)
        return json_fail(j, "%s: found a list of %lld, the lists before it have %lld",
                         place(t, at, depth, where, sizeof where), (long long)length, (long long)t->shape[depth]);
    }
  }
}

bool json_tensor_read(json *j, json_tensor *t) {
  t->rank = t->count = t->capacity = 0;
  t->data = NULL;
  // An element takes at least two bytes of text, so nothing beyond that is believed.
  size_t room = (size_t)(j->end - j->at) / 2 + 1;
  if (!json_tensor_element_bytes(t->dtype))
    return json_fail(j, "%s: %s has no JSON form, send it as binary data", t->path, sdx_dtype_name(t->dtype));
  if (t->expect_count > room)
    return json_fail(j, "%s: %zu elements are expected, the text that is left holds at most %zu", t->path,
                     t->expect_count, room);
  if (!reserve(j, t, t->expect_count ? t->expect_count : 1 < t->max_count ? 1 : t->max_count) || !walk(j, t)) {
    json_tensor_free(t);
    return false;
  }
  return true;
}

// SPDX-License-Identifier: Apache-2.0
// JSON lists to tensors and values to JSON. Walks keep their own stack: the depth of a list is
// bounded by the rank limit, so hostile nesting ends with a message.
#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cli/io.h"
#include "support/elements.h"

enum { MAX_RANK = 64 };

// What stands there, for messages: a number itself, else its kind.
static const char *describe(const json_t *json, char *buffer, size_t size) {
  switch (json_typeof(json)) {
    case JSON_OBJECT:
      return "an object";
    case JSON_ARRAY:
      return "a list";
    case JSON_STRING:
      return "a string";
    case JSON_NULL:
      return "null";
    case JSON_TRUE:
    case JSON_FALSE:
      return "a boolean";
    case JSON_INTEGER:
      snprintf(buffer, size, "%lld", (long long)json_integer_value(json));
      return buffer;
    default:
      snprintf(buffer, size, "%.9g", json_real_value(json));
      return buffer;
  }
}

// Integers beyond int64, which the JSON library does not read or write as numbers, stand in strings.
static bool read_u64(const char *text, uint64_t *number) {
  char *end;
  errno = 0;
  *number = strtoull(text, &end, 10);
  return *text >= '0' && *text <= '9' && !*end && !errno;
}

static bool set_number(sdx_value *v, size_t i, long double number) {
  element_set(v, i, number);
  return dtype_is_complex(sdx_tensor_dtype(v)) || element_holds(v, i, number);
}

// "[0][2]" for messages.
static const char *place(const size_t *index, size_t depth, char *buffer, size_t size) {
  size_t used = 0;
  buffer[0] = 0;
  for (size_t i = 0; i < depth && used < size; i++)
    used += (size_t)snprintf(buffer + used, size - used, "[%zu]", index[i]);
  return buffer;
}

static bool set_element(sdx_value *v, size_t i, const json_t *json) {
  sdx_dtype dtype = sdx_tensor_dtype(v);
  if (dtype == SDX_STRING)
    return json_is_string(json) && !sdx_tensor_set_string(v, i, json_string_value(json), json_string_length(json));
  uint64_t whole;
  if (json_is_number(json)) {
    return set_number(v, i, json_is_integer(json) ? (long double)json_integer_value(json) : json_real_value(json));
  } else if (json_is_boolean(json)) {
    element_set(v, i, json_is_true(json));
  } else if (dtype == SDX_UINT64 && json_is_string(json)) {
    return read_u64(json_string_value(json), &whole) && set_number(v, i, whole);
  } else if (json_is_string(json) && (dtype_is_real(dtype) || dtype_is_complex(dtype))) {
    const char *s = json_string_value(json);
    if (!strcmp(s, "NaN")) element_set(v, i, NAN);
    else if (!strcmp(s, "Infinity")) element_set(v, i, INFINITY);
    else if (!strcmp(s, "-Infinity")) element_set(v, i, -INFINITY);
    else return false;
  } else if (json_is_array(json) && dtype_is_complex(dtype) && json_array_size(json) == 2) {
    for (int p = 0; p < 2; p++) element_set_part(v, i, p, json_number_value(json_array_get(json, (size_t)p)));
  } else {
    return false;
  }
  return true;
}

sdx_value *json_read_value(const json_t *json, const sdx_io *io, why *w) {
  char where[256], wanted[256];
  io_describe(io, wanted, sizeof wanted);
  if (!io->dtype) return why_set(w, "%s cannot be given as JSON; use a .pb file", wanted);
  int64_t shape[MAX_RANK];
  size_t rank = 0;
  bool complex = dtype_is_complex(io->dtype);
  for (const json_t *at = json; json_is_array(at); at = json_array_get(at, 0)) {
    if (complex && json_array_size(at) == 2 && json_is_number(json_array_get(at, 0)) && io->has_shape &&
        rank == io->rank)
      break;  // [re, im]
    if (rank == MAX_RANK) return why_set(w, "lists are nested deeper than %d", MAX_RANK);
    shape[rank++] = (int64_t)json_array_size(at);
    if (!json_array_size(at)) break;
  }
  sdx_value *v = sdx_tensor_create(io->dtype, rank, shape);
  if (!v) return why_set(w, "not enough memory for the tensor");
  // Depth-first over `rank` levels of lists; every list must have the length its level began with.
  const json_t *list[MAX_RANK + 1] = {json};
  size_t index[MAX_RANK + 1] = {0}, depth = 0, next = 0;
  while (next < sdx_tensor_count(v)) {
    const json_t *at = depth ? json_array_get(list[depth - 1], index[depth - 1]) : json;
    if (depth < rank) {
      if (!json_is_array(at) || json_array_size(at) != (size_t)shape[depth]) {
        char found[48], text[48];
        if (json_is_array(at)) snprintf(found, sizeof found, "a list of %zu", json_array_size(at));
        else snprintf(found, sizeof found, "%s", describe(at, text, sizeof text));
        sdx_value_release(v);
        return why_set(w, "%s is %s, expected a list of %lld like its neighbours",
                       place(index, depth, where, sizeof where), found, (long long)shape[depth]);
      }
      list[depth] = at;
      index[depth++] = 0;
      continue;
    }
    if (!set_element(v, next, at)) {
      char found[48];
      sdx_value_release(v);
      return why_set(w, "%s%s is %s, expected an element of %s", rank ? "" : "the value",
                     place(index, depth, where, sizeof where), describe(at, found, sizeof found), wanted);
    }
    next++;
    while (depth && ++index[depth - 1] == (size_t)shape[depth - 1]) depth--;
    if (!depth) break;
  }
  return v;
}

// ---- writing ---------------------------------------------------------------------------------

static json_t *number(long double x, bool real) {
  if (isnan(x)) return json_string("NaN");
  if (isinf(x)) return json_string(x > 0 ? "Infinity" : "-Infinity");
  if (!real && x > INT64_MAX) return json_sprintf("%.0Lf", x);
  return real ? json_real((double)x) : json_integer((json_int_t)x);
}

static json_t *element(const sdx_value *v, size_t i) {
  sdx_dtype dtype = sdx_tensor_dtype(v);
  if (dtype == SDX_STRING) {
    size_t length;
    const char *bytes = sdx_tensor_string(v, i, &length);
    json_t *text = json_stringn(bytes, length);
    return text ? text : json_string("(not UTF-8)");
  }
  if (dtype == SDX_BOOL) return json_boolean(element_number(v, i) != 0);
  if (dtype_is_complex(dtype))
    return json_pack("[oo]", number(element_part(v, i, 0), true), number(element_part(v, i, 1), true));
  return number(element_number(v, i), dtype_is_real(dtype));
}

static json_t *tensor(const sdx_value *v) {
  size_t rank = sdx_tensor_rank(v);
  const int64_t *shape = sdx_tensor_shape(v);
  json_t *list[MAX_RANK + 1];
  if (!rank) return element(v, 0);
  // Builds like an odometer: a full list is closed into the one above.
  json_t *top = json_array();
  size_t depth = 1, next = 0;
  list[0] = top;
  while (depth) {
    json_t *at = list[depth - 1];
    if (json_array_size(at) == (size_t)shape[depth - 1]) {
      depth--;
    } else if (depth == rank) {
      json_array_append_new(at, element(v, next++));
    } else {
      json_t *inner = json_array();
      json_array_append_new(at, inner);
      list[depth++] = inner;
    }
  }
  return top;
}

json_t *json_of_value(const sdx_value *v) {
  if (!v || sdx_value_kind(v) == SDX_KIND_NONE) return json_null();
  if (sdx_value_kind(v) == SDX_KIND_TENSOR) return tensor(v);
  if (sdx_value_kind(v) == SDX_KIND_SEQUENCE) {
    json_t *list = json_array();
    for (size_t i = 0; i < sdx_value_item_count(v); i++)
      json_array_append_new(list, json_of_value(sdx_value_item(v, i)));
    return list;
  }
  const sdx_value *keys = sdx_value_item(v, 0), *values = sdx_value_item(v, 1);
  json_t *object = json_object();
  for (size_t i = 0; i < sdx_tensor_count(keys); i++) {
    char number_key[32];
    size_t length;
    const char *key = number_key;
    if (sdx_tensor_dtype(keys) == SDX_STRING) key = sdx_tensor_string(keys, i, &length);
    else element_text(keys, i, number_key, sizeof number_key);
    json_object_set_new(object, key, element(values, i));
  }
  return object;
}

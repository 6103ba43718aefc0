// SPDX-License-Identifier: Apache-2.0
// Values from and to JSON (tensor_io.h).
#include "server/tensor_io.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/half.h"

enum { NESTING = 8 };  // sequences and maps inside each other; real models have two

const char *shape_format(const int64_t *shape, const char *const *symbols, size_t rank, char *buffer, size_t size) {
  size_t n = (size_t)snprintf(buffer, size, "[");
  for (size_t i = 0; i < rank && n + 24 < size; i++) {
    if (shape[i] < 0 && symbols && symbols[i])
      n += (size_t)snprintf(buffer + n, size - n, "%s%.20s", i ? "," : "", symbols[i]);
    else n += (size_t)snprintf(buffer + n, size - n, "%s%lld", i ? "," : "", (long long)shape[i]);
    if (n >= size) n = size - 1;
  }
  snprintf(buffer + n, size - n, "]");
  return buffer;
}

bool input_find(const sdx_session *session, str name, size_t *index) {
  for (*index = 0; *index < sdx_session_feed_count(session); ++*index)
    if (str_is(name, sdx_session_input(session, *index)->name)) return true;
  return false;
}

const char *input_why_fixed(const sdx_session *session, str name) {
  char text[256];
  if (name.size >= sizeof text) return "";
  memcpy(text, name.at, name.size);
  text[name.size] = 0;
  if (!sdx_session_is_fixed(session, text)) return "";
  return "; it is a constant, fixed at load unless the option overridable_initializers names it";
}

sdx_value *tensor_take(json_tensor *t, size_t rank, const int64_t *shape) {
  sdx_value *value = NULL;
  if (t->dtype == SDX_STRING) {
    value = sdx_tensor_create(SDX_STRING, rank, shape);
    const str *texts = t->data;
    for (size_t i = 0; value && i < t->count; i++)
      if (sdx_tensor_set_string(value, i, texts[i].at, texts[i].size) != SDX_OK) {
        sdx_value_release(value);
        value = NULL;
      }
    json_tensor_free(t);
  } else if (t->count == 0) {
    value = sdx_tensor_create(t->dtype, rank, shape);
    json_tensor_free(t);
  } else {
    value = sdx_tensor_borrow(t->dtype, rank, shape, t->data, free, t->data);
    if (value) t->data = NULL;
    else json_tensor_free(t);
  }
  return value;
}

// What is not finite has no JSON form: null, or the words that most readers of JSON know all the same.
static void write_real(text *o, double value, bool single, bool literal) {
  if (literal && isnan(value)) text_put(o, "NaN");
  else if (literal && isinf(value)) text_put(o, value < 0 ? "-Infinity" : "Infinity");
  else if (single) text_json_f32(o, (float)value);
  else text_json_f64(o, value);
}

static bool write_element(text *o, sdx_dtype dtype, const sdx_value *tensor, const void *data, size_t i, bool literal) {
  switch (dtype) {
    case SDX_FLOAT:
      write_real(o, ((const float *)data)[i], true, literal);
      return true;
    case SDX_DOUBLE:
      write_real(o, ((const double *)data)[i], false, literal);
      return true;
    case SDX_FLOAT16:
      write_real(o, fp16_to_float(((const uint16_t *)data)[i]), true, literal);
      return true;
    case SDX_BFLOAT16:
      write_real(o, bf16_to_float(((const uint16_t *)data)[i]), true, literal);
      return true;
    case SDX_INT8:
      text_json_i64(o, ((const int8_t *)data)[i]);
      return true;
    case SDX_INT16:
      text_json_i64(o, ((const int16_t *)data)[i]);
      return true;
    case SDX_INT32:
      text_json_i64(o, ((const int32_t *)data)[i]);
      return true;
    case SDX_INT64:
      text_json_i64(o, ((const int64_t *)data)[i]);
      return true;
    case SDX_UINT8:
      text_json_u64(o, ((const uint8_t *)data)[i]);
      return true;
    case SDX_UINT16:
      text_json_u64(o, ((const uint16_t *)data)[i]);
      return true;
    case SDX_UINT32:
      text_json_u64(o, ((const uint32_t *)data)[i]);
      return true;
    case SDX_UINT64:
      text_json_u64(o, ((const uint64_t *)data)[i]);
      return true;
    case SDX_BOOL:
      text_put(o, ((const uint8_t *)data)[i] ? "true" : "false");
      return true;
    case SDX_STRING: {
      size_t size = 0;
      const char *text = sdx_tensor_string(tensor, i, &size);
      text_json_string(o, (str){text, size});
      return true;
    }
    default:
      return false;
  }
}

bool tensor_write_flat(text *o, const sdx_value *tensor, bool literal) {
  size_t count = sdx_tensor_count(tensor);
  sdx_dtype dtype = sdx_tensor_dtype(tensor);
  if (!json_tensor_element_bytes(dtype)) return false;
  const void *data = sdx_tensor_data(tensor);
  for (size_t i = 0; i < count; i++) {
    if (i) text_append(o, ",", 1);
    write_element(o, dtype, tensor, data, i, literal);
  }
  return true;
}

// Brackets open and close where an index of some level starts and ends: at multiples of the level's
// element count. `first`, `count`: the elements of a block below the first `skip` dimensions.
static bool write_block(text *o, const sdx_value *tensor, size_t skip, size_t first, size_t count, bool literal) {
  size_t rank = sdx_tensor_rank(tensor) - skip;
  const int64_t *shape = sdx_tensor_shape(tensor) + skip;
  sdx_dtype dtype = sdx_tensor_dtype(tensor);
  if (!json_tensor_element_bytes(dtype)) return false;
  if (count == 0) {
    // The lists above the first empty dimension are written, each with its length.
    size_t lists = 1, empty = 0;
    while (empty < rank && shape[empty] != 0) lists *= (size_t)shape[empty++];
    if (empty > 1 || lists > 4096) {  // [0] in any other arrangement carries nothing more
      text_put(o, "[]");
      return true;
    }
    if (empty == 1) text_put(o, "[");
    for (size_t i = 0; i < lists; i++) text_put(o, i ? ",[]" : "[]");
    if (empty == 1) text_put(o, "]");
    return true;
  }
  const void *data = sdx_tensor_data(tensor);
  for (size_t i = 0; i < count; i++) {
    size_t opens = 0, block = 1;
    for (size_t d = rank; d-- > 0;) {
      block *= (size_t)shape[d];
      if (i % block) break;
      opens++;
    }
    if (i) text_append(o, ",", 1);
    for (size_t k = 0; k < opens; k++) text_append(o, "[", 1);
    write_element(o, dtype, tensor, data, first + i, literal);
    block = 1;
    for (size_t d = rank; d-- > 0;) {
      block *= (size_t)shape[d];
      if ((i + 1) % block) break;
      text_append(o, "]", 1);
    }
  }
  return true;
}

static bool write_nested(text *o, const sdx_value *tensor, bool literal) {
  return write_block(o, tensor, 0, 0, sdx_tensor_count(tensor), literal);
}

static bool write_value(text *o, const sdx_value *value, int depth, bool literal);

static bool write_map(text *o, const sdx_value *map, bool literal) {
  const sdx_value *keys = sdx_value_item(map, 0), *values = sdx_value_item(map, 1);
  size_t count = keys ? sdx_tensor_count(keys) : 0;
  bool text = keys && sdx_tensor_dtype(keys) == SDX_STRING;
  text_put(o, "{");
  for (size_t i = 0; i < count; i++) {
    if (i) text_append(o, ",", 1);
    if (!text) text_put(o, "\"");
    if (!write_element(o, sdx_tensor_dtype(keys), keys, sdx_tensor_data(keys), i, literal)) return false;
    text_put(o, text ? ":" : "\":");
    if (!values || !write_element(o, sdx_tensor_dtype(values), values, sdx_tensor_data(values), i, literal))
      return false;
  }
  text_put(o, "}");
  return true;
}

// Depth is bounded by NESTING.
static bool write_value(text *o, const sdx_value *value, int depth, bool literal) {
  if (!value || sdx_value_kind(value) == SDX_KIND_NONE) {
    text_put(o, "null");
    return true;
  }
  if (sdx_value_kind(value) == SDX_KIND_TENSOR) return write_nested(o, value, literal);
  if (depth == NESTING) return false;
  if (sdx_value_kind(value) == SDX_KIND_MAP) return write_map(o, value, literal);
  text_put(o, "[");
  for (size_t i = 0; i < sdx_value_item_count(value); i++) {
    if (i) text_append(o, ",", 1);
    if (!write_value(o, sdx_value_item(value, i), depth + 1, literal)) return false;
  }
  text_put(o, "]");
  return true;
}

bool value_write_json(text *o, const sdx_value *value, bool literal) { return write_value(o, value, 0, literal); }

size_t value_row_count(const sdx_value *value) {
  if (!value) return SIZE_MAX;
  if (sdx_value_kind(value) == SDX_KIND_SEQUENCE) return sdx_value_item_count(value);
  bool rows = sdx_value_kind(value) == SDX_KIND_TENSOR && sdx_tensor_rank(value);
  return rows ? (size_t)sdx_tensor_shape(value)[0] : SIZE_MAX;
}

bool value_write_row(text *o, const sdx_value *value, size_t k, bool literal) {
  if (sdx_value_kind(value) == SDX_KIND_SEQUENCE) return write_value(o, sdx_value_item(value, k), 1, literal);
  size_t each = sdx_tensor_count(value) / value_row_count(value);
  return write_block(o, value, 1, k * each, each, literal);
}

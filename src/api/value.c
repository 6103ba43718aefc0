// SPDX-License-Identifier: Apache-2.0
// Values of the public API: thin over tensor/.
#include <stdio.h>

#include "onnx/onnx.h"
#include "sardonyx/sardonyx.h"

sdx_value *sdx_tensor_create(sdx_dtype dtype, size_t rank, const int64_t *shape) {
  sdx_value *v;
  return value_create(NULL, dtype, rank, shape, NULL, NULL, NULL, &v, NULL) == SDX_OK ? v : NULL;
}

sdx_value *sdx_tensor_borrow(sdx_dtype dtype, size_t rank, const int64_t *shape, void *data,
                             void (*release)(void *context), void *context) {
  sdx_value *v;
  static uint64_t nothing;  // stands in for the bytes of a tensor without elements
  if (dtype == SDX_STRING) return NULL;
  return value_create(NULL, dtype, rank, shape, data ? data : &nothing, release, context, &v, NULL) == SDX_OK ? v
                                                                                                              : NULL;
}

sdx_value *sdx_sequence_create(size_t count, sdx_value *const *items) {
  sdx_value *v;
  return value_create_sequence(NULL, count, items, &v, NULL) == SDX_OK ? v : NULL;
}

sdx_value *sdx_map_create(sdx_value *keys, sdx_value *values) {
  sdx_value *v;
  if (!keys || !values) return NULL;
  return value_create_map(NULL, keys, values, &v, NULL) == SDX_OK ? v : NULL;
}

sdx_value *sdx_value_retain(sdx_value *value) { return value_retain(value); }
void sdx_value_release(sdx_value *value) { value_release(value); }

sdx_kind sdx_value_kind(const sdx_value *v) {
  switch (v->value.kind) {
    case VALUE_TENSOR:
      return SDX_KIND_TENSOR;
    case VALUE_SEQUENCE:
      return SDX_KIND_SEQUENCE;
    case VALUE_MAP:
      return SDX_KIND_MAP;
    default:
      return SDX_KIND_NONE;
  }
}

sdx_dtype sdx_tensor_dtype(const sdx_value *v) { return (sdx_dtype)v->value.tensor.dtype; }
size_t sdx_tensor_rank(const sdx_value *v) { return v->value.tensor.rank; }
const int64_t *sdx_tensor_shape(const sdx_value *v) { return v->value.tensor.dims; }
size_t sdx_tensor_count(const sdx_value *v) { return v->value.tensor.count; }
size_t sdx_tensor_bytes(const sdx_value *v) { return v->value.tensor.bytes; }

void *sdx_tensor_data(const sdx_value *v) {
  bool readable = v->value.kind == VALUE_TENSOR && v->value.tensor.dtype != SDX_STRING && v->value.tensor.count;
  return readable ? v->value.tensor.data : NULL;
}

const char *sdx_tensor_string(const sdx_value *v, size_t index, size_t *length) {
  const tensor *t = &v->value.tensor;
  if (v->value.kind != VALUE_TENSOR || t->dtype != SDX_STRING || index >= t->count) return NULL;
  str s = ((const str *)t->data)[index];
  if (length) *length = s.size;
  return s.at ? s.at : "";
}

sdx_status sdx_tensor_set_string(sdx_value *v, size_t index, const char *bytes, size_t length) {
  return value_set_string(v, index, (str){bytes, length}, NULL);
}

size_t sdx_value_item_count(const sdx_value *v) { return v->value.item_count; }

const sdx_value *sdx_value_item(const sdx_value *v, size_t index) {
  return index < v->value.item_count ? (const sdx_value *)v->value.items[index] : NULL;
}

sdx_status sdx_value_from_pb(const void *bytes, size_t size, const char *type, sdx_value **value, char *message,
                             size_t message_size) {
  error err = {0};
  type_info room[VALUE_MAX_NESTING];
  const type_info *t = type_parse(type, room, VALUE_MAX_NESTING);
  bool tensor_only = !t || t->kind == TYPE_TENSOR || t->kind == TYPE_UNKNOWN;
  *value = NULL;
  if (type && !t)
    error_set(&err, SDX_INVALID_ARGUMENT, "type '%.60s...' is nested deeper than %d", type, VALUE_MAX_NESTING);
  sdx_status status = err.status    ? err.status
                      : tensor_only ? onnx_read_tensor(bytes, size, NULL, value, &err)
                                    : onnx_read_value(bytes, size, t, NULL, value, &err);
  if (message && message_size) snprintf(message, message_size, "%s", err.message);
  return status;
}

char *sdx_value_to_pb(const sdx_value *value, const char *name, size_t *size) {
  wire_out out = {0};
  if (value->value.kind != VALUE_TENSOR || onnx_write_tensor(&value->value, str_from(name), &out) != SDX_OK) {
    wire_out_deinit(&out);
    return NULL;
  }
  *size = out.kept.size;
  return out.kept.at;
}

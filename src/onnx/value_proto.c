// SPDX-License-Identifier: Apache-2.0
// Values in files of their own (test data, saved outputs): TensorProto, SequenceProto, MapProto,
// OptionalProto. They are copied, so the bytes may go. Which message a file holds is not written in it:
// the expected type says so. Nesting is limited, as it is the file's choice.
#include "onnx/onnx.h"
#include "onnx/proto.h"
#include "onnx/tensor_proto.h"

typedef struct value_reader {
  arena scratch;  // tensors before they are copied
  mem_account *account;
  error *err;
} value_reader;

static sdx_status read_value(value_reader *r, const wire_schema *schema, wire message, size_t depth, sdx_value **out);

static sdx_status copy_tensor(value_reader *r, const tensor *t, sdx_value **out) {
  value v = {.tensor = *t, .kind = VALUE_TENSOR};
  sdx_status status = value_copy(r->account, &v, out, r->err);
  arena_reset(&r->scratch);
  return status;
}

static sdx_status read_tensor(value_reader *r, const wire_schema *schema, wire message, sdx_value **out) {
  tensor_reader tensors = {
      .memory = &r->scratch, .max_rank = TENSOR_MAX_RANK, .dense_left = dense_room(wire_size(message))};
  tensor t;
  if (schema == &proto_tensor) {
    SDX_TRY(tensor_proto_read(&tensors, message, &t, NULL, r->err));
  } else {
    sparse_tensor sparse;
    SDX_TRY(sparse_proto_read(&tensors, message, &sparse, NULL, r->err));
    SDX_TRY(sparse_to_dense(&tensors, &sparse, &t, r->err));
  }
  return copy_tensor(r, &t, out);
}

static const wire_schema *schema_of(const wire_schema *container, size_t slot) {
  static const struct {
    const wire_schema *container;
    size_t slot;
    const wire_schema *item;
  } items[] = {{&proto_sequence, SEQUENCE_TENSORS, &proto_tensor},
               {&proto_sequence, SEQUENCE_SPARSE, &proto_sparse},
               {&proto_sequence, SEQUENCE_SEQUENCES, &proto_sequence},
               {&proto_sequence, SEQUENCE_MAPS, &proto_map},
               {&proto_sequence, SEQUENCE_OPTIONALS, &proto_optional},
               {&proto_optional, OPTIONAL_TENSOR, &proto_tensor},
               {&proto_optional, OPTIONAL_SPARSE, &proto_sparse},
               {&proto_optional, OPTIONAL_SEQUENCE, &proto_sequence},
               {&proto_optional, OPTIONAL_MAP, &proto_map},
               {&proto_optional, OPTIONAL_OPTIONAL, &proto_optional}};
  for (size_t i = 0; i < sizeof items / sizeof *items; i++)
    if (items[i].container == container && items[i].slot == slot) return items[i].item;
  return NULL;
}

static sdx_status read_sequence(value_reader *r, wire message, size_t depth, sdx_value **out) {
  wire_counts counts;
  wire_field f;
  SDX_TRY(wire_scan(message, &proto_sequence, &counts, r->err));
  size_t count = 0, filled = 0;
  for (size_t slot = 0; slot < proto_sequence.count; slot++)
    if (schema_of(&proto_sequence, slot)) count += counts.of[slot];
  sdx_value **items = mem_zalloc(r->account, count * sizeof *items);
  if (!items) return error_no_memory(r->err, count * sizeof *items);
  sdx_status status = SDX_OK;
  while (status == SDX_OK && filled < count && wire_next(&message, &proto_sequence, &f)) {
    const wire_schema *schema = schema_of(&proto_sequence, f.slot);
    if (!schema) continue;
    status = read_value(r, schema, f.body, depth + 1, &items[filled]);
    if (status != SDX_OK) error_within(r->err, "item %zu of the sequence", filled);
    else filled++;
  }
  if (status == SDX_OK) status = value_create_sequence(r->account, filled, items, out, r->err);
  while (filled) value_release(items[--filled]);
  mem_free(items);
  return status;
}

static sdx_status read_optional(value_reader *r, wire message, size_t depth, sdx_value **out) {
  wire_counts counts;
  wire_field f;
  SDX_TRY(wire_scan(message, &proto_optional, &counts, r->err));
  while (wire_next(&message, &proto_optional, &f)) {
    const wire_schema *schema = schema_of(&proto_optional, f.slot);
    if (schema) return read_value(r, schema, f.body, depth + 1, out);
  }
  return value_create_none(r->account, out, r->err);
}

// Keys as a 1-D tensor in scratch memory.
static sdx_status read_keys(value_reader *r, wire message, const wire_counts *counts, tensor *keys) {
  bool strings = counts->of[MAP_STRING_KEYS] > 0;
  size_t count = counts->of[strings ? MAP_STRING_KEYS : MAP_KEYS], filled = 0;
  int64_t *dims = arena_array(&r->scratch, 1, sizeof *dims);
  if (strings && counts->of[MAP_KEYS]) return error_set(r->err, SDX_INVALID_MODEL, "a map has integer and string keys");
  if (!dims) return error_no_memory(r->err, sizeof *dims);
  *dims = (int64_t)count;
  SDX_TRY(tensor_init(keys, strings ? SDX_STRING : SDX_INT64, 1, dims, r->err));
  keys->data = arena_zalloc(&r->scratch, keys->bytes);
  if (!keys->data) return error_no_memory(r->err, keys->bytes);
  wire_field f;
  while (filled < count && wire_next(&message, &proto_map, &f)) {
    if (f.slot == MAP_KEYS) filled += wire_read_ints(&f, (int64_t *)keys->data + filled, count - filled);
    if (f.slot == MAP_STRING_KEYS) ((str *)keys->data)[filled++] = wire_str(&f);
  }
  return SDX_OK;
}

// One scalar per key becomes a 1-D tensor, the form in which operators take the values of a map.
static sdx_status join_scalars(value_reader *r, const sdx_value *sequence, sdx_value **out) {
  size_t count = sequence->value.item_count;
  *out = NULL;
  if (count == 0 || sequence->value.items[0]->kind != VALUE_TENSOR) return SDX_OK;
  sdx_dtype dtype = (sdx_dtype)sequence->value.items[0]->tensor.dtype;
  for (size_t i = 0; i < count; i++) {
    const value *v = sequence->value.items[i];
    if (v->kind != VALUE_TENSOR || v->tensor.dtype != dtype || v->tensor.count != 1 || dtype_is_packed(dtype))
      return SDX_OK;
  }
  SDX_TRY(value_create(r->account, dtype, 1, (int64_t[]){(int64_t)count}, NULL, NULL, NULL, out, r->err));
  size_t size = (size_t)dtype_bits(dtype) / 8;
  for (size_t i = 0; i < count; i++) {
    const tensor *t = &sequence->value.items[i]->tensor;
    if (dtype == SDX_STRING) SDX_TRY(value_set_string(*out, i, *(const str *)t->data, r->err));
    else memcpy((char *)(*out)->value.tensor.data + i * size, t->data, size);
  }
  return SDX_OK;
}

static sdx_status make_map(value_reader *r, sdx_value *keys, sdx_value *items, sdx_value **out) {
  size_t count = keys->value.tensor.count;
  const value *sequence = &items->value;
  bool whole = sequence->item_count == 1 && sequence->items[0]->kind == VALUE_TENSOR &&
               sequence->items[0]->tensor.count == count;
  if (whole) return value_create_map(r->account, keys, (sdx_value *)sequence->items[0], out, r->err);
  if (sequence->item_count != count)
    return error_set(r->err, SDX_INVALID_MODEL, "a map has %zu keys but %zu values", count, sequence->item_count);
  sdx_value *joined;
  sdx_status status = join_scalars(r, items, &joined);
  if (status == SDX_OK) status = value_create_map(r->account, keys, joined ? joined : items, out, r->err);
  value_release(joined);
  return status;
}

static sdx_status read_map(value_reader *r, wire message, size_t depth, sdx_value **out) {
  wire_counts counts;
  wire_field f;
  tensor key_tensor;
  sdx_value *keys = NULL, *items = NULL;
  SDX_TRY(wire_scan(message, &proto_map, &counts, r->err));
  SDX_TRY(read_keys(r, message, &counts, &key_tensor));
  sdx_status status = copy_tensor(r, &key_tensor, &keys);
  for (wire w = message; status == SDX_OK && wire_next(&w, &proto_map, &f);)
    if (f.slot == MAP_VALUES) status = read_sequence(r, f.body, depth + 1, &items);
  if (status == SDX_OK && !items) status = value_create_sequence(r->account, 0, NULL, &items, r->err);
  if (status == SDX_OK) status = make_map(r, keys, items, out);
  value_release(keys);
  value_release(items);
  return status;
}

// Recursion is bounded by VALUE_MAX_NESTING.
static sdx_status read_value(value_reader *r, const wire_schema *schema, wire message, size_t depth, sdx_value **out) {
  if (depth > VALUE_MAX_NESTING)
    return error_set(r->err, SDX_LIMIT_EXCEEDED, "values are nested more than %d deep", VALUE_MAX_NESTING);
  if (schema == &proto_sequence) return read_sequence(r, message, depth, out);
  if (schema == &proto_optional) return read_optional(r, message, depth, out);
  if (schema == &proto_map) return read_map(r, message, depth, out);
  return read_tensor(r, schema, message, out);
}

sdx_status onnx_read_value(const void *bytes, size_t size, const type_info *type, mem_account *account, sdx_value **out,
                           error *err) {
  static const wire_schema *const schemas[] = {
      [TYPE_UNKNOWN] = &proto_tensor, [TYPE_TENSOR] = &proto_tensor,     [TYPE_SEQUENCE] = &proto_sequence,
      [TYPE_MAP] = &proto_map,        [TYPE_OPTIONAL] = &proto_optional, [TYPE_SPARSE] = &proto_sparse};
  value_reader r = {.account = account, .err = err};
  *out = NULL;
  arena_init(&r.scratch, account);
  sdx_status status = read_value(&r, type ? schemas[type->kind] : &proto_tensor, wire_of(bytes, size), 0, out);
  arena_deinit(&r.scratch);
  return status;
}

sdx_status onnx_read_tensor(const void *bytes, size_t size, mem_account *account, sdx_value **out, error *err) {
  return onnx_read_value(bytes, size, NULL, account, out, err);
}

sdx_status onnx_write_tensor(const value *v, str name, wire_out *out) {
  if (v->kind != VALUE_TENSOR) return SDX_INVALID_ARGUMENT;
  tensor_proto_write(out, &v->tensor, name);
  return wire_failed(out) ? SDX_NO_MEMORY : SDX_OK;
}

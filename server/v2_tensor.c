// SPDX-License-Identifier: Apache-2.0
// Requests against a model (v2_tensor.h). Sizes are checked against what arrived before any memory is taken for them.
#include "server/v2_tensor.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "server/tensor_io.h"

enum { SHAPE_TEXT = 200 };

static const v2_type types[] = {
    {SDX_BOOL, "BOOL", 1, true},     {SDX_UINT8, "UINT8", 1, true},    {SDX_UINT16, "UINT16", 2, true},
    {SDX_UINT32, "UINT32", 4, true}, {SDX_UINT64, "UINT64", 8, true},  {SDX_INT8, "INT8", 1, true},
    {SDX_INT16, "INT16", 2, true},   {SDX_INT32, "INT32", 4, true},    {SDX_INT64, "INT64", 8, true},
    {SDX_FLOAT16, "FP16", 2, false}, {SDX_BFLOAT16, "BF16", 2, false}, {SDX_FLOAT, "FP32", 4, true},
    {SDX_DOUBLE, "FP64", 8, true},   {SDX_STRING, "BYTES", 0, true}};

const v2_type *v2_type_find(sdx_dtype dtype) {
  for (size_t i = 0; i < sizeof types / sizeof *types; i++)
    if (types[i].dtype == dtype) return &types[i];
  return NULL;
}

bool v2_product(const int64_t *shape, size_t rank, size_t *count) {
  *count = 1;
  for (size_t i = 0; i < rank; i++)
    if (shape[i] == 0) return *count = 0, true;
  for (size_t i = 0; i < rank; i++)
    if (__builtin_mul_overflow(*count, (size_t)shape[i], count) || *count > SIZE_MAX / 64) return false;
  return true;
}

static bool is_fed(const v2_reader *r, size_t input) { return r->request->fed && r->request->fed[input]; }

// Name, type and shape against the model; fills what the data must have.
bool v2_input_resolve(v2_reader *r, const v2_input *in, const char *path, size_t *index, const v2_type **type,
                      size_t *count) {
  json *j = r->j;
  if (!in->has_name) return json_fail(j, "%s.name is missing", path);
  if (!in->has_type) return json_fail(j, "%s.datatype is missing", path);
  if (!in->has_shape) return json_fail(j, "%s.shape is missing", path);
  if (!input_find(r->session, in->name, index))
    return json_fail(j, "%s.name: model '%s' has no input '%.*s'%s", path, r->model,
                     in->name.size > 100 ? 100 : (int)in->name.size, in->name.at,
                     input_why_fixed(r->session, in->name));
  const sdx_io *io = sdx_session_input(r->session, *index);
  if (is_fed(r, *index)) return json_fail(j, "%s.name: '%.100s' is the state of the sequence", path, io->name);
  if (r->inputs[*index]) return json_fail(j, "%s.name: input '%.100s' is given twice", path, io->name);
  *type = v2_type_find(io->dtype);
  if (!*type) return json_fail(j, "%s: the model wants %.60s, which this protocol cannot carry", path, io->type);
  if (!str_is(in->datatype, (*type)->name))
    return json_fail(j, "%s.datatype is %.*s, input '%.100s' expects %s", path,
                     in->datatype.size > 20 ? 20 : (int)in->datatype.size, in->datatype.at, io->name, (*type)->name);
  bool fits = !io->has_shape || io->rank == in->rank;
  for (size_t i = 0; fits && io->has_shape && i < io->rank; i++)
    fits = io->shape[i] < 0 || io->shape[i] == in->shape[i];
  char found[SHAPE_TEXT], wanted[SHAPE_TEXT];
  if (!fits)
    return json_fail(j, "%s.shape is %s, input '%.60s' expects %s", path,
                     shape_format(in->shape, NULL, in->rank, found, sizeof found), io->name,
                     shape_format(io->shape, io->symbols, io->rank, wanted, sizeof wanted));
  if (!v2_product(in->shape, in->rank, count)) return json_fail(j, "%s.shape has too many elements", path);
  return true;
}

static bool read_strings(v2_reader *r, sdx_value *tensor, const char *bytes, size_t size, size_t count,
                         const char *path) {
  size_t at = 0;
  for (size_t i = 0; i < count; i++) {
    uint32_t length;
    if (size - at < 4) return json_fail(r->j, "%s: the binary data ends before element %zu of %zu", path, i, count);
    memcpy(&length, bytes + at, 4);
    at += 4;
    if (length > size - at)
      return json_fail(r->j, "%s: element %zu claims %u bytes, %zu are left", path, i, length, size - at);
    if (sdx_tensor_set_string(tensor, i, bytes + at, length) != SDX_OK)
      return json_fail(r->j, "%s: not enough memory", path);
    at += length;
  }
  return at == size || json_fail(r->j, "%s: %zu bytes are left after element %zu", path, size - at, count);
}

bool v2_input_take(v2_reader *r, char *bytes, size_t size, size_t index, const v2_type *type, size_t rank,
                   const int64_t *shape, size_t count, const char *path) {
  sdx_value *value = NULL;
  if (type->bytes) {
    size_t wanted;
    if (__builtin_mul_overflow(count, type->bytes, &wanted) || wanted != size)
      return json_fail(r->j, "%s: found %zu bytes of binary data, expected %zu elements of %zu bytes", path, size,
                       count, type->bytes);
    if (type->dtype == SDX_BOOL)
      for (size_t i = 0; i < size; i++)
        if ((unsigned char)bytes[i] > 1)
          return json_fail(r->j, "%s: byte %zu is %d, BOOL expects 0 or 1", path, i, (unsigned char)bytes[i]);
    if (size && (uintptr_t)bytes % type->bytes == 0) {
      value = sdx_tensor_borrow(type->dtype, rank, shape, bytes, r->owned ? free : NULL, bytes);
    } else {
      value = sdx_tensor_create(type->dtype, rank, shape);
      if (value && size) memcpy(sdx_tensor_data(value), bytes, size);
    }
  } else {
    // Every element brings its length, so nothing is taken for more elements than can be there.
    if (count > size / 4) return json_fail(r->j, "%s: %zu bytes cannot hold %zu BYTES elements", path, size, count);
    value = sdx_tensor_create(SDX_STRING, rank, shape);
    if (value && !read_strings(r, value, bytes, size, count, path)) {
      sdx_value_release(value);
      return false;
    }
  }
  r->inputs[index] = value;
  return value || json_fail(r->j, "%s: not enough memory", path);
}

bool v2_input_fetch(v2_reader *r, const region_part *part, size_t index, const v2_type *type, const v2_input *in,
                    size_t count, const char *path) {
  v2_request *request = r->request;
  size_t size = (size_t)part->size, wanted;
  char why[200], *bytes = NULL;
  if (!request->regions) return json_fail(r->j, "%s: shared memory is for clients on the server's machine", path);
  if (part->size <= 0 || part->offset < 0)
    return json_fail(r->j, "%s.parameters: expected a shared_memory_byte_size above 0, and no negative offset", path);
  if (type->bytes && (__builtin_mul_overflow(count, type->bytes, &wanted) || wanted != size))
    return json_fail(r->j, "%s: shared_memory_byte_size is %zu, expected %zu elements of %zu bytes", path, size, count,
                     type->bytes);
  if ((uint64_t)size > request->region_limit)
    return json_fail(r->j, "%s: shared_memory_byte_size is %zu, limit max-body-bytes is %llu", path, size,
                     (unsigned long long)request->region_limit);
  if (!(bytes = malloc(size))) return json_fail(r->j, "%s: not enough memory", path);
  r->request->shares = true;
  bool good = regions_read(request->regions, part, bytes, why, sizeof why) || json_fail(r->j, "%s: %s", path, why);
  r->owned = true;
  good = good && v2_input_take(r, bytes, size, index, type, in->rank, in->shape, count, path);
  r->owned = false;
  bool kept = good && type->bytes && sdx_tensor_data(r->inputs[index]) == bytes;
  if (!kept) free(bytes);
  return good;
}

int64_t *v2_part_number(region_part *part, str parameter) {
  if (str_is(parameter, "shared_memory_offset")) return &part->offset;
  return str_is(parameter, "shared_memory_byte_size") ? &part->size : NULL;
}

bool v2_sequence_id(sequence_wish *wish, str text, int64_t number) {
  wish->id[0] = 0;
  if (!text.at) {
    if (number) snprintf(wish->id, sizeof wish->id, "%lld", (long long)number);
    return true;
  }
  if (text.size >= sizeof wish->id) return false;
  memcpy(wish->id, text.at, text.size);
  wish->id[text.size] = 0;
  return strlen(wish->id) == text.size;
}

bool *v2_sequence_flag(sequence_wish *wish, str parameter) {
  if (str_is(parameter, "sequence_start")) return &wish->start;
  return str_is(parameter, "sequence_end") ? &wish->end : NULL;
}

bool v2_inputs_complete(v2_reader *r) {
  for (size_t i = 0; i < sdx_session_input_count(r->session); i++)
    if (!r->inputs[i] && !is_fed(r, i) && !sdx_session_input(r->session, i)->may_be_left_out)
      return json_fail(r->j, "inputs: '%.100s' is missing", sdx_session_input(r->session, i)->name);
  return true;
}

bool v2_want(v2_reader *r, str output, v2_form form, const region_part *part, const char *path) {
  size_t index = 0, outputs = sdx_session_output_count(r->session);
  while (index < outputs && !str_is(output, sdx_session_output(r->session, index)->name)) index++;
  if (index == outputs)
    return json_fail(r->j, "%s.name: model '%s' has no output '%.*s'", path, r->model,
                     output.size > 100 ? 100 : (int)output.size, output.at);
  for (size_t i = 0; i < r->request->wanted_count; i++)
    if (r->request->wanted[i].index == index) return json_fail(r->j, "%s.name: the output is asked for twice", path);
  if (part->region.at && !r->request->regions)
    return json_fail(r->j, "%s: shared memory is for clients on the server's machine", path);
  if (part->region.at && (part->size < 0 || part->offset < 0))
    return json_fail(r->j, "%s.parameters: expected no negative shared_memory_byte_size or offset", path);
  r->request->shares |= part->region.at != NULL;
  r->request->wanted[r->request->wanted_count++] = (struct v2_wanted){index, form, *part};
  return true;
}

bool v2_parameter_matters(str name) { return str_is(name, "classification"); }

v2_request *v2_request_create(const sdx_session *session) {
  v2_request *request;
  return calloc(1, sizeof *request + sdx_session_output_count(session) * sizeof *request->wanted);
}

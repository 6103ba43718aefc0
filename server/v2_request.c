// SPDX-License-Identifier: Apache-2.0
// Inference requests of the Open Inference Protocol (v2_request.h). Sizes are checked against what arrived before any
// memory is taken for them.
#include "server/v2_request.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "server/tensor_io.h"

enum { SHAPE_TEXT = 200, PATH_TEXT = 64, MOST_PRIORITY = 1000000 };

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

typedef struct parameters {
  int64_t binary_size;  // -1: not given
  v2_form form, all_form;
  int64_t timeout_us, priority;
} parameters;

typedef struct input_object {
  str name, datatype;
  bool has_name, has_type, has_shape, has_data;
  size_t rank;
  int64_t shape[JSON_TENSOR_RANK];
  parameters parameters;
  json data;  // where the value stands when it had to be passed over
} input_object;

typedef struct reader {
  v2_request *request;
  const sdx_session *session;
  const char *model;
  sdx_value **inputs;
  json *j;
  char *raw;  // the binary part that is left
  size_t raw_left;
  bool has_raw;
} reader;

static bool read_parameters(reader *r, parameters *p, const char *path) {
  json *j = r->j;
  bool first = true, flag;
  str key;
  char where[PATH_TEXT * 2];
  snprintf(where, sizeof where, "%s.parameters", path);
  if (!json_open(j, '{', where)) return false;
  while (json_more(j, '{', &first)) {
    if (!json_key(j, &key)) return false;
    snprintf(where, sizeof where, "%s.parameters.%.*s", path, key.size > 40 ? 40 : (int)key.size, key.at);
    if (str_is(key, "binary_data_size")) {
      if (!json_i64(j, &p->binary_size, where)) return false;
      if (p->binary_size < 0) return json_fail(j, "%s is negative", where);
    } else if (str_is(key, "binary_data")) {
      if (!json_bool(j, &flag, where)) return false;
      p->form = flag ? FORM_BINARY : FORM_JSON;
    } else if (str_is(key, "binary_data_output")) {
      if (!json_bool(j, &flag, where)) return false;
      p->all_form = flag ? FORM_BINARY : FORM_JSON;
    } else if (str_is(key, "timeout")) {
      if (!json_i64(j, &p->timeout_us, where)) return false;
      if (p->timeout_us < 0) return json_fail(j, "%s is negative, expected microseconds", where);
    } else if (str_is(key, "priority")) {
      if (!json_i64(j, &p->priority, where)) return false;
      if (p->priority < 0 || p->priority > MOST_PRIORITY)
        return json_fail(j, "%s: expected a number from 1, the most urgent, to %d, or 0", where, MOST_PRIORITY);
    } else if (str_is(key, "classification") || (key.size > 13 && !memcmp(key.at, "shared_memory", 13)) ||
               str_is(key, "sequence_id")) {
      // Ignoring these would change the meaning of the answer.
      return json_fail(j, "%s is not supported", where);
    } else if (json_peek(j) == '{' || json_peek(j) == '[' || json_peek(j) == 'n') {
      return json_fail(j, "%s: found %s, expected a string, number or boolean", where, json_kind(json_peek(j)));
    } else if (!json_skip(j)) {
      return false;
    }
  }
  return !j->failed;
}

static bool read_shape(reader *r, input_object *in, const char *path) {
  json *j = r->j;
  bool first = true;
  char where[PATH_TEXT * 2];
  snprintf(where, sizeof where, "%s.shape", path);
  if (!json_open(j, '[', where)) return false;
  while (json_more(j, '[', &first)) {
    if (in->rank == JSON_TENSOR_RANK) return json_fail(j, "%s has more than %d dimensions", where, JSON_TENSOR_RANK);
    snprintf(where, sizeof where, "%s.shape[%zu]", path, in->rank);
    if (!json_i64(j, &in->shape[in->rank], where)) return false;
    if (in->shape[in->rank] < 0)
      return json_fail(j, "%s is %lld, expected no negative number", where, (long long)in->shape[in->rank]);
    in->rank++;
  }
  return !j->failed;
}

static bool product(const int64_t *shape, size_t rank, size_t *count) {
  *count = 1;
  for (size_t i = 0; i < rank; i++)
    if (shape[i] == 0) return *count = 0, true;
  for (size_t i = 0; i < rank; i++)
    if (__builtin_mul_overflow(*count, (size_t)shape[i], count) || *count > SIZE_MAX / 64) return false;
  return true;
}

// Name, type and shape against the model; fills what the data must have.
static bool resolve(reader *r, const input_object *in, const char *path, size_t *index, const v2_type **type,
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
  if (!product(in->shape, in->rank, count)) return json_fail(j, "%s.shape has too many elements", path);
  return true;
}

static bool read_json_data(reader *r, json *at, const input_object *in, size_t index, const v2_type *type, size_t count,
                           const char *path) {
  json *j = r->j;
  char where[PATH_TEXT + 8];
  snprintf(where, sizeof where, "%s.data", path);
  if (!type->json) return json_fail(j, "%s: %s has no JSON form, expected binary_data_size", where, type->name);
  json_tensor t = {.dtype = type->dtype, .path = where, .max_count = count, .expect_count = count};
  if (!json_tensor_read(at, &t)) {
    if (at != j) json_fail(j, "%s", at->message);
    return false;
  }
  bool flat = t.rank <= 1, fits = flat ? t.count == count : t.rank == in->rank;
  for (size_t i = 0; fits && !flat && i < t.rank; i++) fits = t.shape[i] == in->shape[i];
  if (!fits) {
    char found[SHAPE_TEXT], wanted[SHAPE_TEXT];
    json_fail(j, "%s: found %s, the shape is %s", where, shape_format(t.shape, NULL, t.rank, found, sizeof found),
              shape_format(in->shape, NULL, in->rank, wanted, sizeof wanted));
    json_tensor_free(&t);
    return false;
  }
  r->inputs[index] = tensor_take(&t, in->rank, in->shape);
  return r->inputs[index] || json_fail(j, "%s: not enough memory", where);
}

static bool read_strings(reader *r, sdx_value *tensor, const char *bytes, size_t size, size_t count, const char *path) {
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

// `size` bytes at `bytes` become the input. They stay in the body where their address allows it.
static bool take_binary(reader *r, char *bytes, size_t size, size_t index, const v2_type *type, size_t rank,
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
      value = sdx_tensor_borrow(type->dtype, rank, shape, bytes, NULL, NULL);
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

static bool read_input(reader *r, size_t number) {
  json *j = r->j;
  input_object in = {.parameters = {.binary_size = -1}};
  const v2_type *type = NULL;
  size_t index = 0, count = 0;
  bool first = true, seen_parameters = false, done = false;
  str key;
  char path[PATH_TEXT];
  snprintf(path, sizeof path, "inputs[%zu]", number);
  if (!json_open(j, '{', path)) return false;
  while (json_more(j, '{', &first)) {
    if (!json_key(j, &key)) return false;
    bool *seen = str_is(key, "name")         ? &in.has_name
                 : str_is(key, "datatype")   ? &in.has_type
                 : str_is(key, "shape")      ? &in.has_shape
                 : str_is(key, "data")       ? &in.has_data
                 : str_is(key, "parameters") ? &seen_parameters
                                             : NULL;
    if (!seen) return json_fail(j, "%s.%.*s: no such member", path, key.size > 40 ? 40 : (int)key.size, key.at);
    if (*seen) return json_fail(j, "%s.%.*s is given twice", path, (int)key.size, key.at);
    char where[PATH_TEXT + 16];
    snprintf(where, sizeof where, "%s.%.*s", path, (int)key.size, key.at);
    if (seen == &in.has_name) {
      if (!json_string_read(j, &in.name, where)) return false;
    } else if (seen == &in.has_type) {
      if (!json_string_read(j, &in.datatype, where)) return false;
    } else if (seen == &in.has_shape) {
      if (!read_shape(r, &in, path)) return false;
    } else if (seen == &seen_parameters) {
      if (!read_parameters(r, &in.parameters, path)) return false;
    } else if (in.has_name && in.has_type && in.has_shape) {
      if (!resolve(r, &in, path, &index, &type, &count) || !read_json_data(r, j, &in, index, type, count, path))
        return false;
      done = true;
    } else {
      // The data comes before what tells its type: it is checked now and read at the end.
      in.data = *j;
      if (!json_skip(j)) return false;
      in.data.end = j->at;
    }
    *seen = true;
  }
  if (j->failed) return false;
  bool binary = in.parameters.binary_size >= 0;
  if (binary && in.has_data) return json_fail(j, "%s has both data and binary_data_size", path);
  if (!binary && !in.has_data) return json_fail(j, "%s.data is missing", path);
  if (done) return true;
  if (!resolve(r, &in, path, &index, &type, &count)) return false;
  if (!binary) return read_json_data(r, &in.data, &in, index, type, count, path);
  if (!r->has_raw) return json_fail(j, "%s: binary_data_size needs the header Inference-Header-Content-Length", path);
  size_t size = (size_t)in.parameters.binary_size;
  if (size > r->raw_left)
    return json_fail(j, "%s.parameters.binary_data_size is %zu, %zu bytes are left in the body", path, size,
                     r->raw_left);
  if (!take_binary(r, r->raw, size, index, type, in.rank, in.shape, count, path)) return false;
  r->raw += size;
  r->raw_left -= size;
  return true;
}

static bool read_output(reader *r, size_t number) {
  json *j = r->j;
  size_t outputs = sdx_session_output_count(r->session);
  parameters p = {.binary_size = -1};
  bool first = true, has_name = false;
  str key, name = {0};
  char path[PATH_TEXT], where[PATH_TEXT + 8];
  snprintf(path, sizeof path, "outputs[%zu]", number);
  snprintf(where, sizeof where, "%s.name", path);
  if (!json_open(j, '{', path)) return false;
  while (json_more(j, '{', &first)) {
    if (!json_key(j, &key)) return false;
    if (str_is(key, "name") && !has_name) {
      if (!json_string_read(j, &name, where)) return false;
      has_name = true;
    } else if (str_is(key, "parameters")) {
      if (!read_parameters(r, &p, path)) return false;
    } else {
      return json_fail(j, "%s.%.*s: no such member", path, key.size > 40 ? 40 : (int)key.size, key.at);
    }
  }
  if (j->failed) return false;
  if (!has_name) return json_fail(j, "%s.name is missing", path);
  size_t index = 0;
  while (index < outputs && !str_is(name, sdx_session_output(r->session, index)->name)) index++;
  if (index == outputs)
    return json_fail(j, "%s.name: model '%s' has no output '%.*s'", path, r->model,
                     name.size > 100 ? 100 : (int)name.size, name.at);
  for (size_t i = 0; i < r->request->wanted_count; i++)
    if (r->request->wanted[i].index == index) return json_fail(j, "%s.name: the output is asked for twice", path);
  r->request->wanted[r->request->wanted_count++] = (struct v2_wanted){index, p.form};
  return true;
}

static bool read_list(reader *r, const char *what, bool (*each)(reader *, size_t)) {
  bool first = true;
  size_t number = 0;
  if (!json_open(r->j, '[', what)) return false;
  while (json_more(r->j, '[', &first))
    if (!each(r, number++)) return false;
  return !r->j->failed;
}

static bool read_json(reader *r) {
  json *j = r->j;
  parameters p = {.binary_size = -1};
  bool first = true, inputs = false, outputs = false;
  str key;
  if (!json_open(j, '{', "the body")) return false;
  while (json_more(j, '{', &first)) {
    if (!json_key(j, &key)) return false;
    if (str_is(key, "id") && !r->request->has_id) {
      if (!json_string_read(j, &r->request->id, "id")) return false;
      r->request->has_id = true;
    } else if (str_is(key, "parameters")) {
      if (!read_parameters(r, &p, "request")) return false;
    } else if (str_is(key, "inputs") && !inputs) {
      if (!read_list(r, "inputs", read_input)) return false;
      inputs = true;
    } else if (str_is(key, "outputs") && !outputs) {
      if (!read_list(r, "outputs", read_output)) return false;
      outputs = true;
    } else {
      return json_fail(j, "%.*s: given twice or no such member, expected id, parameters, inputs, outputs",
                       key.size > 40 ? 40 : (int)key.size, key.at);
    }
  }
  if (!json_end(j)) return false;
  if (!inputs) return json_fail(j, "inputs is missing");
  for (size_t i = 0; i < sdx_session_input_count(r->session); i++)
    if (!r->inputs[i] && !sdx_session_input(r->session, i)->may_be_left_out)
      return json_fail(j, "inputs: '%.100s' is missing", sdx_session_input(r->session, i)->name);
  if (r->raw_left)
    return json_fail(j, "the body has %zu bytes of binary data that no input's binary_data_size claims", r->raw_left);
  r->request->all_outputs = r->request->wanted_count == 0;
  r->request->binary = p.all_form == FORM_BINARY;
  r->request->timeout_us = (uint64_t)p.timeout_us;
  r->request->priority = (unsigned)p.priority;
  return true;
}

// The body is the tensor: batch 1, and at most one other dimension, which the size tells.
static bool read_raw(reader *r, size_t size) {
  json *j = r->j;
  size_t inputs = sdx_session_input_count(r->session);
  if (inputs != 1) return json_fail(j, "raw binary data needs a model with one input, this has %zu", inputs);
  const sdx_io *io = sdx_session_input(r->session, 0);
  const v2_type *type = v2_type_find(io->dtype);
  if (!type || !io->has_shape || io->rank > JSON_TENSOR_RANK)
    return json_fail(j, "input '%.100s' of type %.60s cannot be sent as raw binary data", io->name, io->type);
  int64_t shape[JSON_TENSOR_RANK];
  size_t open = SIZE_MAX, free_dims = 0, fixed = 1, count;
  for (size_t i = 0; i < io->rank; i++) free_dims += io->shape[i] < 0;
  for (size_t i = 0; i < io->rank; i++) {
    shape[i] = io->shape[i];
    if (shape[i] >= 0) continue;
    if (i == 0 && free_dims > 1) shape[i] = 1;
    else if (open != SIZE_MAX) return json_fail(j, "raw binary data needs at most one free dimension beside the batch");
    else open = i, shape[i] = 1;
  }
  if (!product(shape, io->rank, &fixed)) return json_fail(j, "the input's shape has too many elements");
  if (!type->bytes) {
    if (open != SIZE_MAX) shape[open] = 1;
    count = fixed;
  } else {
    count = size / type->bytes;
    if (open != SIZE_MAX && fixed) shape[open] = (int64_t)(count / fixed);
    if (!product(shape, io->rank, &count)) return json_fail(j, "the input's shape has too many elements");
  }
  r->request->all_outputs = r->request->binary = true;
  return take_binary(r, r->raw, size, 0, type, io->rank, shape, count, "the body");
}

v2_request *v2_request_create(const sdx_session *session) {
  v2_request *request;
  return calloc(1, sizeof *request + sdx_session_output_count(session) * sizeof *request->wanted);
}

bool v2_request_read(v2_request *request, json *j, const sdx_session *session, const char *model, sdx_value **inputs,
                     char *raw, size_t raw_size) {
  reader r = {request, session, model, inputs, j, raw, raw_size, raw != NULL};
  return raw && j->at == j->end ? read_raw(&r, raw_size) : read_json(&r);
}

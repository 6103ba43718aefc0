// SPDX-License-Identifier: Apache-2.0
// Inference requests of the Open Inference Protocol (v2_request.h). Sizes are checked against what arrived before any
// memory is taken for them.
#include "server/v2_request.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "server/tensor_io.h"
#include "server/v2_tensor.h"

enum { SHAPE_TEXT = 200, PATH_TEXT = 64 };

typedef struct parameters {
  int64_t binary_size;  // -1: not given
  v2_form form, all_form;
  int64_t timeout_us, priority;
  region_part part;
} parameters;

typedef struct input_object {
  v2_input of;
  bool has_data;
  parameters parameters;
  json data;  // where the value stands when it had to be passed over
} input_object;

typedef struct reader {
  v2_reader to;
  char *raw;  // the binary part that is left
  size_t raw_left;
  bool has_raw;
} reader;

static bool read_sequence_id(reader *r, const char *where) {
  json *j = r->to.j;
  str text = {0};
  int64_t number = 0;
  if (!(json_peek(j) == '"' ? json_string_read(j, &text, where) : json_i64(j, &number, where))) return false;
  return v2_sequence_id(&r->to.request->sequence, text, number) || json_fail(j, "%s is too long", where);
}

static bool read_parameters(reader *r, parameters *p, const char *path) {
  json *j = r->to.j;
  bool first = true, flag, *of_sequence;
  str key;
  int64_t *number;
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
      if (p->priority < 0 || p->priority > V2_PRIORITIES)
        return json_fail(j, "%s: expected a number from 1, the most urgent, to %d, or 0", where, V2_PRIORITIES);
    } else if (str_is(key, "sequence_id")) {
      if (!read_sequence_id(r, where)) return false;
    } else if ((of_sequence = v2_sequence_flag(&r->to.request->sequence, key))) {
      if (!json_bool(j, of_sequence, where)) return false;
    } else if (v2_is_region(key)) {
      if (!json_string_read(j, &p->part.region, where)) return false;
    } else if ((number = v2_part_number(&p->part, key))) {
      if (!json_i64(j, number, where)) return false;
    } else if (v2_parameter_matters(key)) {
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
  json *j = r->to.j;
  bool first = true;
  char where[PATH_TEXT * 2];
  snprintf(where, sizeof where, "%s.shape", path);
  if (!json_open(j, '[', where)) return false;
  while (json_more(j, '[', &first)) {
    if (in->of.rank == JSON_TENSOR_RANK) return json_fail(j, "%s has more than %d dimensions", where, JSON_TENSOR_RANK);
    snprintf(where, sizeof where, "%s.shape[%zu]", path, in->of.rank);
    if (!json_i64(j, &in->of.shape[in->of.rank], where)) return false;
    if (in->of.shape[in->of.rank] < 0)
      return json_fail(j, "%s is %lld, expected no negative number", where, (long long)in->of.shape[in->of.rank]);
    in->of.rank++;
  }
  return !j->failed;
}

static bool read_json_data(reader *r, json *at, const input_object *in, size_t index, const v2_type *type, size_t count,
                           const char *path) {
  json *j = r->to.j;
  char where[PATH_TEXT + 8];
  snprintf(where, sizeof where, "%s.data", path);
  if (!type->json) return json_fail(j, "%s: %s has no JSON form, expected binary_data_size", where, type->name);
  json_tensor t = {.dtype = type->dtype, .path = where, .max_count = count, .expect_count = count};
  if (!json_tensor_read(at, &t)) {
    if (at != j) json_fail(j, "%s", at->message);
    return false;
  }
  bool flat = t.rank <= 1, fits = flat ? t.count == count : t.rank == in->of.rank;
  for (size_t i = 0; fits && !flat && i < t.rank; i++) fits = t.shape[i] == in->of.shape[i];
  if (!fits) {
    char found[SHAPE_TEXT], wanted[SHAPE_TEXT];
    json_fail(j, "%s: found %s, the shape is %s", where, shape_format(t.shape, NULL, t.rank, found, sizeof found),
              shape_format(in->of.shape, NULL, in->of.rank, wanted, sizeof wanted));
    json_tensor_free(&t);
    return false;
  }
  r->to.inputs[index] = tensor_take(&t, in->of.rank, in->of.shape);
  return r->to.inputs[index] || json_fail(j, "%s: not enough memory", where);
}

static bool read_input(reader *r, size_t number) {
  json *j = r->to.j;
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
    bool *seen = str_is(key, "name")         ? &in.of.has_name
                 : str_is(key, "datatype")   ? &in.of.has_type
                 : str_is(key, "shape")      ? &in.of.has_shape
                 : str_is(key, "data")       ? &in.has_data
                 : str_is(key, "parameters") ? &seen_parameters
                                             : NULL;
    if (!seen) return json_fail(j, "%s.%.*s: no such member", path, key.size > 40 ? 40 : (int)key.size, key.at);
    if (*seen) return json_fail(j, "%s.%.*s is given twice", path, (int)key.size, key.at);
    char where[PATH_TEXT + 16];
    snprintf(where, sizeof where, "%s.%.*s", path, (int)key.size, key.at);
    if (seen == &in.of.has_name) {
      if (!json_string_read(j, &in.of.name, where)) return false;
    } else if (seen == &in.of.has_type) {
      if (!json_string_read(j, &in.of.datatype, where)) return false;
    } else if (seen == &in.of.has_shape) {
      if (!read_shape(r, &in, path)) return false;
    } else if (seen == &seen_parameters) {
      if (!read_parameters(r, &in.parameters, path)) return false;
    } else if (in.of.has_name && in.of.has_type && in.of.has_shape) {
      if (!v2_input_resolve(&r->to, &in.of, path, &index, &type, &count) ||
          !read_json_data(r, j, &in, index, type, count, path))
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
  bool binary = in.parameters.binary_size >= 0, shared = in.parameters.part.region.at != NULL;
  if (shared && (binary || in.has_data)) return json_fail(j, "%s has data beside its shared_memory_region", path);
  if (binary && in.has_data) return json_fail(j, "%s has both data and binary_data_size", path);
  if (!binary && !shared && !in.has_data) return json_fail(j, "%s.data is missing", path);
  if (done) return true;
  if (!v2_input_resolve(&r->to, &in.of, path, &index, &type, &count)) return false;
  if (shared) return v2_input_fetch(&r->to, &in.parameters.part, index, type, &in.of, count, path);
  if (!binary) return read_json_data(r, &in.data, &in, index, type, count, path);
  if (!r->has_raw) return json_fail(j, "%s: binary_data_size needs the header Inference-Header-Content-Length", path);
  size_t size = (size_t)in.parameters.binary_size;
  if (size > r->raw_left)
    return json_fail(j, "%s.parameters.binary_data_size is %zu, %zu bytes are left in the body", path, size,
                     r->raw_left);
  if (!v2_input_take(&r->to, r->raw, size, index, type, in.of.rank, in.of.shape, count, path)) return false;
  r->raw += size;
  r->raw_left -= size;
  return true;
}

static bool read_output(reader *r, size_t number) {
  json *j = r->to.j;
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
  return v2_want(&r->to, name, p.form, &p.part, path);
}

static bool read_list(reader *r, const char *what, bool (*each)(reader *, size_t)) {
  bool first = true;
  size_t number = 0;
  if (!json_open(r->to.j, '[', what)) return false;
  while (json_more(r->to.j, '[', &first))
    if (!each(r, number++)) return false;
  return !r->to.j->failed;
}

static bool read_json(reader *r) {
  json *j = r->to.j;
  parameters p = {.binary_size = -1};
  bool first = true, inputs = false, outputs = false;
  str key;
  if (!json_open(j, '{', "the body")) return false;
  while (json_more(j, '{', &first)) {
    if (!json_key(j, &key)) return false;
    if (str_is(key, "id") && !r->to.request->has_id) {
      if (!json_string_read(j, &r->to.request->id, "id")) return false;
      r->to.request->has_id = true;
    } else if (str_is(key, "model_name")) {  // of some clients; the path names the model
      if (!json_string_read(j, &key, "model_name")) return false;
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
  if (!v2_inputs_complete(&r->to)) return false;
  if (r->raw_left)
    return json_fail(j, "the body has %zu bytes of binary data that no input's binary_data_size claims", r->raw_left);
  r->to.request->all_outputs = r->to.request->wanted_count == 0;
  r->to.request->binary = p.all_form == FORM_BINARY;
  r->to.request->timeout_us = (uint64_t)p.timeout_us;
  r->to.request->priority = (unsigned)p.priority;
  return true;
}

// The body is the tensor: batch 1, and at most one other dimension, which the size tells.
static bool read_raw(reader *r, size_t size) {
  json *j = r->to.j;
  size_t inputs = sdx_session_input_count(r->to.session);
  if (inputs != 1) return json_fail(j, "raw binary data needs a model with one input, this has %zu", inputs);
  const sdx_io *io = sdx_session_input(r->to.session, 0);
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
  if (!v2_product(shape, io->rank, &fixed)) return json_fail(j, "the input's shape has too many elements");
  if (!type->bytes) {
    if (open != SIZE_MAX) shape[open] = 1;
    count = fixed;
  } else {
    count = size / type->bytes;
    if (open != SIZE_MAX && fixed) shape[open] = (int64_t)(count / fixed);
    if (!v2_product(shape, io->rank, &count)) return json_fail(j, "the input's shape has too many elements");
  }
  r->to.request->all_outputs = r->to.request->binary = true;
  return v2_input_take(&r->to, r->raw, size, 0, type, io->rank, shape, count, "the body");
}

bool v2_request_read(v2_request *request, json *j, const sdx_session *session, const char *model, sdx_value **inputs,
                     char *raw, size_t raw_size) {
  reader r = {{request, session, model, inputs, j, false}, raw, raw_size, raw != NULL};
  return raw && j->at == j->end ? read_raw(&r, raw_size) : read_json(&r);
}

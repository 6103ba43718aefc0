// SPDX-License-Identifier: Apache-2.0
// ModelInferRequest (grpc_request.h).
#include "server/grpc_request.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "server/v2_tensor.h"

#define REQUEST(F)                             \
  F(MODEL, 1, BYTES, "model_name")             \
  F(VERSION, 2, BYTES, "model_version")        \
  F(ID, 3, BYTES, "id")                        \
  F(PARAMETERS, 4, MESSAGE_LIST, "parameters") \
  F(INPUTS, 5, MESSAGE_LIST, "inputs")         \
  F(OUTPUTS, 6, MESSAGE_LIST, "outputs")       \
  F(RAW, 7, BYTES_LIST, "raw_input_contents")
#define INPUT(F)                                     \
  F(INPUT_NAME, 1, BYTES, "name")                    \
  F(INPUT_TYPE, 2, BYTES, "datatype")                \
  F(INPUT_SHAPE, 3, INTS, "shape")                   \
  F(INPUT_PARAMETERS, 4, MESSAGE_LIST, "parameters") \
  F(INPUT_CONTENTS, 5, MESSAGE, "contents")
#define OUTPUT(F) F(OUTPUT_NAME, 1, BYTES, "name") F(OUTPUT_PARAMETERS, 2, MESSAGE_LIST, "parameters")
#define ENTRY(F) F(ENTRY_KEY, 1, BYTES, "key") F(ENTRY_VALUE, 2, MESSAGE, "value")
#define PARAMETER(F)                         \
  F(VALUE_BOOL, 1, INT, "bool_param")        \
  F(VALUE_INT64, 2, INT, "int64_param")      \
  F(VALUE_STRING, 3, BYTES, "string_param")  \
  F(VALUE_DOUBLE, 4, DOUBLE, "double_param") \
  F(VALUE_UINT64, 5, INT, "uint64_param")
#define CONTENTS(F)                        \
  F(OF_BOOL, 1, INTS, "bool_contents")     \
  F(OF_INT, 2, INTS, "int_contents")       \
  F(OF_INT64, 3, INTS, "int64_contents")   \
  F(OF_UINT, 4, INTS, "uint_contents")     \
  F(OF_UINT64, 5, INTS, "uint64_contents") \
  F(OF_FP32, 6, FLOATS, "fp32_contents")   \
  F(OF_FP64, 7, DOUBLES, "fp64_contents")  \
  F(OF_BYTES, 8, BYTES_LIST, "bytes_contents")
enum { REQUEST(WIRE_SLOT) };
enum { INPUT(WIRE_SLOT) };
enum { OUTPUT(WIRE_SLOT) };
enum { ENTRY(WIRE_SLOT) };
enum { PARAMETER(WIRE_SLOT) };
enum { CONTENTS(WIRE_SLOT) OF_NOTHING };
WIRE_SCHEMA(static const, request_fields, REQUEST, "ModelInferRequest")
WIRE_SCHEMA(static const, input_fields, INPUT, "InferInputTensor")
WIRE_SCHEMA(static const, output_fields, OUTPUT, "InferRequestedOutputTensor")
WIRE_SCHEMA(static const, entry_fields, ENTRY, "ParametersEntry")
WIRE_SCHEMA(static const, parameter_fields, PARAMETER, "InferParameter")
WIRE_SCHEMA(static const, contents_fields, CONTENTS, "InferTensorContents")

enum { PATH_TEXT = 80 };

static size_t contents_of(sdx_dtype dtype) {
  switch (dtype) {
    case SDX_BOOL:
      return OF_BOOL;
    case SDX_INT8:
    case SDX_INT16:
    case SDX_INT32:
      return OF_INT;
    case SDX_INT64:
      return OF_INT64;
    case SDX_UINT8:
    case SDX_UINT16:
    case SDX_UINT32:
      return OF_UINT;
    case SDX_UINT64:
      return OF_UINT64;
    case SDX_FLOAT:
      return OF_FP32;
    case SDX_DOUBLE:
      return OF_FP64;
    case SDX_STRING:
      return OF_BYTES;
    default:
      return OF_NOTHING;
  }
}

typedef struct reader {
  v2_reader to;
  str *raw;
  size_t raw_count, raw_next;
} reader;

static bool scan(reader *r, wire w, const wire_schema *schema, wire_counts *counts, const char *path) {
  error e = {0};
  return wire_scan(w, schema, counts, &e) == SDX_OK || json_fail(r->to.j, "%s: %s", path, e.message);
}

// A parameter of the request, or of a tensor, which may lie in shared memory.
static bool read_parameter(reader *r, wire entry, region_part *part, const char *path) {
  wire_counts counts;
  wire_field f, v = {0};
  str key = {0};
  wire value = {0};
  bool has_value = false, whole = false, text = false;
  if (!scan(r, entry, &entry_fields, &counts, path)) return false;
  while (wire_next(&entry, &entry_fields, &f))
    if (f.slot == ENTRY_KEY) key = wire_str(&f);
    else value = f.body, has_value = true;
  if (v2_parameter_matters(key)) return json_fail(r->to.j, "%s.parameters.%.*s is not supported", path, STR_ARG(key));
  if (!has_value || !scan(r, value, &parameter_fields, &counts, path)) return !has_value;
  while (wire_next(&value, &parameter_fields, &v)) {
    whole = v.slot == VALUE_INT64 || v.slot == VALUE_UINT64;
    text = v.slot == VALUE_STRING;
  }
  bool *of_sequence = v2_sequence_flag(&r->to.request->sequence, key);
  if (of_sequence) *of_sequence = v.value != 0;
  if (str_is(key, "sequence_id") &&
      !v2_sequence_id(&r->to.request->sequence, text ? wire_str(&v) : (str){0}, (int64_t)v.value))
    return json_fail(r->to.j, "%s.parameters.sequence_id is too long", path);
  int64_t *of_part = part ? v2_part_number(part, key) : NULL;
  if ((part && v2_is_region(key) && !text) || (of_part && !whole))
    return json_fail(r->to.j, "%s.parameters.%.*s: expected a %s", path, STR_ARG(key), of_part ? "number" : "string");
  if (of_part) *of_part = (int64_t)v.value;
  else if (part && v2_is_region(key)) part->region = wire_str(&v);
  bool timeout = str_is(key, "timeout"), priority = str_is(key, "priority");
  if (!timeout && !priority) return true;
  int64_t number = (int64_t)v.value;
  if (!whole || number < 0 || (priority && number > V2_PRIORITIES))
    return json_fail(r->to.j, "%s.parameters.%.*s: expected a whole number that is not negative%s", path, STR_ARG(key),
                     priority ? ", at most 1000000" : "");
  if (timeout) r->to.request->timeout_us = (uint64_t)number;
  else r->to.request->priority = (unsigned)number;
  return true;
}

#define NARROW(type)                                 \
  do {                                               \
    if ((int64_t)(type)value != value) return false; \
    ((type *)to)[i] = (type)value;                   \
  } while (0)

// False: the number does not fit the type.
static bool put_whole(sdx_dtype dtype, void *to, size_t i, int64_t value) {
  switch (dtype) {
    case SDX_BOOL:
      ((uint8_t *)to)[i] = value != 0;
      return true;
    case SDX_INT8:
      NARROW(int8_t);
      return true;
    case SDX_INT16:
      NARROW(int16_t);
      return true;
    case SDX_INT32:
      NARROW(int32_t);
      return true;
    case SDX_UINT8:
      NARROW(uint8_t);
      return true;
    case SDX_UINT16:
      NARROW(uint16_t);
      return true;
    case SDX_UINT32:
      NARROW(uint32_t);
      return true;
    default:
      ((int64_t *)to)[i] = value;
      return true;
  }
}

static bool read_contents(reader *r, wire w, size_t slot, sdx_value *x, const char *path) {
  size_t at = 0, count = sdx_tensor_count(x), n;
  sdx_dtype dtype = sdx_tensor_dtype(x);
  char *to = sdx_tensor_data(x);
  int64_t some[64];
  wire_field f;
  while (wire_next(&w, &contents_fields, &f)) {
    if (f.slot != slot) continue;
    if (slot == OF_BYTES) {
      str s = wire_str(&f);
      if (sdx_tensor_set_string(x, at++, s.at, s.size) != SDX_OK)
        return json_fail(r->to.j, "%s: not enough memory", path);
    } else if (slot == OF_FP32) {
      at += wire_read_fixed(&f, sizeof(float), to + at * sizeof(float), count - at);
    } else if (slot == OF_FP64) {
      at += wire_read_fixed(&f, sizeof(double), to + at * sizeof(double), count - at);
    } else {
      while ((n = wire_read_ints(&f, some, sizeof some / sizeof *some)))
        for (size_t i = 0; i < n && at < count; i++, at++)
          if (!put_whole(dtype, to, at, some[i]))
            return json_fail(r->to.j, "%s: element %zu is %lld, which the type has no room for", path, at,
                             (long long)some[i]);
    }
  }
  return true;
}

static bool take_contents(reader *r, wire w, const v2_input *in, size_t index, const v2_type *type, size_t count,
                          const char *path) {
  wire_counts counts;
  size_t slot = contents_of(type->dtype);
  char where[PATH_TEXT + 12];
  snprintf(where, sizeof where, "%s.contents", path);
  if (!scan(r, w, &contents_fields, &counts, where)) return false;
  if (slot == OF_NOTHING) return json_fail(r->to.j, "%s: %s goes in raw_input_contents", where, type->name);
  for (size_t i = 0; i < OF_NOTHING; i++)
    if (i != slot && counts.of[i])
      return json_fail(r->to.j, "%s has %s, %s expects %s", where, contents_fields.fields[i].name, type->name,
                       contents_fields.fields[slot].name);
  if (counts.of[slot] != count)
    return json_fail(r->to.j, "%s.%s has %zu elements, the shape has %zu", where, contents_fields.fields[slot].name,
                     counts.of[slot], count);
  sdx_value *x = r->to.inputs[index] = sdx_tensor_create(type->dtype, in->rank, in->shape);
  return x ? read_contents(r, w, slot, x, where) : json_fail(r->to.j, "%s: not enough memory", where);
}

static bool read_shape(reader *r, wire_field *f, v2_input *in, const char *path) {
  int64_t some[JSON_TENSOR_RANK];
  size_t n;
  in->has_shape = true;
  while ((n = wire_read_ints(f, some, JSON_TENSOR_RANK)))
    for (size_t i = 0; i < n; i++) {
      if (in->rank == JSON_TENSOR_RANK)
        return json_fail(r->to.j, "%s.shape has more than %d dimensions", path, JSON_TENSOR_RANK);
      if (some[i] < 0)
        return json_fail(r->to.j, "%s.shape has %lld, expected no negative number", path, (long long)some[i]);
      in->shape[in->rank++] = some[i];
    }
  return true;
}

static bool read_input(reader *r, wire w, const char *path) {
  v2_input in = {.has_shape = true};  // a list that is empty does not appear
  wire_counts counts;
  wire_field f;
  wire contents = {0};
  bool typed = false;
  const v2_type *type;
  size_t index, count;
  region_part part = {0};
  if (!scan(r, w, &input_fields, &counts, path)) return false;
  while (wire_next(&w, &input_fields, &f)) {
    if (f.slot == INPUT_NAME) in.name = wire_str(&f), in.has_name = true;
    else if (f.slot == INPUT_TYPE) in.datatype = wire_str(&f), in.has_type = true;
    else if (f.slot == INPUT_CONTENTS) contents = f.body, typed = wire_size(f.body) > 0;
    else if (!(f.slot == INPUT_SHAPE ? read_shape(r, &f, &in, path) : read_parameter(r, f.body, &part, path)))
      return false;
  }
  if (!v2_input_resolve(&r->to, &in, path, &index, &type, &count)) return false;
  if (part.region.at) return v2_input_fetch(&r->to, &part, index, type, &in, count, path);
  if (!r->raw_count) return take_contents(r, contents, &in, index, type, count, path);
  if (typed) return json_fail(r->to.j, "%s has contents, and there is raw_input_contents", path);
  if (r->raw_next == r->raw_count)
    return json_fail(r->to.j, "raw_input_contents has %zu elements, expected one for each input", r->raw_count);
  str raw = r->raw[r->raw_next++];
  return v2_input_take(&r->to, (char *)raw.at, raw.size, index, type, in.rank, in.shape, count, path);
}

static bool read_output(reader *r, wire w, const char *path) {
  wire_counts counts;
  wire_field f;
  str name = {0};
  region_part part = {0};
  if (!scan(r, w, &output_fields, &counts, path)) return false;
  while (wire_next(&w, &output_fields, &f))
    if (f.slot == OUTPUT_NAME) name = wire_str(&f);
    else if (!read_parameter(r, f.body, &part, path)) return false;
  return v2_want(&r->to, name, FORM_DEFAULT, &part, path);
}

static bool read_request(reader *r, wire message) {
  wire_field f;
  size_t inputs = 0, outputs = 0;
  char path[PATH_TEXT];
  for (wire w = message; wire_next(&w, &request_fields, &f);)
    if (f.slot == RAW) r->raw[r->raw_count++] = wire_str(&f);
  while (wire_next(&message, &request_fields, &f)) {
    bool good = true;
    if (f.slot == ID) r->to.request->id = wire_str(&f), r->to.request->has_id = true;
    if (f.slot == PARAMETERS) good = read_parameter(r, f.body, NULL, "request");
    if (f.slot == INPUTS) {
      snprintf(path, sizeof path, "inputs[%zu]", inputs++);
      good = read_input(r, f.body, path);
    } else if (f.slot == OUTPUTS) {
      snprintf(path, sizeof path, "outputs[%zu]", outputs++);
      good = read_output(r, f.body, path);
    }
    if (!good) return false;
  }
  if (r->raw_next < r->raw_count)
    return json_fail(r->to.j, "raw_input_contents has %zu elements, expected %zu, one for each input", r->raw_count,
                     inputs);
  r->to.request->all_outputs = !outputs;
  r->to.request->binary = r->raw_count > 0;
  return v2_inputs_complete(&r->to);
}

uint32_t grpc_contents_number(sdx_dtype dtype) {
  size_t slot = contents_of(dtype);
  return slot == OF_NOTHING ? 0 : contents_fields.fields[slot].number;
}

bool grpc_request_names(wire message, json *j, str *model, str *version) {
  wire_counts counts;
  wire_field f;
  error e = {0};
  *model = *version = (str){0};
  if (wire_scan(message, &request_fields, &counts, &e) != SDX_OK) return json_fail(j, "%s", e.message);
  while (wire_next(&message, &request_fields, &f)) {
    if (f.slot == MODEL) *model = wire_str(&f);
    if (f.slot == VERSION) *version = wire_str(&f);
  }
  return model->size || json_fail(j, "model_name is missing");
}

bool grpc_request_read(v2_request *request, json *j, wire message, const sdx_session *session, const char *model,
                       sdx_value **inputs) {
  wire_counts counts;
  error e = {0};
  reader r = {{request, session, model, inputs, j, false}, NULL, 0, 0};
  size_t outputs = sdx_session_output_count(session);
  if (wire_scan(message, &request_fields, &counts, &e) != SDX_OK) return json_fail(j, "%s", e.message);
  if (counts.of[OUTPUTS] > outputs)
    return json_fail(j, "outputs: %zu are asked for, the model has %zu", counts.of[OUTPUTS], outputs);
  r.raw = calloc(counts.of[RAW] + 1, sizeof *r.raw);
  if (!r.raw) return json_fail(j, "not enough memory");
  bool good = read_request(&r, message);
  free(r.raw);
  return good;
}

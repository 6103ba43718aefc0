// SPDX-License-Identifier: Apache-2.0
// ModelInfer: the request (grpc_request.h) of a call, and the response. Outputs go out raw where the inputs came raw,
// else typed; if one has no typed form, all raw.
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "server/grpc.h"
#include "server/grpc_request.h"
#include "server/protocol_v2.h"

enum { RESPONSE_MODEL = 1, RESPONSE_VERSION, RESPONSE_ID, RESPONSE_OUTPUTS = 5, RESPONSE_RAW };
enum { TENSOR_NAME = 1, TENSOR_TYPE, TENSOR_SHAPE, TENSOR_PARAMETERS, TENSOR_CONTENTS };

bool grpc_infer_bind(call *c) {
  str name, version;
  json j = {0};
  if (!grpc_open(c)) return false;
  if (grpc_request_names(grpc_message(c), &j, &name, &version)) return grpc_find_model(c, name, version);
  call_error(c, 400, "%s", j.message);
  return false;
}

bool grpc_infer_parse(call *c) {
  json j = {0};
  v2_request *request = c->route_state = v2_request_create(c->model->session);
  if (!request) {
    call_retry(c, 503, "memory is exhausted");
    return false;
  }
  v2_prepare(c, request);
  if (grpc_request_read(request, &j, grpc_message(c), c->model->session, c->entry->name, c->inputs)) {
    return v2_take_wishes(c, request);
  }
  call_error(c, 400, "%s", j.message);
  return false;
}

// ---- response ------------------------------------------------------------------------------------

static int64_t whole_at(sdx_dtype dtype, const void *data, size_t i) {
  switch (dtype) {
    case SDX_BOOL:
    case SDX_UINT8:
      return ((const uint8_t *)data)[i];
    case SDX_INT8:
      return ((const int8_t *)data)[i];
    case SDX_INT16:
      return ((const int16_t *)data)[i];
    case SDX_UINT16:
      return ((const uint16_t *)data)[i];
    case SDX_INT32:
      return ((const int32_t *)data)[i];
    case SDX_UINT32:
      return ((const uint32_t *)data)[i];
    default:
      return ((const int64_t *)data)[i];
  }
}

static void write_contents(wire_out *out, const sdx_value *y, uint32_t number) {
  sdx_dtype dtype = sdx_tensor_dtype(y);
  size_t count = sdx_tensor_count(y), contents = wire_begin(out, TENSOR_CONTENTS), length;
  if (dtype == SDX_STRING) {
    for (size_t i = 0; i < count; i++) {
      const char *at = sdx_tensor_string(y, i, &length);
      wire_put_bytes(out, number, (str){at, length});
    }
  } else if (dtype == SDX_FLOAT || dtype == SDX_DOUBLE) {
    wire_put_bytes(out, number, (str){sdx_tensor_data(y), sdx_tensor_bytes(y)});
  } else {
    for (size_t i = 0; i < count; i++) wire_put_int(out, number, whole_at(dtype, sdx_tensor_data(y), i));
  }
  wire_end(out, contents);
}

static void write_raw(wire_out *out, const sdx_value *y) {
  if (sdx_tensor_dtype(y) != SDX_STRING) {
    wire_put_bytes(out, RESPONSE_RAW, (str){sdx_tensor_data(y), sdx_tensor_bytes(y)});
    return;
  }
  text bytes = {0};
  v2_put_strings(&bytes, y);
  if (bytes.failed) out->failed = true;
  wire_put_bytes(out, RESPONSE_RAW, (str){bytes.at, bytes.size});
  text_deinit(&bytes);
}

// An output that can go out, or does, into shared memory. False: the reply is an error.
static bool check_output(call *c, struct v2_wanted *wanted, bool *raw) {
  const sdx_io *io = sdx_session_output(c->model->session, wanted->index);
  const sdx_value *y = c->outputs[wanted->index];
  size_t size;
  bool tensor = y && sdx_value_kind(y) == SDX_KIND_TENSOR;
  if (!tensor || !v2_type_find(sdx_tensor_dtype(y))) {
    call_error(c, 501, "output '%.100s' is %.60s, which this protocol cannot carry", io->name, io->type);
    return false;
  }
  if (wanted->part.region.at) {
    if (!v2_put_part(c, y, io->name, &wanted->part, &size)) return false;
    wanted->part.size = (int64_t)size;
  } else if (!grpc_contents_number(sdx_tensor_dtype(y))) {
    *raw = true;
  }
  return true;
}

// What a request said of shared memory, said again.
static void write_part(wire_out *out, const region_part *part, size_t size) {
  enum { OF_INT64 = 2, OF_STRING };
  const struct {
    const char *key;
    int64_t number;
  } rows[] = {
      {"shared_memory_region", 0}, {"shared_memory_offset", part->offset}, {"shared_memory_byte_size", (int64_t)size}};
  for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
    size_t entry = wire_begin(out, TENSOR_PARAMETERS);
    grpc_put_str(out, 1, rows[i].key);
    size_t value = wire_begin(out, 2);
    if (i) wire_put_int(out, OF_INT64, rows[i].number);
    else wire_put_bytes(out, OF_STRING, part->region);
    wire_end(out, value);
    wire_end(out, entry);
  }
}

static void write_response(call *c, wire_out *out, bool raw) {
  const v2_request *request = c->route_state;
  grpc_put_str(out, RESPONSE_MODEL, c->entry->name);
  grpc_put_str(out, RESPONSE_VERSION, c->entry->version);
  if (request->id.size) wire_put_bytes(out, RESPONSE_ID, request->id);
  for (size_t i = 0; i < request->wanted_count; i++) {
    const sdx_value *y = c->outputs[request->wanted[i].index];
    size_t output = wire_begin(out, RESPONSE_OUTPUTS);
    grpc_put_str(out, TENSOR_NAME, sdx_session_output(c->model->session, request->wanted[i].index)->name);
    grpc_put_str(out, TENSOR_TYPE, v2_type_find(sdx_tensor_dtype(y))->name);
    wire_put_ints(out, TENSOR_SHAPE, sdx_tensor_shape(y), sdx_tensor_rank(y));
    const region_part *part = &request->wanted[i].part;
    if (part->region.at) write_part(out, part, (size_t)part->size);
    else if (!raw) write_contents(out, y, grpc_contents_number(sdx_tensor_dtype(y)));
    wire_end(out, output);
  }
  for (size_t i = 0; raw && i < request->wanted_count; i++)
    if (request->wanted[i].part.region.at) wire_put_bytes(out, RESPONSE_RAW, (str){"", 0});
    else write_raw(out, c->outputs[request->wanted[i].index]);
}

void grpc_infer_reply(call *c) {
  enum { STREAM_RESPONSE = 2 };
  v2_request *request = c->route_state;
  bool raw = request->binary;
  if (request->all_outputs) v2_want_all(c, request);
  for (size_t i = 0; i < request->wanted_count; i++)
    if (!check_output(c, &request->wanted[i], &raw)) return;
  wire_out out = grpc_begin(c);
  size_t inside = c->x.messages ? wire_begin(&out, STREAM_RESPONSE) : 0;
  write_response(c, &out, raw);
  if (c->x.messages) wire_end(&out, inside);
  grpc_end(c, &out);
}

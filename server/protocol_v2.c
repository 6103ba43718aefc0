// SPDX-License-Identifier: Apache-2.0
// The description of models, and the two halves of an inference, of protocol_v2.h. The header
// Inference-Header-Content-Length tells where in the body JSON ends and raw tensors begin. Read next: v2_request.h.
#include "server/protocol_v2.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "server/dispatch.h"
#include "server/tensor_io.h"

const char *v2_type_name(const sdx_io *io) {
  const v2_type *row = v2_type_find(io->dtype);
  return row ? row->name : io->type;
}

bool v2_type_has_json(sdx_dtype dtype) {
  const v2_type *row = v2_type_find(dtype);
  return row && row->json;
}

void v2_write_io(text *o, const sdx_io *io, bool output) {
  bool json = output && io->dtype == SDX_UNDEFINED;
  text_put(o, "{\"name\":");
  text_json_string(o, str_from(io->name));
  text_put(o, ",\"datatype\":");
  text_json_string(o, str_from(json ? "JSON" : v2_type_name(io)));
  text_put(o, json ? ",\"shape\":[-1" : ",\"shape\":[");
  for (size_t i = 0; io->has_shape && i < io->rank; i++)
    text_format(o, i ? ",%lld" : "%lld", (long long)(io->shape[i] < 0 ? -1 : io->shape[i]));
  text_put(o, "]}");
}

bool v2_take_wishes(call *c, const v2_request *request) {
  call_take_wishes(c, request->timeout_us, request->priority);
  if (request->shares) c->cacheable = false;
  if (c->model->sequences) return sequence_begin(c, &request->sequence);
  if (*request->sequence.id) call_error(c, 400, "parameters.sequence_id is not supported: the model keeps no state");
  return !*request->sequence.id;
}

void v2_prepare(call *c, v2_request *request) {
  request->fed = sequences_fed(c->model->sequences);
  request->regions = dispatch_is_local(c) ? &c->srv->regions : NULL;
  request->region_limit = (uint64_t)c->srv->limits.max_body_bytes;
}

// ---- request -------------------------------------------------------------------------------------

bool v2_parse(call *c) {
  json j;
  char *raw = NULL;
  size_t raw_size = 0;
  v2_request *request = c->route_state = v2_request_create(c->model->session);
  if (!request) {
    call_retry(c, 503, "memory is exhausted");
    return false;
  }
  v2_prepare(c, request);
  http_body *body = &c->x.request.body;
  const str *given = http_request_header(&c->x.request, "inference-header-content-length");
  size_t header = body->size;
  if (given) {
    int64_t number = -1;
    bool digits = given->size > 0 && given->size < 16;
    for (size_t i = 0; i < given->size && digits; i++) digits = given->at[i] >= '0' && given->at[i] <= '9';
    if (!digits || !number_read_int(*given, &number) || (size_t)number > body->size) {
      call_error(c, 400, "header Inference-Header-Content-Length: expected a number up to the body's size, %zu",
                 body->size);
      return false;
    }
    header = (size_t)number;
    raw = body->at + header;
    raw_size = body->size - header;
  }
  limits_json(&c->srv->limits, &j, body->at, header);
  if (!v2_request_read(request, &j, c->model->session, c->entry->name, c->inputs, raw, raw_size)) {
    call_error(c, 400, "%s", j.message);
    return false;
  }
  return v2_take_wishes(c, request);
}

// ---- response --------------------------------------------------------------------------------------

static size_t strings_bytes(const sdx_value *tensor) {
  size_t bytes = 0, length;
  for (size_t i = 0; i < sdx_tensor_count(tensor); i++) {
    sdx_tensor_string(tensor, i, &length);
    bytes += 4 + length;
  }
  return bytes;
}

void v2_put_strings(text *o, const sdx_value *tensor) {
  for (size_t i = 0; i < sdx_tensor_count(tensor); i++) {
    size_t length;
    const char *text = sdx_tensor_string(tensor, i, &length);
    uint32_t prefix = (uint32_t)length;
    text_append(o, (const char *)&prefix, sizeof prefix);
    text_append(o, text, length);
  }
}

static bool is_tensor(const sdx_value *value) { return value && sdx_value_kind(value) == SDX_KIND_TENSOR; }

// The extension json_values: what is no tensor, as a list of JSON values: the elements of a sequence, or the only one.
// False: the reply is an error.
static bool write_json_values(call *c, const sdx_io *io, const sdx_value *value, bool binary) {
  text *o = call_body(c);
  bool list = value && sdx_value_kind(value) == SDX_KIND_SEQUENCE, good = !binary;
  size_t count = list ? sdx_value_item_count(value) : 1;
  text_put(o, "{\"name\":");
  text_json_string(o, str_from(io->name));
  text_format(o, ",\"datatype\":\"JSON\",\"shape\":[%zu],\"data\":[", count);
  for (size_t i = 0; i < count && good; i++) {
    if (i) text_append(o, ",", 1);
    good = value_write_json(o, list ? sdx_value_item(value, i) : value, c->nan_literal);
  }
  text_put(o, "]}");
  if (binary) call_error(c, 400, "output '%.100s' is %.60s, which has no binary form", io->name, io->type);
  else if (!good) call_error(c, 501, "output '%.100s' is %.60s, which has no JSON form", io->name, io->type);
  return good;
}

bool v2_put_part(call *c, const sdx_value *tensor, const char *name, const region_part *part, size_t *size) {
  char why[200];
  text strings = {0};
  bool words = sdx_tensor_dtype(tensor) == SDX_STRING;
  if (words) v2_put_strings(&strings, tensor);
  const void *bytes = words ? strings.at : sdx_tensor_data(tensor);
  *size = words ? strings.size : sdx_tensor_bytes(tensor);
  bool fits = *size <= (size_t)part->size, good = fits && !strings.failed;
  if (!fits)
    call_error(c, 400, "output '%.100s' takes %zu bytes, shared_memory_byte_size is %lld", name, *size,
               (long long)part->size);
  else if (strings.failed) call_retry(c, 503, "memory is exhausted");
  else if (!regions_write(&c->srv->regions, part, bytes, *size, why, sizeof why))
    good = false, call_error(c, 400, "output '%.100s': %s", name, why);
  text_deinit(&strings);
  return good;
}

// False: the reply is an error.
static bool write_tensor(call *c, const sdx_io *io, const sdx_value *value, const struct v2_wanted *wanted) {
  bool shared = wanted->part.region.at != NULL, binary = wanted->form == FORM_BINARY;
  size_t size;
  text *o = call_body(c);
  const v2_type *type = v2_type_find(sdx_tensor_dtype(value));
  if (!type) {
    call_error(c, 501, "output '%.100s' is %.60s, which this protocol cannot carry", io->name, io->type);
    return false;
  }
  if (shared && !v2_put_part(c, value, io->name, &wanted->part, &size)) return false;
  if (!shared && !binary && !type->json) {
    call_error(c, 400, "output '%.100s' is %s, which has no JSON form: ask for it with parameters.binary_data true",
               io->name, type->name);
    return false;
  }
  text_put(o, "{\"name\":");
  text_json_string(o, str_from(io->name));
  text_format(o, ",\"datatype\":\"%s\",\"shape\":[", type->name);
  for (size_t i = 0; i < sdx_tensor_rank(value); i++)
    text_format(o, i ? ",%lld" : "%lld", (long long)sdx_tensor_shape(value)[i]);
  if (shared) {
    text_put(o, "],\"parameters\":{\"shared_memory_region\":");
    text_json_string(o, wanted->part.region);
    text_format(o, ",\"shared_memory_offset\":%lld,\"shared_memory_byte_size\":%zu}}", (long long)wanted->part.offset,
                size);
  } else if (binary) {
    size_t bytes = type->bytes ? sdx_tensor_bytes(value) : strings_bytes(value);
    text_format(o, "],\"parameters\":{\"binary_data_size\":%zu}}", bytes);
  } else {
    text_put(o, "],\"data\":[");
    tensor_write_flat(o, value, c->nan_literal);
    text_put(o, "]}");
  }
  return true;
}

void v2_want_all(const call *c, v2_request *request) {
  const bool *kept = sequences_kept(c->model->sequences);
  request->wanted_count = 0;
  for (size_t i = 0; i < c->model->output_count; i++)
    if (!kept || !kept[i]) request->wanted[request->wanted_count++] = (struct v2_wanted){.index = i};
}

void v2_reply(call *c) {
  v2_request *request = c->route_state;
  model *m = c->model;
  text *o = call_body(c);
  if (request->all_outputs) v2_want_all(c, request);
  bool any_binary = false;
  text_format(o, "{\"model_name\":\"%s\",\"model_version\":\"%s\"", c->entry->name, c->entry->version);
  if (request->has_id) {
    text_put(o, ",\"id\":");
    text_json_string(o, request->id);
  }
  text_put(o, ",\"outputs\":[");
  for (size_t i = 0; i < request->wanted_count; i++) {
    struct v2_wanted *w = &request->wanted[i];
    const sdx_io *io = sdx_session_output(m->session, w->index);
    const sdx_value *value = c->outputs[w->index];
    if (w->form == FORM_DEFAULT) w->form = request->binary && is_tensor(value) ? FORM_BINARY : FORM_JSON;
    if (w->part.region.at) w->form = FORM_JSON;
    bool binary = w->form == FORM_BINARY;
    any_binary |= binary;
    if (i) text_append(o, ",", 1);
    if (!(is_tensor(value) ? write_tensor(c, io, value, w) : write_json_values(c, io, value, binary))) return;
  }
  text_put(o, "]}");
  call_json(c, 200);
  if (!any_binary) return;
  http_response_header(&c->x.response, "Inference-Header-Content-Length", "%zu", o->size);
  c->x.response.content_type = "application/octet-stream";
  for (size_t i = 0; i < request->wanted_count; i++) {
    const sdx_value *value = c->outputs[request->wanted[i].index];
    if (request->wanted[i].form != FORM_BINARY) continue;
    if (sdx_tensor_dtype(value) == SDX_STRING) v2_put_strings(o, value);
    else text_append(o, sdx_tensor_data(value), sdx_tensor_bytes(value));
  }
}

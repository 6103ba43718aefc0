// SPDX-License-Identifier: Apache-2.0
// POST /score: the plain way to ask a model. {"data": nested list} for a model with one input,
// {"data": {"x": ..., "y": ...}} or {"x": ..., "y": ...} for any; the answer is {"result": nested list},
// or {"result": {"name": ...}} when there are several outputs. Headers and refusals are those of the
// scoring container (route.h: container).
#include <stdio.h>

#include "server/call.h"
#include "server/schema.h"
#include "server/tensor_io.h"

enum { SHAPE_TEXT = 200 };

// Gives the nested shape that was read its place in the declared one: equal, or with missing leading
// dimensions of 1, or a flat list of all elements. False: it does not fit.
static bool fit_shape(const sdx_io *io, const json_tensor *t, int64_t *shape) {
  if (t->rank <= io->rank) {
    size_t missing = io->rank - t->rank;
    bool fits = true;
    for (size_t i = 0; i < io->rank; i++) {
      shape[i] = i < missing ? 1 : t->shape[i - missing];
      if (io->shape[i] >= 0 && io->shape[i] != shape[i]) fits = false;
    }
    if (fits) return true;
  }
  if (t->rank != 1) return false;
  size_t fixed = 1, open = SIZE_MAX;
  for (size_t i = 0; i < io->rank; i++) {
    shape[i] = io->shape[i];
    if (shape[i] < 0 && open != SIZE_MAX) return false;
    if (shape[i] < 0) open = i;
    else if (__builtin_mul_overflow(fixed, (size_t)shape[i], &fixed)) return false;
  }
  if (open == SIZE_MAX) return fixed == t->count;
  if (fixed == 0 || t->count % fixed) return false;
  shape[open] = (int64_t)(t->count / fixed);
  return true;
}

static bool read_input(call *c, json *j, size_t index, const char *path) {
  const sdx_io *io = sdx_session_input(c->model->session, index);
  if (c->inputs[index]) return json_fail(j, "%s: given twice", path);
  if (io->dtype == SDX_UNDEFINED)
    return json_fail(j, "%s: the model wants %s, which JSON cannot carry", path, io->type);
  json_tensor t = {.dtype = io->dtype, .path = path, .max_count = SIZE_MAX / 64};
  size_t count = 1;
  bool fixed = io->has_shape;
  for (size_t i = 0; fixed && i < io->rank; i++)
    fixed = io->shape[i] >= 0 && !__builtin_mul_overflow(count, (size_t)io->shape[i], &count);
  // Memory at once when the size is known; a wrong count is reported as a shape below.
  if (fixed && count <= (size_t)(j->end - j->at) / 2) t.expect_count = count;
  if (!json_tensor_read(j, &t)) return false;
  int64_t shape[JSON_TENSOR_RANK];
  char found[SHAPE_TEXT], wanted[SHAPE_TEXT];
  bool fits = !io->has_shape || (io->rank <= JSON_TENSOR_RANK && fit_shape(io, &t, shape));
  if (!fits) {
    json_fail(j, "%s: found shape %s, expected %s of %s", path,
              shape_format(t.shape, NULL, t.rank, found, sizeof found),
              shape_format(io->shape, io->symbols, io->rank, wanted, sizeof wanted), sdx_dtype_name(io->dtype));
    json_tensor_free(&t);
    return false;
  }
  c->inputs[index] = tensor_take(&t, io->has_shape ? io->rank : t.rank, io->has_shape ? shape : t.shape);
  return c->inputs[index] || json_fail(j, "%s: not enough memory", path);
}

static size_t find_input(const call *c, str name) {
  size_t i = 0;
  while (i < c->model->input_count && !str_is(name, sdx_session_input(c->model->session, i)->name)) i++;
  return i;
}

static bool read_named(call *c, json *j, str name, const char *prefix) {
  size_t index = find_input(c, name);
  if (index == c->model->input_count)
    return json_fail(j, "%s%.*s: the model has no such input; its first one is '%.100s'", prefix,
                     name.size > 100 ? 100 : (int)name.size, name.at,
                     index ? sdx_session_input(c->model->session, 0)->name : "");
  char path[200];
  snprintf(path, sizeof path, "%s%s", prefix, sdx_session_input(c->model->session, index)->name);
  return read_input(c, j, index, path);
}

static bool read_body(call *c, json *j) {
  bool first = true;
  str key, inner;
  if (!json_open(j, '{', "the body")) return false;
  while (json_more(j, '{', &first)) {
    if (!json_key(j, &key)) return false;
    bool data = str_is(key, "data");
    if (data && json_peek(j) == '{') {
      bool inner_first = true;
      if (!json_open(j, '{', "data")) return false;
      while (json_more(j, '{', &inner_first))
        if (!json_key(j, &inner) || !read_named(c, j, inner, "data.")) return false;
    } else if (data && c->model->input_count == 1) {
      if (!read_input(c, j, 0, "data")) return false;
    } else if (data && find_input(c, key) == c->model->input_count) {
      return json_fail(j, "data: the model has %zu inputs, expected an object with one member for each",
                       c->model->input_count);
    } else if (!read_named(c, j, key, "")) {
      return false;
    }
  }
  if (!json_end(j)) return false;
  for (size_t i = 0; i < c->model->input_count; i++)
    if (!c->inputs[i] && !io_is_optional(sdx_session_input(c->model->session, i)))
      return json_fail(j, "input '%.100s' is missing; expected {\"data\": ...}",
                       sdx_session_input(c->model->session, i)->name);
  return true;
}

static bool parse(call *c) {
  json j;
  call_read_json(c, &j);
  if (read_body(c, &j)) return true;
  call_error(c, 400, "%s", j.message);
  return false;
}

static void reply(call *c, sdx_run *run) {
  model *m = c->model;
  text *o = call_body(c);
  bool single = m->output_count == 1;
  text_put(o, single ? "{\"result\":" : "{\"result\":{");
  for (size_t i = 0; i < m->output_count; i++) {
    const sdx_io *io = sdx_session_output(m->session, i);
    if (!single) {
      if (i) text_append(o, ",", 1);
      text_json_string(o, str_from(io->name));
      text_append(o, ":", 1);
    }
    if (!value_write_json(o, sdx_run_output(run, i), c->nan_literal)) {
      call_error(c, 501, "output '%.100s' is %.60s, which has no JSON form", io->name, io->type);
      return;
    }
  }
  text_put(o, single ? "}" : "}}");
  call_json(c, 200);
}

// What fit_shape takes, but flat lists that must be multiples of some length: no schema can say that.
static void input_schema(text *o, const sdx_io *io) {
  text_put(o, "{\"anyOf\":[");
  schema_nested(o, io, 0, true);
  for (size_t i = 0; io->has_shape && i < io->rank && (io->shape[i] < 0 || io->shape[i] == 1); i++) {
    text_append(o, ",", 1);
    schema_nested(o, io, i + 1, true);
  }
  if (io->rank > 1 && schema_is_fixed(io)) {
    text_append(o, ",", 1);
    schema_flat(o, io, true);
  }
  text_put(o, "]}");
}

static void inputs_schema(text *o, const model *m) {
  bool first = true;
  text_put(o, "{\"type\":\"object\",\"additionalProperties\":false,\"properties\":{");
  for (size_t i = 0; i < m->input_count; i++) {
    const sdx_io *io = sdx_session_input(m->session, i);
    if (i) text_append(o, ",", 1);
    text_json_string(o, str_from(io->name));
    text_append(o, ":", 1);
    input_schema(o, io);
  }
  text_put(o, "},\"required\":[");
  for (size_t i = 0; i < m->input_count; i++) {
    const sdx_io *io = sdx_session_input(m->session, i);
    if (io_is_optional(io)) continue;
    if (!first) text_append(o, ",", 1);
    first = false;
    text_json_string(o, str_from(io->name));
  }
  text_put(o, "]}");
}

static void request_schema(text *o, const model *m) {
  static const char data[] =
      "{\"type\":\"object\",\"additionalProperties\":false,\"required\":[\"data\"],"
      "\"properties\":{\"data\":";
  text_put(o, "{\"anyOf\":[");
  if (m->input_count == 1) {
    text_put(o, data);
    input_schema(o, sdx_session_input(m->session, 0));
    text_put(o, "}},");
  }
  text_put(o, data);
  inputs_schema(o, m);
  text_put(o, "}},");
  inputs_schema(o, m);
  text_put(o, "]}");
}

static void schema(text *o, const model *m, bool request) {
  if (request) {
    request_schema(o, m);
    return;
  }
  text_put(o,
           "{\"type\":\"object\",\"additionalProperties\":false,\"required\":[\"result\"],\"properties\":{\"result\":");
  if (m->output_count > 1) text_put(o, "{\"type\":\"object\",\"properties\":{");
  for (size_t i = 0; i < m->output_count; i++) {
    const sdx_io *io = sdx_session_output(m->session, i);
    if (i) text_append(o, ",", 1);
    if (m->output_count > 1) {
      text_json_string(o, str_from(io->name));
      text_append(o, ":", 1);
    }
    schema_nested(o, io, 0, false);
  }
  text_put(o, m->output_count > 1 ? "}}}}" : "}}");
}

static void options(call *c) {
  c->x.response.status = 204;
  http_response_header(&c->x.response, "Allow", "POST, OPTIONS");
}

HTTP_ROUTE(score) = {.access = ROUTE_SCORE,
                     .methods = METHOD_POST,
                     .container = true,
                     .summary = "Computes: lists of numbers in and out",
                     .schema = schema,
                     .paths = {"/score", "/api/v1/service/{model}/score"},
                     .parse = parse,
                     .reply = reply};
HTTP_ROUTE(score_options) = {.access = ROUTE_PUBLIC,
                             .methods = METHOD_OPTIONS,
                             .container = true,
                             .summary = "Which methods there are",
                             .paths = {"/score", "/api/v1/service/{model}/score"},
                             .answer = options};

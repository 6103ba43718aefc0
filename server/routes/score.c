// SPDX-License-Identifier: Apache-2.0
// POST /score: the plain way to ask a model. The body is that of score_body.h; the answer is {"result": nested
// list}, or {"result": {"name": ...}} when there are several outputs. Headers and refusals are those of the scoring
// container (route.h: container).
#include "server/call.h"
#include "server/schema.h"
#include "server/score_body.h"
#include "server/tensor_io.h"

static bool parse(call *c) {
  json j;
  call_read_json(c, &j);
  if (score_body_read(&j, c->model->session, c->inputs)) return true;
  call_error(c, 400, "%s", j.message);
  return false;
}

static void reply(call *c) {
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
    if (!value_write_json(o, c->outputs[i], c->nan_literal)) {
      call_error(c, 501, "output '%.100s' is %.60s, which has no JSON form", io->name, io->type);
      return;
    }
  }
  text_put(o, single ? "}" : "}}");
  call_json(c, 200);
}

// What score_body_read takes, but flat lists that must be multiples of some length: no schema can say that.
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
    if (io->may_be_left_out) continue;
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
  if (sdx_session_input_count(m->session) == 1) {
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
                     .script = true,
                     .summary = "Computes: lists of numbers in and out",
                     .schema = schema,
                     .paths = {"/score", "/api/v1/service/{model}/score"},
                     .parse = parse,
                     .reply = reply};
HTTP_ROUTE(score_get) = {.access = ROUTE_SCORE,
                         .methods = METHOD_GET,
                         .container = true,
                         .script = true,
                         .script_only = true,
                         .summary = "Computes: the query as the script's input",
                         .paths = {"/score", "/api/v1/service/{model}/score"}};
HTTP_ROUTE(score_options) = {.access = ROUTE_SCORE,
                             .methods = METHOD_OPTIONS,
                             .container = true,
                             .summary = "Which methods there are",
                             .paths = {"/score", "/api/v1/service/{model}/score"},
                             .answer = options};

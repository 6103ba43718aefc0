// SPDX-License-Identifier: Apache-2.0
// GET /swagger.json: OpenAPI 3 of the scoring path, from the inputs and outputs of the first model.
#include "server/call.h"

static const char *json_type(sdx_dtype dtype) {
  switch (dtype) {
    case SDX_STRING:
      return "string";
    case SDX_BOOL:
      return "boolean";
    case SDX_FLOAT:
    case SDX_DOUBLE:
    case SDX_FLOAT16:
    case SDX_BFLOAT16:
      return "number";
    default:
      return "integer";
  }
}

static void schema(text *o, const sdx_io *io) {
  if (io->dtype == SDX_UNDEFINED || !io->has_shape) {
    text_put(o, "{}");
    return;
  }
  for (size_t i = 0; i < io->rank; i++) {
    text_put(o, "{\"type\":\"array\",");
    if (io->shape[i] >= 0)
      text_format(o, "\"minItems\":%lld,\"maxItems\":%lld,", (long long)io->shape[i], (long long)io->shape[i]);
    text_put(o, "\"items\":");
  }
  text_format(o, "{\"type\":\"%s\"}", json_type(io->dtype));
  for (size_t i = 0; i < io->rank; i++) text_put(o, "}");
}

static void schemas(text *o, size_t count, const sdx_io *(*get)(const sdx_session *, size_t), const sdx_session *s) {
  if (count == 1) {
    schema(o, get(s, 0));
    return;
  }
  text_put(o, "{\"type\":\"object\",\"properties\":{");
  for (size_t i = 0; i < count; i++) {
    const sdx_io *io = get(s, i);
    if (i) text_append(o, ",", 1);
    text_json_string(o, str_from(io->name));
    text_append(o, ":", 1);
    schema(o, io);
  }
  text_put(o, "}}");
}

static void answer(call *c) {
  str version;
  if (http_request_query(&c->x.request, "version", &version) && !str_is(version, "3")) {
    call_error(c, 404, "query parameter version: only 3 is served");
    return;
  }
  model *m = NULL;
  const model_entry *e = models_default(&c->srv->models, &m);
  if (!m) {
    call_retry(c, 503, "model '%s' is not loaded", e->name);
    return;
  }
  text *o = call_body(c);
  text_put(o, "{\"openapi\":\"3.0.3\",\"info\":{\"title\":");
  text_json_string(o, str_from(e->name));
  text_put(o,
           ",\"version\":\"1\"},\"paths\":{\"/\":{\"get\":{\"operationId\":\"ServiceHealthCheck\",\"responses\":{"
           "\"200\":{\"description\":\"Healthy\"}}}},\"/score\":{\"post\":{\"operationId\":\"RunMLService\","
           "\"requestBody\":{\"required\":true,\"content\":{\"application/json\":{\"schema\":{\"type\":\"object\","
           "\"required\":[\"data\"],\"properties\":{\"data\":");
  schemas(o, m->input_count, sdx_session_input, m->session);
  text_put(o,
           "}}}}},\"responses\":{\"200\":{\"description\":\"the outputs\",\"content\":{\"application/json\":{"
           "\"schema\":{\"type\":\"object\",\"properties\":{\"result\":");
  schemas(o, m->output_count, sdx_session_output, m->session);
  text_put(o,
           "}}}}},\"default\":{\"description\":\"an error\",\"content\":{\"application/json\":{\"schema\":{"
           "\"type\":\"object\",\"properties\":{\"error\":{\"type\":\"string\"}}}}}}}}}}}");
  model_release(m);
  call_json(c, 200);
}

HTTP_ROUTE(swagger) = {
    .access = ROUTE_PUBLIC, .methods = METHOD_GET | METHOD_HEAD, .paths = {"/swagger.json"}, .answer = answer};

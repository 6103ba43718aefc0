// SPDX-License-Identifier: Apache-2.0
// GET /swagger.json: OpenAPI 3 of the scoring path, from the inputs and outputs of the first model.
#include "server/http.h"

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

static void schema(out *o, const sdx_io *io) {
  if (io->dtype == SDX_UNDEFINED || !io->has_shape) {
    out_text(o, "{}");
    return;
  }
  for (size_t i = 0; i < io->rank; i++) {
    out_text(o, "{\"type\":\"array\",");
    if (io->shape[i] >= 0)
      out_format(o, "\"minItems\":%lld,\"maxItems\":%lld,", (long long)io->shape[i], (long long)io->shape[i]);
    out_text(o, "\"items\":");
  }
  out_format(o, "{\"type\":\"%s\"}", json_type(io->dtype));
  for (size_t i = 0; i < io->rank; i++) out_text(o, "}");
}

static void schemas(out *o, size_t count, const sdx_io *(*get)(const sdx_session *, size_t), const sdx_session *s) {
  if (count == 1) {
    schema(o, get(s, 0));
    return;
  }
  out_text(o, "{\"type\":\"object\",\"properties\":{");
  for (size_t i = 0; i < count; i++) {
    const sdx_io *io = get(s, i);
    if (i) out_bytes(o, ",", 1);
    out_json_string(o, io->name, strlen(io->name));
    out_bytes(o, ":", 1);
    schema(o, io);
  }
  out_text(o, "}}");
}

static void answer(http_request *rq) {
  const char *version = http_query(rq, "version");
  if (version && strcmp(version, "3") != 0) {
    http_error(rq, 404, "query parameter version: only 3 is served");
    return;
  }
  const model *m = &rq->srv->models[0];
  out *o = &rq->reply.body;
  out_text(o, "{\"openapi\":\"3.0.3\",\"info\":{\"title\":");
  out_json_string(o, m->name, strlen(m->name));
  out_text(o,
           ",\"version\":\"1\"},\"paths\":{\"/\":{\"get\":{\"operationId\":\"ServiceHealthCheck\",\"responses\":{"
           "\"200\":{\"description\":\"Healthy\"}}}},\"/score\":{\"post\":{\"operationId\":\"RunMLService\","
           "\"requestBody\":{\"required\":true,\"content\":{\"application/json\":{\"schema\":{\"type\":\"object\","
           "\"required\":[\"data\"],\"properties\":{\"data\":");
  schemas(o, m->input_count, sdx_session_input, m->session);
  out_text(o,
           "}}}}},\"responses\":{\"200\":{\"description\":\"the outputs\",\"content\":{\"application/json\":{"
           "\"schema\":{\"type\":\"object\",\"properties\":{\"result\":");
  schemas(o, m->output_count, sdx_session_output, m->session);
  out_text(o,
           "}}}}},\"default\":{\"description\":\"an error\",\"content\":{\"application/json\":{\"schema\":{"
           "\"type\":\"object\",\"properties\":{\"error\":{\"type\":\"string\"}}}}}}}}}}}");
  http_json(rq, 200);
}

HTTP_ROUTE(swagger) = {.access = ROUTE_PUBLIC, .methods = METHOD_GET, .paths = {"/swagger.json"}, .answer = answer};

// SPDX-License-Identifier: Apache-2.0
// GET /swagger.json: OpenAPI 3 of the scoring path, from the inputs and outputs of the first model, or from the
// decorators of the script.
#include "server/admission/script.h"
#include "server/schema.h"

extern const http_route http_route_score;

static void describe(text *o, const char *title, const model *m, script_pool *script) {
  text_put(o, "{\"openapi\":\"3.0.3\",\"info\":{\"title\":");
  text_json_string(o, str_from(title));
  text_put(o,
           ",\"version\":\"1\"},\"paths\":{\"/\":{\"get\":{\"operationId\":\"ServiceHealthCheck\",\"responses\":{"
           "\"200\":{\"description\":\"Healthy\",\"content\":{\"text/"
           "plain\":{\"schema\":{\"type\":\"string\"}}}}}}},\"/score\":{\"post\":{\"operationId\":\"RunMLService\","
           "\"requestBody\":{\"required\":true,\"content\":{\"application/json\":{\"schema\":");
  if (script) text_put(o, script_pool_schema(script, true));
  else http_route_score.schema(o, m, true);
  text_put(o,
           "}}},\"responses\":{\"200\":{\"description\":\"the outputs\",\"content\":{\"application/json\":{"
           "\"schema\":");
  if (script) text_put(o, script_pool_schema(script, false) ? script_pool_schema(script, false) : "{}");
  else http_route_score.schema(o, m, false);
  text_format(o,
              "}}},\"default\":{\"description\":\"an error\",\"content\":{\"application/json\":{\"schema\":%s}}}}}}}}",
              schema_error);
}

static void answer(call *c) {
  str version;
  script_pool *script = c->srv->script;
  if (http_request_query(&c->x.request, "version", &version) && !str_is(version, "3")) {
    call_error(c, 404, "query parameter version: only 3 is served");
    return;
  }
  if (script && !script_pool_schema(script, true)) {
    call_error(c, 404, "the script has no schema: @input_schema of the package inference_schema gives it one");
    return;
  }
  model *m = NULL;
  const model_entry *e = script ? script_pool_entry(script) : models_default(&c->srv->models, &m);
  if (!script && !m) {
    call_retry(c, 503, "model '%s' is not loaded", e->name);
    return;
  }
  describe(call_body(c), e->name, m, script);
  model_release(m);
  call_json(c, 200);
}

HTTP_ROUTE(swagger) = {.access = ROUTE_SCORE,
                       .container = true,
                       .methods = METHOD_GET | METHOD_HEAD,
                       .summary = "The scoring path of the first model",
                       .gives = "{\"type\":\"object\"}",
                       .paths = {"/swagger.json"},
                       .answer = answer};

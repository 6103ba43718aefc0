// SPDX-License-Identifier: Apache-2.0
// TensorFlow Serving's REST: predict, and the state of a model.
#include "server/schema.h"
#include "server/table_reply.h"

static void state(call *c) {
  text *o = call_body(c);
  const model_list *all = models_list(&c->srv->models);
  bool first = true, one = c->version_name.at != NULL;
  text_put(o, "{\"model_version_status\":[");
  for (size_t i = 0; i < all->count; i++) {
    model_entry *e = all->at[i];
    if (e->gone || strcmp(e->name, c->entry->name) != 0 || (one && e != c->entry)) continue;
    text_format(o, "%s{\"version\":\"%s\",\"state\":\"%s\",\"status\":{\"error_code\":\"OK\",\"error_message\":\"\"}}",
                first ? "" : ",", e->version, models_serve(&c->srv->models, e) ? "AVAILABLE" : "END");
    first = false;
  }
  text_put(o, "]}");
  call_json(c, 200);
}

HTTP_ROUTE(tf_predict) = {.access = ROUTE_SCORE,
                          .methods = METHOD_POST,
                          .summary = "Computes: rows (instances) or whole tensors (inputs), as TensorFlow Serving",
                          .schema = table_schema,
                          .paths = {"/v1/models/{model}:predict", "/v1/models/{model}/versions/{version}:predict"},
                          .parse = table_parse,
                          .reply = table_reply};
HTTP_ROUTE(tf_state) = {.access = ROUTE_PUBLIC,
                        .methods = METHOD_GET | METHOD_HEAD,
                        .summary = "Which versions of a model there are",
                        .gives = "{\"type\":\"object\",\"required\":[\"model_version_status\"]}",
                        .paths = {"/v1/models/{model}", "/v1/models/{model}/versions/{version}"},
                        .unloaded_too = true,
                        .answer = state};

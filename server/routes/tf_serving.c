// SPDX-License-Identifier: Apache-2.0
// TensorFlow Serving's REST: predict, and the state of a model.
#include "server/schema.h"
#include "server/table_reply.h"

static void state(call *c) {
  text *o = call_body(c);
  const models *t = &c->srv->models;
  bool first = true, one = c->version_name.at != NULL;
  text_put(o, "{\"model_version_status\":[");
  for (size_t i = 0; i < t->count; i++) {
    const model_entry *e = t->entries[i];
    if (strcmp(e->name, c->entry->name) != 0 || (one && e != c->entry)) continue;
    model *m = models_acquire(&c->srv->models, c->srv->models.entries[i]);
    text_format(o, "%s{\"version\":\"%s\",\"state\":\"%s\",\"status\":{\"error_code\":\"OK\",\"error_message\":\"\"}}",
                first ? "" : ",", e->version, m ? "AVAILABLE" : "END");
    model_release(m);
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

// SPDX-License-Identifier: Apache-2.0
// GET /v2/models/{model}/summary: what `sardonyx inspect --json` tells of a model, and what its classes are called.
#include "server/call.h"

static const class_labels *given_labels(const call *c) {
  const server_config *config = c->srv->config;
  for (size_t i = 0; i < config->label_count; i++) {
    const char *name = config->labels[i].name;
    if (name ? !strcmp(name, c->entry->name) : c->entry == c->srv->models.first) return config->labels[i].classes;
  }
  return NULL;
}

static void write_labels(text *o, const class_labels *l) {
  text_put(o, ",\"labels\":[");
  for (size_t i = 0; i < l->count; i++) {
    if (i) text_append(o, ",", 1);
    if (labels_get(l, i)) text_json_string(o, str_from(labels_get(l, i)));
    else text_put(o, "null");
  }
  text_put(o, "]}");
}

static void answer(call *c) {
  text *o = call_body(c);
  char *summary = sdx_session_describe(c->model->session, "summary");
  if (!summary) {
    call_retry(c, 503, "there is no memory for the description");
    return;
  }
  text_format(o, "{\"name\":\"%s\",\"version\":\"%s\",\"summary\":", c->entry->name, c->entry->version);
  text_put(o, summary);
  sdx_string_free(summary);
  class_labels own = {0};
  const class_labels *given = given_labels(c);
  if (!given) labels_of_session(&own, c->model->session);
  write_labels(o, given ? given : &own);
  labels_free(&own);
  call_json(c, 200);
}

HTTP_ROUTE(v2_summary) = {.access = ROUTE_PUBLIC,
                          .methods = METHOD_GET | METHOD_HEAD,
                          .blocks = true,
                          .summary = "What a model is made of, its metadata, and the names of its classes",
                          .gives = "{\"type\":\"object\",\"required\":[\"name\",\"version\",\"summary\",\"labels\"]}",
                          .paths = {"/v2/models/{model}/summary", "/v2/models/{model}/versions/{version}/summary"},
                          .answer = answer};

// SPDX-License-Identifier: Apache-2.0
// GET /v2/models/{model}/graph: the page of view/view.h, which shows a model's graph; ?against=VERSION beside that of
// another version. The file is read anew, as it was before the passes.
#include <stdlib.h>
#include <string.h>

#include "server/call.h"
#include "view/view.h"

static bool put(void *context, const char *bytes, size_t size) {
  text *o = context;
  text_append(o, bytes, size);
  return !o->failed;
}

// NULL: the response is set.
static json_t *read_model(call *c, const model_entry *e, fault *f) {
  char title[MODEL_NAME_BYTES + 30];
  sdx_session *session = NULL;
  sdx_status status = sdx_session_read_file(e->path, NULL, &session);
  snprintf(title, sizeof title, "%s, version %s", e->name, e->version);
  json_t *model = status ? NULL : view_model(session, title, VIEW_WEIGHT_BYTES, f);
  if (status) call_error(c, sdx_status_http(status), "model '%s' version %s cannot be read now", e->name, e->version);
  else if (!model) call_error(c, 500, "%s", f->message);
  sdx_session_destroy(session);
  return model;
}

// The entry of ?against=; *wanted: there is such a parameter. NULL: none, or the response is set.
static const model_entry *find_other(call *c, bool *wanted) {
  str version;
  *wanted = http_request_query(&c->x.request, "against", &version);
  if (!*wanted) return NULL;
  model *held = NULL;
  const model_entry *e = models_find(&c->srv->models, str_from(c->entry->name), version, &held);
  model_release(held);
  if (!e) call_error(c, 404, "query parameter against: model '%s' has no such version", c->entry->name);
  return e;
}

static void answer(call *c) {
  fault f = {0};
  bool wanted;
  const model_entry *other = find_other(c, &wanted);
  if (wanted && !other) return;
  json_t *model = read_model(c, c->entry, &f), *second = model && other ? read_model(c, other, &f) : NULL;
  if (!model || (other && !second)) {
    json_decref(model);
    return;
  }
  json_t *document = view_document(model, second, &f);
  char *policy = view_policy();
  if (!document || !policy || view_page(document, &(view_sink){put, call_body(c)}, &f)) {
    call_error(c, 500, "%s", *f.message ? f.message : "there is no memory for the page");
  } else {
    c->x.response.status = 200;
    c->x.response.content_type = "text/html; charset=utf-8";
    http_response_header(&c->x.response, "Content-Security-Policy", "%s", policy);
    http_response_header(&c->x.response, "X-Content-Type-Options", "nosniff");
  }
  free(policy);
  json_decref(document);
}

HTTP_ROUTE(v2_graph) = {
    .access = ROUTE_PUBLIC,
    .methods = METHOD_GET | METHOD_HEAD,
    .unloaded_too = true,
    .blocks = true,
    .media = "text/html",
    .summary = "A page that shows the model's graph; against=VERSION beside that of another version",
    .paths = {"/v2/models/{model}/graph", "/v2/models/{model}/versions/{version}/graph"},
    .answer = answer};

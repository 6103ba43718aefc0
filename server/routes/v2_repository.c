// SPDX-License-Identifier: Apache-2.0
// The repository extension: which models there are; loading (again) and unloading what the operator named. A client
// names no files: a reload reads the path from the command line, and calls that run keep the old model until they end.
#include <string.h>

#include "server/call.h"

static bool ready_only(call *c, bool *only) {
  json j;
  str key;
  bool first = true;
  *only = false;
  if (!call_request(c)->body.size) return true;
  call_read_json(c, &j);
  bool good = json_open(&j, '{', "the body");
  while (good && json_more(&j, '{', &first))
    good = json_key(&j, &key) &&
           (str_is(key, "ready") ? json_bool(&j, only, "ready") : json_fail(&j, "expected only the member ready"));
  if (good && json_end(&j)) return true;
  call_error(c, 400, "%s", j.message);
  return false;
}

static void write_entry(text *o, const model_entry *e, const char *state, const char *reason) {
  text_format(o, "{\"name\":\"%s\",\"version\":\"%s\",\"state\":\"%s\",\"reason\":", e->name, e->version, state);
  text_json_string(o, str_from(reason));
  text_put(o, "}");
}

static void answer_index(call *c) {
  bool only, ready = server_ready(c->srv), first = true;
  if (!ready_only(c, &only)) return;
  text *o = call_body(c);
  models *t = &c->srv->models;
  text_put(o, "[");
  pthread_mutex_lock(&t->lock);
  const model_list *all = models_list(t);
  for (size_t i = 0; i < all->count; i++) {
    const model_entry *e = all->at[i];
    if (e->gone) continue;
    bool good = ready && (e->loaded || residence_on_demand(t, e));
    if (only && !good) continue;
    if (!first) text_append(o, ",", 1);
    first = false;
    write_entry(o, e,
                good         ? "READY"
                : e->loading ? "LOADING"
                             : "UNAVAILABLE",
                ready ? e->reason : "the server is draining");
  }
  pthread_mutex_unlock(&t->lock);
  text_put(o, "]");
  call_json(c, 200);
}

// {"parameters": {...}}: none of Triton's parameters has a meaning here but unload_dependents, which has no dependents.
static bool no_parameters(call *c) {
  json j;
  str key;
  bool outer = true, inner = true, flag;
  if (!call_request(c)->body.size) return true;
  call_read_json(c, &j);
  bool good = json_open(&j, '{', "the body");
  while (good && json_more(&j, '{', &outer)) {
    good = json_key(&j, &key) && (str_is(key, "parameters") || json_fail(&j, "expected only the member parameters")) &&
           json_open(&j, '{', "parameters");
    while (good && json_more(&j, '{', &inner))
      good = json_key(&j, &key) && (str_is(key, "unload_dependents")
                                        ? json_bool(&j, &flag, "parameters.unload_dependents")
                                        : json_fail(&j,
                                                    "parameters.%.*s is not supported: a model is loaded from the "
                                                    "path the server was started with",
                                                    STR_ARG(key)));
  }
  if (good && json_end(&j)) return true;
  call_error(c, 400, "%s", j.message);
  return false;
}

static const char parameters[] =
    "{\"type\":\"object\",\"additionalProperties\":false,\"properties\":{\"parameters\":{\"type\":\"object\","
    "\"additionalProperties\":false,\"properties\":{\"unload_dependents\":{\"type\":\"boolean\"}}}}}";

static void change(call *c, bool load) {
  if (!no_parameters(c)) return;
  const model_entry *failed = models_change(&c->srv->models, c->entry, load);
  if (failed) {
    call_error(c, 500, "model '%s' version %s cannot be loaded; the log says why", failed->name, failed->version);
    return;
  }
  text_put(call_body(c), "{}");
  call_json(c, 200);
}

static void answer_load(call *c) { change(c, true); }
static void answer_unload(call *c) { change(c, false); }

HTTP_ROUTE(v2_repository) = {
    .access = ROUTE_MANAGE,
    .methods = METHOD_POST,
    .summary = "Which models there are",
    .takes = "{\"type\":\"object\",\"additionalProperties\":false,\"properties\":{\"ready\":{\"type\":\"boolean\"}}}",
    .gives =
        "{\"type\":\"array\",\"items\":{\"type\":\"object\",\"required\":[\"name\",\"version\",\"state\",\"reason\"]}}",
    .paths = {"/v2/repository/index"},
    .answer = answer_index};
HTTP_ROUTE(v2_load) = {.access = ROUTE_MANAGE,
                       .methods = METHOD_POST,
                       .summary = "Reads a model again",
                       .takes = parameters,
                       .gives = "{\"type\":\"object\"}",
                       .paths = {"/v2/repository/models/{model}/load"},
                       .unloaded_too = true,
                       .blocks = true,
                       .answer = answer_load};
HTTP_ROUTE(v2_unload) = {.access = ROUTE_MANAGE,
                         .methods = METHOD_POST,
                         .summary = "Lets go of a model",
                         .takes = parameters,
                         .gives = "{\"type\":\"object\"}",
                         .paths = {"/v2/repository/models/{model}/unload"},
                         .unloaded_too = true,
                         .blocks = true,
                         .answer = answer_unload};

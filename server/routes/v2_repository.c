// SPDX-License-Identifier: Apache-2.0
// POST /v2/repository/index: which models there are. Loading and unloading over HTTP is not offered.
#include "server/http.h"

static bool ready_only(http_request *rq, bool *only) {
  json j;
  str key;
  bool first = true;
  *only = false;
  if (!rq->body_size) return true;
  limits_json(&rq->srv->limits, &j, rq->body, rq->body_size);
  bool good = json_open(&j, '{', "the body");
  while (good && json_more(&j, '{', &first))
    good = json_key(&j, &key) &&
           (str_is(key, "ready") ? json_bool(&j, only, "ready") : json_fail(&j, "expected only the member ready"));
  if (good && json_end(&j)) return true;
  http_error(rq, 400, "%s", j.message);
  return false;
}

static void answer(http_request *rq) {
  bool only;
  if (!ready_only(rq, &only)) return;
  bool ready = server_ready(rq->srv);
  text *o = &rq->reply.body;
  text_put(o, "[");
  for (size_t i = 0; i < rq->srv->model_count && (ready || !only); i++)
    text_format(o, "%s{\"name\":\"%s\",\"version\":\"1\",\"state\":\"%s\",\"reason\":\"%s\"}", i ? "," : "",
                rq->srv->models[i].name, ready ? "READY" : "UNAVAILABLE", ready ? "" : "the server is draining");
  text_put(o, "]");
  http_json(rq, 200);
}

HTTP_ROUTE(v2_repository) = {
    .access = ROUTE_MANAGE, .methods = METHOD_POST, .paths = {"/v2/repository/index"}, .answer = answer};

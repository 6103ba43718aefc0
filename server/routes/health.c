// SPDX-License-Identifier: Apache-2.0
// Health. Live: the socket thread turns. Ready: models are loaded (the port opens after that) and
// nobody asked the server to stop. Neither depends on load.
#include "server/http.h"

static void root(http_request *rq) { http_text(rq, 200, "Healthy"); }

static void live(http_request *rq) {
  text_put(&rq->reply.body, "{\"live\":true}");
  http_json(rq, 200);
}

static void ready(http_request *rq) {
  bool yes = server_ready(rq->srv);
  text_put(&rq->reply.body, yes ? "{\"ready\":true}" : "{\"ready\":false,\"error\":\"the server is draining\"}");
  http_json(rq, yes ? 200 : 503);
}

HTTP_ROUTE(root) = {.access = ROUTE_PUBLIC, .methods = METHOD_GET, .paths = {"/"}, .answer = root};
HTTP_ROUTE(live) = {
    .access = ROUTE_PUBLIC, .methods = METHOD_GET, .paths = {"/health/live", "/v2/health/live"}, .answer = live};
HTTP_ROUTE(ready) = {
    .access = ROUTE_PUBLIC, .methods = METHOD_GET, .paths = {"/health/ready", "/v2/health/ready"}, .answer = ready};

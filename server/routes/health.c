// SPDX-License-Identifier: Apache-2.0
// Health. Live: the socket thread turns. Ready: models are loaded (the port opens after that), the script has a worker
// and nobody asked the server to stop. Neither depends on load.
#include "server/call.h"

static void root(call *c) { call_text(c, 200, "Healthy"); }

static void live(call *c) {
  text_put(call_body(c), "{\"live\":true}");
  call_json(c, 200);
}

static void ready(call *c) {
  bool yes = server_ready(c->srv);
  const char *why = atomic_load(&c->srv->draining) ? "the server is draining" : "no worker of the script is ready";
  if (yes) text_put(call_body(c), "{\"ready\":true}");
  else text_format(call_body(c), "{\"ready\":false,\"error\":\"%s\"}", why);
  call_json(c, yes ? 200 : 503);
}

HTTP_ROUTE(root) = {.access = ROUTE_PUBLIC,
                    .open = true,
                    .methods = METHOD_GET | METHOD_HEAD,
                    .summary = "Healthy",
                    .paths = {"/"},
                    .answer = root};
HTTP_ROUTE(live) = {
    .access = ROUTE_PUBLIC,
    .open = true,
    .methods = METHOD_GET | METHOD_HEAD,
    .summary = "Whether the server turns",
    .gives = "{\"type\":\"object\",\"required\":[\"live\"],\"properties\":{\"live\":{\"type\":\"boolean\"}}}",
    .paths = {"/health/live", "/v2/health/live"},
    .answer = live};
HTTP_ROUTE(ready) = {
    .access = ROUTE_PUBLIC,
    .open = true,
    .methods = METHOD_GET | METHOD_HEAD,
    .summary = "Whether it takes requests",
    .gives = "{\"type\":\"object\",\"required\":[\"ready\"],\"properties\":{\"ready\":{\"type\":\"boolean\"}}}",
    .paths = {"/health/ready", "/v2/health/ready"},
    .answer = ready};

// SPDX-License-Identifier: Apache-2.0
// GET /metrics for Prometheus; as OpenMetrics where Accept names it.
#include <string.h>

#include "server/call.h"

static void answer(call *c) {
  const str *accept = http_request_header(&c->x.request, "accept");
  bool open = accept && memmem(accept->at, accept->size, "application/openmetrics-text", 28);
  metrics_write(c->srv, call_body(c), open);
  c->x.response.status = 200;
  c->x.response.content_type =
      open ? "application/openmetrics-text; version=1.0.0; charset=utf-8" : "text/plain; version=0.0.4; charset=utf-8";
}

HTTP_ROUTE(metrics) = {.access = ROUTE_PUBLIC,
                       .methods = METHOD_GET | METHOD_HEAD,
                       .summary = "Counters and histograms for Prometheus",
                       .paths = {"/metrics"},
                       .answer = answer};

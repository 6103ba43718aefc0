// SPDX-License-Identifier: Apache-2.0
// GET /metrics for Prometheus.
#include "server/call.h"

static void answer(call *c) {
  metrics_write(c->srv, call_body(c));
  c->x.response.status = 200;
  c->x.response.content_type = "text/plain; version=0.0.4; charset=utf-8";
}

HTTP_ROUTE(metrics) = {.access = ROUTE_PUBLIC,
                       .methods = METHOD_GET | METHOD_HEAD,
                       .summary = "Counters and histograms for Prometheus",
                       .paths = {"/metrics"},
                       .answer = answer};

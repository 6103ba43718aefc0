// SPDX-License-Identifier: Apache-2.0
// GET /metrics for Prometheus.
#include "server/http.h"

static void answer(http_request *rq) {
  metrics_write(rq->srv, &rq->reply.body);
  rq->reply.status = 200;
  rq->reply.content_type = "text/plain; version=0.0.4; charset=utf-8";
}

HTTP_ROUTE(metrics) = {.access = ROUTE_PUBLIC, .methods = METHOD_GET, .paths = {"/metrics"}, .answer = answer};

// SPDX-License-Identifier: Apache-2.0
// What MLflow's scoring server and SageMaker's containers answer: /ping and /invocations.
#include "server/table_reply.h"

static void ping(call *c) {
  bool yes = server_ready(c->srv);
  call_text(c, yes ? 200 : 503, yes ? "\n" : "not ready\n");
}

HTTP_ROUTE(ping) = {.access = ROUTE_PUBLIC,
                    .open = true,
                    .methods = METHOD_GET | METHOD_HEAD,
                    .summary = "Whether the server takes requests, as MLflow and SageMaker ask",
                    .paths = {"/ping"},
                    .answer = ping};
HTTP_ROUTE(invocations) = {.access = ROUTE_SCORE,
                           .methods = METHOD_POST,
                           .summary = "Computes: instances, inputs, dataframe_split or dataframe_records, as MLflow",
                           .schema = table_schema,
                           .paths = {"/invocations"},
                           .parse = table_parse,
                           .reply = table_reply};

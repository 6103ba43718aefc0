// SPDX-License-Identifier: Apache-2.0
// GET /logs: the last lines of the log; ?since=N those from number N on.
#include "server/call.h"
#include "server/log.h"

static void answer(call *c) {
  str given;
  int64_t since = 0;
  if (http_request_query(&c->x.request, "since", &given) && (!number_read_int(given, &since) || since < 0)) {
    call_error(c, 400, "query parameter since: expected the number of a line, as 'next' tells it");
    return;
  }
  log_recent(call_body(c), (uint64_t)since);
  call_json(c, 200);
}

HTTP_ROUTE(logs) = {.access = ROUTE_MANAGE,
                    .methods = METHOD_GET | METHOD_HEAD,
                    .summary = "The last lines of the log; since=N: from that one on",
                    .gives = "{\"type\":\"object\",\"required\":[\"next\",\"lines\"]}",
                    .paths = {"/logs"},
                    .answer = answer};

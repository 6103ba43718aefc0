// SPDX-License-Identifier: Apache-2.0
// A route is one file in routes/ that ends in an HTTP_ROUTE record; cmake/records.cmake finds the
// records and makes the table. There are no aliases beside the listed paths and no route without
// a class.
#pragma once

#include <stdbool.h>

#include "sardonyx/sardonyx.h"

struct http_request;

typedef enum route_class {
  ROUTE_PUBLIC,  // health, descriptions, metrics
  ROUTE_SCORE,   // runs a model: counted against the caps of the client and the queue
  ROUTE_MANAGE,  // about the server as a whole: answered to clients on this machine only
} route_class;

enum { ROUTE_PATHS = 4 };
enum { METHOD_GET = 1, METHOD_POST = 2, METHOD_OPTIONS = 4 };  // HEAD goes where GET goes

typedef struct http_route {
  route_class access;
  unsigned methods;
  bool container;                  // replies carry the x-ms- headers of the scoring container
  const char *paths[ROUTE_PATHS];  // "/v2/models/{model}/infer"; words in braces: {model}, {version}
  // Answers at once, on the socket thread: never blocks, never computes.
  void (*answer)(struct http_request *rq);
  // Score routes that are not answered at once: `parse` turns the body into rq->inputs (false: the
  // reply is set), `reply` turns the outputs of the run into the reply. Both on the thread that runs.
  bool (*parse)(struct http_request *rq);
  void (*reply)(struct http_request *rq, sdx_run *run);
} http_route;

#define HTTP_ROUTE(name) const http_route http_route_##name

extern const http_route *const http_routes[];  // generated, ends with NULL

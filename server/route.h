// SPDX-License-Identifier: Apache-2.0
// A route is one file in routes/ that ends in an HTTP_ROUTE record; cmake/records.cmake finds the
// records and makes the table. There are no aliases beside the listed paths and no route without
// a class. The record describes the route too: /openapi.json is made from nothing else.
#pragma once

#include <stdbool.h>

#include "base/text.h"
#include "sardonyx/sardonyx.h"
#include "server/net/message.h"

struct call;
struct rest;
struct model;

typedef enum route_class {
  ROUTE_PUBLIC,  // health, descriptions, metrics
  ROUTE_SCORE,   // runs a model: counted against the caps of the client and the queue
  ROUTE_MANAGE,  // about the server as a whole: answered to clients on this machine only
  ROUTE_KEYED,   // the same for who has a key, from anywhere; to nobody where there are no keys
} route_class;

enum { ROUTE_PATHS = 4 };

typedef struct http_route {
  route_class access;
  unsigned methods;   // METHOD_GET | ...
  bool container;     // replies carry the x-ms- headers of the scoring container
  bool binary;        // the body, or the answer where `gives` says nothing, may be application/octet-stream,
                      // and is as large as limits allow
  bool blocks;        // `answer` may take long: it is called on a thread for such work
  bool unloaded_too;  // {model} may name one that is not loaded
  bool open;          // asks for no key
  bool script;        // for the scoring script, where the server has one
  bool script_only;   // and not there where it has none
  bool grpc;          // a procedure (grpc.h): the body is a message, which names the model
  bool messages;      // a sequence of them
  bool page;          // for people (ui/): no part of /openapi.json; the operator may want none
  const char *paths[ROUTE_PATHS];  // "/v2/models/{model}/infer"; words in braces: {model}, {version}, {name}, {file}
  // For /openapi.json: a line on what it does, and JSON Schemas of the bodies. gives NULL: text.
  const char *summary, *takes, *gives;
  const char *media;  // type of a text it gives; NULL: text/plain
  const char *query;  // parameters of the query, as a list of OpenAPI; NULL: none
  void (*schema)(struct text *o, const struct model *m, bool request);  // of routes that compute
  // Answers at once, on the socket thread: never blocks (but see `blocks`), never computes.
  void (*answer)(struct call *c);
  void (*action)(struct rest *q);  // of routes that share an `answer` (rest/rest.h): what it calls
  // Score routes that are not answered at once: `parse` turns the body into c->inputs (false: the
  // response is set), `reply` turns c->outputs into the response. Both on the thread that runs.
  bool (*parse)(struct call *c);
  void (*reply)(struct call *c);
} http_route;

#define HTTP_ROUTE(name) const http_route http_route_##name

extern const http_route *const http_routes[];  // generated, ends with NULL

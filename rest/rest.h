// SPDX-License-Identifier: Apache-2.0
// The workspace over HTTP: routes that stand on registry.h and deploy/*.h as the command does. A route is an http_route
// (server/route.h) whose record REST_ROUTE the build finds; `takes` is both what /openapi.json says of the body and
// what the body is checked against. Read next: models.c.
#pragma once

#include "registry/registry.h"
#include "server/call.h"

typedef http_route rest_route;
#define REST_ROUTE(name) const rest_route rest_route_##name
extern const rest_route *const rest_routes[];  // generated, ends with NULL

// One request; what an `action` of a route is given, and where it puts what it has to say.
typedef struct rest {
  call *c;
  registry *r;
  const char *name;       // {name} of the path; "" where there is none
  const char *reference;  // the same with :{version}, where there is one
  json_t *body;           // an object that `takes` allows
  json_t *answer;         // NULL: the action has set the response, or has failed
  fault fault;
} rest;

// For `answer` of routes that block and have an action: opens the workspace (`routes_context` of the server's config is
// a registry_options), reads the request, calls the action, writes the response.
void rest_answer(call *c);
// A parameter of the query; NULL: it is not there. Good until the request is answered.
const char *rest_query(rest *q, const char *name);
// One that is a number of at least 0; `otherwise` where it is not there.
int64_t rest_query_number(rest *q, const char *name, int64_t otherwise);
// The strings of a list of the body, ended by NULL; free() the array. NULL is no list, too: an empty array.
const char **rest_list(rest *q, const char *key);

// Parts of schemas.
#define REST_OBJECT(members) "{\"type\":\"object\",\"additionalProperties\":false,\"properties\":{" members "}}"
#define REST_OBJECT_WITH(required, members) \
  "{\"type\":\"object\",\"additionalProperties\":false,\"required\":[" required "],\"properties\":{" members "}}"
#define REST_MEMBER(name, schema) "\"" name "\":{" schema "}"
#define REST_AND(name, schema) "," REST_MEMBER(name, schema)  // behind others
#define REST_STRING "\"type\":\"string\""
#define REST_WORD REST_STRING ",\"pattern\":\"^[^\\\\u0000]*$\""  // of the query: any text without a NUL
#define REST_NAME "\"type\":\"string\",\"maxLength\":128,\"pattern\":\"^[A-Za-z0-9_][A-Za-z0-9._-]*$\""
#define REST_STRINGS "\"type\":\"array\",\"items\":{\"type\":\"string\"},\"maxItems\":64"
#define REST_WORDS REST_MEMBER("description", REST_STRING) REST_AND("tags", REST_MAP) REST_AND("properties", REST_MAP)
#define REST_MAP "\"type\":\"object\",\"additionalProperties\":{\"type\":\"string\",\"nullable\":true}"
#define REST_ASSET "{\"type\":\"object\",\"required\":[\"id\",\"name\",\"version\",\"kind\"]}"
#define REST_LIST(of) "{\"type\":\"array\",\"items\":" of "}"
#define REST_QUERY(name, schema) "{\"name\":\"" name "\",\"in\":\"query\",\"schema\":{" schema "}}"
enum { REST_MOST = 1000000000 };  // in numbers of the query
#define REST_NUMBER "\"type\":\"integer\",\"minimum\":0,\"maximum\":1000000000"

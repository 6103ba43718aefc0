// SPDX-License-Identifier: Apache-2.0
// Pages of other origins (cors.h).
#include "server/cors.h"

#include <string.h>
#include <strings.h>

#include "server/call.h"

static const char allowed[] =
    "authorization, content-type, content-encoding, inference-header-content-length, azureml-model-deployment, "
    "x-request-id, x-request-timeout-ms, x-request-priority, x-ms-request-id, x-ms-client-request-id";
static const char exposed[] =
    "retry-after, inference-header-content-length, x-request-id, x-ms-request-id, x-ms-client-request-id, "
    "x-ms-server-version, x-ms-run-fn-exec-ms, x-ms-run-function-failed";

// What is said of the origin of a request; NULL: it may not.
static const str *permitted(const call *c, bool *any) {
  const str *origin = http_request_header(&c->x.request, "origin");
  const char *const *list = c->srv->config->origins;
  *any = false;
  for (size_t i = 0; i < c->srv->config->origin_count && origin; i++) {
    *any = !strcmp(list[i], "*");
    if (*any || str_is(*origin, list[i])) return origin;
  }
  return NULL;
}

bool cors_preflight(call *c) {
  bool any;
  const str *method = http_request_header(&c->x.request, "access-control-request-method");
  if (c->x.request.method != METHOD_OPTIONS || !method || !permitted(c, &any)) return false;
  http_response *r = &c->x.response;
  r->status = 204;
  http_response_header(r, "Access-Control-Allow-Methods", "GET, HEAD, POST, PATCH, DELETE");
  http_response_header(r, "Access-Control-Allow-Headers", "%s", allowed);
  http_response_header(r, "Access-Control-Max-Age", "600");
  return true;
}

// A script may have said it for itself.
static bool said(const http_response *r) {
  const char *name, *value;
  for (size_t cursor = 0; http_pairs_next(&r->headers, &cursor, &name, &value);)
    if (!strcasecmp(name, "access-control-allow-origin")) return true;
  return false;
}

void cors_add(call *c) {
  bool any;
  const str *origin = permitted(c, &any);
  http_response *r = &c->x.response;
  if (!c->srv->config->origin_count || said(r)) return;
  if (!any) http_response_header(r, "Vary", "Origin");  // also where this one may not: caches keep answers apart
  if (!origin) return;
  if (any) http_response_header(r, "Access-Control-Allow-Origin", "*");
  else http_response_header(r, "Access-Control-Allow-Origin", "%.*s", STR_ARG(*origin));
  http_response_header(r, "Access-Control-Expose-Headers", "%s", exposed);
}

// SPDX-License-Identifier: Apache-2.0
// GET /ui and /docs: the pages for people, embedded at build (ui/README.md). They are files that hold nothing of the
// models: what they show, their scripts ask of the other routes, with the key they were given.
#include <stdlib.h>
#include <string.h>

#include "server/call.h"
#include "support/embedded.h"
#include "view/view.h"

// A part of a policy, without its name: " 'sha256-...'".
static str part_of(const char *policy, const char *name) {
  const char *at = strstr(policy, name);
  size_t skip = strlen(name);
  return at ? (str){at + skip, strcspn(at + skip, ";")} : (str){"", 0};
}

// Scripts, styles and answers of this server only; pictures that the page itself has made. In graph.html the page of
// view/view.h, which was asked for with the key, is shown as a blob: that has the policy of the page around it, too.
static void send_policy(call *c, str name) {
  char *viewer = str_is(name, "graph.html") ? view_policy() : NULL;
  str script = part_of(viewer ? viewer : "", "script-src"), style = part_of(viewer ? viewer : "", "style-src");
  http_response_header(
      &c->x.response, "Content-Security-Policy",
      "default-src 'none'; script-src 'self'%.*s; style-src 'self'%.*s; connect-src 'self'; img-src 'self' "
      "data: blob:; frame-src blob:; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
      STR_ARG(script), STR_ARG(style));
  free(viewer);
}

static const char *type_of(str name) {
  static const char *const types[][2] = {{".html", "text/html; charset=utf-8"},
                                         {".css", "text/css; charset=utf-8"},
                                         {".js", "text/javascript; charset=utf-8"},
                                         {".json", "application/json"},
                                         {".svg", "image/svg+xml"}};
  for (size_t i = 0; i < sizeof types / sizeof *types; i++) {
    size_t size = strlen(types[i][0]);
    if (name.size > size && !memcmp(name.at + name.size - size, types[i][0], size)) return types[i][1];
  }
  return "text/plain; charset=utf-8";
}

static void send_file(call *c, str name) {
  const embedded_file *f = embedded_ui;
  while (f->name && !str_is(name, f->name)) f++;
  if (!f->name) {
    call_error(c, 404, "no such file; the page is at /ui/");
    return;
  }
  text_append(call_body(c), f->bytes, f->size);
  c->x.response.status = 200;
  c->x.response.content_type = type_of(name);
  send_policy(c, name);
  http_response_header(&c->x.response, "X-Content-Type-Options", "nosniff");
  http_response_header(&c->x.response, "Referrer-Policy", "no-referrer");
  http_response_header(&c->x.response, "Cache-Control", "no-cache");
}

// Relative, so that it holds behind a proxy that serves below another path.
static void send_there(call *c) {
  c->x.response.status = 308;
  c->x.response.content_type = "text/plain; charset=utf-8";
  http_response_header(&c->x.response, "Location", "ui/");
}

static void send_ui(call *c) { send_file(c, c->file_name.size ? c->file_name : str_from("index.html")); }

// What there is to ask, so that the page shows no more than that.
static void list_routes(call *c) {
  text *o = call_body(c);
  const char *before = "[";
  for (const http_route *const *r = c->srv->routes; *r; r++)
    for (size_t i = 0; i < ROUTE_PATHS && (*r)->paths[i] && !(*r)->grpc && !(*r)->page; i++, before = ",")
      text_format(o, "%s\"%s\"", before, (*r)->paths[i]);
  text_put(o, "]");
  call_json(c, 200);
}

static void send_docs(call *c) { send_file(c, str_from("docs.html")); }

#define PAGE .access = ROUTE_PUBLIC, .open = true, .page = true, .methods = METHOD_GET | METHOD_HEAD
HTTP_ROUTE(ui) = {PAGE, .summary = "The page for people", .paths = {"/ui/", "/ui/{file}"}, .answer = send_ui};
HTTP_ROUTE(ui_there) = {PAGE, .summary = "Where it is", .paths = {"/ui"}, .answer = send_there};
HTTP_ROUTE(ui_routes) = {PAGE, .summary = "What there is to ask", .paths = {"/ui/routes.json"}, .answer = list_routes};
HTTP_ROUTE(docs) = {PAGE, .summary = "How to call this server", .paths = {"/docs"}, .answer = send_docs};

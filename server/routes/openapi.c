// SPDX-License-Identifier: Apache-2.0
// GET /openapi.json: every path there is, made from the routes' own records and the models that are loaded. Words in
// braces are written out, for what a path takes and gives depends on the model.
#include <string.h>

#include "server/admission/script.h"
#include "server/schema.h"

// Whose paths are written.
typedef struct subject {
  server *srv;
  const model_entry *entry;
  const model *model;
} subject;

static void write_path(text *o, const char *pattern, const model_entry *e) {
  text_put(o, "\"");
  while (e && *pattern) {
    size_t plain = strcspn(pattern, "{");
    text_append(o, pattern, plain);
    pattern += plain;
    if (!*pattern) break;
    text_put(o, !strncmp(pattern, "{model}", 7) ? e->name : e->version);
    pattern += strcspn(pattern, "}") + 1;
  }
  text_put(o, pattern);
  text_put(o, "\":");
}

// Where words of the path stand for more than models that are served.
static void parameters(text *o, const char *pattern) {
  static const char name[] =
      "{\"name\":\"name\",\"in\":\"path\",\"required\":true,\"schema\":{\"type\":\"string\",\"maxLength\":128,"
      "\"pattern\":"
      "\"^[A-Za-z0-9_][A-Za-z0-9._-]*$\"}}",
                    version[] =
                        ",{\"name\":\"version\",\"in\":\"path\",\"required\":true,\"schema\":{\"type\":\"integer\","
                        "\"minimum\":1,\"maximum\":999999999}}";
  if (!strstr(pattern, "{name}")) return;
  text_format(o, "\"parameters\":[%s%s],", name, strstr(pattern, "{version}") ? version : "");
}

static void content(text *o, const char *type, const char *schema) {
  text_format(o, "\"%s\":{\"schema\":%s}", type, schema);
}

static bool by_script(const http_route *r, const subject *s) { return r->script && s->srv->script; }

static bool has_schema(const http_route *r, const subject *s) { return r->schema || by_script(r, s); }

static void write_schema(text *o, const http_route *r, const subject *s, bool request) {
  const char *own = by_script(r, s) ? script_pool_schema(s->srv->script, request) : NULL;
  if (!by_script(r, s)) r->schema(o, s->model, request);
  else text_put(o, own ? own : "{}");
}

static void request(text *o, const http_route *r, const subject *s) {
  if (has_schema(r, s)) {
    text_put(o, ",\"requestBody\":{\"required\":true,\"content\":{\"application/json\":{\"schema\":");
    write_schema(o, r, s, true);
    text_put(o, "}}}");
  } else if (r->takes || r->binary) {
    text_format(o, ",\"requestBody\":{\"required\":%s,\"content\":{", r->binary ? "true" : "false");
    if (r->takes) content(o, "application/json", r->takes);
    else content(o, "application/octet-stream", "{\"type\":\"string\",\"format\":\"binary\"}");
    text_put(o, "}}");
  }
}

static void response(text *o, const http_route *r, const subject *s, http_method method) {
  text_format(o, ",\"responses\":{\"%d\":{\"description\":\"done\"", method == METHOD_OPTIONS ? 204 : 200);
  if (method == METHOD_HEAD || method == METHOD_OPTIONS) {
    text_put(o, "}");
  } else {
    text_put(o, ",\"content\":{");
    if (has_schema(r, s)) {
      text_put(o, "\"application/json\":{\"schema\":");
      write_schema(o, r, s, false);
      text_put(o, "}");
      if (r->binary) text_put(o, ",");
      if (r->binary) content(o, "application/octet-stream", "{\"type\":\"string\",\"format\":\"binary\"}");
    } else if (r->gives) {
      content(o, "application/json", r->gives);
    } else if (r->binary) {
      content(o, "application/octet-stream", "{\"type\":\"string\",\"format\":\"binary\"}");
    } else {
      content(o, r->media ? r->media : "text/plain", "{\"type\":\"string\"}");
    }
    text_put(o, "}}");
  }
  text_put(o, ",\"default\":{\"description\":\"refused, or failed\",\"content\":{");
  content(o, "application/json", schema_error);
  text_put(o, "}}}");
}

static void operations(text *o, const http_route *r, const subject *s, bool *first) {
  for (int i = 0; http_methods[i]; i++) {
    http_method method = (http_method)(1 << i);
    if (!(r->methods & method)) continue;
    text_put(o, *first ? "\"" : ",\"");
    for (const char *letter = http_methods[i]; *letter; letter++) {
      char small = (char)(*letter | 32);
      text_append(o, &small, 1);
    }
    text_format(o, "\":{\"summary\":\"%s\"", r->summary);
    if (r->query) text_format(o, ",\"parameters\":%s", r->query);
    *first = false;
    if (r->schema && !by_script(r, s))
      text_put(
          o,
          ",\"description\":\"With the query parameter nan=literal what JSON has no word for is written NaN, Infinity "
          "or -Infinity instead of null.\"");
    if (method & (METHOD_POST | METHOD_PATCH)) request(o, r, s);
    response(o, r, s, method);
    text_put(o, "}");
  }
}

static bool has_path(const http_route *r, const char *pattern) {
  for (size_t i = 0; i < ROUTE_PATHS && r->paths[i]; i++)
    if (!strcmp(r->paths[i], pattern)) return true;
  return false;
}

// A path and all that routes do there, once.
static void item(text *o, const char *pattern, const subject *s, bool *first) {
  bool first_operation = true;
  if (!*first) text_append(o, ",", 1);
  *first = false;
  write_path(o, pattern, s->entry);
  text_put(o, "{");
  if (!s->entry) parameters(o, pattern);
  for (const http_route *const *r = s->srv->routes; *r; r++)
    if (has_path(*r, pattern)) operations(o, *r, s, &first_operation);
  text_put(o, "}");
}

static void items(text *o, server *srv, const http_route *r, const char *pattern, bool *first) {
  models *t = &srv->models;
  bool of_version = strstr(pattern, "{version}") != NULL;
  model *m = NULL;
  subject s = {.srv = srv};
  if (strstr(pattern, "{name}")) {
    item(o, pattern, &s, first);
    return;
  }
  if (!strchr(pattern, '{')) {
    s.entry = models_default(t, &m);
    s.model = m;
    if (m || !r->schema || by_script(r, &s)) item(o, pattern, &s, first);
    model_release(m);
    return;
  }
  const model_list *all = models_list(t);
  for (size_t i = 0; i < all->count; i++) {
    s.entry = all->at[i];
    if (s.entry->gone || (!of_version && i && !strcmp(s.entry->name, all->at[i - 1]->name))) continue;
    models_find(t, str_from(s.entry->name), of_version ? str_from(s.entry->version) : (str){0}, &m);
    s.model = m;
    if (m || r->unloaded_too) item(o, pattern, &s, first);
    model_release(m);
  }
}

static void answer(call *c) {
  text *o = call_body(c);
  bool first = true;
  text_format(o, "{\"openapi\":\"3.0.3\",\"info\":{\"title\":\"sardonyx\",\"version\":\"%s\"},\"paths\":{",
              sdx_version());
  const http_route *const *all = c->srv->routes;
  for (const http_route *const *r = all; *r; r++)
    for (size_t i = 0; i < ROUTE_PATHS && (*r)->paths[i] && !(*r)->grpc && !(*r)->page; i++) {
      const http_route *const *before = all;
      while (!has_path(*before, (*r)->paths[i])) before++;
      if (*before == *r) items(o, c->srv, *r, (*r)->paths[i], &first);
    }
  text_put(o, "}}");
  call_json(c, 200);
}

HTTP_ROUTE(openapi) = {.access = ROUTE_PUBLIC,
                       .methods = METHOD_GET | METHOD_HEAD,
                       .blocks = true,
                       .summary = "This description",
                       .gives = "{\"type\":\"object\"}",
                       .paths = {"/openapi.json"},
                       .answer = answer};

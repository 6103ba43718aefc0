// SPDX-License-Identifier: Apache-2.0
// Spans as protobuf (otlp.h). A parcel is what one request adds to ScopeSpans; resource and scope are put around a
// batch of them when it goes out.
#include "server/monitor/otlp.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/host.h"
#include "base/wire.h"
#include "server/call.h"
#include "server/log.h"
#include "server/monitor/post.h"

enum { WAIT_BYTES = 8 << 20, BATCH_BYTES = 256 << 10, LINGER_MS = 1000, ATTEMPTS = 5 };
enum { KIND_INTERNAL = 1, KIND_SERVER = 2, STATUS_ERROR = 2 };

struct otlp {
  char *url;
  double share;
  uint64_t seed;
  http *http;
  courier *courier;
};

// ---- protobuf ------------------------------------------------------------------------------------

static void put_text(wire_out *w, const char *key, str value) {
  size_t pair = wire_begin(w, 9);
  wire_put_bytes(w, 1, str_from(key));
  size_t any = wire_begin(w, 2);
  wire_put_bytes(w, 1, value);
  wire_end(w, any);
  wire_end(w, pair);
}

static void put_number(wire_out *w, const char *key, int64_t value) {
  size_t pair = wire_begin(w, 9);
  wire_put_bytes(w, 1, str_from(key));
  size_t any = wire_begin(w, 2);
  wire_put_int(w, 3, value);
  wire_end(w, any);
  wire_end(w, pair);
}

// fixed64, which is laid out as a double is.
static void put_time(wire_out *w, uint32_t field, uint64_t ns) {
  double bits;
  memcpy(&bits, &ns, sizeof bits);
  wire_put_double(w, field, bits);
}

typedef struct span {
  const uint8_t *id, *parent;  // parent NULL: none
  str name;
  int kind;
  uint64_t start_ns, end_ns;
} span;

// Opens it; attributes may follow before wire_end. `shift`: from our clock to that of the world.
static size_t begin_span(wire_out *w, const trace *t, const span *s, uint64_t shift) {
  size_t begin = wire_begin(w, 2);
  wire_put_bytes(w, 1, (str){(const char *)t->id, TRACE_ID});
  wire_put_bytes(w, 2, (str){(const char *)s->id, SPAN_ID});
  if (s->parent) wire_put_bytes(w, 4, (str){(const char *)s->parent, SPAN_ID});
  wire_put_bytes(w, 5, s->name);
  wire_put_int(w, 6, s->kind);
  put_time(w, 7, s->start_ns + shift);
  put_time(w, 8, s->end_ns + shift);
  return begin;
}

static void put_request(wire_out *w, const call *c, uint64_t end_ns, uint64_t shift) {
  const http_request *r = &c->x.request;
  const str *state = c->trace.given ? http_request_header(r, "tracestate") : NULL;
  const char *route = c->route ? c->route->paths[0] : "";
  char name[160], client[ADDRESS_TEXT];
  int status = call_status(c);
  snprintf(name, sizeof name, "%.*s%s%s", r->method_name.size < 20 ? (int)r->method_name.size : 20, r->method_name.at,
           *route ? " " : "", route);
  span s = {c->trace.span, c->trace.given ? c->trace.parent : NULL, str_from(name), KIND_SERVER, c->x.start_ns, end_ns};
  size_t begin = begin_span(w, &c->trace, &s, shift);
  if (state) wire_put_bytes(w, 3, *state);
  address_print(&c->x.client, client);
  put_text(w, "http.request.method", r->method_name);
  put_text(w, "url.path", str_from(r->path));
  if (*route) put_text(w, "http.route", str_from(route));
  put_text(w, "client.address", str_from(client));
  put_text(w, "http.request.id", str_from(c->id));
  put_number(w, "http.request.body.size", (int64_t)r->body.size);
  put_number(w, "http.response.status_code", status);
  if (c->entry) put_text(w, "sardonyx.model.name", str_from(c->entry->name));
  if (c->entry && *c->entry->version) put_text(w, "sardonyx.model.version", str_from(c->entry->version));
  if (status >= 500) {
    size_t of_status = wire_begin(w, 15);
    wire_put_int(w, 3, STATUS_ERROR);
    wire_end(w, of_status);
  }
  wire_end(w, begin);
}

static void put_phase(wire_out *w, const otlp *o, const call *c, const char *name, uint64_t from, uint64_t to,
                      uint64_t shift) {
  uint8_t id[SPAN_ID];
  if (!from || to < from) return;
  trace_make_id(id, sizeof id, o->seed);
  span s = {id, c->trace.span, str_from(name), KIND_INTERNAL, from, to};
  wire_end(w, begin_span(w, &c->trace, &s, shift));
}

void otlp_note(otlp *o, const call *c, uint64_t end_ns) {
  wire_out w = {0};
  uint64_t shift = clock_wall_ns() - clock_ns();
  put_request(&w, c, end_ns, shift);
  if (c->waited_ns) put_phase(&w, o, c, "queue", c->queued_ns, c->queued_ns + c->waited_ns, shift);
  put_phase(&w, o, c, "parse", c->parse_ns, c->parsed_ns, shift);
  put_phase(&w, o, c, "compute", c->run_ns, c->done_ns, shift);
  if (c->run_ns) put_phase(&w, o, c, "write", c->done_ns, end_ns, shift);
  if (!wire_failed(&w)) courier_put(o->courier, w.kept.at, w.kept.size);
  wire_out_deinit(&w);
}

// ---- sending -------------------------------------------------------------------------------------

static void wrap(wire_out *w, const char *spans, size_t size) {
  char host[256] = "";
  gethostname(host, sizeof host - 1);
  const char *name = getenv("OTEL_SERVICE_NAME");
  size_t of_resource = wire_begin(w, 1), resource = wire_begin(w, 1);
  const char *const attributes[][2] = {
      {"service.name", name && *name ? name : "sardonyx"}, {"service.version", sdx_version()}, {"host.name", host}};
  for (size_t i = 0; i < sizeof attributes / sizeof *attributes; i++) {
    size_t pair = wire_begin(w, 1);
    wire_put_bytes(w, 1, str_from(attributes[i][0]));
    size_t any = wire_begin(w, 2);
    wire_put_bytes(w, 1, str_from(attributes[i][1]));
    wire_end(w, any);
    wire_end(w, pair);
  }
  wire_end(w, resource);
  size_t of_scope = wire_begin(w, 2), scope = wire_begin(w, 1);
  wire_put_bytes(w, 1, STR("sardonyx"));
  wire_end(w, scope);
  wire_put_raw(w, spans, size);
  wire_end(w, of_scope);
  wire_end(w, of_resource);
}

static delivery send_spans(void *context, const char *bytes, size_t size, bool last, char *why, size_t why_size) {
  otlp *o = context;
  wire_out w = {0};
  wrap(&w, bytes, size);
  delivery done = wire_failed(&w) ? DELIVER_NEVER
                                  : post_bytes(o->http, o->url, "application/x-protobuf", w.kept.at, w.kept.size, last,
                                               why, why_size);
  wire_out_deinit(&w);
  return done;
}

otlp *otlp_start(const char *url, double share, uint64_t seed) {
  static const char path[] = "/v1/traces";
  fault f = {0};
  otlp *o = calloc(1, sizeof *o);
  size_t size = strlen(url), tail = strlen(path);
  bool whole = size >= tail && !strcmp(url + size - tail, path);
  if (!o) return NULL;
  while (size && url[size - 1] == '/') size--;
  o->share = share;
  o->seed = seed;
  if (asprintf(&o->url, "%.*s%s", (int)size, url, whole ? "" : path) < 0) o->url = NULL;
  const courier_config config = {.what = "spans",
                                 .most_bytes = WAIT_BYTES,
                                 .batch_bytes = BATCH_BYTES,
                                 .linger_ms = LINGER_MS,
                                 .attempts = ATTEMPTS,
                                 .deliver = send_spans,
                                 .context = o};
  if (o->url && !http_open(&o->http, &f)) o->courier = courier_start(&config);
  if (o->courier) return o;
  log_line("error", "--otlp: %s%s%s", f.status ? f.message : "memory or threads are exhausted", *f.hint ? "; " : "",
           f.hint);
  otlp_stop(o);
  return NULL;
}

void otlp_stop(otlp *o) {
  if (!o) return;
  courier_stop(o->courier);
  http_close(o->http);
  free(o->url);
  free(o);
}

void otlp_begin(otlp *o, call *c) {
  trace *t = &c->trace;
  uint64_t random;
  trace_make_id(t->span, sizeof t->span, o->seed);
  memcpy(&random, t->span, sizeof random);
  if (t->given) {
    t->recorded = t->flags & TRACE_SAMPLED;
    return;
  }
  t->recorded = (double)(random >> 11) * 0x1p-53 < o->share;
  if (!t->recorded) return;
  trace_make_id(t->id, sizeof t->id, o->seed);
  t->flags = TRACE_SAMPLED;
  t->known = true;
}

courier_counts otlp_count(otlp *o) { return courier_count(o->courier); }

// SPDX-License-Identifier: Apache-2.0
// A connection of the server's connection layer over memory instead of a socket, for fuzz targets: bytes go in, in
// pieces of chosen sizes, and what comes out is kept. The application behind it answers at once, later, or refuses, as
// the path says. Whatever comes in, at the end no exchange, no connection and no byte of a body may be left.
#pragma once

#include <stdlib.h>
#include <sys/eventfd.h>

#include "server/net/loop.h"

typedef struct wire {
  const char *in;
  size_t in_size, in_at;
  unsigned pieces;  // seed of the sizes; 0: all at once
  text out;
  exchange *later[128];
  size_t later_count;
} wire;
static wire wire_now;

static ssize_t wire_receive(connection *c, char *at, size_t size) {
  wire *w = &wire_now;
  size_t left = w->in_size - w->in_at, n = left;
  if (w->pieces) {
    w->pieces = w->pieces * 1664525u + 1013904223u;
    n = 1 + (w->pieces >> 24) % ((w->pieces >> 20) & 1 ? 4 : 64);
  }
  if (n > left) n = left;
  if (n > size) n = size;
  if (n) memcpy(at, w->in + w->in_at, n);
  w->in_at += n;
  c->hung_up = true;  // one more read would see the end: sockets say so
  return (ssize_t)n;
}

static ssize_t wire_transmit(connection *c, const char *at, size_t size) {
  text_append(&wire_now.out, at, size);
  return (ssize_t)size;
}

static void wire_finish(connection *c) {}

static bool wire_head(exchange *x) {
  x->messages = x->stream && strstr(x->request.path, "messages");
  if (strncmp(x->request.path, "/refuse", 7) != 0) return true;
  http_response_error(&x->response, 404, "refused");
  return false;
}

static void wire_respond(exchange *x) {
  text_format(&x->response.body, "{\"method\":%d,\"bytes\":%zu}", x->request.method, x->request.body.size);
  if (strstr(x->request.path, "big"))
    for (int i = 0; i < 20000; i++) text_append(&x->response.body, "0123456789", 10);
  x->response.status = 200;
  x->response.content_type = "application/json";
}

static bool wire_body(exchange *x) {
  const str *encoding = http_request_header(&x->request, "content-encoding");
  coding c = encoding ? coding_from_name(*encoding) : CODING_IDENTITY;
  http_problem p = {0};
  if (c != CODING_UNKNOWN && x->request.body.at && !coding_decode(c, &x->request.body, x->body_limit, &p)) {
    http_response_error(&x->response, p.status, "%s", p.message);
    return true;
  }
  if (!strstr(x->request.path, "later") || wire_now.later_count == 128) {
    wire_respond(x);
    return true;
  }
  wire_now.later[wire_now.later_count++] = x;
  return false;
}

static void wire_cancel(exchange *x, int status) {}
static void wire_expire(exchange *x) {}
static void wire_seal(exchange *x) { http_response_header(&x->response, "X-Sealed", "%d", x->response.status); }
static void wire_next(exchange *x) {}
static void wire_end(exchange *x) {}

static const net_handler wire_handler = {sizeof(exchange), wire_head, wire_body, wire_cancel,
                                         wire_expire,      wire_seal, wire_next, wire_end};

static net *wire_net(void) {
  static limits l;
  static net_config config;
  static network everybody;
  static net n;
  static loop *one;
  if (n.loops) return &n;
  limits_init(&l);
  l.max_body_bytes = 1 << 20;
  l.max_buffered_bytes = 8 << 20;
  l.compress_bytes = 16;
  config = (net_config){.limits = &l, .handler = &wire_handler, .loops = 1, .trusted = {&everybody, 1}};
  n.config = &config;
  n.limits = &l;
  n.handler = &wire_handler;
  one = loop_create(&n);
  n.loops = &one;
  n.loop_count = 1;
  if (!one) abort();
  return &n;
}

static void wire_answer_later(net *n) {
  size_t count = wire_now.later_count;
  wire_now.later_count = 0;
  for (size_t i = 0; i < count; i++) {
    wire_respond(wire_now.later[i]);
    exchange_post(wire_now.later[i]);
  }
  loop_take_messages(n->loops[0]);
}

// Runs one connection to its end; the output stays in wire_now.out until the next.
static void wire_run(const char *in, size_t size, unsigned pieces) {
  static const transport memory = {wire_receive, wire_transmit, wire_finish};
  net *n = wire_net();
  loop *l = n->loops[0];
  wire_now.in = in;
  wire_now.in_size = size;
  wire_now.in_at = 0;
  wire_now.pieces = pieces;
  wire_now.out.size = 0;
  connection *c = calloc(1, sizeof *c);
  if (!c) abort();
  *c = (connection){.net = n, .fd = eventfd(0, EFD_NONBLOCK), .transport = &memory};
  atomic_fetch_add(&n->connections, 1);
  atomic_fetch_add(&l->count, 1);
  loop_begin(l, c);
  for (int idle = 0; l->connections && idle < 4; idle++) {
    size_t before = wire_now.in_at + wire_now.out.size;
    wire_answer_later(n);
    l->ready = NULL;
    if (l->connections) c->ready = false, connection_event(c, true, true, true, false);
    if (wire_now.in_at + wire_now.out.size != before) idle = 0;
  }
  wire_answer_later(n);
  if (l->connections) {  // a client that waits for more is one whose time will be over
    connection_time_over(c, c->timer.phase);
    wire_answer_later(n);
  }
  if (l->connections) {
    c->broken = true;
    connection_turn(c);
    wire_answer_later(n);
  }
  l->ready = NULL;
  if (l->connections || atomic_load(&n->exchanges) || atomic_load(&n->held)) abort();
}

// SPDX-License-Identifier: Apache-2.0
// Turns of a connection and what both protocols share (connection.h). Sockets are watched edge-triggered: flags
// remember what can be read and written, so a request costs no system call but its receive and its send.
#include "server/net/connection.h"

#include <errno.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/host.h"
#include "server/net/loop.h"
#include "server/net/tls.h"

enum { STEPS = 32, LINGER_BYTES = 128 << 20, RATE_PERIOD_MS = 5000, BODY_FIRST_BYTES = 4096 };
static const char preface[] = "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

// ---- transports ----------------------------------------------------------------------------------

static ssize_t plain_receive(connection *c, char *at, size_t size) {
  ssize_t got;
  do got = recv(c->fd, at, size, MSG_DONTWAIT);
  while (got < 0 && errno == EINTR);
  return got >= 0 ? got : errno == EAGAIN ? TRANSFER_LATER : TRANSFER_BROKEN;
}

static ssize_t plain_transmit(connection *c, const char *at, size_t size) {
  ssize_t put;
  do put = send(c->fd, at, size, MSG_DONTWAIT | MSG_NOSIGNAL);
  while (put < 0 && errno == EINTR);
  return put >= 0 ? put : errno == EAGAIN ? TRANSFER_LATER : TRANSFER_BROKEN;
}

static void plain_finish(connection *c) { shutdown(c->fd, SHUT_WR); }

const transport transport_plain = {plain_receive, plain_transmit, plain_finish};

// ---- exchanges -----------------------------------------------------------------------------------

void exchange_malformed(exchange *x, const http_problem *p) {
  atomic_fetch_add(&x->net->malformed, 1);
  http_response_error(&x->response, p->status, "%s", p->message);
}

static void too_large(exchange *x) {
  http_response_error(&x->response, 413, "the body is larger than %zu bytes%s", x->body_limit,
                      x->body_limit == (size_t)x->net->limits->max_body_bytes ? " (limit max-body-bytes)" : "");
}

bool exchange_begin(exchange *x) {
  net *n = x->net;
  http_problem p = {0};
  x->start_ns = clock_ns();
  x->body_limit = (size_t)n->limits->max_body_bytes;
  if (!forwarded_client(&x->request, &n->config->trusted, &x->connection->peer, &x->client, &x->unproven, &p)) {
    exchange_malformed(x, &p);
    return false;
  }
  if (!n->handler->head(x)) return false;
  if (x->request.length <= x->body_limit) return true;
  too_large(x);
  return false;
}

bool exchange_keep(exchange *x, http_body *b, str piece) {
  size_t need = b->size + piece.size;  // both below a limit and one buffer
  if (need > b->capacity) {
    size_t capacity = b->capacity ? b->capacity * 2 : BODY_FIRST_BYTES;
    if (capacity < need) capacity = need;
    if (x->request.has_length && capacity > x->request.length) capacity = (size_t)x->request.length;
    b->held = &x->net->held;
    b->held_limit = (size_t)x->net->limits->max_buffered_bytes;
    if (capacity < need || !body_reserve(b, capacity)) return false;
  }
  memcpy(b->at + b->size, piece.at, piece.size);
  b->size = need;
  return true;
}

bool exchange_take(exchange *x, str piece) {
  http_body *b = &x->request.body;
  if (b->size + piece.size > x->body_limit) {
    too_large(x);
    return false;
  }
  if (exchange_keep(x, b, piece)) return true;
  http_response_error(&x->response, 503, "request bodies fill the memory kept for them (limit max-buffered-bytes)");
  http_response_header(&x->response, "Retry-After", "1");
  return false;
}

bool exchange_complete(exchange *x) {
  x->body_ns = clock_ns();
  x->state = EXCHANGE_PENDING;
  return x->net->handler->body(x);
}

void exchange_prepare(exchange *x) {
  http_response *r = &x->response;
  const limits *l = x->net->limits;
  x->state = EXCHANGE_ANSWERING;
  timer_stop(&x->loop->timers, &x->timer);
  if (r->body.failed)
    http_response_error(r, 507,
                        "the response is larger than the limit max-response-bytes (%lld) or memory is exhausted",
                        (long long)l->max_response_bytes);
  x->net->handler->seal(x);
  const str *accept = l->compress_bytes && r->body.size >= (size_t)l->compress_bytes
                          ? http_request_header(&x->request, "accept-encoding")
                          : NULL;
  if (!accept || x->request.http_1_0 || x->messages || r->trailers.size) return;
  r->coding = coding_choose(*accept);
  if (r->coding != CODING_IDENTITY && !(r->stream = coding_stream_create(r->coding))) r->coding = CODING_IDENTITY;
}

// ---- turns ---------------------------------------------------------------------------------------

static void close_now(connection *c) {
  if (c->fd < 0) return;
  loop *l = c->loop;
  timer_stop(&l->timers, &c->timer);
  if (c->protocol) c->protocol->stop(c);
  if (c->tls) tls_drop(c->tls);
  c->tls = NULL;
  epoll_ctl(l->epoll, EPOLL_CTL_DEL, c->fd, NULL);  // a process that is being started may hold it, too
  close(c->fd);
  c->fd = -1;
  text_deinit(&c->in);
  for (exchange *x = c->exchanges, *next; x; x = next) {
    next = x->next;
    if (x->state == EXCHANGE_PENDING) x->net->handler->cancel(x, 499);
    else exchange_end(x);
  }
}

static bool unsent(const connection *c) { return c->out_at < c->out.size; }

// Sends what is there; asks the protocol for more when all is out. True: something moved.
static bool flush(connection *c) {
  bool moved = false;
  while (c->can_write && !c->broken) {
    if (!unsent(c)) {
      c->out.size = c->out_at = 0;
      if (!c->protocol || !c->protocol->fill(c)) break;
      if (c->out.failed) {
        c->broken = true;
        break;
      }
      continue;
    }
    ssize_t put = c->transport->transmit(c, c->out.at + c->out_at, c->out.size - c->out_at);
    if (put == TRANSFER_BROKEN) c->broken = true;
    if (put == TRANSFER_LATER) c->can_write = false;
    if (put <= 0) break;
    c->out_at += (size_t)put;
    c->moved += (size_t)put;
    moved = true;
  }
  return moved;
}

// Plain connections tell their protocol by how they begin. False: more must come.
static bool choose_protocol(connection *c, const char *bytes, size_t size) {
  if (c->protocol) return true;
  size_t n = size < sizeof preface - 1 ? size : sizeof preface - 1;
  bool same = !memcmp(bytes, preface, n);
  if (!c->tls && same && n < sizeof preface - 1 && !c->input_over) return false;
  bool two = c->tls ? tls_chose_http2(c->tls) : same && n == sizeof preface - 1;
  c->protocol = two ? &protocol_http2 : &protocol_http1;
  if (!c->protocol->start(c)) c->broken = true;
  return !c->broken;
}

static size_t take(connection *c, char *bytes, size_t size) {
  return choose_protocol(c, bytes, size) ? c->protocol->feed(c, bytes, size) : 0;
}

static bool receive(connection *c) {
  loop *l = c->loop;
  ssize_t got = c->transport->receive(c, l->scratch, sizeof l->scratch);
  if (got == TRANSFER_LATER || got == TRANSFER_BROKEN) {
    c->can_read = false;
    c->broken |= got == TRANSFER_BROKEN;
    return false;
  }
  if (got == 0) {
    c->input_over = true;
    c->can_read = false;
    return true;
  }
  // A short count means that the socket is empty, unless its end is near.
  if ((size_t)got < sizeof l->scratch && !c->hung_up && !c->tls) c->can_read = false;
  c->moved += (size_t)got;
  if (c->finished) {
    c->lingered += (size_t)got;
    return true;
  }
  if (c->in.size) {
    text_append(&c->in, l->scratch, (size_t)got);
    c->broken |= c->in.failed;
    return true;
  }
  size_t used = take(c, l->scratch, (size_t)got);
  if (used < (size_t)got) {
    text_append(&c->in, l->scratch + used, (size_t)got - used);
    c->broken |= c->in.failed;
  }
  return true;
}

// Input that waited in c->in. False: not even a byte of it is wanted now.
static bool take_waiting(connection *c) {
  size_t used = c->in.size ? take(c, c->in.at, c->in.size) : 0;
  c->in.size -= used;
  if (!c->in.size) text_deinit(&c->in);
  else if (used) memmove(c->in.at, c->in.at + used, c->in.size);
  return used > 0;
}

static bool wants(const connection *c) {
  if (c->finished) return true;
  return !c->ending && (!c->protocol || c->protocol->wants(c));
}

// After the last byte of output: closes, or shuts our side and waits for the client's.
static void end(connection *c) {
  if (!c->linger || c->input_over) {
    c->transport->finish(c);
    close_now(c);
    return;
  }
  c->transport->finish(c);
  c->finished = true;
  text_deinit(&c->in);
}

static void settle(connection *c) {
  net_phase phase = c->finished   ? (c->cut ? PHASE_CUT : PHASE_LINGER)
                    : unsent(c)   ? PHASE_WRITE
                    : c->protocol ? c->protocol->phase(c)
                                  : PHASE_HEAD;
  if (phase == PHASE_NONE && c->hung_up) phase = PHASE_GONE;
  if (phase != c->timer.phase || c->served != c->timer_served) {
    timer_set(&c->loop->timers, &c->timer, phase, c->loop->now_ns);
    c->timer_served = c->served;
    c->moved = 0;
  }
}

static void steps(connection *c) {
  for (int i = 0;; i++) {
    bool moved = flush(c);
    if (c->broken || (c->finished && (c->input_over || c->lingered > LINGER_BYTES))) {
      close_now(c);
      return;
    }
    if (c->ending && !c->finished && !unsent(c) && !c->exchanges) {
      end(c);
      if (c->fd < 0) return;
    }
    if (wants(c)) {
      if (c->in.size) moved |= take_waiting(c);
      if (c->can_read && wants(c)) moved |= receive(c);
      else if (c->input_over && !c->ending && !c->finished && wants(c)) {
        // The client is done; what it asked for is still answered.
        if (!c->protocol) c->ending = true;
        else c->protocol->input_ended(c);
        moved |= c->ending || unsent(c);
      }
    }
    if (!moved) break;
    if (i == STEPS) {
      loop_ready(c);
      break;
    }
  }
  settle(c);
}

// Output goes into memory of the loop, and stays with the connection only if the client does not take it at once.
static void borrow_output(connection *c) {
  if (c->out.at) return;
  c->out = c->loop->out;
  c->loop->out = (text){0};
}

static void return_output(connection *c) {
  text *lent = &c->loop->out;
  if (c->fd >= 0 && unsent(c)) return;
  if (lent->at || c->out.capacity > 4 * OUT_HIGH_BYTES) text_deinit(&c->out);
  else *lent = (text){.at = c->out.at, .capacity = c->out.capacity};
  c->out = (text){0};
  c->out_at = 0;
}

void connection_turn(connection *c) {
  if (c->fd < 0) return;
  c->loop->now_ns = clock_ns();
  borrow_output(c);
  steps(c);
  return_output(c);
  if (c->fd < 0 && !c->exchanges) connection_free(c);
}

void connection_event(connection *c, bool readable, bool writable, bool hung_up, bool broken) {
  // TLS may have to write in order to read, and the other way round.
  c->can_read |= readable || (c->tls && writable);
  c->can_write |= writable || (c->tls && readable);
  c->hung_up |= hung_up;
  c->broken |= broken;
  connection_turn(c);
}

// ---- time, answers, the end ----------------------------------------------------------------------

static bool moves_on(connection *c, net_phase phase) {
  const limits *l = c->net->limits;
  uint64_t period = phase == PHASE_BODY ? RATE_PERIOD_MS : (uint64_t)l->write_timeout_ms;
  return c->moved && c->moved >= (uint64_t)l->min_rate_bytes * period / 1000;
}

void connection_time_over(connection *c, net_phase phase) {
  if ((phase == PHASE_BODY || phase == PHASE_WRITE) && moves_on(c, phase)) {
    c->moved = 0;
    timer_set(&c->loop->timers, &c->timer, phase, c->loop->now_ns);
    return;
  }
  if (phase == PHASE_GONE) {
    for (exchange *x = c->exchanges; x; x = x->next)
      if (x->state == EXCHANGE_PENDING) c->net->handler->cancel(x, 499);
    return;
  }
  if (phase != PHASE_LINGER && phase != PHASE_CUT) atomic_fetch_add(&c->net->cut, 1);
  if (c->protocol && (phase == PHASE_HEAD || phase == PHASE_BODY || phase == PHASE_IDLE)) {
    c->cut = true;
    c->protocol->out_of_time(c, phase);
    connection_turn(c);
    return;
  }
  c->broken = true;
  connection_turn(c);
}

void connection_answer(exchange *x) {
  connection *c = x->connection;
  if (c->fd >= 0) {
    borrow_output(c);
    c->protocol->answer(x);
    connection_turn(c);
  } else {
    exchange_end(x);
    if (!c->exchanges) connection_free(c);
  }
}

void connection_drain(connection *c, bool close_idle) {
  if (c->fd < 0) return;
  char byte;
  bool waits = c->in.size || recv(c->fd, &byte, 1, MSG_PEEK | MSG_DONTWAIT) > 0;
  bool idle = close_idle && !c->exchanges && !unsent(c) && (c->finished || !waits);
  if (c->protocol && !c->finished) c->protocol->drain(c, idle);
  else if (idle) c->broken = true;
  connection_turn(c);
}

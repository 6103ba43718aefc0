// SPDX-License-Identifier: Apache-2.0
// The thread of a loop (loop.h). Messages from other threads are stacks without locks; who pushes onto an empty one
// wakes the loop by its eventfd.
#include "server/net/loop.h"

#include <malloc.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <time.h>
#include <unistd.h>

#include "base/host.h"
#include "server/net/listen.h"

enum { EVENTS = 64, SPARE_EXCHANGES = 64, PEAK_WORTH_TRIMMING = 256 };
static const uint64_t ms = 1000000;

static void wake(loop *l) {
  uint64_t one = 1;
  ssize_t written = write(l->wake, &one, sizeof one);
  (void)written;  // full means awake already
}

void loop_command_send(loop *l, loop_command command) {
  atomic_fetch_or(&l->commands, (unsigned)command);
  wake(l);
}

void exchange_post(exchange *x) {
  loop *l = x->loop;
  exchange *first = atomic_load(&l->posted);
  do x->posted = first;
  while (!atomic_compare_exchange_weak(&l->posted, &first, x));
  if (!first) wake(l);
}

void exchange_wait(exchange *x, uint64_t deadline_ns) {
  timer_set_before(&x->loop->timers, &x->timer, PHASE_QUEUE, x->loop->now_ns, deadline_ns);
}

void loop_adopt(loop *l, connection *c) {
  connection *first = atomic_load(&l->arriving);
  do c->arriving = first;
  while (!atomic_compare_exchange_weak(&l->arriving, &first, c));
  if (!first) wake(l);
}

void loop_ready(connection *c) {
  if (c->ready) return;
  c->ready = true;
  c->next_ready = c->loop->ready;
  c->loop->ready = c;
}

// ---- exchanges and connections -------------------------------------------------------------------

exchange *exchange_create(connection *c) {
  loop *l = c->loop;
  net *n = c->net;
  exchange *x = l->spare;
  if (x) {
    l->spare = x->next;
    l->spare_count--;
    // The application's part begins anew; request and response keep their memory.
    memset(x + 1, 0, n->handler->exchange_bytes - sizeof *x);
  } else if (!(x = calloc(1, n->handler->exchange_bytes))) {
    return NULL;
  }
  http_request_reset(&x->request);
  http_response_reset(&x->response, (size_t)n->limits->max_response_bytes);
  x->net = n;
  x->loop = l;
  x->connection = c;
  x->next = c->exchanges;
  x->posted = NULL;
  x->state = EXCHANGE_READING;
  x->client = c->peer;
  x->unproven = false;
  x->stream = 0;
  x->messages = x->over = x->begun = x->answered = x->no_more = false;
  x->start_ns = clock_ns();
  x->body_ns = 0;
  c->exchanges = x;
  atomic_fetch_add(&n->exchanges, 1);
  return x;
}

static void exchange_deinit(exchange *x) {
  http_request_deinit(&x->request);
  http_response_deinit(&x->response);
  free(x);
}

void exchange_end(exchange *x) {
  connection *c = x->connection;
  loop *l = x->loop;
  timer_stop(&l->timers, &x->timer);
  x->net->handler->end(x);
  exchange **link = &c->exchanges;
  while (*link != x) link = &(*link)->next;
  *link = x->next;
  c->served++;
  atomic_fetch_sub(&x->net->exchanges, 1);
  body_drop(&x->request.body);
  body_drop(&x->ahead);
  if (l->spare_count == SPARE_EXCHANGES) {
    exchange_deinit(x);
    return;
  }
  if (x->response.body.capacity > SCRATCH_BYTES) text_deinit(&x->response.body);
  if (x->request.head.capacity > SCRATCH_BYTES / 4) text_deinit(&x->request.head);
  http_response_reset(&x->response, 0);
  x->next = l->spare;
  l->spare = x;
  l->spare_count++;
}

void loop_begin(loop *l, connection *c) {
  c->loop = l;
  c->next = l->connections;
  if (c->next) c->next->previous = c;
  l->connections = c;
  size_t count = atomic_load(&l->count);
  if (count > l->peak) l->peak = count;
  struct epoll_event event = {.events = EPOLLIN | EPOLLOUT | EPOLLRDHUP | EPOLLET, .data.ptr = c};
  c->can_read = c->can_write = true;
  if (epoll_ctl(l->epoll, EPOLL_CTL_ADD, c->fd, &event)) c->broken = true;
  connection_turn(c);
}

void connection_free(connection *c) {
  loop *l = c->loop;
  net *n = c->net;
  if (c->ready) {
    connection **link = &l->ready;
    while (*link != c) link = &(*link)->next_ready;
    *link = c->next_ready;
  }
  if (c->previous) c->previous->next = c->next;
  else l->connections = c->next;
  if (c->next) c->next->previous = c->previous;
  if (c->counted) atomic_fetch_sub(&n->clients[c->bucket], 1);
  atomic_fetch_sub(&l->count, 1);
  atomic_fetch_sub(&n->connections, 1);
  text_deinit(&c->out);
  free(c);
}

const char *loop_date(loop *l) {
  static const char days[] = "SunMonTueWedThuFriSat", months[] = "JanFebMarAprMayJunJulAugSepOctNovDec";
  uint64_t second = l->now_ns / (1000 * ms);
  if (second == l->date_second && l->date[0]) return l->date;
  l->date_second = second;
  time_t now = (time_t)(clock_wall_ns() / (1000 * ms));
  struct tm t;
  gmtime_r(&now, &t);
  snprintf(l->date, sizeof l->date, "%.3s, %02d %.3s %04d %02d:%02d:%02d GMT", days + 3 * t.tm_wday, t.tm_mday,
           months + 3 * t.tm_mon, (t.tm_year + 1900) % 10000, t.tm_hour, t.tm_min, t.tm_sec);
  return l->date;
}

// ---- the thread ----------------------------------------------------------------------------------

void loop_take_messages(loop *l) {
  exchange *x = atomic_exchange(&l->posted, NULL), *in_order = NULL;
  while (x) {
    exchange *next = x->posted;
    x->posted = in_order;
    in_order = x;
    x = next;
  }
  while (in_order) {
    exchange *next = in_order->posted;
    connection_answer(in_order);
    in_order = next;
  }
  for (connection *c = atomic_exchange(&l->arriving, NULL), *next; c; c = next) {
    next = c->arriving;
    loop_begin(l, c);
  }
}

static void cancel_all(loop *l) {
  for (connection *c = l->connections; c; c = c->next)
    for (exchange *x = c->exchanges; x; x = x->next)
      if (x->state == EXCHANGE_PENDING) l->net->handler->cancel(x, 503);
}

static void obey(loop *l) {
  unsigned commands = atomic_exchange(&l->commands, 0);
  if (commands & LOOP_STOP) l->stopped = true;
  if (commands & LOOP_RELEASE) listen_release(l);
  if (commands & LOOP_STOP_ACCEPTING) listen_end(l);
  if (commands & LOOP_CANCEL_ALL) cancel_all(l);
  if (!(commands & (LOOP_CLOSE_IDLE | LOOP_STOP_ACCEPTING))) return;
  for (connection *c = l->connections, *next; c; c = next) {
    next = c->next;
    connection_drain(c, commands & LOOP_CLOSE_IDLE);
  }
}

static void take_timers(loop *l) {
  net_phase phase;
  net_timer *t;
  while ((t = timer_take(&l->timers, l->now_ns, &phase)) != NULL) {
    if (phase == PHASE_QUEUE) {
      exchange *x = (exchange *)((char *)t - offsetof(exchange, timer));
      l->net->handler->expire(x);
    } else {
      connection_time_over((connection *)((char *)t - offsetof(connection, timer)), phase);
    }
  }
}

static void take_ready(loop *l) {
  connection *c = l->ready;
  l->ready = NULL;
  while (c) {
    connection *next = c->next_ready;
    c->ready = false;
    connection_turn(c);
    c = next;
  }
}

static void take_event(loop *l, const struct epoll_event *event) {
  uint64_t count;
  void *at = event->data.ptr;
  unsigned e = event->events;
  if (at == &l->wake) {
    if (read(l->wake, &count, sizeof count) < 0) return;
  } else if (listener_is(l->net, at)) {
    listen_event(l, at);
  } else {
    connection_event(at, e & EPOLLIN, e & EPOLLOUT, e & EPOLLRDHUP, e & (EPOLLERR | EPOLLHUP));
  }
}

// Memory of a flood goes back when most of its connections are gone.
static void trim(loop *l) {
  size_t count = atomic_load(&l->count);
  if (l->peak < PEAK_WORTH_TRIMMING || count > l->peak / 4) return;
  l->peak = count;
  malloc_trim(0);
}

static int wait_ms(loop *l) {
  if (l->ready) return 0;
  uint64_t next = timer_next(&l->timers), now = clock_ns();
  if (l->accept_again_ns && l->accept_again_ns < next) next = l->accept_again_ns;
  if (next == UINT64_MAX) return -1;
  return next <= now ? 0 : (next - now) / ms > 3600000 ? 3600000 : (int)((next - now) / ms + 1);
}

static void *run(void *context) {
  loop *l = context;
  struct epoll_event events[EVENTS];
  l->now_ns = clock_ns();
  listen_begin(l);
  while (!l->stopped) {
    int got = epoll_wait(l->epoll, events, EVENTS, wait_ms(l));
    l->now_ns = clock_ns();
    take_ready(l);
    for (int i = 0; i < got; i++) take_event(l, &events[i]);
    loop_take_messages(l);
    obey(l);
    l->now_ns = clock_ns();
    take_timers(l);
    listen_begin(l);
    trim(l);
  }
  return NULL;
}

loop *loop_create(net *n) {
  loop *l = calloc(1, sizeof *l);
  if (!l) return NULL;
  const limits *m = n->limits;
  const int64_t duration_ms[PHASES] = {[PHASE_HEAD] = m->head_timeout_ms,
                                       [PHASE_IDLE] = m->idle_timeout_ms,
                                       [PHASE_BODY] = 5000,
                                       [PHASE_WRITE] = m->write_timeout_ms,
                                       [PHASE_GONE] = 50,
                                       [PHASE_LINGER] = 5000,
                                       [PHASE_CUT] = 500,
                                       [PHASE_QUEUE] = m->max_queue_wait_ms};
  l->net = n;
  for (int i = 0; i < PHASES; i++) l->timers.duration_ns[i] = (uint64_t)duration_ms[i] * ms;
  l->epoll = epoll_create1(EPOLL_CLOEXEC);
  l->wake = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
  struct epoll_event event = {.events = EPOLLIN, .data.ptr = &l->wake};
  if (l->epoll < 0 || l->wake < 0 || epoll_ctl(l->epoll, EPOLL_CTL_ADD, l->wake, &event)) {
    loop_destroy(l);
    return NULL;
  }
  return l;
}

bool loop_start(loop *l) {
  l->running = pthread_create(&l->thread, NULL, run, l) == 0;
  return l->running;
}

void loop_stop(loop *l) {
  if (l->running) loop_command_send(l, LOOP_STOP);
  if (l->running) pthread_join(l->thread, NULL);
  l->running = false;
}

void loop_destroy(loop *l) {
  loop_take_messages(l);
  while (l->connections) {
    l->connections->broken = true;
    connection_turn(l->connections);
  }
  for (exchange *x = l->spare, *next; x; x = next) {
    next = x->next;
    exchange_deinit(x);
  }
  text_deinit(&l->out);
  if (l->epoll >= 0) close(l->epoll);
  if (l->wake >= 0) close(l->wake);
  free(l);
}

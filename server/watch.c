// SPDX-License-Identifier: Apache-2.0
// The watching thread (watch.h). Each connection carries the moment at which its phase is due; a
// change of phase is three atomic stores. The thread sleeps until `planned`, the earliest of them;
// who sets an earlier one wakes it. So a busy connection costs no system call here, and an idle
// server no wake-up.
#include "server/watch.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/tcp.h>
#include <netinet/in.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/host.h"
#include "server/worker.h"

enum {
  RATE_PERIOD_MS = 5000,
  GONE_MS = 50,  // a client that only closed its sending side still gets a fast answer
  LINGER_MS = 5000,
  LINGER_BYTES = 128 << 20,
  LINGER_MAX = 256,
  EVENTS = 64,
};
enum { TAG_WAKE, TAG_CLIENT, TAG_LINGER };
static const uint64_t ms = 1000000;

typedef struct lingering {
  int fd;  // -1: free
  uint64_t due_ns;
  size_t left;
} lingering;

typedef struct watch {
  server *srv;
  pthread_t thread;
  bool running;
  int epoll, wake;
  atomic_bool stop;
  atomic_uint_fast64_t planned;
  pthread_mutex_t lock;  // guards what follows
  http_peer **peers;     // by slot
  size_t capacity, used;
  uint32_t *free_slots;
  size_t free_count;
  lingering linger[LINGER_MAX];
} watch;

static void wake_up(watch *w) {
  uint64_t one = 1;
  ssize_t written = write(w->wake, &one, sizeof one);
  (void)written;  // full means awake already
}

static void plan(watch *w, uint64_t due) {
  if (due < atomic_load(&w->planned)) wake_up(w);
}

// ---- called by other threads -----------------------------------------------------------------------

void watch_phase(http_peer *peer, http_phase phase, uint64_t limit_ns) {
  atomic_store(&peer->due_ns, UINT64_MAX);
  atomic_store(&peer->phase, phase);
  if (!limit_ns) return;
  uint64_t due = clock_ns() + limit_ns;
  atomic_store(&peer->due_ns, due);
  plan(peer->srv->watch, due);
}

static uint64_t tag(unsigned kind, uint32_t index) { return (uint64_t)kind << 32 | index; }

void watch_client(http_peer *peer) {
  struct epoll_event event = {.events = EPOLLRDHUP | EPOLLONESHOT, .data.u64 = tag(TAG_CLIENT, peer->slot)};
  epoll_ctl(peer->srv->watch->epoll, EPOLL_CTL_ADD, peer->fd, &event);
}

void watch_client_end(http_peer *peer) { epoll_ctl(peer->srv->watch->epoll, EPOLL_CTL_DEL, peer->fd, NULL); }

bool watch_add(http_peer *peer) {
  watch *w = peer->srv->watch;
  bool good = true;
  pthread_mutex_lock(&w->lock);
  if (w->free_count) {
    peer->slot = w->free_slots[--w->free_count];
  } else {
    if (w->used == w->capacity) {
      size_t capacity = w->capacity ? w->capacity * 2 : 64;
      http_peer **peers = realloc(w->peers, capacity * sizeof *peers);
      if (peers) w->peers = peers;
      uint32_t *slots = realloc(w->free_slots, capacity * sizeof *slots);
      if (slots) w->free_slots = slots;
      if (peers && slots) w->capacity = capacity;
      else good = false;
    }
    if (good) peer->slot = (uint32_t)w->used++;
  }
  if (good) w->peers[peer->slot] = peer;
  else peer->slot = UINT32_MAX;
  pthread_mutex_unlock(&w->lock);
  return good;
}

void watch_remove(http_peer *peer) {
  watch *w = peer->srv->watch;
  if (peer->slot == UINT32_MAX) return;
  pthread_mutex_lock(&w->lock);
  w->peers[peer->slot] = NULL;
  w->free_slots[w->free_count++] = peer->slot;
  pthread_mutex_unlock(&w->lock);
}

void watch_linger(server *srv, int fd) {
  watch *w = srv->watch;
  // The copy keeps the connection open when the original is closed; the client sees our end at once.
  int copy = fcntl(fd, F_DUPFD_CLOEXEC, 0);
  if (copy < 0) return;
  shutdown(copy, SHUT_WR);
  pthread_mutex_lock(&w->lock);
  uint32_t i = 0;
  while (i < LINGER_MAX && w->linger[i].fd >= 0) i++;
  if (i < LINGER_MAX) {
    w->linger[i] = (lingering){copy, clock_ns() + LINGER_MS * ms, LINGER_BYTES};
    struct epoll_event event = {.events = EPOLLIN | EPOLLRDHUP, .data.u64 = tag(TAG_LINGER, i)};
    epoll_ctl(w->epoll, EPOLL_CTL_ADD, copy, &event);
  } else {
    close(copy);
  }
  pthread_mutex_unlock(&w->lock);
  plan(w, clock_ns() + LINGER_MS * ms);
}

size_t watch_close_idle(server *srv) {
  watch *w = srv->watch;
  size_t closed = 0;
  pthread_mutex_lock(&w->lock);
  for (size_t i = 0; i < w->used; i++) {
    http_peer *peer = w->peers[i];
    struct pollfd has = {.fd = peer ? peer->fd : -1, .events = POLLIN};
    http_phase phase = peer ? atomic_load(&peer->phase) : PHASE_RUNNING;
    bool idle = phase == PHASE_IDLE || phase == PHASE_NEW;
    if (!idle || poll(&has, 1, 0) != 0) continue;  // with bytes that wait it is not idle
    shutdown(peer->fd, SHUT_RDWR);
    closed++;
  }
  pthread_mutex_unlock(&w->lock);
  return closed;
}

// ---- the thread ------------------------------------------------------------------------------------

// Takes a queued request out and prepares its reply; the caller resumes it without the lock.
static http_request *expire(http_peer *peer, int status) {
  http_request *rq = &peer->rq;
  if (!worker_withdraw(rq)) return NULL;
  server *srv = peer->srv;
  if (status == 499) {
    atomic_fetch_add(&srv->cancelled, 1);
    http_error(rq, 499, "the client closed the connection before its turn came");
  } else if (atomic_load(&srv->closing)) {
    http_retry(rq, 503, "the server is shutting down");
  } else {
    atomic_fetch_add(&srv->refused_wait, 1);
    http_retry(rq, 503, "no worker became free for %lld ms (limit max-queue-wait-ms)",
               (long long)srv->limits.max_queue_wait_ms);
  }
  return rq;
}

static size_t acknowledged(int fd) {
  struct tcp_info info = {0};
  socklen_t size = sizeof info;
  return getsockopt(fd, IPPROTO_TCP, TCP_INFO, &info, &size) ? 0 : (size_t)info.tcpi_bytes_acked;
}

// Fast enough since the last look: gives the phase another period.
static bool moves_on(http_peer *peer, size_t bytes, int64_t rate, uint64_t period_ms, uint64_t now) {
  size_t more = bytes - atomic_exchange(&peer->moved, bytes);
  if (more == 0 || more < (size_t)rate * period_ms / 1000) return false;
  uint64_t none = UINT64_MAX;
  atomic_compare_exchange_strong(&peer->due_ns, &none, now + period_ms * ms);
  return true;
}

static http_request *handle_due(watch *w, http_peer *peer, uint64_t due, uint64_t now) {
  // Whoever changes phase at this moment wins.
  if (!atomic_compare_exchange_strong(&peer->due_ns, &due, UINT64_MAX)) return NULL;
  const limits *l = &w->srv->limits;
  http_phase phase = atomic_load(&peer->phase);
  if (phase == PHASE_BODY && moves_on(peer, atomic_load(&peer->received), l->min_rate_bytes, RATE_PERIOD_MS, now))
    return NULL;
  if (phase == PHASE_WRITE &&
      moves_on(peer, acknowledged(peer->fd), l->min_rate_bytes, (uint64_t)l->write_timeout_ms, now))
    return NULL;
  switch (phase) {
    case PHASE_NEW:
    case PHASE_IDLE:
    case PHASE_HEAD:
    case PHASE_BODY:
    case PHASE_WRITE:
      atomic_fetch_add(&w->srv->timeouts_cut, 1);
      shutdown(peer->fd, SHUT_RDWR);
      return NULL;
    case PHASE_QUEUED:
      return expire(peer, atomic_load(&peer->gone) ? 499 : 503);
    case PHASE_RUNNING:
      if (atomic_load(&peer->gone)) http_cancel(peer, 499);
      return NULL;
  }
  return NULL;
}

// Handles up to EVENTS requests that are due; returns how many were put into `expired`.
static size_t sweep(watch *w, uint64_t *next, http_request **expired) {
  uint64_t now = clock_ns();
  size_t count = 0;
  *next = UINT64_MAX;
  for (size_t i = 0; i < w->used; i++) {
    http_peer *peer = w->peers[i];
    if (!peer) continue;
    uint64_t due = atomic_load(&peer->due_ns);
    if (due <= now && count < EVENTS) {
      http_request *rq = handle_due(w, peer, due, now);
      if (rq) expired[count++] = rq;
      due = atomic_load(&peer->due_ns);
    }
    if (due < *next) *next = due;
  }
  for (size_t i = 0; i < LINGER_MAX; i++) {
    lingering *l = &w->linger[i];
    if (l->fd >= 0 && l->due_ns <= now) {
      close(l->fd);
      l->fd = -1;
    }
    if (l->fd >= 0 && l->due_ns < *next) *next = l->due_ns;
  }
  return count;
}

static void client_event(watch *w, uint32_t slot) {
  http_peer *peer = slot < w->used ? w->peers[slot] : NULL;
  if (!peer) return;
  http_phase phase = atomic_load(&peer->phase);
  struct pollfd state = {.fd = peer->fd, .events = POLLRDHUP};
  if ((phase != PHASE_QUEUED && phase != PHASE_RUNNING) || poll(&state, 1, 0) <= 0) return;
  atomic_store(&peer->gone, true);
  uint64_t due = atomic_load(&peer->due_ns), soon = clock_ns() + GONE_MS * ms;
  if (soon < due) atomic_compare_exchange_strong(&peer->due_ns, &due, soon);
}

static void linger_event(watch *w, uint32_t index) {
  lingering *l = &w->linger[index];
  if (l->fd < 0) return;
  static char waste[65536];
  ssize_t got = recv(l->fd, waste, sizeof waste, MSG_DONTWAIT);
  if (got > 0 && (size_t)got < l->left) {
    l->left -= (size_t)got;
  } else if (got >= 0 || (errno != EAGAIN && errno != EINTR)) {
    close(l->fd);
    l->fd = -1;
  }
}

static void *run(void *context) {
  watch *w = context;
  struct epoll_event events[EVENTS];
  http_request *expired[EVENTS];
  while (!atomic_load(&w->stop)) {
    uint64_t next, now;
    atomic_store(&w->planned, UINT64_MAX);  // while awake every new due moment asks for one more round
    pthread_mutex_lock(&w->lock);
    size_t count = sweep(w, &next, expired);
    pthread_mutex_unlock(&w->lock);
    for (size_t i = 0; i < count; i++) {
      watch_client_end(expired[i]->peer);
      http_resume(expired[i]);
    }
    atomic_store(&w->planned, next);
    now = clock_ns();
    int timeout = next == UINT64_MAX            ? -1
                  : next <= now                 ? 0
                  : (next - now) / ms > 3600000 ? 3600000
                                                : (int)((next - now) / ms + 1);
    int got = epoll_wait(w->epoll, events, EVENTS, timeout);
    pthread_mutex_lock(&w->lock);
    for (int i = 0; i < got; i++) {
      uint32_t index = (uint32_t)events[i].data.u64;
      uint64_t count_up;
      switch (events[i].data.u64 >> 32) {
        case TAG_WAKE:
          if (read(w->wake, &count_up, sizeof count_up) < 0) break;
          break;
        case TAG_CLIENT:
          client_event(w, index);
          break;
        case TAG_LINGER:
          linger_event(w, index);
          break;
      }
    }
    pthread_mutex_unlock(&w->lock);
  }
  return NULL;
}

size_t watch_cancel_all(server *srv, int status) {
  watch *w = srv->watch;
  size_t count = 0, withdrawn;
  do {
    http_request *expired[EVENTS];
    withdrawn = 0;
    pthread_mutex_lock(&w->lock);
    for (size_t i = 0; i < w->used && withdrawn < EVENTS; i++) {
      http_peer *peer = w->peers[i];
      http_phase phase = peer ? atomic_load(&peer->phase) : PHASE_IDLE;
      http_request *rq = phase == PHASE_QUEUED ? expire(peer, status) : NULL;
      if (rq) expired[withdrawn++] = rq;
      else if (phase == PHASE_RUNNING) http_cancel(peer, status), count++;
    }
    pthread_mutex_unlock(&w->lock);
    for (size_t i = 0; i < withdrawn; i++) {
      watch_client_end(expired[i]->peer);
      http_resume(expired[i]);
    }
    count += withdrawn;
  } while (withdrawn == EVENTS);
  return count;
}

bool watch_start(server *srv) {
  watch *w = calloc(1, sizeof *w);
  if (!w) return false;
  srv->watch = w;
  w->srv = srv;
  atomic_init(&w->planned, UINT64_MAX);
  pthread_mutex_init(&w->lock, NULL);
  for (size_t i = 0; i < LINGER_MAX; i++) w->linger[i].fd = -1;
  w->epoll = epoll_create1(EPOLL_CLOEXEC);
  w->wake = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
  struct epoll_event event = {.events = EPOLLIN, .data.u64 = tag(TAG_WAKE, 0)};
  if (w->epoll < 0 || w->wake < 0 || epoll_ctl(w->epoll, EPOLL_CTL_ADD, w->wake, &event)) return false;
  w->running = pthread_create(&w->thread, NULL, run, w) == 0;
  return w->running;
}

void watch_stop(server *srv) {
  watch *w = srv->watch;
  if (!w) return;
  atomic_store(&w->stop, true);
  wake_up(w);
  if (w->running) pthread_join(w->thread, NULL);
  for (size_t i = 0; i < LINGER_MAX; i++)
    if (w->linger[i].fd >= 0) close(w->linger[i].fd);
  close(w->epoll);
  close(w->wake);
  pthread_mutex_destroy(&w->lock);
  free(w->peers);
  free(w->free_slots);
  free(w);
  srv->watch = NULL;
}

// SPDX-License-Identifier: Apache-2.0
// Queues and workers (worker.h). One lock guards all queues: it is held for a few list operations a
// request, and only by requests that take longer than the lock could matter (fast models run on
// the socket threads, http.c).
#include "server/worker.h"

#include <microhttpd.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/host.h"
#include "server/log.h"
#include "server/watch.h"

typedef struct workers {
  server *srv;
  pthread_mutex_t lock;
  pthread_cond_t wake;
  pthread_t *threads;
  size_t thread_count, turn, model_cap;
  bool stop;
} workers;

// ---- one request ---------------------------------------------------------------------------------

static void bind_inputs(const http_request *rq, sdx_run *run, bool bind) {
  for (size_t i = 0; i < rq->model->input_count; i++) sdx_run_set_input(run, i, bind ? rq->inputs[i] : NULL);
}

// From here on sdx_run_cancel may come at any time; false: it came already.
static bool open_to_cancel(http_peer *peer, sdx_run *run) {
  pthread_mutex_lock(&peer->lock);
  bool go = !peer->cancel_status;
  if (go) peer->run = run;
  pthread_mutex_unlock(&peer->lock);
  return go;
}

static int close_to_cancel(http_peer *peer) {
  pthread_mutex_lock(&peer->lock);
  peer->run = NULL;
  int status = peer->cancel_status;
  pthread_mutex_unlock(&peer->lock);
  return status;
}

static void reply_cancelled(http_request *rq, int status) {
  atomic_fetch_add(&rq->srv->cancelled, 1);
  if (status == 503) http_retry(rq, 503, "the server is shutting down");
  else http_error(rq, status, "the client closed the connection before the result was there");
}

static void reply_deadline(http_request *rq) {
  http_error(rq, 504, "the result was not there after %llu ms (limit timeout-ms or header x-request-timeout-ms)",
             (unsigned long long)((rq->deadline_ns - rq->body_ns) / 1000000));
}

static bool run_model(http_request *rq, sdx_run *run, uint64_t limit_ns, bool *dirty) {
  model *m = rq->model;
  uint64_t start = clock_ns();
  rq->run_ns = rq->done_ns = start;
  if (start >= rq->deadline_ns) {
    reply_deadline(rq);
    return true;
  }
  uint64_t left = rq->deadline_ns - start;
  bool partial = limit_ns && limit_ns < left;
  sdx_run_set_timeout_ms(run, ((partial ? limit_ns : left) + 999999) / 1000000);
  int cancelled = 0;
  sdx_status status = SDX_CANCELLED;
  bind_inputs(rq, run, true);
  if (open_to_cancel(rq->peer, run)) {
    status = sdx_run_execute(run);
    cancelled = close_to_cancel(rq->peer);
    // A cancel that came too late would hit the next user of the handle.
    *dirty = cancelled != 0;
  } else {
    cancelled = rq->peer->cancel_status;
  }
  rq->done_ns = clock_ns();
  bool moved = false;
  if (status == SDX_OK) {
    if (*sdx_run_warning(run) && !atomic_exchange(&m->warned, true))
      log_line("warning", "%s: %s", m->name, sdx_run_warning(run));
    histogram_seconds(&m->metrics.compute, rq->done_ns - start);
    rq->reply.status = 0;
    rq->route->reply(rq, run);
    uint64_t written = clock_ns();
    atomic_fetch_add_explicit(&m->metrics.reply_ns, written - rq->done_ns, memory_order_relaxed);
    model_note_cost(m, written - start);
    atomic_store_explicit(&m->metrics.last_ms, clock_wall_ns() / 1000000, memory_order_relaxed);
  } else if (cancelled) {
    reply_cancelled(rq, cancelled);
  } else if (status == SDX_DEADLINE_EXCEEDED && partial) {
    model_note_cost(m, limit_ns);
    moved = true;
  } else if (status == SDX_DEADLINE_EXCEEDED) {
    model_note_cost(m, rq->done_ns - start);
    reply_deadline(rq);
  } else {
    http_engine_error(rq, status, sdx_run_error(run));
  }
  bind_inputs(rq, run, false);
  return !moved;
}

bool worker_execute(http_request *rq, uint64_t limit_ns) {
  model *m = rq->model;
  if (!rq->parsed) {
    rq->inputs = calloc(m->input_count ? m->input_count : 1, sizeof *rq->inputs);
    if (!rq->inputs) {
      http_retry(rq, 503, "memory is exhausted");
      return true;
    }
    uint64_t start = clock_ns();
    rq->parsed = rq->route->parse(rq);
    atomic_fetch_add_explicit(&m->metrics.parse_ns, clock_ns() - start, memory_order_relaxed);
    if (!rq->parsed) return true;
    if (m->input_count && rq->inputs[0] && sdx_tensor_rank(rq->inputs[0]))
      histogram_number(&m->metrics.batch, (uint64_t)sdx_tensor_shape(rq->inputs[0])[0]);
  }
  sdx_run *run = NULL;
  sdx_status status = model_take_run(m, &run);
  if (status != SDX_OK) {
    http_engine_error(rq, status, NULL);
    return true;
  }
  bool dirty = false, done = run_model(rq, run, limit_ns, &dirty);
  if (dirty) sdx_run_destroy(run);
  else model_give_run(m, run);
  return done;
}

// ---- queue ---------------------------------------------------------------------------------------

static void unlink_first(model *m) {
  m->queue_first = m->queue_first->queue_next;
  if (!m->queue_first) m->queue_last = NULL;
  m->queued--;
}

bool worker_submit(http_request *rq) {
  workers *w = rq->srv->workers;
  model *m = rq->model;
  http_peer *peer = rq->peer;
  rq->queued_ns = clock_ns();
  rq->queue_next = NULL;
  pthread_mutex_lock(&w->lock);
  bool free_worker = m->queued == 0 && m->running < w->model_cap;
  bool accepted = free_worker || m->queued < (size_t)rq->srv->limits.max_queue;
  if (accepted) {
    // Suspended before a worker can see it, or it could be resumed too early.
    MHD_suspend_connection(peer->connection);
    watch_phase(peer, PHASE_QUEUED, (uint64_t)rq->srv->limits.max_queue_wait_ms * 1000000);
    watch_client(peer);
    if (m->queue_last) m->queue_last->queue_next = rq;
    else m->queue_first = rq;
    m->queue_last = rq;
    m->queued++;
    pthread_cond_signal(&w->wake);
  }
  pthread_mutex_unlock(&w->lock);
  return accepted;
}

bool worker_withdraw(http_request *rq) {
  workers *w = rq->srv->workers;
  model *m = rq->model;
  bool found = false;
  pthread_mutex_lock(&w->lock);
  http_request *before = NULL;
  for (http_request *at = m->queue_first; at && !found; before = at, at = at->queue_next)
    if (at == rq) {
      found = true;
      if (before) {
        before->queue_next = rq->queue_next;
        if (m->queue_last == rq) m->queue_last = before;
        m->queued--;
      } else {
        unlink_first(m);
      }
    }
  pthread_mutex_unlock(&w->lock);
  return found;
}

size_t worker_queued(server *srv, const model *m) {
  pthread_mutex_lock(&srv->workers->lock);
  size_t queued = m->queued;
  pthread_mutex_unlock(&srv->workers->lock);
  return queued;
}

static http_request *next_request(workers *w) {
  server *srv = w->srv;
  for (size_t i = 0; i < srv->model_count; i++) {
    model *m = &srv->models[(w->turn + i) % srv->model_count];
    if (!m->queue_first || m->running >= w->model_cap) continue;
    http_request *rq = m->queue_first;
    unlink_first(m);
    m->running++;
    w->turn = (size_t)(m - srv->models) + 1;
    return rq;
  }
  return NULL;
}

static void *work(void *context) {
  workers *w = context;
  pthread_mutex_lock(&w->lock);
  for (;;) {
    http_request *rq = next_request(w);
    if (!rq) {
      if (w->stop) break;
      pthread_cond_wait(&w->wake, &w->lock);
      continue;
    }
    pthread_mutex_unlock(&w->lock);
    model *m = rq->model;
    http_peer *peer = rq->peer;
    watch_phase(peer, PHASE_RUNNING, 0);
    histogram_seconds(&m->metrics.queue, clock_ns() - rq->queued_ns);
    if (atomic_load(&peer->gone)) reply_cancelled(rq, 499);
    else worker_execute(rq, 0);
    watch_client_end(peer);
    http_resume(rq);  // the request is not ours any more
    pthread_mutex_lock(&w->lock);
    m->running--;
  }
  pthread_mutex_unlock(&w->lock);
  return NULL;
}

bool workers_start(server *srv) {
  workers *w = calloc(1, sizeof *w);
  if (!w) return false;
  w->srv = srv;
  srv->workers = w;
  pthread_mutex_init(&w->lock, NULL);
  pthread_cond_init(&w->wake, NULL);
  size_t count = (size_t)srv->limits.workers;
  w->model_cap = srv->model_count > 1 && count > 1 ? count - 1 : count;
  w->threads = calloc(count, sizeof *w->threads);
  while (w->threads && w->thread_count < count && !pthread_create(&w->threads[w->thread_count], NULL, work, w))
    w->thread_count++;
  return w->thread_count > 0;
}

void workers_stop(server *srv) {
  workers *w = srv->workers;
  if (!w) return;
  pthread_mutex_lock(&w->lock);
  w->stop = true;
  pthread_cond_broadcast(&w->wake);
  pthread_mutex_unlock(&w->lock);
  for (size_t i = 0; i < w->thread_count; i++) pthread_join(w->threads[i], NULL);
  pthread_mutex_destroy(&w->lock);
  pthread_cond_destroy(&w->wake);
  free(w->threads);
  free(w);
  srv->workers = NULL;
}

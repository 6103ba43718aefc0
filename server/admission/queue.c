// SPDX-License-Identifier: Apache-2.0
// The policy that queues (admission.h). One lock guards all lanes: it is held for a few list operations a call, and
// only by calls that take longer than the lock could matter.
#include <stdlib.h>

#include "base/host.h"
#include "server/admission/admission.h"

typedef struct queue {
  admission base;
  server *srv;
  bool spare;
  pthread_mutex_t lock;
  pthread_cond_t wake;
  pthread_t *threads;
  size_t thread_count;
  lane *turn_first, *turn_last;  // with calls that wait and a thread allowed
  bool stop;
} queue;

static size_t lane_threads(const queue *q) {
  bool several = q->spare && models_count(&q->srv->models) > 1 && q->thread_count > 1;
  return q->thread_count - several;
}

static void take_turn(queue *q, lane *l) {
  if (l->in_turn || !l->first || l->running >= lane_threads(q)) return;
  l->in_turn = true;
  l->next = NULL;
  if (q->turn_last) q->turn_last->next = l;
  else q->turn_first = l;
  q->turn_last = l;
}

static void leave_turn(queue *q, lane *l) {
  lane **link = &q->turn_first, *before = NULL;
  while (*link != l) before = *link, link = &(*link)->next;
  *link = l->next;
  if (q->turn_last == l) q->turn_last = before;
  l->in_turn = false;
}

static bool submit(admission *a, call *c) {
  queue *q = (queue *)a;
  lane *l = c->model ? &c->model->lane : c->elsewhere ? &q->srv->elsewhere_lane : &q->srv->chore_lane;
  size_t most = (size_t)q->srv->limits.max_queue;
  c->queued_ns = clock_ns();
  pthread_mutex_lock(&q->lock);
  bool taken = (!l->waiting && l->running < lane_threads(q)) || l->waiting < most;
  if (taken) {
    exchange_wait(&c->x);  // before a worker can see it
    lane_append(l, c);
    take_turn(q, l);
    pthread_cond_signal(&q->wake);
  }
  pthread_mutex_unlock(&q->lock);
  if (taken) return false;
  atomic_fetch_add(&q->srv->refused_queue, 1);
  call_retry(c, 503, "%zu calls wait for %s already (limit max-queue)", most, l->name);
  return true;
}

static bool withdraw(admission *a, call *c) {
  queue *q = (queue *)a;
  pthread_mutex_lock(&q->lock);
  lane *l = c->lane;
  if (l) {
    lane_remove(l, c);
    if (l->in_turn && !l->first) leave_turn(q, l);
  }
  pthread_mutex_unlock(&q->lock);
  return l != NULL;
}

static void serve_first(queue *q) {
  lane *l = q->turn_first;
  call *c = l->first;
  leave_turn(q, l);
  lane_remove(l, c);
  l->running++;
  take_turn(q, l);  // at the end
  pthread_mutex_unlock(&q->lock);
  if (c->model) {
    histogram_seconds(&c->entry->metrics.queue, clock_ns() - c->queued_ns);
    model_retain(c->model);  // the lane lives in it
  }
  model *held = c->model;
  c->work(c);
  exchange_post(&c->x);  // the call is not ours any more
  pthread_mutex_lock(&q->lock);
  l->running--;
  take_turn(q, l);
  pthread_mutex_unlock(&q->lock);
  model_release(held);
  pthread_mutex_lock(&q->lock);
}

static void *work(void *context) {
  queue *q = context;
  pthread_mutex_lock(&q->lock);
  while (q->turn_first || !q->stop) {
    if (q->turn_first) serve_first(q);
    else pthread_cond_wait(&q->wake, &q->lock);
  }
  pthread_mutex_unlock(&q->lock);
  return NULL;
}

static void destroy(admission *a) {
  queue *q = (queue *)a;
  pthread_mutex_lock(&q->lock);
  q->stop = true;
  pthread_cond_broadcast(&q->wake);
  pthread_mutex_unlock(&q->lock);
  for (size_t i = 0; i < q->thread_count; i++) pthread_join(q->threads[i], NULL);
  pthread_mutex_destroy(&q->lock);
  pthread_cond_destroy(&q->wake);
  free(q->threads);
  free(q);
}

admission *admission_queue_create(server *srv, size_t threads, bool spare) {
  queue *q = calloc(1, sizeof *q);
  if (!q) return NULL;
  q->base = (admission){"queue", submit, withdraw, destroy};
  q->srv = srv;
  q->spare = spare;
  pthread_mutex_init(&q->lock, NULL);
  pthread_cond_init(&q->wake, NULL);
  q->threads = calloc(threads, sizeof *q->threads);
  pthread_mutex_lock(&q->lock);  // the threads see how many they are
  while (q->threads && q->thread_count < threads && !pthread_create(&q->threads[q->thread_count], NULL, work, q))
    q->thread_count++;
  pthread_mutex_unlock(&q->lock);
  if (q->thread_count) return &q->base;
  destroy(&q->base);
  return NULL;
}

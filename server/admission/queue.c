// SPDX-License-Identifier: Apache-2.0
// The policy that queues (admission.h). Lanes get equal time of the threads; within one the most urgent call comes
// first, and clients take turns (lane.h). What cannot be answered in time is refused at once, from the pace of the
// lane. Calls of models whose rows are independent are computed together (batch.h): as many as wait, so that nobody
// waits for company. One lock guards all lanes: it is held for a few steps a call, and only by calls that take longer
// than the lock could matter.
#include <stdlib.h>

#include "base/host.h"
#include "server/admission/admission.h"
#include "server/admission/batch.h"

typedef struct queue {
  admission base;
  server *srv;
  bool spare;
  pthread_mutex_t lock;
  pthread_cond_t wake;
  pthread_t *threads;
  size_t thread_count;
  lane others;       // calls that ask no model, or do not tell which before they are decoded
  lane *in_turn;     // with calls that wait and a thread allowed
  uint64_t used_ns;  // of the lane that was served last: new ones start there
  bool stop;
} queue;

// The model that the call asks; NULL: none, or it is not known yet.
static model *asked_model(const call *c) { return c->work == compute_work ? c->model : NULL; }

static lane *lane_of(queue *q, const call *c) {
  model *m = asked_model(c);
  return m ? &m->lane : &q->others;
}

static size_t lane_threads(const queue *q) {
  bool several = q->spare && models_count(&q->srv->models) > 1 && q->thread_count > 1;
  return q->thread_count - several;
}

static void take_turn(queue *q, lane *l) {
  if (l->in_turn || !l->waiting || l->running >= lane_threads(q)) return;
  l->in_turn = true;
  l->next = q->in_turn;
  q->in_turn = l;
  if (l->used_ns < q->used_ns && !l->running) l->used_ns = q->used_ns;
}

static void leave_turn(queue *q, lane *l) {
  lane **link = &q->in_turn;
  while (*link != l) link = &(*link)->next;
  *link = l->next;
  l->in_turn = false;
}

// ---- admission -----------------------------------------------------------------------------------

typedef struct forecast {
  uint64_t wait_ns, limit_ns;
  const char *limit;  // its name
} forecast;

static uint64_t pace_of(const lane *l) { return l->pace_ns[0] + l->pace_ns[1]; }

// How long the call would wait, and how long it may.
static forecast foresee(const queue *q, const lane *l, const call *c, uint64_t now) {
  const limits *limits = &q->srv->limits;
  uint64_t cost = 0;
  forecast f = {0, (uint64_t)limits->max_queue_wait_ms * 1000000, "limit max-queue-wait-ms"};
  if (l->waiting || l->running >= lane_threads(q)) f.wait_ns = (lane_ahead(l, c) + l->running) * pace_of(l);
  if (!asked_model(c)) return f;
  cost = batching_cost(c->model->batching);
  if (!cost) cost = c->model->cost_ns;
  uint64_t goal = (uint64_t)limits->p99_ms * 1000000, left = c->deadline_ns > now ? c->deadline_ns - now : 0;
  left = left > cost ? left - cost : 0;
  goal = goal > cost ? goal - cost : 0;
  if (limits->p99_ms && goal < f.limit_ns) f = (forecast){f.wait_ns, goal, "goal p99-ms"};
  if (left < f.limit_ns) f = (forecast){f.wait_ns, left, "its deadline"};
  return f;
}

// Takes the place of the least urgent one that waits, where that is less urgent. NULL: there is none.
static call *displace(lane *l, const call *c) {
  call *last = lane_last(l);
  if (!last || last->asked <= c->asked) return NULL;
  lane_remove(l, last);
  return last;
}

static void refuse_full(queue *q, lane *l, call *c) {
  atomic_fetch_add(&q->srv->refused_queue, 1);
  call_retry_after(c, l->waiting * pace_of(l) / 2, "%lld calls wait for %s already (limit max-queue)",
                   (long long)q->srv->limits.max_queue, l->name);
}

static void refuse_late(queue *q, call *c, const forecast *f) {
  atomic_fetch_add(&q->srv->refused_forecast, 1);
  call_retry_after(c, f->wait_ns - f->limit_ns, "the wait would be about %llu ms, %llu ms are left (%s)",
                   (unsigned long long)(f->wait_ns / 1000000), (unsigned long long)(f->limit_ns / 1000000), f->limit);
}

// To the lane of the call, before a worker can see it or, not `fresh`, from one that parsed it. The body tells priority
// and deadline, so all that came are parsed before the next one is computed. True: it is refused.
static bool enter(queue *q, call *c, bool fresh) {
  lane *l = lane_of(q, c);
  call *displaced = NULL;
  bool moves = fresh || c->deferred, late = false, full = false, taken = false;
  forecast f = {0};
  pthread_mutex_lock(&q->lock);
  uint64_t now = clock_ns();
  if (fresh) c->queued_ns = now;
  // Its timer may be over.
  bool expired = now >= c->deadline_ns || now >= c->queued_ns + (uint64_t)q->srv->limits.max_queue_wait_ms * 1000000;
  if (moves) {
    bool idle = !l->waiting && l->running < lane_threads(q);
    c->turn = 0;
    full = !idle && l->waiting >= (size_t)q->srv->limits.max_queue;
  }
  if (moves || c->hurried) {
    f = foresee(q, l, c, now);
    late = f.wait_ns > f.limit_ns;
  }
  if (full && !late && !expired && (displaced = displace(l, c))) full = false;
  if (!late && !full && !expired) {
    if (fresh) exchange_wait(&c->x, c->deadline_ns);
    if (moves && !l->waiting && !l->running) l->paced_ns = now;
    taken = lane_add(l, c);
    take_turn(q, l);
    if (fresh) pthread_cond_signal(&q->wake);  // else this thread goes on
  }
  pthread_mutex_unlock(&q->lock);
  if (displaced) {
    refuse_full(q, l, displaced);
    exchange_post(&displaced->x);
  }
  if (taken) return false;
  if (expired) call_expired(c);
  else if (late) refuse_late(q, c, &f);
  else if (full) refuse_full(q, l, c);
  else call_retry(c, 503, "memory is exhausted");
  return true;
}

static bool submit(admission *a, call *c) {
  c->priority = c->work == compute_work && !c->parsed ? PRIORITY_PARSE : c->asked;
  return enter((queue *)a, c, true);
}

static bool withdraw(admission *a, call *c) {
  queue *q = (queue *)a;
  pthread_mutex_lock(&q->lock);
  lane *l = c->lane;
  if (l) {
    lane_remove(l, c);
    if (l->in_turn && !l->waiting) leave_turn(q, l);
  }
  pthread_mutex_unlock(&q->lock);
  return l != NULL;
}

// ---- work ----------------------------------------------------------------------------------------

// Calls that can be computed together with the first one; the others keep their places.
static size_t gather(lane *l, call **calls, size_t most) {
  call *others[BATCH_ROWS];
  size_t count = 1, other = 0;
  while (count < most && other < BATCH_ROWS && l->waiting && l->calls[0]->priority != PRIORITY_PARSE) {
    call *c = lane_take(l);
    if (batch_fits(calls[0], c)) calls[count++] = c;
    else others[other++] = c;
  }
  size_t wanted = batching_rows(calls[0]->model->batching, count);
  while (count > wanted) lane_add(l, calls[--count]);  // there is room: they were here
  while (other) lane_add(l, others[--other]);
  return count;
}

static size_t take(lane *l, call **calls) {
  calls[0] = lane_take(l);
  model *m = asked_model(calls[0]);
  bool alone = !m || !m->batching || calls[0]->priority == PRIORITY_PARSE || !batch_fits(calls[0], calls[0]);
  return alone ? 1 : gather(l, calls, batching_most(m->batching));
}

static void compute_all(call **calls, size_t count) {
  for (size_t i = 0; i < count && asked_model(calls[i]); i++) {
    calls[i]->waited_ns = clock_ns() - calls[i]->queued_ns;
    histogram_seconds(&calls[i]->entry->metrics.phases[METRIC_QUEUE], calls[i]->waited_ns, call_trace(calls[i]));
  }
  if (count > 1) {
    batch_run(calls, count);
    return;
  }
  calls[0]->work(calls[0]);
  exchange_post(&calls[0]->x);  // the call is not ours any more
}

// Of a lane with calls all the time since paced_ns, `count` are done, or parsed: that takes turns of its own, as many
// calls may be parsed before the first one is computed.
static void note_pace(lane *l, bool parsing, uint64_t now, size_t count) {
  uint64_t each = (now - l->paced_ns) / count, *pace = &l->pace_ns[parsing];
  *pace = *pace ? (*pace * 3 + each) / 4 : each;
  l->paced_ns = now;
}

static lane *next_lane(const queue *q) {
  lane *least = q->in_turn;
  for (lane *l = q->in_turn; l; l = l->next)
    if (l->used_ns < least->used_ns) least = l;
  return least;
}

static void serve(queue *q) {
  call *calls[BATCH_ROWS];
  lane *l = next_lane(q);
  leave_turn(q, l);
  size_t count = take(l, calls);
  model *m = asked_model(calls[0]), *held = m ? model_retain(m) : NULL;  // the lane lives in it
  bool parsing = calls[0]->priority == PRIORITY_PARSE, parsed = false;
  uint64_t start = clock_ns(), expected = held ? held->cost_ns : 0;
  q->used_ns = l->used_ns;
  l->used_ns += expected;  // corrected below; until then other threads should not find the lane idle
  l->running++;
  take_turn(q, l);
  pthread_mutex_unlock(&q->lock);
  if (parsing) parsed = compute_parse(calls[0]);
  else compute_all(calls, count);
  uint64_t now = clock_ns();
  pthread_mutex_lock(&q->lock);
  l->running--;
  l->used_ns += now - start - expected;
  note_pace(l, parsing, now, count);
  take_turn(q, l);
  pthread_mutex_unlock(&q->lock);
  if (parsing) {
    calls[0]->priority = calls[0]->asked;
    if (!parsed || enter(q, calls[0], false)) exchange_post(&calls[0]->x);
  }
  model_release(held);
  pthread_mutex_lock(&q->lock);
}

static void *work(void *context) {
  queue *q = context;
  pthread_mutex_lock(&q->lock);
  while (q->in_turn || !q->stop) {
    if (q->in_turn) serve(q);
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
  lane_deinit(&q->others);
  free(q->threads);
  free(q);
}

admission *admission_queue_create(server *srv, const char *others, size_t threads, bool spare) {
  queue *q = calloc(1, sizeof *q);
  if (!q) return NULL;
  q->base = (admission){"queue", submit, withdraw, destroy};
  q->srv = srv;
  q->spare = spare;
  q->others.name = others;
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

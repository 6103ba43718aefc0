// SPDX-License-Identifier: Apache-2.0
// A queue of parcels and its thread (courier.h).
#include "server/monitor/courier.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/host.h"
#include "base/text.h"
#include "server/log.h"

enum { FIRST_PAUSE_MS = 500 };

typedef struct parcel {
  struct parcel *next;
  size_t size;
  char bytes[];
} parcel;

struct courier {
  courier_config config;
  pthread_t thread;
  pthread_mutex_t lock;  // of what follows
  pthread_cond_t wake;
  parcel *first, **last;
  size_t waiting;     // bytes
  uint64_t since_ns;  // when the first one came
  bool stop;
  courier_counts counts;
};

// Until then, or until it is to stop. The lock is held. False: the time is over.
static bool sleep_until(courier *c, uint64_t ns) {
  struct timespec end = {(time_t)(ns / 1000000000), (long)(ns % 1000000000)};
  return pthread_cond_timedwait(&c->wake, &c->lock, &end) == 0;
}

static bool full(const courier *c) { return c->waiting >= c->config.batch_bytes; }

// The next parcels, how many: one, or as many as go together. The lock is held.
static size_t take(courier *c, text *batch) {
  size_t count = 0;
  while (c->first && (!count || batch->size + c->first->size <= c->config.batch_bytes)) {
    parcel *p = c->first;
    c->first = p->next;
    if (!c->first) c->last = &c->first;
    c->waiting -= p->size;
    text_append(batch, p->bytes, p->size);
    free(p);
    count++;
  }
  c->since_ns = clock_ns();
  return count;
}

// Without the lock. Whether it was delivered.
static bool deliver(courier *c, const text *batch) {
  const courier_config *config = &c->config;
  char why[300] = "memory is exhausted";
  uint64_t pause = FIRST_PAUSE_MS * (uint64_t)1000000;
  for (unsigned attempt = 1; !batch->failed; attempt++, pause *= 2) {
    pthread_mutex_lock(&c->lock);
    bool last = c->stop;
    pthread_mutex_unlock(&c->lock);
    delivery done = config->deliver(config->context, batch->at, batch->size, last, why, sizeof why);
    if (done == DELIVERED) return true;
    if (done == DELIVER_NEVER || last || attempt >= config->attempts) break;
    pthread_mutex_lock(&c->lock);
    uint64_t end = clock_ns() + pause;
    while (!c->stop && sleep_until(c, end)) continue;
    pthread_mutex_unlock(&c->lock);
  }
  log_line("warning", "%s are lost: %s", config->what, why);
  return false;
}

// What still waits when nobody takes it at the end. The lock is held.
static void give_up(courier *c) {
  while (c->first) {
    parcel *p = c->first;
    c->first = p->next;
    c->counts.failed++;
    free(p);
  }
}

static void *work(void *context) {
  courier *c = context;
  pthread_mutex_lock(&c->lock);
  for (;;) {
    while (!c->first && !c->stop) pthread_cond_wait(&c->wake, &c->lock);
    uint64_t end = c->since_ns + (uint64_t)c->config.linger_ms * 1000000;
    while (!c->stop && c->config.linger_ms && !full(c) && clock_ns() < end) sleep_until(c, end);
    if (!c->first) break;
    text batch = {0};
    size_t count = take(c, &batch);
    pthread_mutex_unlock(&c->lock);
    bool good = deliver(c, &batch);
    text_deinit(&batch);
    pthread_mutex_lock(&c->lock);
    if (good) c->counts.delivered += count;
    else c->counts.failed += count;
    if (c->stop && !good) give_up(c);
  }
  pthread_mutex_unlock(&c->lock);
  return NULL;
}

courier *courier_start(const courier_config *config) {
  courier *c = calloc(1, sizeof *c);
  pthread_condattr_t clock;
  if (!c) return NULL;
  c->config = *config;
  c->last = &c->first;
  pthread_condattr_init(&clock);
  pthread_condattr_setclock(&clock, CLOCK_MONOTONIC);
  pthread_mutex_init(&c->lock, NULL);
  pthread_cond_init(&c->wake, &clock);
  pthread_condattr_destroy(&clock);
  if (!pthread_create(&c->thread, NULL, work, c)) return c;
  pthread_mutex_destroy(&c->lock);
  pthread_cond_destroy(&c->wake);
  free(c);
  return NULL;
}

bool courier_put(courier *c, const void *bytes, size_t size) {
  parcel *p = malloc(sizeof *p + size);
  if (p) {
    *p = (parcel){.size = size};
    memcpy(p->bytes, bytes, size);
  }
  pthread_mutex_lock(&c->lock);
  bool taken = p && c->waiting + size <= c->config.most_bytes;
  bool first = !c->first;
  if (taken) {
    *c->last = p;
    c->last = &p->next;
    c->waiting += size;
    if (first) c->since_ns = clock_ns();
    if (first || full(c)) pthread_cond_signal(&c->wake);
  } else {
    c->counts.dropped++;
  }
  pthread_mutex_unlock(&c->lock);
  if (!taken) free(p);
  return taken;
}

courier_counts courier_count(courier *c) {
  pthread_mutex_lock(&c->lock);
  courier_counts counts = c->counts;
  pthread_mutex_unlock(&c->lock);
  return counts;
}

void courier_stop(courier *c) {
  if (!c) return;
  pthread_mutex_lock(&c->lock);
  c->stop = true;
  pthread_cond_signal(&c->wake);
  pthread_mutex_unlock(&c->lock);
  pthread_join(c->thread, NULL);
  pthread_mutex_destroy(&c->lock);
  pthread_cond_destroy(&c->wake);
  free(c);
}

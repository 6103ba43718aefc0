// SPDX-License-Identifier: Apache-2.0
// Counting (metrics.h).
#include "server/metrics.h"

#include <stdlib.h>
#include <string.h>

#include "base/host.h"

const int metric_codes[METRIC_CODES] = {200, 204, 400, 401, 403, 404, 405, 408, 409, 413, 414, 415,
                                        417, 422, 429, 431, 499, 500, 501, 503, 504, 505, 507, 0};

static const double second_bounds[] = {0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05,
                                       0.1,    0.25,    0.5,    1,     2.5,    5,     10,   0};
static const double batch_bounds[] = {1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 1024, 0};

void model_metrics_init(model_metrics *m) {
  memset(m, 0, sizeof *m);
  m->latency.bounds = second_bounds;
  for (size_t i = 0; i < METRIC_PHASES; i++) m->phases[i].bounds = second_bounds;
  m->batch.bounds = batch_bounds;
}

void model_metrics_deinit(model_metrics *m) {
  free(m->latency.exemplars);
  for (size_t i = 0; i < METRIC_PHASES; i++) free(m->phases[i].exemplars);
}

static void add(atomic_uint_fast64_t *counter, uint64_t n) {
  atomic_fetch_add_explicit(counter, n, memory_order_relaxed);
}

void metrics_count(model_metrics *m, int code) {
  size_t i = 0;
  while (metric_codes[i] && metric_codes[i] != code) i++;
  add(&m->requests[i], 1);
}

void metrics_note_run(model_metrics *m, size_t calls, uint64_t ns) {
  size_t i = (size_t)__builtin_ctzll(calls);
  add(&m->runs[i], 1);
  add(&m->run_ns[i], ns);
}

uint64_t metrics_runs(const model_metrics *m) {
  uint64_t total = 0;
  for (size_t i = 0; i < METRIC_BATCHES; i++) total += metric_get(&m->runs[i]);
  return total;
}

uint64_t metrics_total(const model_metrics *m, bool success) {
  uint64_t total = 0;
  for (size_t i = 0; i < METRIC_CODES; i++)
    if ((metric_codes[i] == 200) == success) total += metric_get(&m->requests[i]);
  return total;
}

static void keep_exemplar(histogram *h, size_t bucket, double value, const uint8_t *trace) {
  exemplar *all = atomic_load(&h->exemplars), *fresh = NULL;
  if (!all && !(fresh = calloc(HISTOGRAM_BUCKETS, sizeof *fresh))) return;
  if (fresh && !atomic_compare_exchange_strong(&h->exemplars, &all, fresh)) free(fresh);
  else if (fresh) all = fresh;
  exemplar *e = &all[bucket];
  if (atomic_flag_test_and_set(&e->busy)) return;
  memcpy(e->trace, trace, sizeof e->trace);
  e->value = value;
  e->wall_ms = clock_wall_ns() / 1000000;
  atomic_flag_clear(&e->busy);
}

static size_t observe(histogram *h, double value, uint64_t sum) {
  size_t i = 0;
  while (h->bounds[i] && value > h->bounds[i]) i++;
  add(&h->buckets[i], 1);
  add(&h->count, 1);
  add(&h->sum, sum);
  return i;
}

void histogram_seconds(histogram *h, uint64_t ns, const uint8_t *trace) {
  size_t bucket = observe(h, (double)ns / 1e9, ns);
  if (trace) keep_exemplar(h, bucket, (double)ns / 1e9, trace);
}

void histogram_number(histogram *h, uint64_t number) { observe(h, (double)number, number); }

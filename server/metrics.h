// SPDX-License-Identifier: Apache-2.0
// Counters and histograms. Everything is a relaxed atomic: a scrape sees each number at some moment, never a lock.
// Label values come from loaded models and from the list of status codes below, so the number of series is fixed at
// start. Read next: metrics_page.c, which writes them for Prometheus.
#pragma once

#include <stdatomic.h>
#include <stdint.h>

#include "base/text.h"

typedef enum metric_phase {
  METRIC_QUEUE,    // wait for a worker
  METRIC_PARSE,    // from the body to tensors
  METRIC_COMPUTE,  // inside the engine
  METRIC_WRITE,    // from the result to the last byte of the reply
  METRIC_PHASES,
} metric_phase;

enum { METRIC_CODES = 24, HISTOGRAM_BUCKETS = 18, METRIC_BATCHES = 7 };
extern const int metric_codes[METRIC_CODES];  // the last one, 0, stands for all others

// A request that fell into a bucket, by the trace that tells more of it.
typedef struct exemplar {
  atomic_flag busy;  // whoever finds it set leaves it alone
  uint8_t trace[16];
  double value;
  uint64_t wall_ms;  // 0: there is none yet
} exemplar;

typedef struct histogram {
  const double *bounds;           // ends with 0
  _Atomic(exemplar *) exemplars;  // by bucket; NULL until a request of a trace came
  atomic_uint_fast64_t buckets[HISTOGRAM_BUCKETS];
  atomic_uint_fast64_t count, sum;  // sum in nanoseconds, or in the observed unit
} histogram;

typedef struct model_metrics {
  atomic_uint_fast64_t requests[METRIC_CODES];
  histogram latency;                                                  // seconds: the whole request
  histogram phases[METRIC_PHASES];                                    // and where they went
  histogram batch;                                                    // first dimension of the first input
  atomic_uint_fast64_t runs[METRIC_BATCHES], run_ns[METRIC_BATCHES];  // of 1, 2, 4, ... calls together
  atomic_uint_fast64_t reply_ns;
  atomic_uint_fast64_t last_ms;  // wall clock of the last success
} model_metrics;

void model_metrics_init(model_metrics *m);
void model_metrics_deinit(model_metrics *m);
void metrics_count(model_metrics *m, int code);
void metrics_note_run(model_metrics *m, size_t calls, uint64_t ns);       // calls: a power of two
void histogram_seconds(histogram *h, uint64_t ns, const uint8_t *trace);  // trace NULL: of none
void histogram_number(histogram *h, uint64_t number);

struct server;
void metrics_write(struct server *srv, text *o, bool open_metrics);  // or Prometheus' own form
uint64_t metrics_total(const model_metrics *m, bool success);
uint64_t metrics_runs(const model_metrics *m);
static inline uint64_t metric_get(const atomic_uint_fast64_t *counter) {
  return atomic_load_explicit(counter, memory_order_relaxed);
}

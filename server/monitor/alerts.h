// SPDX-License-Identifier: Apache-2.0
// Alerts: what begins or ceases to be wrong with a model, as a line of the log, a metric, and a POST (--alert-webhook).
// Error rate and latency are looked at once a window, by a thread that sleeps while no requests come; drift says itself
// when it begins.
#pragma once

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "server/metrics.h"
#include "server/monitor/courier.h"

struct model_entry;
struct server;
typedef struct alerts alerts;

typedef enum alert_kind { ALERT_ERRORS, ALERT_LATENCY, ALERT_INPUTS, ALERT_OUTPUTS, ALERT_KINDS } alert_kind;
extern const char *const alert_names[ALERT_KINDS];

// Of a model.
typedef struct alert_state {
  atomic_bool firing[ALERT_KINDS];
  atomic_uint_fast64_t fired[ALERT_KINDS];  // how many times
  struct {
    uint64_t total, errors, buckets[HISTOGRAM_BUCKETS];
  } before;  // when the thread looked last
} alert_state;

alerts *alerts_start(struct server *srv, const char *webhook);  // webhook NULL: none. NULL: said in the log
void alerts_stop(alerts *a);                                    // NULL is accepted
void alerts_touch(alerts *a);                                   // a request was answered
// Says it where it is news.
void alerts_set(alerts *a, struct model_entry *e, alert_kind kind, bool firing, double value, double threshold,
                const char *format, ...) __attribute__((format(printf, 7, 8)));
bool alerts_count(alerts *a, courier_counts *counts);  // of the webhook; false: there is none

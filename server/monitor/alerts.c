// SPDX-License-Identifier: Apache-2.0
// Looking once a window, and telling (alerts.h).
#include "server/monitor/alerts.h"

#include <pthread.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "base/host.h"
#include "server/admission/script.h"
#include "server/log.h"
#include "server/monitor/post.h"
#include "server/server.h"

enum { WAIT_BYTES = 256 << 10, ATTEMPTS = 6, LEAST_REQUESTS = 20 };  // LEAST: fewer in a window tell nothing

const char *const alert_names[ALERT_KINDS] = {"error_rate", "latency", "input_drift", "prediction_drift"};

// What a model's counters were when the window began.
struct alerts {
  server *srv;
  const char *webhook;
  http *http;
  courier *courier;  // NULL: no webhook
  bool looks;        // there is a limit to hold models against
  pthread_t thread;
  pthread_mutex_t lock;
  pthread_cond_t wake;
  atomic_bool armed;  // requests came since the thread went to sleep
  bool stop;
};

// ---- telling -------------------------------------------------------------------------------------

static void post(alerts *a, const char *fields, const char *message) {
  char time[CLOCK_STAMP];
  text o = {0};
  clock_stamp(time);
  text_format(&o, "{\"time\":\"%s\"%s,\"message\":", time, fields);
  text_json_string(&o, str_from(message));
  text_put(&o, "}");
  if (!o.failed) courier_put(a->courier, o.at, o.size);
  text_deinit(&o);
}

void alerts_set(alerts *a, model_entry *e, alert_kind kind, bool firing, double value, double threshold,
                const char *format, ...) {
  char message[500];
  va_list list;
  text fields = {0};
  if (atomic_exchange(&e->alerts.firing[kind], firing) == firing) return;
  if (firing) atomic_fetch_add(&e->alerts.fired[kind], 1);
  va_start(list, format);
  vsnprintf(message, sizeof message, format, list);
  va_end(list);
  text_format(&fields, ",\"event\":\"alert\",\"alert\":\"%s\",\"status\":\"%s\",\"model\":", alert_names[kind],
              firing ? "firing" : "resolved");
  text_json_string(&fields, str_from(e->name));
  text_format(&fields, ",\"version\":\"%s\",\"value\":", e->version);
  text_json_f64(&fields, value);
  text_put(&fields, ",\"threshold\":");
  text_json_f64(&fields, threshold);
  if (!fields.failed) log_event(firing ? "warning" : "info", fields.at, message);
  if (!fields.failed && a->courier) post(a, fields.at, message);
  text_deinit(&fields);
}

static delivery send_alert(void *context, const char *bytes, size_t size, bool last, char *why, size_t why_size) {
  alerts *a = context;
  return post_bytes(a->http, a->webhook, "application/json", bytes, size, last, why, why_size);
}

// ---- looking -------------------------------------------------------------------------------------

static uint64_t errors_of(const model_metrics *m) {
  uint64_t errors = 0;
  for (size_t i = 0; i < METRIC_CODES; i++)
    if (metric_codes[i] >= 500) errors += metric_get(&m->requests[i]);
  return errors;
}

// The time that `share` of the requests took at most, in seconds; within a bucket they are taken to be spread evenly.
static double quantile(const uint64_t *buckets, const double *bounds, uint64_t total, double share) {
  double wanted = share * (double)total, passed = 0;
  size_t i = 0;
  while (bounds[i] && passed + (double)buckets[i] < wanted) passed += (double)buckets[i++];
  double from = i ? bounds[i - 1] : 0, to = bounds[i] ? bounds[i] : from;
  return buckets[i] ? from + (to - from) * (wanted - passed) / (double)buckets[i] : from;
}

static uint64_t since(uint64_t *before, uint64_t now) {
  uint64_t more = now - *before;
  *before = now;
  return more;
}

// Whether there was anything, or still is.
static bool look(alerts *a, model_entry *e) {
  const limits *l = &a->srv->limits;
  const model_metrics *m = &e->metrics;
  uint64_t total = since(&e->alerts.before.total, metrics_total(m, true) + metrics_total(m, false));
  uint64_t errors = since(&e->alerts.before.errors, errors_of(m)), buckets[HISTOGRAM_BUCKETS];
  for (size_t i = 0; i < HISTOGRAM_BUCKETS; i++)
    buckets[i] = since(&e->alerts.before.buckets[i], metric_get(&m->latency.buckets[i]));
  double rate = total ? (double)errors / (double)total : 0, limit = (double)l->alert_error_percent / 100;
  double p99 = total ? 1e3 * quantile(buckets, m->latency.bounds, total, 0.99) : 0;
  bool enough = total >= LEAST_REQUESTS;
  if (l->alert_error_percent)
    alerts_set(a, e, ALERT_ERRORS, enough && rate > limit, rate, limit,
               "model '%s': %.1f %% of %llu requests failed in the last %lld s, the limit is %.0f %%", e->name,
               100 * rate, (unsigned long long)total, (long long)l->alert_seconds, 100 * limit);
  if (l->alert_latency_ms)
    alerts_set(a, e, ALERT_LATENCY, enough && p99 > (double)l->alert_latency_ms, p99, (double)l->alert_latency_ms,
               "model '%s': 99 of 100 of %llu requests took up to %.3g ms in the last %lld s, the limit is %lld ms",
               e->name, (unsigned long long)total, p99, (long long)l->alert_seconds, (long long)l->alert_latency_ms);
  return total || e->alerts.firing[ALERT_ERRORS] || e->alerts.firing[ALERT_LATENCY];
}

static bool look_at_all(alerts *a) {
  const model_list *all = models_list(&a->srv->models);
  bool any = false;
  for (size_t i = 0; i < all->count; i++) any |= look(a, all->at[i]);
  if (a->srv->script) any |= look(a, script_pool_entry(a->srv->script));
  return any;
}

static void *work(void *context) {
  alerts *a = context;
  pthread_mutex_lock(&a->lock);
  while (!a->stop) {
    while (!a->stop && !atomic_load(&a->armed)) pthread_cond_wait(&a->wake, &a->lock);
    uint64_t now = clock_ns();
    struct timespec end = {(time_t)(now / 1000000000 + (uint64_t)a->srv->limits.alert_seconds),
                           (long)(now % 1000000000)};
    while (!a->stop && !pthread_cond_timedwait(&a->wake, &a->lock, &end)) continue;
    if (a->stop) break;
    atomic_store(&a->armed, false);  // what comes from here on arms it again
    if (look_at_all(a)) atomic_store(&a->armed, true);
  }
  pthread_mutex_unlock(&a->lock);
  return NULL;
}

void alerts_touch(alerts *a) {
  if (!a->looks || atomic_load_explicit(&a->armed, memory_order_relaxed) || atomic_exchange(&a->armed, true)) return;
  pthread_mutex_lock(&a->lock);
  pthread_cond_signal(&a->wake);
  pthread_mutex_unlock(&a->lock);
}

// ---- life ----------------------------------------------------------------------------------------

static bool start_webhook(alerts *a) {
  fault f = {0};
  if (!a->webhook) return true;
  const courier_config config = {
      .what = "alerts", .most_bytes = WAIT_BYTES, .attempts = ATTEMPTS, .deliver = send_alert, .context = a};
  if (!http_open(&a->http, &f) && (a->courier = courier_start(&config))) return true;
  log_line("error", "--alert-webhook: %s%s%s", f.status ? f.message : "memory or threads are exhausted",
           *f.hint ? "; " : "", f.hint);
  return false;
}

alerts *alerts_start(server *srv, const char *webhook) {
  alerts *a = calloc(1, sizeof *a);
  pthread_condattr_t clock;
  if (!a) return NULL;
  a->srv = srv;
  a->webhook = webhook;
  pthread_condattr_init(&clock);
  pthread_condattr_setclock(&clock, CLOCK_MONOTONIC);
  pthread_mutex_init(&a->lock, NULL);
  pthread_cond_init(&a->wake, &clock);
  pthread_condattr_destroy(&clock);
  bool looks = srv->limits.alert_error_percent || srv->limits.alert_latency_ms;
  if (start_webhook(a)) {
    a->looks = looks && !pthread_create(&a->thread, NULL, work, a);
    if (a->looks == looks) return a;
    log_line("error", "cannot start the thread of the alerts");
  }
  alerts_stop(a);
  return NULL;
}

void alerts_stop(alerts *a) {
  if (!a) return;
  pthread_mutex_lock(&a->lock);
  a->stop = true;
  pthread_cond_signal(&a->wake);
  pthread_mutex_unlock(&a->lock);
  if (a->looks) pthread_join(a->thread, NULL);
  courier_stop(a->courier);
  http_close(a->http);
  pthread_mutex_destroy(&a->lock);
  pthread_cond_destroy(&a->wake);
  free(a);
}

bool alerts_count(alerts *a, courier_counts *counts) {
  if (a->courier) *counts = courier_count(a->courier);
  return a->courier != NULL;
}

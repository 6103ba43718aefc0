// SPDX-License-Identifier: Apache-2.0
// Counting and the Prometheus page (metrics.h).
#include "server/metrics.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/host.h"
#include "server/admission/script.h"

const int metric_codes[METRIC_CODES] = {200, 204, 400, 401, 403, 404, 405, 408, 413, 414, 415, 417,
                                        422, 429, 431, 499, 500, 501, 503, 504, 505, 507, 0};

static const double second_bounds[] = {0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05,
                                       0.1,    0.25,    0.5,    1,     2.5,    5,     10,   0};
static const double batch_bounds[] = {1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 1024, 0};

void model_metrics_init(model_metrics *m) {
  memset(m, 0, sizeof *m);
  m->latency.bounds = m->queue.bounds = m->compute.bounds = second_bounds;
  m->batch.bounds = batch_bounds;
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

static void observe(histogram *h, double value, uint64_t sum) {
  size_t i = 0;
  while (h->bounds[i] && value > h->bounds[i]) i++;
  add(&h->buckets[i], 1);
  add(&h->count, 1);
  add(&h->sum, sum);
}

void histogram_seconds(histogram *h, uint64_t ns) { observe(h, (double)ns / 1e9, ns); }
void histogram_number(histogram *h, uint64_t number) { observe(h, (double)number, number); }

// ---- the page --------------------------------------------------------------------------------------

static void head(text *o, const char *name, const char *type, const char *help) {
  text_format(o, "# HELP sardonyx_%s %s\n# TYPE sardonyx_%s %s\n", name, help, name, type);
}

static void single(text *o, const char *name, const char *type, const char *help, double value) {
  head(o, name, type, help);
  text_format(o, "sardonyx_%s %.17g\n", name, value);
}

static void label(text *o, const char *name, const char *value) {
  text_format(o, "%s=\"", name);
  for (const char *p = value; *p; p++) {
    if (*p == '\\' || *p == '"') text_append(o, "\\", 1);
    if (*p == '\n') text_put(o, "\\n");
    else text_append(o, p, 1);
  }
  text_put(o, "\"");
}

// model="x", and the version where the name has several.
static void labels(text *o, const model_entry *e) {
  label(o, "model", e ? e->name : "");
  if (e && !e->alone) text_format(o, ",version=\"%s\"", e->version);
}

static void histogram_rows(text *o, const char *name, const model_entry *e, const histogram *h, double unit) {
  uint64_t sum = 0;
  for (size_t i = 0;; i++) {
    sum += metric_get(&h->buckets[i]);
    text_format(o, "sardonyx_%s_bucket{", name);
    labels(o, e);
    if (h->bounds[i]) text_format(o, ",le=\"%g\"} %llu\n", h->bounds[i], (unsigned long long)sum);
    else text_format(o, ",le=\"+Inf\"} %llu\n", (unsigned long long)sum);
    if (!h->bounds[i]) break;
  }
  text_format(o, "sardonyx_%s_sum{", name);
  labels(o, e);
  text_format(o, "} %.17g\nsardonyx_%s_count{", (double)metric_get(&h->sum) * unit, name);
  labels(o, e);
  text_format(o, "} %llu\n", (unsigned long long)sum);
}

// The models, then the script.
static model_entry *entry_at(server *srv, size_t i) {
  if (i < srv->models.count) return srv->models.entries[i];
  return i == srv->models.count && srv->script ? script_pool_entry(srv->script) : NULL;
}

static void histograms(server *srv, text *o, const char *name, const char *help, size_t offset, double unit) {
  head(o, name, "histogram", help);
  model_entry *e;
  for (size_t i = 0; (e = entry_at(srv, i)); i++)
    histogram_rows(o, name, e, (histogram *)((char *)&e->metrics + offset), unit);
}

static void request_rows(text *o, const model_entry *e, const model_metrics *m) {
  for (size_t i = 0; i < METRIC_CODES; i++) {
    uint64_t count = metric_get(&m->requests[i]);
    if (!count) continue;
    text_put(o, "sardonyx_requests_total{");
    label(o, "model", e ? e->name : "");
    if (metric_codes[i]) text_format(o, ",code=\"%d\"", metric_codes[i]);
    else text_put(o, ",code=\"other\"");
    if (e && !e->alone) text_format(o, ",version=\"%s\"", e->version);
    text_format(o, "} %llu\n", (unsigned long long)count);
  }
}

static void run_rows(text *o, const model_entry *e) {
  for (size_t i = 0; i < METRIC_BATCHES; i++) {
    uint64_t count = metric_get(&e->metrics.runs[i]);
    if (!count) continue;
    text_put(o, "sardonyx_runs_total{");
    labels(o, e);
    text_format(o, ",requests=\"%u\"} %llu\n", 1u << i, (unsigned long long)count);
  }
}

static void model_rows(server *srv, text *o) {
  models *t = &srv->models;
  head(o, "requests_total", "counter", "Answered requests by model (empty: none) and status code.");
  request_rows(o, NULL, &srv->no_model);
  model_entry *e;
  for (size_t i = 0; (e = entry_at(srv, i)); i++) request_rows(o, e, &e->metrics);
  head(o, "runs_total", "counter", "Runs of the engine by model and number of requests computed together.");
  for (size_t i = 0; i < t->count; i++) run_rows(o, t->entries[i]);
  head(o, "queue_length", "gauge", "Requests that wait for a worker.");
  for (size_t i = 0; i < t->count; i++) {
    model *m = models_acquire(t, t->entries[i]);
    if (m) {
      text_put(o, "sardonyx_queue_length{");
      labels(o, t->entries[i]);
      text_format(o, "} %zu\n", atomic_load(&m->lane.waiting));
    }
    model_release(m);
  }
  if (srv->script)
    text_format(o, "sardonyx_queue_length{model=\"%s\"} %zu\n", script_pool_entry(srv->script)->name,
                script_pool_waiting(srv->script));
}

static void script_rows(server *srv, text *o) {
  if (!srv->script) return;
  single(o, "script_workers", "gauge", "Processes of the script that are past init().",
         (double)script_pool_ready(srv->script));
  single(o, "script_restarts_total", "counter", "Processes of the script that ended and were replaced.",
         (double)script_pool_restarts(srv->script));
}

static void process_rows(text *o) {
  char text[512];
  unsigned long long user = 0, system = 0;
  FILE *file = fopen("/proc/self/stat", "r");
  if (file) {
    size_t n = fread(text, 1, sizeof text - 1, file);
    text[n] = 0;
    char *after = strrchr(text, ')');
    if (!after || sscanf(after + 1, " %*c %*d %*d %*d %*d %*d %*u %*u %*u %*u %*u %llu %llu", &user, &system) != 2)
      user = system = 0;
    fclose(file);
  }
  text_format(o,
              "# HELP process_resident_memory_bytes Resident memory.\n# TYPE process_resident_memory_bytes gauge\n"
              "process_resident_memory_bytes %llu\n"
              "# HELP process_cpu_seconds_total CPU time used.\n# TYPE process_cpu_seconds_total counter\n"
              "process_cpu_seconds_total %.2f\n",
              (unsigned long long)host_resident_bytes(), (double)(user + system) / (double)sysconf(_SC_CLK_TCK));
}

void metrics_write(server *srv, text *o) {
  head(o, "build_info", "gauge", "Version of the server.");
  text_format(o, "sardonyx_build_info{version=\"%s\"} 1\n", sdx_version());
  single(o, "ready", "gauge", "1 while /health/ready says so.", server_ready(srv));
  single(o, "uptime_seconds", "gauge", "Time since the start.", (double)(clock_ns() - srv->start_ns) / 1e9);
  single(o, "connections", "gauge", "Open connections.", (double)atomic_load(&srv->net.connections));
  single(o, "requests_in_flight", "gauge", "Requests begun and not yet answered.",
         (double)atomic_load(&srv->net.exchanges));
  single(o, "buffered_bytes", "gauge", "Memory of request bodies.", (double)atomic_load(&srv->net.held));
  single(o, "cancelled_total", "counter", "Requests given up because the client left or the server stops.",
         (double)metric_get(&srv->cancelled));
  single(o, "connections_cut_total", "counter", "Connections closed because a phase lasted too long.",
         (double)metric_get(&srv->net.cut));
  single(o, "inline_runs_total", "counter", "Requests computed on a socket thread.",
         (double)metric_get(&srv->inline_runs));
  single(o, "inline_moved_total", "counter", "Requests begun on a socket thread and moved to a worker.",
         (double)metric_get(&srv->inline_moved));
  head(o, "refused_total", "counter", "Requests refused before they were computed.");
  const struct {
    const char *reason;
    const atomic_uint_fast64_t *count;
  } refused[] = {{"framing", &srv->net.malformed},     {"client_connections", &srv->net.refused_connections},
                 {"queue_full", &srv->refused_queue},  {"queue_wait", &srv->refused_wait},
                 {"forecast", &srv->refused_forecast}, {"client_cap", &srv->refused_client}};
  for (size_t i = 0; i < sizeof refused / sizeof *refused; i++)
    text_format(o, "sardonyx_refused_total{reason=\"%s\"} %llu\n", refused[i].reason,
                (unsigned long long)metric_get(refused[i].count));
  model_rows(srv, o);
  script_rows(srv, o);
  histograms(srv, o, "request_seconds", "Time from the request line to the last byte of the reply.",
             offsetof(model_metrics, latency), 1e-9);
  histograms(srv, o, "queue_seconds", "Wait for a worker.", offsetof(model_metrics, queue), 1e-9);
  histograms(srv, o, "compute_seconds", "Time inside the engine.", offsetof(model_metrics, compute), 1e-9);
  histograms(srv, o, "batch_size", "First dimension of the first input.", offsetof(model_metrics, batch), 1);
  head(o, "limit", "gauge", "Limits in force.");
  for (const limit_row *row = limit_rows; row->flag; row++)
    text_format(o, "sardonyx_limit{name=\"%s\"} %lld\n", row->flag, (long long)*limit_at(&srv->limits, row));
  single(o, "host_cpus", "gauge", "Processors the server may use.", (double)host_cpus());
  single(o, "host_memory_bytes", "gauge", "Memory the server may use.", (double)host_memory_bytes());
  process_rows(o);
}

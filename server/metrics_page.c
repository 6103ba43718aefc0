// SPDX-License-Identifier: Apache-2.0
// The page of metrics, in Prometheus' text form or as OpenMetrics: that one has exemplars, names counters without
// _total in their headings, writes bounds as 1.0 and says where it ends.
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/host.h"
#include "server/admission/script.h"
#include "server/metrics.h"
#include "server/monitor/collect.h"
#include "server/monitor/drift.h"
#include "server/monitor/otlp.h"
#include "server/monitor/trace.h"
#include "server/response_cache.h"
#include "server/server.h"

typedef struct page {
  text *o;
  bool open;  // OpenMetrics
} page;

static void head(page p, const char *name, const char *type, const char *help) {
  size_t size = strlen(name), total = strlen("_total");
  if (p.open && !strcmp(type, "counter")) size -= total;
  text_format(p.o, "# HELP sardonyx_%.*s %s\n# TYPE sardonyx_%.*s %s\n", (int)size, name, help, (int)size, name, type);
}

static void single(page p, const char *name, const char *type, const char *help, double value) {
  head(p, name, type, help);
  text_format(p.o, "sardonyx_%s %.17g\n", name, value);
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

// The script has no version.
static void version(text *o, const model_entry *e) {
  if (e && *e->version) text_format(o, ",version=\"%s\"", e->version);
}

static void labels(text *o, const model_entry *e) {
  label(o, "model", e ? e->name : "");
  version(o, e);
}

static void put_exemplar(text *o, exemplar *x) {
  char trace[2 * TRACE_ID + 1];
  if (!x || atomic_flag_test_and_set(&x->busy)) return;
  if (x->wall_ms)
    text_format(o, " # {trace_id=\"%s\"} %.9g %.3f", trace_hex(trace, x->trace, TRACE_ID), x->value,
                (double)x->wall_ms / 1e3);
  atomic_flag_clear(&x->busy);
}

static void histogram_rows(page p, const char *name, const model_entry *e, const histogram *h, double unit) {
  text *o = p.o;
  uint64_t sum = 0;
  exemplar *exemplars = p.open ? atomic_load(&h->exemplars) : NULL;
  for (size_t i = 0;; i++) {
    double bound = h->bounds[i];
    bool whole = p.open && bound == (double)(int)bound;
    sum += metric_get(&h->buckets[i]);
    text_format(o, "sardonyx_%s_bucket{", name);
    labels(o, e);
    if (bound) text_format(o, whole ? ",le=\"%.1f\"} %llu" : ",le=\"%g\"} %llu", bound, (unsigned long long)sum);
    else text_format(o, ",le=\"+Inf\"} %llu", (unsigned long long)sum);
    put_exemplar(o, exemplars ? &exemplars[i] : NULL);
    text_put(o, "\n");
    if (!bound) break;
  }
  text_format(o, "sardonyx_%s_sum{", name);
  labels(o, e);
  text_format(o, "} %.17g\nsardonyx_%s_count{", (double)metric_get(&h->sum) * unit, name);
  labels(o, e);
  text_format(o, "} %llu\n", (unsigned long long)sum);
}

// The models, then the script.
static model_entry *entry_at(server *srv, size_t i) {
  const model_list *all = models_list(&srv->models);
  if (i < all->count) return all->at[i];
  return i == all->count && srv->script ? script_pool_entry(srv->script) : NULL;
}

static void histograms(server *srv, page p, const char *name, const char *help, size_t offset, double unit) {
  head(p, name, "histogram", help);
  model_entry *e;
  for (size_t i = 0; (e = entry_at(srv, i)); i++)
    histogram_rows(p, name, e, (histogram *)((char *)&e->metrics + offset), unit);
}

static void request_rows(text *o, const model_entry *e, const model_metrics *m) {
  for (size_t i = 0; i < METRIC_CODES; i++) {
    uint64_t count = metric_get(&m->requests[i]);
    if (!count) continue;
    text_put(o, "sardonyx_requests_total{");
    label(o, "model", e ? e->name : "");
    if (metric_codes[i]) text_format(o, ",code=\"%d\"", metric_codes[i]);
    else text_put(o, ",code=\"other\"");
    version(o, e);
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

static void model_rows(server *srv, page p) {
  const model_list *all = models_list(&srv->models);
  text *o = p.o;
  models *t = &srv->models;
  head(p, "requests_total", "counter", "Answered requests by model (empty: none) and status code.");
  request_rows(o, NULL, &srv->no_model);
  model_entry *e;
  for (size_t i = 0; (e = entry_at(srv, i)); i++) request_rows(o, e, &e->metrics);
  head(p, "runs_total", "counter", "Runs of the engine by model and number of requests computed together.");
  for (size_t i = 0; i < all->count; i++) run_rows(o, all->at[i]);
  head(p, "queue_length", "gauge", "Requests that wait for a worker.");
  for (size_t i = 0; i < all->count; i++) {
    model *m = models_acquire(t, all->at[i]);
    if (m) {
      text_put(o, "sardonyx_queue_length{");
      labels(o, all->at[i]);
      text_format(o, "} %zu\n", atomic_load(&m->lane.waiting));
    }
    model_release(m);
  }
  if (srv->script)
    text_format(o, "sardonyx_queue_length{model=\"%s\"} %zu\n", script_pool_entry(srv->script)->name,
                script_pool_waiting(srv->script));
}

static void residence_rows(models *t, page p) {
  const model_list *all = models_list(t);
  uint64_t loaded = 0, bytes = 0;
  pthread_mutex_lock(&t->lock);
  for (size_t i = 0; i < all->count; i++)
    if (all->at[i]->loaded) loaded++, bytes += sdx_session_memory_bytes(all->at[i]->loaded->session);
  pthread_mutex_unlock(&t->lock);
  single(p, "models", "gauge", "Models by name and version.", (double)all->count);
  single(p, "models_loaded", "gauge", "Those in memory.", (double)loaded);
  single(p, "models_bytes", "gauge", "Their memory.", (double)bytes);
  single(p, "model_loads_total", "counter", "Models that were loaded.", (double)metric_get(&t->loads));
  single(p, "model_evictions_total", "counter", "Models that made room for others.", (double)metric_get(&t->evictions));
}

static void cache_rows(const server *srv, page p) {
  if (!srv->cache) return;
  response_cache_counts n = response_cache_count(srv->cache);
  single(p, "cache_hits_total", "counter", "Requests answered from the cache.", (double)n.hits);
  single(p, "cache_misses_total", "counter", "Requests that were computed instead.", (double)n.misses);
  single(p, "cache_evictions_total", "counter", "Answers that made room for others.", (double)n.evictions);
  single(p, "cache_entries", "gauge", "Answers that are kept.", (double)n.entries);
  single(p, "cache_kept_bytes", "gauge", "Their memory.", (double)n.bytes);
}

static void script_rows(server *srv, page p) {
  if (!srv->script) return;
  single(p, "script_workers", "gauge", "Processes of the script that are past init().",
         (double)script_pool_ready(srv->script));
  single(p, "script_restarts_total", "counter", "Processes of the script that ended and were replaced.",
         (double)script_pool_restarts(srv->script));
}

static void courier_rows(page p, const char *what, courier_counts counts) {
  const struct {
    const char *outcome;
    uint64_t count;
  } rows[] = {{"delivered", counts.delivered}, {"dropped", counts.dropped}, {"failed", counts.failed}};
  for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
    text_format(p.o, "sardonyx_exported_total{what=\"%s\",outcome=\"%s\"} %llu\n", what, rows[i].outcome,
                (unsigned long long)rows[i].count);
}

static void alert_rows(server *srv, page p) {
  model_entry *e;
  head(p, "alert", "gauge", "1 while something is wrong with the model.");
  for (size_t i = 0; (e = entry_at(srv, i)); i++)
    for (size_t k = 0; k < ALERT_KINDS; k++) {
      text_put(p.o, "sardonyx_alert{");
      labels(p.o, e);
      text_format(p.o, ",alert=\"%s\"} %d\n", alert_names[k], atomic_load(&e->alerts.firing[k]));
    }
  head(p, "alerts_total", "counter", "How often something began to be wrong with the model.");
  for (size_t i = 0; (e = entry_at(srv, i)); i++)
    for (size_t k = 0; k < ALERT_KINDS; k++) {
      text_put(p.o, "sardonyx_alerts_total{");
      labels(p.o, e);
      text_format(p.o, ",alert=\"%s\"} %llu\n", alert_names[k], (unsigned long long)metric_get(&e->alerts.fired[k]));
    }
}

static void drift_row(page p, const char *name, const model_entry *e, const drift_reading *r, double value) {
  text_format(p.o, "sardonyx_%s{", name);
  labels(p.o, e);
  text_format(p.o, ",side=\"%s\",", r->output ? "output" : "input");
  label(p.o, "feature", r->name);
  text_format(p.o, "} %.6g\n", value);
}

static double drift_value(const drift_reading *r, size_t row) {
  const double values[] = {r->drifted || r->missing_drifted, r->psi, r->ks, r->missing};
  return values[row];
}

static void drift_rows(server *srv, page p) {
  static const struct {
    const char *name, *help;
  } rows[] = {{"drifted", "1 while the feature drifts away from the baseline."},
              {"drift_psi", "Population stability index of the last requests against the baseline."},
              {"drift_ks", "Kolmogorov-Smirnov distance, over the bins."},
              {"drift_missing_ratio", "Share of missing values."}};
  model_entry *e;
  drift_reading r;
  for (size_t n = 0; n < sizeof rows / sizeof *rows; n++) {
    head(p, rows[n].name, "gauge", rows[n].help);
    for (size_t i = 0; (e = entry_at(srv, i)); i++)
      for (size_t k = 0; e->drift && k < drift_features(e->drift); k++) {
        drift_read(e->drift, k, &r);
        drift_row(p, rows[n].name, e, &r, drift_value(&r, n));
      }
  }
}

static void export_rows(server *srv, page p) {
  courier_counts counts;
  head(p, "exported_total", "counter", "What was handed on, refused for want of room, or given up.");
  if (srv->otlp) courier_rows(p, "spans", otlp_count(srv->otlp));
  if (srv->collector) courier_rows(p, "rows", collect_count(srv->collector));
  if (alerts_count(srv->alerts, &counts)) courier_rows(p, "alerts", counts);
}

static void process_rows(page p) {
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
  text_format(p.o,
              "# HELP process_resident_memory_bytes Resident memory.\n# TYPE process_resident_memory_bytes gauge\n"
              "process_resident_memory_bytes %llu\n"
              "# HELP process_cpu_seconds%s CPU time used.\n# TYPE process_cpu_seconds%s counter\n"
              "process_cpu_seconds_total %.2f\n",
              (unsigned long long)host_resident_bytes(), p.open ? "" : "_total", p.open ? "" : "_total",
              (double)(user + system) / (double)sysconf(_SC_CLK_TCK));
}

static const struct {
  const char *name, *help;
} phases[METRIC_PHASES] = {[METRIC_QUEUE] = {"queue_seconds", "Wait for a worker."},
                           [METRIC_PARSE] = {"parse_seconds", "From the body to tensors."},
                           [METRIC_COMPUTE] = {"compute_seconds", "Time inside the engine."},
                           [METRIC_WRITE] = {"write_seconds", "From the result to the last byte of the reply."}};

void metrics_write(server *srv, text *o, bool open_metrics) {
  page p = {o, open_metrics};
  head(p, "build_info", "gauge", "Version of the server.");
  text_format(o, "sardonyx_build_info{version=\"%s\"} 1\n", sdx_version());
  single(p, "ready", "gauge", "1 while /health/ready says so.", server_ready(srv));
  single(p, "uptime_seconds", "gauge", "Time since the start.", (double)(clock_ns() - srv->start_ns) / 1e9);
  single(p, "connections", "gauge", "Open connections.", (double)atomic_load(&srv->net.connections));
  single(p, "requests_in_flight", "gauge", "Requests begun and not yet answered.",
         (double)atomic_load(&srv->net.exchanges));
  single(p, "buffered_bytes", "gauge", "Memory of request bodies.", (double)atomic_load(&srv->net.held));
  single(p, "cancelled_total", "counter", "Requests given up because the client left or the server stops.",
         (double)metric_get(&srv->cancelled));
  single(p, "connections_cut_total", "counter", "Connections closed because a phase lasted too long.",
         (double)metric_get(&srv->net.cut));
  single(p, "inline_runs_total", "counter", "Requests computed on a socket thread.",
         (double)metric_get(&srv->inline_runs));
  single(p, "inline_moved_total", "counter", "Requests begun on a socket thread and moved to a worker.",
         (double)metric_get(&srv->inline_moved));
  head(p, "refused_total", "counter", "Requests refused before they were computed.");
  const struct {
    const char *reason;
    const atomic_uint_fast64_t *count;
  } refused[] = {{"framing", &srv->net.malformed},     {"client_connections", &srv->net.refused_connections},
                 {"queue_full", &srv->refused_queue},  {"queue_wait", &srv->refused_wait},
                 {"forecast", &srv->refused_forecast}, {"client_cap", &srv->refused_client}};
  for (size_t i = 0; i < sizeof refused / sizeof *refused; i++)
    text_format(o, "sardonyx_refused_total{reason=\"%s\"} %llu\n", refused[i].reason,
                (unsigned long long)metric_get(refused[i].count));
  model_rows(srv, p);
  residence_rows(&srv->models, p);
  cache_rows(srv, p);
  script_rows(srv, p);
  alert_rows(srv, p);
  drift_rows(srv, p);
  export_rows(srv, p);
  histograms(srv, p, "request_seconds", "Time from the request line to the last byte of the reply.",
             offsetof(model_metrics, latency), 1e-9);
  for (size_t i = 0; i < METRIC_PHASES; i++)
    histograms(srv, p, phases[i].name, phases[i].help, offsetof(model_metrics, phases) + i * sizeof(histogram), 1e-9);
  histograms(srv, p, "batch_size", "First dimension of the first input.", offsetof(model_metrics, batch), 1);
  head(p, "limit", "gauge", "Limits in force.");
  for (const limit_row *row = limit_rows; row->flag; row++)
    text_format(o, "sardonyx_limit{name=\"%s\"} %lld\n", row->flag, (long long)*limit_at(&srv->limits, row));
  single(p, "host_cpus", "gauge", "Processors the server may use.", (double)host_cpus());
  single(p, "host_memory_bytes", "gauge", "Memory the server may use.", (double)host_memory_bytes());
  process_rows(p);
  if (open_metrics) text_put(o, "# EOF\n");
}

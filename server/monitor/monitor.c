// SPDX-License-Identifier: Apache-2.0
// Starting, ending, telling (monitor.h). A baseline is given (--baseline) or lies beside its model, as
// MODEL.baseline.json.
#include "server/monitor/monitor.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "server/call.h"
#include "server/log.h"
#include "server/monitor/alerts.h"
#include "server/monitor/collect.h"
#include "server/monitor/drift.h"
#include "server/monitor/otlp.h"
#include "support/files.h"

enum { JSON_DEPTH = 8, JSON_VALUES = 100000 };

static bool load_baseline(model_entry *e, const char *path) {
  fault f = {0};
  json j;
  size_t size;
  char *bytes = file_load(AT_FDCWD, path, BASELINE_BYTES, &size, &f);
  if (!bytes) {
    log_line("error", "%s", f.message);
    return false;
  }
  json_init(&j, bytes, size, JSON_DEPTH, JSON_VALUES);
  baseline *b = baseline_read(&j);
  if (!b)
    log_line("error", "%s is no baseline: %s; 'sardonyx baseline MODEL DATA' makes one", path,
             j.failed ? j.message : "memory is exhausted");
  free(bytes);
  drift_destroy(e->drift);
  e->drift = b ? drift_create(b) : NULL;
  if (e->drift)
    log_line("info", "model '%s' is held against the baseline %s: %zu features", e->name, path,
             drift_features(e->drift));
  return e->drift != NULL;
}

// [NAME[:VERSION]=]FILE; without a name it is of the first model.
static bool take_baseline(models *t, const char *word) {
  const char *equals = strchr(word, '='), *colon = equals ? memchr(word, ':', (size_t)(equals - word)) : NULL;
  model_entry *e = NULL;
  model *loaded = NULL;
  if (equals) {
    const char *end = colon ? colon : equals;
    str version = {colon ? colon + 1 : NULL, colon ? (size_t)(equals - colon - 1) : 0};
    e = models_find(t, (str){word, (size_t)(end - word)}, version, &loaded);
    model_release(loaded);
  }
  if (e) return load_baseline(e, equals + 1);
  model_entry *first = models_list(t)->first;
  if (first) return load_baseline(first, word);
  log_line("error", "--baseline %.200s: there is no model", word);
  return false;
}

void monitor_adopt(model_entry *e) {
  char *path = path_format("%s.baseline.json", e->path);
  if (path && !access(path, R_OK)) load_baseline(e, path);  // one that is no good is said, and the model served
  free(path);
}

static bool start_drift(server *srv) {
  for (size_t i = 0; i < srv->config->baseline_count; i++)
    if (!take_baseline(&srv->models, srv->config->baselines[i])) return false;
  return true;
}

bool monitor_start(server *srv) {
  const server_config *config = srv->config;
  if (!start_drift(srv)) return false;
  if (config->otlp && !(srv->otlp = otlp_start(config->otlp, config->otlp_share, srv->seed))) return false;
  const collect_options collect = {.folder = config->collect,
                                   .place = config->collect_as,
                                   .share = config->collect_share,
                                   .redact = config->redact,
                                   .redact_count = config->redact_count,
                                   .day_bytes = (uint64_t)srv->limits.collect_bytes};
  if (config->collect && !(srv->collector = collect_start(&collect))) return false;
  srv->alerts = alerts_start(srv, config->alert_webhook);
  return srv->alerts != NULL;
}

void monitor_stop(server *srv) {
  alerts_stop(srv->alerts);
  collect_stop(srv->collector);
  otlp_stop(srv->otlp);
}

static void tell_drift(call *c, unsigned side) {
  const char *worst;
  size_t count = drift_count(c->entry->drift, side, &worst);
  bool output = side == DRIFT_OUTPUTS;
  alerts_set(c->srv->alerts, c->entry, output ? ALERT_OUTPUTS : ALERT_INPUTS, count > 0, (double)count, 0,
             count ? "model '%s': %s drift away from its baseline: %zu of its features, most of all '%s'"
                   : "model '%s': %s are as its baseline has them again",
             c->entry->name, output ? "answers" : "inputs", count, worst);
}

void monitor_result(call *c) {
  if (c->srv->collector) collect_result(c->srv->collector, c);
  if (!c->entry->drift) return;
  unsigned changed = drift_note(c->entry->drift, c->model->session, c->inputs, c->outputs);
  if (changed & DRIFT_INPUTS) tell_drift(c, DRIFT_INPUTS);
  if (changed & DRIFT_OUTPUTS) tell_drift(c, DRIFT_OUTPUTS);
}

void monitor_end(call *c, uint64_t end_ns) {
  if (c->trace.recorded) otlp_note(c->srv->otlp, c, end_ns);
  if (c->srv && c->srv->alerts && c->counted) alerts_touch(c->srv->alerts);
}

// SPDX-License-Identifier: Apache-2.0
// gRPC: which models there are, loading and unloading them, and statistics, as v2_repository.c and v2_stats.c do it.
#include "server/grpc.h"

#define INDEX(F) F(INDEX_READY, 2, INT, "ready")
#define CHANGE(F)                              \
  F(CHANGE_FIRST, 1, BYTES, "repository_name") \
  F(CHANGE_MODEL, 2, BYTES, "model_name") F(CHANGE_PARAMETERS, 3, MESSAGE_LIST, "parameters")
#define KEYED(F) F(KEY, 1, BYTES, "key")
enum { INDEX(WIRE_SLOT) };
enum { CHANGE(WIRE_SLOT) };
enum { KEYED(WIRE_SLOT) };
WIRE_SCHEMA(static const, index_fields, INDEX, "RepositoryIndexRequest")
WIRE_SCHEMA(static const, change_fields, CHANGE, "RepositoryModelLoadRequest")
WIRE_SCHEMA(static const, keyed, KEYED, "ParametersEntry")

static void answer_index(call *c) {
  enum { NAME_OF = 1, VERSION_OF, STATE, REASON };
  wire_counts counts;
  wire message;
  wire_field f;
  bool only = false, ready = server_ready(c->srv);
  if (!grpc_scan(c, &index_fields, &counts, &message)) return;
  while (wire_next(&message, &index_fields, &f)) only = f.value != 0;
  models *t = &c->srv->models;
  wire_out out = grpc_begin(c);
  pthread_mutex_lock(&t->lock);
  const model_list *all = models_list(t);
  for (size_t i = 0; i < all->count; i++) {
    const model_entry *e = all->at[i];
    if (e->gone) continue;
    bool good = ready && (e->loaded || residence_on_demand(t, e));
    if (only && !good) continue;
    size_t at = wire_begin(&out, 1);
    grpc_put_str(&out, NAME_OF, e->name);
    grpc_put_str(&out, VERSION_OF, e->version);
    grpc_put_str(&out, STATE, good ? "READY" : e->loading ? "LOADING" : "UNAVAILABLE");
    grpc_put_str(&out, REASON, ready ? e->reason : "the server is draining");
    wire_end(&out, at);
  }
  pthread_mutex_unlock(&t->lock);
  grpc_end(c, &out);
}

// Triton's requests have the model's name second, behind that of a repository; KServe's have it first.
static bool read_change(call *c, str *name) {
  wire_counts counts;
  wire message;
  wire_field f;
  str names_of[2] = {{0}, {0}};
  if (!grpc_scan(c, &change_fields, &counts, &message)) return false;
  while (wire_next(&message, &change_fields, &f)) {
    wire_field key = {0};
    error e = {0};
    if (f.slot != CHANGE_PARAMETERS) {
      names_of[f.slot] = wire_str(&f);
      continue;
    }
    str word = {0};
    if (wire_scan(f.body, &keyed, &counts, &e) == SDX_OK)
      while (wire_next(&f.body, &keyed, &key)) word = wire_str(&key);
    if (str_is(word, "unload_dependents")) continue;
    call_error(c, 400, "parameter %.*s is not supported: a model is loaded from the path the server was started with",
               STR_ARG(word));
    return false;
  }
  *name = names_of[CHANGE_MODEL].size ? names_of[CHANGE_MODEL] : names_of[CHANGE_FIRST];
  if (name->size) return true;
  call_error(c, 400, "model_name is missing");
  return false;
}

// KServe's answers have the name and whether it is so; Triton's have no fields.
static void change(call *c, bool load) {
  str name;
  if (!read_change(c, &name) || !grpc_find_model(c, name, (str){0})) return;
  const model_entry *failed = models_change(&c->srv->models, c->entry, load);
  if (failed) {
    call_error(c, 500, "model '%s' version %s cannot be loaded; the log says why", failed->name, failed->version);
    return;
  }
  wire_out out = grpc_begin(c);
  grpc_put_str(&out, 1, c->entry->name);
  wire_put_int(&out, 2, 1);
  grpc_end(c, &out);
}

static void answer_load(call *c) { change(c, true); }
static void answer_unload(call *c) { change(c, false); }

// ---- statistics ----------------------------------------------------------------------------------

static void put_duration(wire_out *out, uint32_t number, uint64_t count, uint64_t ns) {
  size_t at = wire_begin(out, number);
  wire_put_int(out, 1, (int64_t)count);
  wire_put_int(out, 2, (int64_t)ns);
  wire_end(out, at);
}

static void put_stats(wire_out *out, const model_entry *e) {
  enum { NAME_OF = 1, VERSION_OF, LAST, REQUESTS, RUNS, STATS, BATCHES };
  enum { SUCCESS = 1, FAIL, QUEUE, COMPUTE_INPUT, COMPUTE_INFER, COMPUTE_OUTPUT };
  const model_metrics *m = &e->metrics;
  uint64_t count = metric_get(&m->phases[METRIC_COMPUTE].count);
  size_t all = wire_begin(out, 1);
  grpc_put_str(out, NAME_OF, e->name);
  grpc_put_str(out, VERSION_OF, e->version);
  wire_put_int(out, LAST, (int64_t)metric_get(&m->last_ms));
  wire_put_int(out, REQUESTS, (int64_t)metric_get(&m->batch.sum));
  wire_put_int(out, RUNS, (int64_t)metrics_runs(m));
  size_t stats = wire_begin(out, STATS);
  put_duration(out, SUCCESS, metrics_total(m, true), metric_get(&m->latency.sum));
  put_duration(out, FAIL, metrics_total(m, false), 0);
  put_duration(out, QUEUE, metric_get(&m->phases[METRIC_QUEUE].count), metric_get(&m->phases[METRIC_QUEUE].sum));
  put_duration(out, COMPUTE_INPUT, count, metric_get(&m->phases[METRIC_PARSE].sum));
  put_duration(out, COMPUTE_INFER, count, metric_get(&m->phases[METRIC_COMPUTE].sum));
  put_duration(out, COMPUTE_OUTPUT, count, metric_get(&m->reply_ns));
  wire_end(out, stats);
  for (size_t i = 0; i < METRIC_BATCHES; i++) {
    if (!metric_get(&m->runs[i])) continue;
    size_t batch = wire_begin(out, BATCHES);
    wire_put_int(out, 1, 1 << i);
    put_duration(out, 3, metric_get(&m->runs[i]), metric_get(&m->run_ns[i]));
    wire_end(out, batch);
  }
  wire_end(out, all);
}

static void answer_stats(call *c) {
  str name, version;
  if (!grpc_read_names(c, &name, &version)) return;
  if (name.size && !grpc_find_model(c, name, version)) return;
  wire_out out = grpc_begin(c);
  const model_list *all = models_list(&c->srv->models);
  for (size_t i = 0; i < all->count; i++)
    if (!c->entry || c->entry == all->at[i]) put_stats(&out, all->at[i]);
  grpc_end(c, &out);
}

HTTP_ROUTE(grpc_index) = {GRPC_PROCEDURE("RepositoryIndex"), .access = ROUTE_MANAGE,
                          .summary = "Which models there are", .answer = answer_index};
HTTP_ROUTE(grpc_load) = {
    GRPC_PROCEDURE("RepositoryModelLoad"), .access = ROUTE_MANAGE, .unloaded_too = true, .blocks = true,
    .summary = "Reads a model again",      .answer = answer_load};
HTTP_ROUTE(grpc_unload) = {
    GRPC_PROCEDURE("RepositoryModelUnload"), .access = ROUTE_MANAGE, .unloaded_too = true, .blocks = true,
    .summary = "Lets go of a model",         .answer = answer_unload};
HTTP_ROUTE(grpc_stats) = {GRPC_PROCEDURE("ModelStatistics"), .access = ROUTE_PUBLIC, .unloaded_too = true,
                          .summary = "What models were asked, and how long it took", .answer = answer_stats};

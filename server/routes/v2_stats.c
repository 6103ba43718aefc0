// SPDX-License-Identifier: Apache-2.0
// The statistics extension: what /metrics has, in the protocol's own form.
#include "server/call.h"

static void duration(text *o, const char *before, const char *name, uint64_t count, uint64_t ns) {
  text_format(o, "%s\"%s\":{\"count\":%llu,\"ns\":%llu}", before, name, (unsigned long long)count,
              (unsigned long long)ns);
}

static void write_model(text *o, const model_entry *e) {
  const model_metrics *x = &e->metrics;
  const histogram *queue = &x->phases[METRIC_QUEUE], *compute = &x->phases[METRIC_COMPUTE];
  uint64_t runs = metric_get(&compute->count);
  text_format(o,
              "{\"name\":\"%s\",\"version\":\"%s\",\"last_inference\":%llu,\"inference_count\":%llu,"
              "\"execution_count\":%llu,\"inference_stats\":{",
              e->name, e->version, (unsigned long long)metric_get(&x->last_ms),
              (unsigned long long)metric_get(&x->batch.sum), (unsigned long long)metrics_runs(x));
  duration(o, "", "success", metrics_total(x, true), metric_get(&x->latency.sum));
  duration(o, ",", "fail", metrics_total(x, false), 0);
  duration(o, ",", "queue", metric_get(&queue->count), metric_get(&queue->sum));
  duration(o, ",", "compute_input", runs, metric_get(&x->phases[METRIC_PARSE].sum));
  duration(o, ",", "compute_infer", runs, metric_get(&compute->sum));
  duration(o, ",", "compute_output", runs, metric_get(&x->reply_ns));
  text_put(o, "},\"batch_stats\":[");
  const char *before = "";
  for (size_t i = 0; i < METRIC_BATCHES; i++) {
    uint64_t count = metric_get(&x->runs[i]);
    if (!count) continue;
    text_format(o, "%s{\"batch_size\":%u", before, 1u << i);
    duration(o, ",", "compute_infer", count, metric_get(&x->run_ns[i]));
    text_put(o, "}");
    before = ",";
  }
  text_put(o, "]}");
}

static void answer(call *c) {
  text *o = call_body(c);
  text_put(o, "{\"model_stats\":[");
  const model_list *all = models_list(&c->srv->models);
  bool first = true;
  for (size_t i = 0; i < all->count; i++) {
    if (c->entry && c->entry != all->at[i]) continue;
    if (!first) text_append(o, ",", 1);
    first = false;
    write_model(o, all->at[i]);
  }
  text_put(o, "]}");
  call_json(c, 200);
}

HTTP_ROUTE(v2_stats) = {
    .access = ROUTE_PUBLIC,
    .methods = METHOD_GET | METHOD_HEAD,
    .summary = "What models were asked, and how long it took",
    .gives = "{\"type\":\"object\",\"required\":[\"model_stats\"]}",
    .paths = {"/v2/models/stats", "/v2/models/{model}/stats", "/v2/models/{model}/versions/{version}/stats"},
    .unloaded_too = true,
    .answer = answer};

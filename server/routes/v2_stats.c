// SPDX-License-Identifier: Apache-2.0
// The statistics extension: what /metrics has, in the protocol's own form.
#include "server/http.h"

static uint64_t get(const atomic_uint_fast64_t *counter) { return atomic_load_explicit(counter, memory_order_relaxed); }

static void duration(text *o, const char *before, const char *name, uint64_t count, uint64_t ns) {
  text_format(o, "%s\"%s\":{\"count\":%llu,\"ns\":%llu}", before, name, (unsigned long long)count,
              (unsigned long long)ns);
}

static void write_model(text *o, const model *m) {
  const model_metrics *x = &m->metrics;
  uint64_t runs = get(&x->compute.count);
  text_format(o,
              "{\"name\":\"%s\",\"version\":\"1\",\"last_inference\":%llu,\"inference_count\":%llu,"
              "\"execution_count\":%llu,\"inference_stats\":{",
              m->name, (unsigned long long)get(&x->last_ms), (unsigned long long)get(&x->batch.sum),
              (unsigned long long)runs);
  duration(o, "", "success", metrics_total(x, true), get(&x->latency.sum));
  duration(o, ",", "fail", metrics_total(x, false), 0);
  duration(o, ",", "queue", get(&x->queue.count), get(&x->queue.sum));
  duration(o, ",", "compute_input", runs, get(&x->parse_ns));
  duration(o, ",", "compute_infer", runs, get(&x->compute.sum));
  duration(o, ",", "compute_output", runs, get(&x->reply_ns));
  text_put(o, "},\"batch_stats\":[]}");
}

static void answer(http_request *rq) {
  text *o = &rq->reply.body;
  text_put(o, "{\"model_stats\":[");
  for (size_t i = 0; i < rq->srv->model_count; i++) {
    if (rq->model && rq->model != &rq->srv->models[i]) continue;
    if (i && !rq->model) text_append(o, ",", 1);
    write_model(o, &rq->srv->models[i]);
  }
  text_put(o, "]}");
  http_json(rq, 200);
}

HTTP_ROUTE(v2_stats) = {
    .access = ROUTE_PUBLIC,
    .methods = METHOD_GET,
    .paths = {"/v2/models/stats", "/v2/models/{model}/stats", "/v2/models/{model}/versions/{version}/stats"},
    .answer = answer};

// SPDX-License-Identifier: Apache-2.0
// How what a model is asked and answers differs from its baseline (monitor/drift.h).
#include "server/call.h"
#include "server/monitor/drift.h"

static void put_number(text *o, const char *name, double value) {
  text_format(o, ",\"%s\":", name);
  text_json_f64(o, value);
}

static void put_feature(text *o, const drift_reading *r) {
  text_put(o, "{\"name\":");
  text_json_string(o, str_from(r->name));
  text_format(o, ",\"side\":\"%s\",\"drifted\":%s,\"missing_drifted\":%s,\"seen\":%llu", r->output ? "output" : "input",
              r->drifted ? "true" : "false", r->missing_drifted ? "true" : "false", (unsigned long long)r->seen);
  put_number(o, "psi", r->psi);
  put_number(o, "ks", r->ks);
  put_number(o, "missing", r->missing);
  put_number(o, "baseline_missing", r->baseline_missing);
  put_number(o, "statistic", r->statistic);
  put_number(o, "threshold", r->threshold);
  text_put(o, "}");
}

static void answer(call *c) {
  drift *d = c->entry->drift;
  text *o = call_body(c);
  if (!d) {
    call_error(c, 404,
               "model '%s' has no baseline; 'sardonyx serve --baseline FILE' or 'model register --baseline' gives one",
               c->entry->name);
    return;
  }
  bool inputs = atomic_load(&c->entry->alerts.firing[ALERT_INPUTS]),
       outputs = atomic_load(&c->entry->alerts.firing[ALERT_OUTPUTS]);
  text_format(o,
              "{\"model_name\":\"%s\",\"model_version\":\"%s\",\"requests\":%llu,\"window\":%d,\"input_drift\":%s,"
              "\"prediction_drift\":%s,\"features\":[",
              c->entry->name, c->entry->version, (unsigned long long)drift_requests(d), DRIFT_WINDOW,
              inputs ? "true" : "false", outputs ? "true" : "false");
  for (size_t i = 0; i < drift_features(d); i++) {
    drift_reading r;
    drift_read(d, i, &r);
    if (i) text_put(o, ",");
    put_feature(o, &r);
  }
  text_put(o, "]}");
  call_json(c, 200);
}

HTTP_ROUTE(v2_drift) = {.access = ROUTE_PUBLIC,
                        .methods = METHOD_GET | METHOD_HEAD,
                        .summary = "How inputs and answers differ from the model's baseline",
                        .gives = "{\"type\":\"object\",\"required\":[\"features\"]}",
                        .paths = {"/v2/models/{model}/drift", "/v2/models/{model}/versions/{version}/drift"},
                        .unloaded_too = true,
                        .answer = answer};

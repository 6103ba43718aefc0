// SPDX-License-Identifier: Apache-2.0
// Making baselines (baseline.h).
#include "cli/baseline.h"

#include <stdlib.h>
#include <string.h>

#include "cli/engine.h"
#include "cli/samples.h"
#include "server/monitor/baseline.h"

static int compute(const args *a, const sdx_session *session, sdx_run *run, sdx_value **inputs, baseline_maker *m) {
  size_t count = sdx_session_feed_count(session), results = sdx_session_output_count(session);
  sdx_value **outputs = xmalloc((results + 1) * sizeof *outputs);
  sdx_status status = SDX_OK;
  for (size_t i = 0; i < count && !status; i++) status = sdx_run_set_input(run, i, inputs[i]);
  if (!status) status = sdx_run_execute(run);
  for (size_t i = 0; i < results; i++) outputs[i] = status ? NULL : sdx_run_output(run, i);
  bool kept = status || baseline_add(m, inputs, outputs);
  free(outputs);
  if (status) return engine_run_failed(a, run);
  return kept ? CLI_OK : cli_error(CLI_FAILED, "no memory for the rows of the baseline");
}

static int add_samples(const args *a, sdx_session *session, const samples *s, baseline_maker *m) {
  size_t count = sdx_session_feed_count(session);
  sdx_run *run = NULL;
  int code = sdx_run_create(session, &run) ? cli_error(CLI_FAILED, "no memory for a run") : CLI_OK;
  sdx_value **inputs = xmalloc((count + 1) * sizeof *inputs);
  for (size_t k = 0; k < s->count && !code; k++) {
    memset(inputs, 0, (count + 1) * sizeof *inputs);
    code = samples_values(s, k, session, inputs) ? compute(a, session, run, inputs, m) : CLI_FAILED;
    for (size_t i = 0; i < count; i++) sdx_value_release(inputs[i]);
  }
  free(inputs);
  sdx_run_destroy(run);
  return code;
}

char *baseline_of_data(const args *a, const char *model, const char *const *data, size_t count, size_t *size,
                       int *code) {
  samples s = {.a = a};
  sdx_session *session = engine_load(a, model, code);
  if (!session) return NULL;
  baseline_maker *m = baseline_begin(session);
  for (size_t i = 0; i < count && !*code; i++)
    if (!samples_add(&s, data[i])) *code = CLI_FAILED;
  if (!*code && m) *code = add_samples(a, session, &s, m);
  baseline *b = m ? baseline_end(m) : NULL;
  if (!*code && !b) *code = cli_error(CLI_FAILED, "%s: there is no value that could be counted", data[0]);
  char *bytes = *code ? NULL : baseline_text(b, size);
  if (!*code && !bytes) *code = cli_error(CLI_FAILED, "no memory for the baseline");
  baseline_free(b);
  samples_free(&s);
  sdx_session_destroy(session);
  return bytes;
}

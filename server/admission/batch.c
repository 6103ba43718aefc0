// SPDX-License-Identifier: Apache-2.0
// Batches (batch.h): rows in, one run, rows out.
#include "server/admission/batch.h"

#include <stdlib.h>
#include <string.h>

#include "base/host.h"
#include "server/admission/admission.h"

static size_t needed_inputs(const model *m) { return sdx_session_input_count(m->session); }

bool batch_fits(const call *a, const call *b) {
  size_t needed = needed_inputs(a->model);
  for (size_t i = 0; i < a->model->input_count; i++) {
    const sdx_value *x = a->inputs[i], *y = b->inputs[i];
    if (i >= needed && (x || y)) return false;  // an input that has a default holds for all rows
    if (i >= needed) continue;
    size_t rank = sdx_tensor_rank(x);
    if (!rank || sdx_tensor_rank(y) != rank || sdx_tensor_shape(x)[0] != 1) return false;
    if (memcmp(sdx_tensor_shape(x), sdx_tensor_shape(y), rank * sizeof(int64_t)) != 0) return false;
  }
  return true;
}

static bool bind_rows(call **calls, size_t count, sdx_run *run) {
  bool good = true;
  for (size_t i = 0; i < needed_inputs(calls[0]->model) && good; i++) {
    const sdx_value *first = calls[0]->inputs[i];
    size_t rank = sdx_tensor_rank(first), bytes = sdx_tensor_bytes(first);
    int64_t *shape = malloc(rank * sizeof *shape);
    if (!shape) return false;
    memcpy(shape, sdx_tensor_shape(first), rank * sizeof *shape);
    shape[0] = (int64_t)count;
    sdx_value *rows = sdx_tensor_create(sdx_tensor_dtype(first), rank, shape);
    free(shape);
    for (size_t k = 0; rows && bytes && k < count; k++)
      memcpy((char *)sdx_tensor_data(rows) + k * bytes, sdx_tensor_data(calls[k]->inputs[i]), bytes);
    good = rows && sdx_run_set_input(run, i, rows) == SDX_OK;
    sdx_value_release(rows);
  }
  return good;
}

static void unbind(const model *m, sdx_run *run) {
  for (size_t i = 0; i < needed_inputs(m); i++) sdx_run_set_input(run, i, NULL);
}

// Row `k` of a result, which keeps the memory. NULL: memory, or it has no such row.
static sdx_value *row(sdx_value *all, size_t k, size_t count) {
  size_t rank = all ? sdx_tensor_rank(all) : 0;
  if (!rank || sdx_tensor_shape(all)[0] != (int64_t)count) return NULL;
  int64_t *shape = malloc(rank * sizeof *shape);
  if (!shape) return NULL;
  memcpy(shape, sdx_tensor_shape(all), rank * sizeof *shape);
  shape[0] = 1;
  size_t bytes = sdx_tensor_bytes(all) / count;
  sdx_value *one = bytes ? sdx_tensor_borrow(sdx_tensor_dtype(all), rank, shape,
                                             (char *)sdx_tensor_data(all) + k * bytes, NULL, NULL)
                         : sdx_tensor_create(sdx_tensor_dtype(all), rank, shape);
  free(shape);
  return one;
}

static bool hand_out(call *c, const sdx_run *run, size_t k, size_t count) {
  size_t outputs = c->model->output_count, i = 0;
  sdx_value **rows = calloc(outputs, sizeof *rows);
  while (rows && i < outputs && (rows[i] = row(sdx_run_output(run, i), k, count))) i++;
  bool good = rows && i == outputs;
  if (good) compute_reply(c, rows);
  for (size_t n = 0; rows && n < i; n++) sdx_value_release(rows[n]);
  free(rows);
  return good;
}

void batch_run(call **calls, size_t count) {
  model *m = model_retain(calls[0]->model);
  model_entry *e = calls[0]->entry;
  sdx_run *run = NULL;
  bool good = model_take_run(m, &run) == SDX_OK && bind_rows(calls, count, run);
  uint64_t last = 0, start = clock_ns();
  for (size_t k = 0; k < count; k++)
    if (calls[k]->deadline_ns > last) last = calls[k]->deadline_ns;
  if (good) sdx_run_set_timeout_ms(run, last > start ? (last - start) / 1000000 + 1 : 1);
  good = good && sdx_run_execute(run) == SDX_OK;
  uint64_t end = clock_ns();
  if (good) batching_note(m->batching, count, end - start);
  if (good) metrics_note_run(&e->metrics, count, end - start);
  for (size_t k = 0; k < count; k++) {
    calls[k]->run_ns = start;
    calls[k]->done_ns = end;
    if (!good || !hand_out(calls[k], run, k, count)) compute(calls[k], 0);
    exchange_post(&calls[k]->x);
  }
  if (run) {
    unbind(m, run);
    model_give_run(m, run);
  }
  model_release(m);
}

// SPDX-License-Identifier: Apache-2.0
// One call from its body to its response, on whatever thread a policy chose (admission.h). A run handle that was
// cancelled from outside is thrown away: a late cancel must not hit its next user.
#include <stdlib.h>

#include "base/host.h"
#include "server/admission/admission.h"
#include "server/dispatch.h"
#include "server/grpc.h"
#include "server/log.h"
#include "server/monitor/monitor.h"
#include "server/response_cache.h"

static void bind_inputs(const call *c, sdx_run *run, bool bind) {
  for (size_t i = 0; i < c->model->input_count; i++) sdx_run_set_input(run, i, bind ? c->inputs[i] : NULL);
}

// From here on sdx_run_cancel may come at any time; false: it came already.
static bool open_to_cancel(call *c, sdx_run *run) {
  pthread_mutex_lock(&c->lock);
  bool go = !c->cancel_status;
  if (go) c->run = run;
  pthread_mutex_unlock(&c->lock);
  return go;
}

static int close_to_cancel(call *c) {
  pthread_mutex_lock(&c->lock);
  c->run = NULL;
  int status = c->cancel_status;
  pthread_mutex_unlock(&c->lock);
  return status;
}

static void reply_cancelled(call *c, int status) {
  atomic_fetch_add(&c->srv->cancelled, 1);
  if (status == 503) call_retry(c, 503, "the server is shutting down");
  else call_error(c, status, "the client closed the connection before the result was there");
}

static void reply(call *c) {
  model_metrics *m = &c->entry->metrics;
  histogram_seconds(&m->phases[METRIC_COMPUTE], c->done_ns - c->run_ns, call_trace(c));
  sequence_commit(c);
  c->route->reply(c);
  monitor_result(c);
  if (c->cacheable) response_cache_keep(c);
  uint64_t written = clock_ns();
  atomic_fetch_add_explicit(&m->reply_ns, written - c->done_ns, memory_order_relaxed);
  atomic_store_explicit(&m->last_ms, clock_wall_ns() / 1000000, memory_order_relaxed);
}

void compute_reply(call *c, sdx_value **rows) {
  pthread_mutex_lock(&c->lock);
  int cancelled = c->cancel_status;
  pthread_mutex_unlock(&c->lock);
  for (size_t i = 0; i < c->model->output_count; i++) c->outputs[i] = rows[i];
  if (cancelled) reply_cancelled(c, cancelled);
  else if (c->done_ns >= c->deadline_ns) call_late(c);
  else reply(c);
}

static void reply_outputs(call *c, sdx_run *run) {
  if (*sdx_run_warning(run) && !atomic_exchange(&c->model->warned, true))
    log_line("warning", "%s: %s", c->entry->name, sdx_run_warning(run));
  for (size_t i = 0; i < c->model->output_count; i++) c->outputs[i] = sdx_run_output(run, i);
  reply(c);
  metrics_note_run(&c->entry->metrics, 1, c->done_ns - c->run_ns);
  if (c->model->batching) batching_note(c->model->batching, 1, c->done_ns - c->run_ns);
}

static bool run_model(call *c, sdx_run *run, uint64_t limit_ns, bool *dirty) {
  c->run_ns = c->done_ns = clock_ns();
  if (c->run_ns >= c->deadline_ns) {
    call_late(c);
    return true;
  }
  uint64_t left = c->deadline_ns - c->run_ns;
  bool partial = limit_ns && limit_ns < left;
  sdx_run_set_timeout_ms(run, ((partial ? limit_ns : left) + 999999) / 1000000);
  sdx_status status = SDX_CANCELLED;
  bind_inputs(c, run, true);
  if (open_to_cancel(c, run)) status = sdx_run_execute(run);
  int cancelled = close_to_cancel(c);
  *dirty = cancelled != 0;
  c->done_ns = clock_ns();
  bool moved = false;
  if (status == SDX_OK) {
    reply_outputs(c, run);
    model_note_cost(c->model, clock_ns() - c->run_ns);
  } else if (cancelled) {
    reply_cancelled(c, cancelled);
  } else if (status == SDX_DEADLINE_EXCEEDED && partial) {
    model_note_cost(c->model, limit_ns);
    moved = true;
  } else if (status == SDX_DEADLINE_EXCEEDED) {
    model_note_cost(c->model, c->done_ns - c->run_ns);
    call_late(c);
  } else {
    call_engine_error(c, status, run);
  }
  bind_inputs(c, run, false);
  return !moved;
}

bool compute_parse(call *c) {
  c->parse_ns = clock_ns();
  if (c->deferred && !(c->packed ? grpc_infer_bind(c) : dispatch_find_model(c))) return false;
  model *m = c->model;
  const str *encoding = http_request_header(&c->x.request, "content-encoding");
  http_problem p = {0};
  if (encoding && !coding_decode(coding_from_name(*encoding), &c->x.request.body, c->x.body_limit, &p)) {
    call_error(c, p.status, "%s", p.message);
    return false;
  }
  c->inputs = calloc(m->input_count + 1, sizeof *c->inputs);
  c->outputs = calloc(m->output_count + 1, sizeof *c->outputs);
  if (!c->inputs || !c->outputs) {
    call_retry(c, 503, "memory is exhausted");
    return false;
  }
  c->parsed = c->route->parse(c);
  c->parsed_ns = clock_ns();
  histogram_seconds(&c->entry->metrics.phases[METRIC_PARSE], c->parsed_ns - c->parse_ns, call_trace(c));
  if (!c->parsed || !m->input_count || !c->inputs[0] || !sdx_tensor_rank(c->inputs[0])) return c->parsed;
  int64_t rows = sdx_tensor_shape(c->inputs[0])[0];
  if (m->config && m->config->max_batch && rows > m->config->max_batch) {
    call_error(c, 400, "the batch has %lld rows, max_batch_size of the model's config.pbtxt is %lld", (long long)rows,
               (long long)m->config->max_batch);
    return c->parsed = false;
  }
  histogram_number(&c->entry->metrics.batch, (uint64_t)rows);
  return true;
}

bool compute(call *c, uint64_t limit_ns) {
  if (!c->parsed && !compute_parse(c)) return true;
  sdx_run *run = NULL;
  sdx_status status = model_take_run(c->model, &run);
  if (status != SDX_OK) {
    call_engine_error(c, status, NULL);
    return true;
  }
  bool dirty = false, done = run_model(c, run, limit_ns, &dirty);
  if (dirty) sdx_run_destroy(run);
  else model_give_run(c->model, run);
  return done;
}

void compute_work(call *c) {
  pthread_mutex_lock(&c->lock);
  int cancelled = c->cancel_status;
  pthread_mutex_unlock(&c->lock);
  if (cancelled) reply_cancelled(c, cancelled);
  else compute(c, 0);
}

// SPDX-License-Identifier: Apache-2.0
// The step loop, and bodies of If, Loop and Scan, which run in frames of their own.
#include <string.h>

#include "base/host.h"
#include "base/size.h"
#include "run/session.h"

static void bind_input(run_frame *f, value_id v, const value *from) {
  if (f->plan->values[v].known) {
    f->values[v].tensor.data = from->tensor.data;
    return;
  }
  f->values[v] = *from;
  f->values[v].memory = NULL;  // the caller may change these bytes later: never share them
}

static error_part output_part(const plan *p, uint32_t k) {
  return (error_part){PART_OUTPUT, k, p->graph->values[p->graph->outputs[k]].name};
}

// The caller's tensor, or a new one of the planned shape, to receive output k directly.
static sdx_status provide_output(const plan *p, uint32_t k, mem_account *account, sdx_value **out, error *err) {
  value_id v = p->outputs[k];
  const tensor *t = &p->values[v].value.tensor;
  if (*out) {
    const tensor *given = &(*out)->value.tensor;
    if ((*out)->value.kind == VALUE_TENSOR && given->dtype == t->dtype && tensor_same_shape(given, t)) return SDX_OK;
    char want[160], got[160];
    return error_at(err, output_part(p, k), SDX_INVALID_SHAPE, "is bound to a tensor %s, expected %s",
                    tensor_describe(given, got, sizeof got), tensor_describe(t, want, sizeof want));
  }
  sdx_status status = value_create_unset(account, t, out, err);
  if (status == SDX_NO_MEMORY) error_in_part(err, output_part(p, k));
  return status;
}

static bool is_planned(const plan *p, uint32_t k) {
  const plan_value *pv = &p->values[p->outputs[k]];
  return pv->known && pv->storage != STORE_DYNAMIC && pv->value.tensor.dtype != SDX_STRING;
}

static sdx_status bind(run_frame *f, const value *const *inputs, mem_account *account, sdx_value **outputs,
                       error *err) {
  const plan *p = f->plan;
  for (uint32_t i = 0; i < p->graph->input_count; i++) bind_input(f, p->graph->inputs[i], inputs[i]);
  for (uint32_t i = 0; i < p->captured_count; i++) bind_input(f, p->captured[i], inputs[p->graph->input_count + i]);
  for (uint32_t k = 0; k < p->graph->output_count; k++) {
    if (!p->wanted[k] || !is_planned(p, k)) continue;
    SDX_TRY(provide_output(p, k, account, &outputs[k], err));
    value_id v = p->values[p->outputs[k]].root;
    if (p->values[v].storage == STORE_OUTPUT && p->values[v].slot == k)
      f->values[v].tensor.data = outputs[k]->value.tensor.data;
  }
  for (uint32_t i = 0; i < p->view_count; i++) {
    value_id v = p->views[i];
    f->values[v].tensor.data = f->values[p->values[v].root].tensor.data;
  }
  return SDX_OK;
}

// The verdict on a copy of output k, which the limits of the run may have ended.
static sdx_status collected(run_frame *f, uint32_t k, sdx_status status, error *err) {
  const graph *g = f->plan->graph;
  uint32_t producer = g->values[g->outputs[k]].producer;
  if (atomic_load_explicit(&f->watch.stopped, memory_order_relaxed) && producer) {
    error_clear(err);
    return frame_check(f, g->nodes[producer - 1], err);
  }
  if (status == SDX_NO_MEMORY) error_in_part(err, output_part(f->plan, k));
  return status;
}

// Results that did not land in the caller's memory by themselves.
static sdx_status collect(run_frame *f, mem_account *account, sdx_value **outputs, error *err) {
  const plan *p = f->plan;
  for (uint32_t k = 0; k < p->graph->output_count; k++) {
    if (!p->wanted[k]) continue;
    value_id v = p->outputs[k];
    const value *result = &f->values[v];
    bool plain = result->kind == VALUE_TENSOR && result->tensor.dtype != SDX_STRING;
    if (result->kind == VALUE_TENSOR && result->tensor.dtype == SDX_UNDEFINED)
      return error_at(err, output_part(p, k), SDX_NOT_SUPPORTED,
                      "was not computed by its node, which leaves it out here");
    if (outputs[k]) {  // bound by the caller, or provided above
      tensor *to = &outputs[k]->value.tensor;
      if (!plain || outputs[k]->value.kind != VALUE_TENSOR || to->dtype != result->tensor.dtype ||
          !tensor_same_shape(to, &result->tensor))
        return error_at(err, output_part(p, k), SDX_INVALID_SHAPE,
                        "is bound to a tensor that lacks the result's type and shape");
      if (to->data != result->tensor.data && to->bytes) memcpy(to->data, result->tensor.data, to->bytes);
    } else if (f->owners[v] && plain && account == &f->account) {
      outputs[k] = value_retain(f->owners[v]);
    } else {
      pool_watch *former = pool_watch_set(&f->watch);
      sdx_status status = value_copy(account, result, &outputs[k], err);
      pool_watch_set(former);
      SDX_TRY(collected(f, k, status, err));
    }
  }
  return SDX_OK;
}

// Inside one operator, tasks are skipped once the run is to stop; the steps of a body watch for themselves.
static sdx_status compute(run_frame *f, op_step *c, bool dynamic) {
  pool_watch *former = pool_watch_set(&f->watch);
  sdx_status status = dynamic ? frame_run_dynamic(f, c) : c->compute(c);
  pool_watch_set(former);
  if (!atomic_load_explicit(&f->watch.stopped, memory_order_relaxed)) return status;
  error_clear(c->err);
  return frame_check(f, c->node, c->err);
}

static void drop_spares(body_frame *b) {
  for (uint32_t i = 0; i < BODY_SPARES * b->frame->plan->graph->output_count; i++) {
    value_release(b->spares[i]);
    b->spares[i] = NULL;
  }
}

static body_frame *bodies_of(const sdx_run *r, const node *owner) {
  return r->bodies ? r->bodies[chain_of(owner)] : NULL;
}

static sdx_status run_step(run_frame *f, uint32_t s, op_step *c) {
  const plan_step *step = &f->plan->steps[s];
  sdx_status status = compute(f, c, step->dynamic);
  for (body_frame *b = c->node->op->flags & OP_CONTROL ? bodies_of(f->context, c->node) : NULL; b; b = b->next)
    if (b->frame->plan->owner == c->node && !b->busy) drop_spares(b);
  if (status != SDX_OK) return status;
  // Dynamic values that were read for the last time.
  for (uint32_t i = 0; i < step->release_count; i++) {
    value_id v = f->plan->releases[step->release_first + i];
    if (!f->owners[v]) continue;
    // Strings that were moved still point at the bytes of the value they came from: those stay until the run ends.
    if (f->owners[v]->value.kind == VALUE_MAP || f->owners[v]->value.tensor.dtype == SDX_STRING) continue;
    value_release(f->owners[v]);
    f->owners[v] = NULL;
    f->values[v] = (value){0};
  }
  return SDX_OK;
}

static sdx_status run_steps(run_frame *f, profile *profile, error *err) {
  const plan *p = f->plan;
  for (uint32_t s = 0; s < p->step_count; s++) {
    op_step *c = &f->steps[s];
    c->err = err;
    if (f->limits.cancel && atomic_load_explicit(f->limits.cancel, memory_order_relaxed))
      return frame_check(f, c->node, err);
    if (f->limits.deadline_ns && (s & 15) == 15) SDX_TRY(frame_check(f, c->node, err));
    uint64_t start = profile ? clock_ns() : 0;
    sdx_status status = run_step(f, s, c);
    if (profile) profile_add(profile, c->node, c->kernel, start, clock_ns());
    if (status == SDX_OK) continue;
    error_set(err, status, "%s", status_text(status));
    return step_located(c, status);
  }
  return SDX_OK;
}

// What a failed run left under way must not write once its memory serves others.
static void stop_devices(run_frame *f) {
  for (size_t k = 1; k < PLACES_MOST; k++) {
    const place *device = f->device_slabs[k] ? &f->plan->places->at[k] : NULL;
    if (device) device->provider->synchronise(device->context);
  }
}

sdx_status frame_execute(run_frame *f, const value *const *inputs, mem_account *account, sdx_value **outputs,
                         profile *profile, error *err) {
  sdx_status s = bind(f, inputs, account, outputs, err);
  f->watch.cancel = f->limits.cancel;
  f->watch.deadline_ns = f->limits.deadline_ns;
  atomic_store_explicit(&f->watch.stopped, false, memory_order_relaxed);
  if (s == SDX_OK) s = run_steps(f, profile, err);
  if (s != SDX_OK) stop_devices(f);
  if (s == SDX_OK) s = collect(f, account, outputs, err);
  if (f->plan->has_dynamic || f->memory.chunks) frame_reset(f);
  return s;
}

// After this many shapes, or as many as the cache keeps, a body gets one plan for all shapes instead of one more for
// each: the run's frames hold on to every plan they were made for.
enum { BODY_PLANS = 4 };

static sdx_status body_plan(sdx_session *s, plan_request *request, type_info *types, size_t count, plan **out,
                            error *err) {
  size_t plans = 0, most = s->options->plan_cache < BODY_PLANS ? (size_t)s->options->plan_cache : BODY_PLANS;
  pthread_mutex_lock(&s->lock);
  for (const plan *p = s->plans[chain_of(request->owner)]; p; p = p->next) {
    if (p->graph != request->graph) continue;
    plans++;
    if (plan_fits(p, request)) {
      plans = 0;
      break;
    }
  }
  pthread_mutex_unlock(&s->lock);
  if (plans >= most)
    for (size_t i = 0; i < count; i++) types[i].rank = -1;
  return session_plan(s, request, out, err);
}

static sdx_status create_body(sdx_run *r, plan *p, body_frame **out, error *err) {
  size_t spares = BODY_SPARES * p->graph->output_count * sizeof(sdx_value *);
  if (!r->bodies) r->bodies = mem_zalloc(&r->session->account, CHAINS * sizeof(body_frame *));
  if (!r->bodies) return error_no_memory(err, CHAINS * sizeof(body_frame *));
  body_frame *b = mem_zalloc(&r->session->account, sizeof *b + spares);
  if (!b) return error_no_memory(err, sizeof *b + spares);
  b->spares = (sdx_value **)(b + 1);
  sdx_status status = frame_create(p, &r->frame->account, SIZE_MAX, &b->frame, err);
  if (status != SDX_OK) {
    mem_free(b);
    return status;
  }
  b->frame->run_body = run_body;
  b->frame->body_output = run_body_output;
  b->frame->context = r;
  body_frame **chain = &r->bodies[chain_of(p->owner)];
  b->next = *chain;
  *chain = b;
  *out = b;
  return SDX_OK;
}

// A request for a body with these inputs and the captures of the node that holds it. `types` has room for all.
static plan_request body_request(const run_frame *f, const op_step *c, graph *body, const value *const *in,
                                 type_info *types) {
  size_t inputs = body->input_count;
  for (size_t i = 0; i < inputs; i++) value_type(in[i], &types[i]);
  for (size_t i = 0; i < c->node->capture_count; i++) value_type(c->captures[i], &types[inputs + i]);
  plan_request request = session_request(((sdx_run *)f->context)->session, types, NULL);
  request.graph = body;
  request.owner = c->node;
  request.captures = types + inputs;
  return request;
}

static sdx_status make_body(sdx_run *r, plan_request *request, type_info *types, size_t count, body_frame **out,
                            error *err) {
  plan *p;
  SDX_TRY(body_plan(r->session, request, types, count, &p, err));
  body_frame *b = bodies_of(r, p->owner);
  while (b && (b->busy || b->frame->plan != p)) b = b->next;
  *out = b;
  sdx_status status = b ? SDX_OK : create_body(r, p, out, err);
  plan_release(p);
  return status;
}

// One that is free and was made for these types: it needs neither the plan cache nor its lock.
static body_frame *find_body(sdx_run *r, const plan_request *request) {
  body_frame *b = bodies_of(r, request->owner);
  while (b && (b->busy || !plan_fits(b->frame->plan, request))) b = b->next;
  return b;
}

// Values of an earlier trip that nobody holds any more take the results of this one.
static void take_spares(body_frame *b, sdx_value **out) {
  for (uint32_t i = 0; i < BODY_SPARES * b->frame->plan->graph->output_count; i++) {
    sdx_value **to = &out[i / BODY_SPARES], *spare = b->spares[i];
    if (!*to && spare && atomic_load_explicit(&spare->references, memory_order_acquire) == 1) *to = value_retain(spare);
  }
}

static void keep_spares(body_frame *b, sdx_value *const *out) {
  const plan *p = b->frame->plan;
  for (uint32_t k = 0; k < p->graph->output_count; k++) {
    sdx_value **spares = &b->spares[BODY_SPARES * k];
    if (!out[k] || !is_planned(p, k) || out[k] == spares[0] || out[k] == spares[1]) continue;
    if (!spares[0]) spares[0] = value_retain(out[k]);
    else if (!spares[1]) spares[1] = value_retain(out[k]);
  }
}

// From a plan of its own: those that the session keeps know less once there are many.
bool run_body_output(run_frame *f, op_step *c, graph *body, const value *const *in, size_t output, tensor *out,
                     int64_t *dims) {
  error ignored = {0};  // a body that does not fit is no fault as long as it does not run
  arena scratch;
  bool known = false;
  arena_init(&scratch, &f->account);
  type_info *types = arena_array(&scratch, body->input_count + c->node->capture_count + 1, sizeof *types);
  type_info *made = arena_array(&scratch, body->output_count, sizeof *made), *t = made + output;
  if (types && made) {
    plan_request request = body_request(f, c, body, in, types);
    request.account = &f->account;
    known = plan_types(&request, &scratch, made, &ignored) == SDX_OK && type_is_fixed(t);
  }
  if (known) {
    if (t->rank) memcpy(dims, t->dims, (size_t)t->rank * sizeof *dims);
    known = tensor_init(out, (sdx_dtype)t->dtype, (size_t)t->rank, dims, &ignored) == SDX_OK;
  }
  arena_deinit(&scratch);
  return known;
}

sdx_status run_body(run_frame *f, op_step *c, graph *body, size_t inputs, const value *const *in, size_t outputs,
                    sdx_value **out) {
  sdx_run *r = f->context;
  sdx_session *s = r->session;
  for (size_t i = 0; i < outputs; i++) out[i] = NULL;
  if (inputs != body->input_count || outputs != body->output_count)
    return step_fail(c, SDX_INVALID_GRAPH, "the body '%.*s' takes %u inputs and gives %u outputs, not %zu and %zu",
                     STR_ARG(body->name), body->input_count, body->output_count, inputs, outputs);
  if (f->depth + 1 > (uint32_t)s->options->max_subgraph_depth)
    return step_fail(c, SDX_LIMIT_EXCEEDED, "bodies are nested deeper than max_subgraph_depth = %lld",
                     (long long)s->options->max_subgraph_depth);
  enum { FEW = 24 };
  type_info few_types[FEW];
  const value *few_bound[FEW];
  size_t total = inputs + c->node->capture_count;
  arena scratch;
  arena_init(&scratch, &f->account);
  type_info *types = total < FEW ? few_types : arena_array(&scratch, total + 1, sizeof *types);
  const value **bound = total < FEW ? few_bound : arena_array(&scratch, total + 1, sizeof *bound);
  sdx_status status = types && bound ? SDX_OK : error_no_memory(c->err, total * sizeof *types);
  if (status != SDX_OK) goto done;
  plan_request request = body_request(f, c, body, in, types);
  body_frame *b = find_body(r, &request);
  if (!b) status = make_body(r, &request, types, total, &b, c->err);
  if (status != SDX_OK) goto done;
  const plan *p = b->frame->plan;
  b->busy = true;
  b->frame->depth = f->depth + 1;
  b->frame->limits = f->limits;
  for (size_t i = 0; i < inputs; i++) bound[i] = in[i];
  for (uint32_t i = 0; i < p->captured_count; i++) bound[inputs + i] = c->captures[p->capture_index[i]];
  take_spares(b, out);
  status = frame_check(f, c->node, c->err);
  if (status == SDX_OK) status = frame_execute(b->frame, bound, &f->account, out, NULL, c->err);
  b->busy = false;
  if (status == SDX_OK) keep_spares(b, out);
  if (status != SDX_OK)
    for (size_t i = 0; i < outputs; i++) {
      value_release(out[i]);
      out[i] = NULL;
    }
done:
  arena_deinit(&scratch);
  return status;
}

void run_drop_bodies(sdx_run *r) {
  for (size_t i = 0; r->bodies && i < CHAINS; i++)
    for (body_frame *b = r->bodies[i], *next; b; b = next) {
      next = b->next;
      drop_spares(b);
      frame_destroy(b->frame);
      mem_free(b);
    }
  mem_free(r->bodies);
  r->bodies = NULL;
}

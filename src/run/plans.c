// SPDX-License-Identifier: Apache-2.0
// The plan cache of a session: least recently used plans go first, per graph.
#include "base/host.h"
#include "run/session.h"

plan_request session_request(sdx_session *s, const type_info *inputs, const bool *wanted) {
  size_t threads = (size_t)s->options->threads;
  return (plan_request){.graph = s->main,
                        .inputs = inputs,
                        .wanted = wanted,
                        .threads = threads ? threads : host_cpus(),
                        .precision = s->options->precision,
                        .layouts = s->options->optimize == 2 && s->options->layouts,
                        .account = &s->account,
                        .packs = &s->packs,
                        .weights = &s->weights,
                        .places = &s->places};
}

// Drops the oldest plan of the graph once there are more than the cache may hold.
static void trim(sdx_session *s, const plan *newest) {
  size_t count = 0;
  plan **oldest = NULL;
  for (plan **p = &s->plans[chain_of(newest->owner)]; *p; p = &(*p)->next) {
    if ((*p)->graph != newest->graph) continue;
    count++;
    if (!oldest || (*p)->last_used < (*oldest)->last_used) oldest = p;
  }
  if (count <= (size_t)s->options->plan_cache) return;
  plan *gone = *oldest;
  *oldest = gone->next;
  plan_release(gone);
}

// One reference for the caller; NULL: not there.
static plan *find(sdx_session *s, const plan_request *request) {
  pthread_mutex_lock(&s->lock);
  plan *p = s->plans[chain_of(request->owner)];
  while (p && !plan_fits(p, request)) p = p->next;
  if (p) {
    p->last_used = ++s->uses;
    plan_retain(p);
  }
  pthread_mutex_unlock(&s->lock);
  return p;
}

static void keep(sdx_session *s, plan *p) {
  pthread_mutex_lock(&s->lock);
  p->last_used = ++s->uses;
  plan **chain = &s->plans[chain_of(p->owner)];
  p->next = *chain;
  *chain = plan_retain(p);
  trim(s, p);
  pthread_mutex_unlock(&s->lock);
}

sdx_status session_plan(sdx_session *s, const plan_request *request, plan **out, error *err) {
  sdx_status status = SDX_OK;
  *out = find(s, request);
  if (*out) return SDX_OK;
  pthread_mutex_lock(&s->planning);
  *out = find(s, request);  // somebody else may have made it meanwhile
  if (!*out) {
    status = plan_create(request, out, err);
    if (status == SDX_OK) keep(s, *out);
  }
  pthread_mutex_unlock(&s->planning);
  return status;
}

// A type whose free dimensions are 1.
static sdx_status declared_type(arena *memory, const type_info *t, type_info *out, error *err) {
  *out = *t;
  if (t->kind != TYPE_TENSOR || t->rank < 0) return SDX_OK;
  int64_t *dims = arena_array(memory, (size_t)t->rank, sizeof *dims);
  if (!dims) return error_no_memory(err, sizeof *dims);
  for (int k = 0; k < t->rank; k++) dims[k] = t->dims[k] < 0 ? 1 : t->dims[k];
  out->dims = dims;
  return SDX_OK;
}

static sdx_status declared_types(arena *memory, const graph *g, type_info *types, error *err) {
  for (uint32_t i = 0; i < g->input_count; i++) {
    type_info known;
    if (!type_complete(memory, &g->values[g->inputs[i]], &known)) return error_no_memory(err, sizeof known);
    SDX_TRY(declared_type(memory, &known, &types[i], err));
  }
  return SDX_OK;
}

sdx_status session_declared_plan(sdx_session *s, plan **out, error *err) {
  if (s->only_read)
    return error_set(err, SDX_INVALID_ARGUMENT, "the model was read to be looked at; load it to have a plan");
  arena scratch;
  arena_init(&scratch, &s->account);
  type_info *types = arena_array(&scratch, s->input_count, sizeof *types);
  sdx_status status =
      types ? declared_types(&scratch, s->main, types, err) : error_no_memory(err, s->input_count * sizeof *types);
  if (status == SDX_OK) {
    plan_request request = session_request(s, types, NULL);
    status = session_plan(s, &request, out, err);
  }
  arena_deinit(&scratch);
  return status;
}

static sdx_status plan_body(sdx_session *s, const plan *outer, const plan_step *step, graph *body, arena *scratch) {
  const node *n = step->step.node;
  error err = {0};
  plan *p;
  type_info *types = arena_array(scratch, body->input_count + n->capture_count, sizeof *types);
  if (!types) return SDX_NO_MEMORY;
  SDX_TRY(declared_types(scratch, body, types, &err));
  for (uint32_t i = 0; i < n->capture_count; i++)
    SDX_TRY(declared_type(scratch, &outer->values[step->captures[i]].type, &types[body->input_count + i], &err));
  plan_request request = session_request(s, types, NULL);
  request.graph = body, request.owner = n, request.captures = types + body->input_count;
  SDX_TRY(session_plan(s, &request, &p, &err));
  session_plan_bodies(s, p);
  plan_release(p);
  return SDX_OK;
}

void session_plan_bodies(sdx_session *s, const plan *p) {
  arena scratch;
  arena_init(&scratch, &s->account);
  for (uint32_t i = 0; i < p->step_count; i++) {
    const node *n = p->steps[i].step.node;
    for (uint32_t k = 0; k < n->attr_count; k++) {
      struct graph *const *bodies;
      size_t count = attr_graphs(&n->attrs[k], &bodies);
      for (size_t b = 0; b < count; b++) plan_body(s, p, &p->steps[i], bodies[b], &scratch);
    }
  }
  arena_deinit(&scratch);
}

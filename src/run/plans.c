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
static void trim(sdx_session *s, const graph *g) {
  size_t count = 0;
  plan **oldest = NULL;
  for (plan **p = &s->plans; *p; p = &(*p)->next) {
    if ((*p)->graph != g) continue;
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
  plan *p = s->plans;
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
  p->next = s->plans;
  s->plans = plan_retain(p);
  trim(s, p->graph);
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

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

sdx_status session_plan(sdx_session *s, const plan_request *request, plan **out, error *err) {
  sdx_status status = SDX_OK;
  *out = NULL;
  pthread_mutex_lock(&s->lock);
  plan *p = s->plans;
  while (p && !plan_fits(p, request)) p = p->next;
  if (!p) {
    status = plan_create(request, &p, err);
    if (status == SDX_OK) {
      p->next = s->plans;
      s->plans = p;
    }
  }
  if (p && status == SDX_OK) {
    p->last_used = ++s->uses;
    *out = plan_retain(p);
    trim(s, request->graph);
  }
  pthread_mutex_unlock(&s->lock);
  return status;
}

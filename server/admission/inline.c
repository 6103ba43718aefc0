// SPDX-License-Identifier: Apache-2.0
// The policy for quick models: their calls are computed where they were read. Waking a worker costs more than such a
// run, and a slow one is given up after 20 ms and moved to a worker with its tensors kept; the model's average rises
// with it, so its next calls go there at once.
#include <stdlib.h>

#include "server/admission/admission.h"

enum {
  BODY_BYTES = 65536,  // larger ones are parsed by workers
  LIMIT_NS = 20000000  // how long a loop may be held by one call
};

typedef struct inline_policy {
  admission base;
  server *srv;
  admission *behind;
} inline_policy;

static bool quick(const inline_policy *p, call *c) {
  uint64_t cost = atomic_load_explicit(&c->model->cost_ns, memory_order_relaxed);
  return cost && cost <= (uint64_t)p->srv->limits.inline_us * 1000 && c->x.request.body.size <= BODY_BYTES &&
         !http_request_header(&c->x.request, "content-encoding");
}

static bool submit(admission *a, call *c) {
  inline_policy *p = (inline_policy *)a;
  if (quick(p, c)) {
    if (compute(c, LIMIT_NS)) {
      atomic_fetch_add_explicit(&p->srv->inline_runs, 1, memory_order_relaxed);
      return true;
    }
    atomic_fetch_add(&p->srv->inline_moved, 1);
  }
  return p->behind->submit(p->behind, c);
}

static bool withdraw(admission *a, call *c) {
  inline_policy *p = (inline_policy *)a;
  return p->behind->withdraw(p->behind, c);
}

static void destroy(admission *a) { free(a); }

admission *admission_inline_create(server *srv, admission *behind) {
  inline_policy *p = calloc(1, sizeof *p);
  if (!p) return NULL;
  *p = (inline_policy){{"inline", submit, withdraw, destroy}, srv, behind};
  return &p->base;
}

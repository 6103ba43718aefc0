// SPDX-License-Identifier: Apache-2.0
// The profiler: one event a step, as Chrome-trace JSON (chrome://tracing, Perfetto). It keeps the first million events:
// a server that is left profiling must not grow without end. How many came after says the trace (otherData).
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/host.h"
#include "run/session.h"

enum { MOST_EVENTS = 1 << 20 };

void profile_init(profile *p) {
  *p = (profile){.origin_ns = clock_ns()};
  pthread_mutex_init(&p->lock, NULL);
}

void profile_deinit(profile *p) {
  mem_free(p->events);
  pthread_mutex_destroy(&p->lock);
}

void profile_add(profile *p, const node *n, const char *kernel, uint64_t start_ns, uint64_t end_ns) {
  pthread_mutex_lock(&p->lock);
  if (p->count == p->capacity && p->count < MOST_EVENTS) {
    size_t capacity = p->capacity ? p->capacity * 2 : 256;
    profile_event *more = mem_alloc(NULL, capacity * sizeof *more);
    if (more) {
      if (p->count) memcpy(more, p->events, p->count * sizeof *more);
      mem_free(p->events);
      p->events = more;
      p->capacity = capacity;
    }
  }
  if (p->count < p->capacity)
    p->events[p->count++] = (profile_event){n, kernel, start_ns, end_ns - start_ns, (int)syscall(SYS_gettid)};
  else p->dropped++;
  pthread_mutex_unlock(&p->lock);
}

char *sdx_session_profile_json(const sdx_session *session) {
  profile *p = (profile *)&session->profile;
  text t = {0};
  text_format(&t, "{\"displayTimeUnit\":\"ns\",\"traceEvents\":[");
  pthread_mutex_lock(&p->lock);
  for (size_t i = 0; i < p->count; i++) {
    const profile_event *e = &p->events[i];
    text_format(&t, "%s\n{\"ph\":\"X\",\"cat\":\"op\",\"name\":", i ? "," : "");
    text_json_string(&t, e->node->op_type);
    text_format(&t, ",\"pid\":%d,\"tid\":%d,\"ts\":%.3f,\"dur\":%.3f,\"args\":{\"node\":", (int)getpid(), e->thread,
                (double)(e->start_ns - p->origin_ns) / 1e3, (double)e->duration_ns / 1e3);
    text_json_string(&t, e->node->name);
    text_format(&t, ",\"kernel\":");
    text_json_string(&t, str_from(e->kernel ? e->kernel : "portable"));
    text_append(&t, "}}", 2);
  }
  text_format(&t, "\n],\"otherData\":{\"events_dropped\":%zu}}\n", p->dropped);
  pthread_mutex_unlock(&p->lock);
  if (!t.failed) return t.at;
  text_deinit(&t);
  return NULL;
}

// SPDX-License-Identifier: Apache-2.0
// Loaded models (model.h): loading, counting, the pool of run handles.
#include "server/model.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

model *model_create(const char *name, const char *path, const sdx_options *options, struct admission *admission,
                    char *why, size_t why_size) {
  model *m = calloc(1, sizeof *m);
  if (!m) {
    snprintf(why, why_size, "memory is exhausted");
    return NULL;
  }
  sdx_status status = sdx_session_load_file(path, options, &m->session);
  if (status != SDX_OK) {
    snprintf(why, why_size, "%s", m->session ? sdx_session_error(m->session) : sdx_status_text(status));
    sdx_session_destroy(m->session);
    free(m);
    return NULL;
  }
  static atomic_uint_fast64_t serial;
  atomic_init(&m->references, 1);
  m->serial = atomic_fetch_add(&serial, 1);
  m->input_count = sdx_session_feed_count(m->session);
  m->output_count = sdx_session_output_count(m->session);
  m->admission = admission;
  m->lane.name = name;
  pthread_mutex_init(&m->lock, NULL);
  return m;
}

model *model_retain(model *m) {
  atomic_fetch_add(&m->references, 1);
  return m;
}

void model_release(model *m) {
  if (!m || atomic_fetch_sub(&m->references, 1) > 1) return;
  for (size_t i = 0; i < m->idle_count; i++) sdx_run_destroy(m->idle[i]);
  free(m->idle);
  free(m->batching);
  model_config_free(m->config);
  sequences_free(m->sequences);
  lane_deinit(&m->lane);
  sdx_session_destroy(m->session);
  pthread_mutex_destroy(&m->lock);
  free(m);
}

sdx_status model_take_run(model *m, sdx_run **run) {
  pthread_mutex_lock(&m->lock);
  *run = m->idle_count ? m->idle[--m->idle_count] : NULL;
  pthread_mutex_unlock(&m->lock);
  return *run ? SDX_OK : sdx_run_create(m->session, run);
}

void model_give_run(model *m, sdx_run *run) {
  pthread_mutex_lock(&m->lock);
  if (m->idle_count == m->idle_capacity) {
    size_t capacity = m->idle_capacity ? m->idle_capacity * 2 : 8;
    sdx_run **idle = realloc(m->idle, capacity * sizeof *idle);
    if (idle) {
      m->idle = idle;
      m->idle_capacity = capacity;
    }
  }
  bool kept = m->idle_count < m->idle_capacity;
  if (kept) m->idle[m->idle_count++] = run;
  pthread_mutex_unlock(&m->lock);
  if (!kept) sdx_run_destroy(run);
}

void model_note_cost(model *m, uint64_t ns) {
  // Up faster than down: a model that turned slow must leave the socket threads soon. Lost updates
  // of two threads do no harm.
  uint64_t old = atomic_load_explicit(&m->cost_ns, memory_order_relaxed), now;
  if (!old) now = ns;
  else now = ns > old ? old + (ns - old) / 4 : old - (old - ns) / 8;
  atomic_store_explicit(&m->cost_ns, now ? now : 1, memory_order_relaxed);
}

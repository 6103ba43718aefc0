// SPDX-License-Identifier: Apache-2.0
// Models of the server (model.h): names, loading, the pool of run handles.
#include "server/model.h"

#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

bool model_name_valid(str name) {
  if (!name.size || name.size >= MODEL_NAME_BYTES || name.at[0] == '.') return false;
  for (size_t i = 0; i < name.size; i++)
    if (!isalnum((unsigned char)name.at[i]) && !strchr("._-", name.at[i])) return false;
  return memchr(name.at, 0, name.size) == NULL;
}

// "models/My net.onnx" -> "My_net"
static void name_from_path(const char *path, char *name) {
  const char *base = strrchr(path, '/');
  base = base ? base + 1 : path;
  size_t size = strlen(base);
  if (size > 5 && !strcmp(base + size - 5, ".onnx")) size -= 5;
  if (size >= MODEL_NAME_BYTES) size = MODEL_NAME_BYTES - 1;
  for (size_t i = 0; i < size; i++)
    name[i] = isalnum((unsigned char)base[i]) || strchr("_-", base[i]) || (base[i] == '.' && i) ? base[i] : '_';
  name[size] = 0;
}

bool model_init(model *m, const char *name, const char *path, const sdx_options *options, char *why, size_t why_size) {
  memset(m, 0, sizeof *m);
  if (name) {
    str given = {(char *)name, strlen(name)};
    if (!model_name_valid(given)) {
      snprintf(why, why_size, "model name '%.140s': expected 1 to 128 of A-Z a-z 0-9 . _ - with no dot first", name);
      return false;
    }
    memcpy(m->name, name, given.size + 1);
  } else {
    name_from_path(path, m->name);
  }
  sdx_status status = sdx_session_load_file(path, options, &m->session);
  if (status != SDX_OK) {
    snprintf(why, why_size, "%s: %s", path, m->session ? sdx_session_error(m->session) : sdx_status_text(status));
    sdx_session_destroy(m->session);
    m->session = NULL;
    return false;
  }
  m->input_count = sdx_session_input_count(m->session);
  m->output_count = sdx_session_output_count(m->session);
  pthread_mutex_init(&m->lock, NULL);
  model_metrics_init(&m->metrics);
  return true;
}

void model_deinit(model *m) {
  if (!m->session) return;
  for (size_t i = 0; i < m->idle_count; i++) sdx_run_destroy(m->idle[i]);
  free(m->idle);
  sdx_session_destroy(m->session);
  pthread_mutex_destroy(&m->lock);
  m->session = NULL;
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

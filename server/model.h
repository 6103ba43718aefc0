// SPDX-License-Identifier: Apache-2.0
// A loaded model as the server sees it: name, session, idle run handles, queue, metrics.
#pragma once

#include <pthread.h>
#include <stdatomic.h>

#include "base/json.h"
#include "sardonyx/sardonyx.h"
#include "server/metrics.h"

enum { MODEL_NAME_BYTES = 129 };

typedef struct model {
  char name[MODEL_NAME_BYTES];
  sdx_session *session;
  size_t input_count, output_count;
  model_metrics metrics;
  atomic_bool warned;            // of sizes that are not the declared ones: once
  atomic_uint_fast64_t cost_ns;  // moving average of one request; 0: not known yet
  // Idle run handles, newest last: the one with the warmest memory is taken first.
  pthread_mutex_t lock;
  sdx_run **idle;
  size_t idle_count, idle_capacity;
  // Guarded by the lock of the workers:
  struct http_request *queue_first, *queue_last;
  size_t queued, running;
} model;

// Loads `path`. `name` NULL: made from the file name. On failure the message is written and false
// is returned.
bool model_init(model *m, const char *name, const char *path, const sdx_options *options, char *why, size_t why_size);
void model_deinit(model *m);
bool model_name_valid(str name);  // A-Z a-z 0-9 . _ -, at most 128, no dot first

sdx_status model_take_run(model *m, sdx_run **run);
void model_give_run(model *m, sdx_run *run);
void model_note_cost(model *m, uint64_t ns);

// SPDX-License-Identifier: Apache-2.0
// A loaded model: session, idle run handles, the lane its calls wait in. Counted by reference; the last one to let go
// frees it.
#pragma once

#include <pthread.h>
#include <stdatomic.h>

#include "base/json.h"
#include "sardonyx/sardonyx.h"
#include "server/batching.h"
#include "server/lane.h"
#include "server/metrics.h"
#include "server/model_config.h"
#include "server/sequences.h"

typedef struct model {
  atomic_size_t references;
  uint64_t serial;  // no other model has it
  sdx_session *session;
  size_t input_count, output_count;  // inputs: with those that have a default, behind the others
  atomic_bool warned;                // of sizes that are not the declared ones: once
  atomic_uint_fast64_t cost_ns;      // moving average of one call; 0: not known yet
  struct admission *admission;
  batching *batching;    // NULL: its calls are computed one by one
  model_config *config;  // NULL: it has none
  sequences *sequences;  // NULL: it keeps no state
  lane lane;
  // Idle run handles, newest last: the one with the warmest memory is taken first.
  pthread_mutex_t lock;
  sdx_run **idle;
  size_t idle_count, idle_capacity;
} model;

// NULL: the message is written.
model *model_create(const char *name, const char *path, const sdx_options *options, struct admission *admission,
                    char *why, size_t why_size);
model *model_retain(model *m);  // returns its argument
void model_release(model *m);   // NULL is accepted

sdx_status model_take_run(model *m, sdx_run **run);
void model_give_run(model *m, sdx_run *run);
void model_note_cost(model *m, uint64_t ns);

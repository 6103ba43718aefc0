// SPDX-License-Identifier: Apache-2.0
// Weights that a session holds once, not twice: when every reader of a constant has it packed, the pages of the
// original go back to the system. Pages of a mapped file return by themselves when they are read again; others are
// brought back by whoever owns the table, all of them and for good, in the rare case that a plan for other shapes packs
// them in another form, or does not pack them. Used while plans are made, one at a time, and by steps
// that are prepared while they run. Read next: pack.h, plan.c.
#pragma once

#include <pthread.h>

#include "graph/graph.h"

typedef struct weight {
  void *data;
  size_t bytes;
  size_t index;     // in the order of the graphs: the same whenever the model is loaded
  uint32_t uses;    // by nodes, captures and outputs
  uint32_t packed;  // of these, by steps of the plan in the making that read the packed form alone
  bool asked;       // the step being prepared packed it
  bool counted;     // so often that it is among the packed already
  bool pinned;      // a step of some plan reads it as it is
  bool mapped;      // its pages are a file's
  bool gone;
  uint64_t hash;  // of what is gone
} weight;

typedef struct weights {
  pthread_mutex_t lock;
  mem_account *account;
  weight *at;  // by address
  size_t count;
  weight *asked;                                     // last, by the step being prepared
  size_t gone_bytes;                                 // what the account was given back
  bool keep;                                         // nothing more is let go
  sdx_status (*restore)(void *context, error *err);  // brings all that is gone back; NULL: mapped ones alone are let go
  void *context;
} weights;

// Memory that constants may lie in without being the session's own.
typedef struct weights_file {
  const void *bytes;
  size_t size;
  bool mapped, lent;
} weights_file;

// Lists the large constants of a graph and its bodies.
sdx_status weights_init(weights *w, graph *g, mem_account *account, const weights_file *file, error *err);
void weights_deinit(weights *w);
void weights_let_go_unused(weights *w);  // what passes have put others in the place of
// Brings back what is gone; from now on nothing is let go.
sdx_status weights_keep(weights *w, error *err);
// A new plan: nothing of it is packed yet.
void weights_begin(weights *w);
// The step being prepared reads the packed form of these bytes, which must be made first if `missing`. What it asked
// for before is packed by now. `direct`: as a value of its graph, not through a view.
sdx_status weights_ask(weights *w, const void *data, bool direct, bool missing, error *err);
// A step that reads a constant is prepared.
sdx_status weights_read(weights *w, const void *data, bool direct, error *err);
// A step that is prepared while it runs reads these bytes as they are: they stay from now on.
sdx_status weights_pin(weights *w, const void *data, error *err);
// Puts the bytes of the same model's table, loaded again, where they were. False: they are not the same.
bool weights_copy_back(weights *w, const weights *again);

// SPDX-License-Identifier: Apache-2.0
// Admission: when and where a call is computed. A policy is an object with three functions; policies stand in front of
// each other (inline before queue), and a model names the one its calls go to. Routes know none of this.
#pragma once

#include "server/call.h"

typedef struct admission {
  const char *name;
  // Takes a call whose body is there, on the thread of its loop. True: the response is set, be it a refusal. False: the
  // call is kept and will be posted (exchange_post).
  bool (*submit)(struct admission *a, call *c);
  // Gives a kept call back, if nobody works on it yet. False: too late.
  bool (*withdraw)(struct admission *a, call *c);
  void (*destroy)(struct admission *a);  // what was kept is done
} admission;

// A bounded queue for each model, and one called `others` for the rest, and threads that empty them in turns. `spare`:
// where there are several models none may have all threads, so that a slow one cannot starve the others. NULL: memory
// or threads are exhausted.
admission *admission_queue_create(server *srv, const char *others, size_t threads, bool spare);
// Calls of models that have been quick so far are computed at once, on the thread of the loop; others, and those that
// turn out not to be quick, go to `behind`.
admission *admission_inline_create(server *srv, admission *behind);

// compute.c. From the body to c->inputs. False: the response is set.
bool compute_parse(call *c);
// The response from one row of a batch's results.
void compute_reply(call *c, sdx_value **rows);
// Parses, runs, writes the response. limit_ns > 0: gives up after that and returns false, the inputs kept
// for the next try; otherwise the response is set and true is returned.
bool compute(call *c, uint64_t limit_ns);
void compute_work(call *c);  // for call.work

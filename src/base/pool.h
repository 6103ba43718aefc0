// SPDX-License-Identifier: Apache-2.0
// The process-wide thread pool. One fork-join primitive: pool_run splits `tasks` indices over the
// caller and up to `threads - 1` workers. Which thread runs which index is not fixed, so a task's
// result must depend on its index alone; that is what keeps results equal for any thread count.
// Workers spin for at most 50 us after a job, then sleep; an idle process wakes nobody.
#pragma once

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

// worker: 0 .. threads-1, stable for the call; index into per-worker scratch.
typedef void (*pool_task)(void *context, size_t index, size_t worker);

// Runs task(context, i, worker) for i in [0, tasks). Returns when all are done. Nested calls and
// calls while another job holds the workers run on the caller alone. Safe after fork().
void pool_run(size_t threads, size_t tasks, pool_task task, void *context);

// What may end a thread's work early. While one is set, pool_run skips the tasks that are left once it says so, and
// long tasks ask pool_stopped() now and then; the results are then garbage, which whoever set it throws away.
typedef struct pool_watch {
  const atomic_bool *cancel;  // may be NULL
  uint64_t deadline_ns;       // CLOCK_MONOTONIC; 0 = none
  atomic_bool stopped;
} pool_watch;
pool_watch *pool_watch_set(pool_watch *watch);  // of this thread; NULL = none; returns the former
bool pool_stopped(void);
// The same in turn `i` of a loop whose turns are short: looks now and then.
static inline bool pool_stopped_in(size_t i) { return (i & 0x3fff) == 0x3fff && pool_stopped(); }
// The same where turns are short or long: looks whenever `*done`, to which `work` is added, passes a multiple of 2^18.
static inline bool pool_stopped_after(size_t *done, size_t work) {
  size_t before = *done;
  *done += work;
  if ((before ^ *done) >> 18 == 0 || !pool_stopped()) return false;
  *done |= (1 << 18) - 1;  // turns of outer loops find it stopped, too
  return true;
}

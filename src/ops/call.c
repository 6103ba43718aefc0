// SPDX-License-Identifier: Apache-2.0
// Helpers of `compute` functions; see call.h.
#include "ops/call.h"

sdx_status call_no_memory(op_step *c, size_t bytes) {
  char text[BYTES_TEXT];
  return step_fail(c, SDX_NO_MEMORY, "no memory for %s: the run's memory budget is spent", bytes_text(bytes, text));
}

sdx_status call_zero(op_step *c, void *to, size_t bytes) {
  enum { PIECE = 1 << 22 };
  for (size_t done = 0; done < bytes; done += PIECE) {
    memset((char *)to + done, 0, bytes - done < PIECE ? bytes - done : PIECE);
    SDX_TRY(call_check(c));
  }
  return SDX_OK;
}

typedef struct ranges {
  void (*range)(void *context, size_t begin, size_t end, size_t worker);
  void *context;
  size_t count, tasks;
} ranges;

static void run_range(void *context, size_t index, size_t worker) {
  const ranges *r = context;
  size_t each = r->count / r->tasks, rest = r->count % r->tasks;
  size_t begin = index * each + (index < rest ? index : rest);
  r->range(r->context, begin, begin + each + (index < rest), worker);
}

void call_parallel(op_step *c, size_t count, size_t grain,
                   void (*range)(void *context, size_t begin, size_t end, size_t worker), void *context) {
  enum { LEAST = 64, MOST_GRAINS = 32 };  // slack against uneven threads; a millisecond between two looks at the clock
  size_t tasks = count / (grain ? grain : 1);
  if (tasks <= 1) {
    if (count) range(context, 0, count, 0);
    return;
  }
  size_t threads = c->threads ? c->threads : 1, enough = tasks / MOST_GRAINS;
  if (enough < LEAST) enough = LEAST;
  if (enough < threads * 4) enough = threads * 4;
  if (tasks > enough) tasks = enough;
  pool_run(threads, tasks, run_range, &(ranges){range, context, count, tasks});
}

// SPDX-License-Identifier: Apache-2.0
// What `compute` may use: memory and limits of the run, bodies, threads, errors.
#pragma once

#include "base/pool.h"
#include "ops/record.h"

// Output whose shape is only known now: allocates it (or checks it against the plan).
static inline sdx_status call_set_shape(op_step *c, size_t output, sdx_dtype dtype, size_t rank, const int64_t *dims) {
  return c->services->set_shape(c, output, dtype, rank, dims);
}
// Memory that lives until the end of the run, charged to its budget (string payloads, late scratch).
// NULL: budget spent; return call_no_memory.
static inline void *call_alloc(op_step *c, size_t bytes) { return c->services->alloc(c, bytes); }
// Non-tensor outputs: hands over a counted value. account for building it.
static inline sdx_status call_set_value(op_step *c, size_t output, sdx_value *owned) {
  return c->services->set_value(c, output, owned);
}
static inline mem_account *call_account(op_step *c) { return c->services->account(c); }
// How often a loop may go round (option max_loop_trips).
static inline int64_t call_max_loop_trips(const op_step *c) { return c->services->max_loop_trips(c); }
// Cancel or deadline: call it in loops that may run longer than a millisecond.
static inline sdx_status call_check(op_step *c) { return c->services->check(c); }
// The same in turn `i` of a loop whose turns are short: looks now and then.
static inline sdx_status call_check_in(op_step *c, size_t i) { return (i & 0x3fff) == 0x3fff ? call_check(c) : SDX_OK; }
// Zeroes memory in pieces, with a look between two of them: fresh memory costs a millisecond for each MB or two.
sdx_status call_zero(op_step *c, void *to, size_t bytes);
// Runs a branch or body; `out` receives counted values the caller releases.
static inline sdx_status call_run_body(op_step *c, graph *body, size_t inputs, const value *const *in, size_t outputs,
                                       sdx_value **out) {
  return c->services->run_body(c, body, inputs, in, outputs, out);
}
// Type and shape that a body would give its output, without running it; `dims` has room for TENSOR_MAX_RANK. false:
// they depend on data.
static inline bool call_body_output(op_step *c, graph *body, const value *const *in, size_t output, tensor *out,
                                    int64_t *dims) {
  return c->services->body_output(c, body, in, output, out, dims);
}
sdx_status call_no_memory(op_step *c, size_t bytes);
// Splits [0, count) into ranges of at least `grain` and runs them on the call's threads.
void call_parallel(op_step *c, size_t count, size_t grain,
                   void (*range)(void *context, size_t begin, size_t end, size_t worker), void *context);

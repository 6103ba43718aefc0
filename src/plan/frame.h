// SPDX-License-Identifier: Apache-2.0
// The memory of one run in progress: the slab, a `value` per name, a prepared call per step. A frame
// belongs to one run handle and is used again by its next execution.
#pragma once

#include "base/pool.h"
#include "plan/plan.h"

typedef struct run_limits {
  uint64_t deadline_ns;       // CLOCK_MONOTONIC; 0 = none
  const atomic_bool *cancel;  // may be NULL
  int64_t max_loop_trips;     // 0 = none
} run_limits;

typedef struct run_frame {
  const plan *plan;
  mem_account account;  // everything this run allocates; its limit is the run's budget
  arena memory;         // payloads of string results and late scratch: until the run ends
  value *values;        // by value_id
  sdx_value **owners;   // dynamic values: who holds the bytes
  op_step *steps;       // the plan's, bound to `values`
  void *slab;
  size_t slab_room;                 // at least plan->slab_bytes
  char *device_slabs[PLACES_MOST];  // of the other places
  run_limits limits;
  pool_watch watch;  // the same limits, for the tasks of long steps
  bool dynamic;      // the step that runs now allocates its outputs
  uint64_t packed;   // and has these of its first inputs packed
  // Runs a body; says what it would give; set by run/.
  sdx_status (*run_body)(struct run_frame *frame, op_step *c, graph *body, size_t inputs, const value *const *in,
                         size_t outputs, sdx_value **out);
  bool (*body_output)(struct run_frame *frame, op_step *c, graph *body, const value *const *in, size_t output,
                      tensor *out, int64_t *dims);
  void *context;   // of both
  uint32_t depth;  // nesting of bodies
} run_frame;

sdx_status frame_create(plan *p, mem_account *parent, size_t limit, run_frame **out, error *err);
// The frame serves another plan from now on. After an error it can only be destroyed.
sdx_status frame_change_plan(run_frame *f, plan *p, error *err);
void frame_destroy(run_frame *f);
// Lets go of dynamic values and of the frame's arena.
void frame_reset(run_frame *f);
extern const step_services frame_services;  // of the steps of a frame, which owns them; call.c
sdx_status frame_check(const run_frame *f, const node *at, error *err);  // cancel and deadline
uint64_t clock_deadline_ns(uint64_t timeout_ms);  // so long from now; 0 = none, for 0 and for what lies too far away

// Infers, allocates and computes one step whose shapes are only known now.
sdx_status frame_run_dynamic(run_frame *f, op_step *c);
// Computes a node whose inputs are all at hand, outside of any run (constant folding, shape
// arithmetic at plan time). outputs receive counted values charged to `account`.
sdx_status node_evaluate(const node *n, const value *const *in, mem_account *account, size_t limit_bytes,
                         const run_limits *limits, sdx_value **outputs, error *err);
// Computes a step whose shapes are all known, and whose outputs have their memory, outside of any run.
sdx_status step_evaluate(op_step *c, mem_account *account);
// A value's type as it is now.
void value_type(const value *v, type_info *t);

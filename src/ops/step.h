// SPDX-License-Identifier: Apache-2.0
// One step: a node with all that is known of it, in the one struct that an operator's infer, prepare and compute
// receive. What is filled grows with time:
//
//   infer    types of inputs, constants                     fills out_types
//   prepare  shapes of all values, data of constants        fills state, scratch_bytes, kernel
//   compute  the values themselves, scratch                 writes the outputs
//
// Whoever owns the step (the inference pass, a plan, a run's frame) fills it through step_init and answers its
// requests through `services`. Read next: infer.h, prepare.h, call.h: what each of the three may ask.
#pragma once

#include "kernels/pack_format.h"
#include "ops/layout.h"

// What the owner of a step does for it; an entry is there where the phase that needs it can be. Called through the
// functions of infer.h, prepare.h and call.h.
typedef struct step_services {
  // infer
  sdx_status (*infer_body)(op_step *c, graph *body, size_t inputs, const type_info *const *in,
                           const type_info **outputs);
  // prepare
  const void *(*pack)(op_step *c, size_t input, const pack_format *format, size_t bytes,
                      void (*pack)(void *target, const tensor *source, void *context), void *context);
  sdx_status (*keep)(op_step *c, size_t input);
  // compute
  sdx_status (*set_shape)(op_step *c, size_t output, sdx_dtype dtype, size_t rank, const int64_t *dims);
  sdx_status (*set_value)(op_step *c, size_t output, sdx_value *owned);
  void *(*alloc)(op_step *c, size_t bytes);
  sdx_status (*check)(op_step *c);
  sdx_status (*run_body)(op_step *c, graph *body, size_t inputs, const value *const *in, size_t outputs,
                         sdx_value **out);
  bool (*body_output)(op_step *c, graph *body, const value *const *in, size_t output, tensor *out, int64_t *dims);
  mem_account *(*account)(op_step *c);
  int64_t (*max_loop_trips)(const op_step *c);
} step_services;

struct op_step {
  sdx_status (*compute)(op_step *c);  // of the node's operator
  const node *node;
  const void *params;
  value **in;   // [i] NULL if absent; while preparing, only constants have data
  value **out;  // [i] NULL if not wanted
  uint32_t input_count, output_count;
  uint32_t threads;   // how many the run may use; 0 counts as 1
  uint8_t precision;  // 0 highest, 1 high, 2 medium
  uint8_t layout;     // the one that ports which follow the step's choice lie in
  void *state;        // set by prepare; NULL if none ran
  void *scratch;      // 64-byte aligned, of one execution (all threads)
  size_t scratch_bytes;
  const value **captures;  // control flow: values of node->captures
  const step_services *services;
  void *owner;  // of the step: what services work on
  error *err;
  const type_info **in_types;  // [i] NULL if absent; kind TYPE_UNKNOWN if nothing is known
  type_info *out_types;        // to fill; pre-set to TYPE_UNKNOWN
  const tensor **constants;    // [i] the value if known now, else NULL
  bool *packable;              // [i] a constant whose packed form may be kept as long as the session
  const char *kernel;          // set by prepare: name shown by inspect and profiles
  arena *memory;               // infer: types; prepare: lives as long as the plan
  graph *graph;                // infer: for symbols; NULL once a graph is planned
};

// Node, params, counts, and the tables of inputs and outputs: `parts` says which. False: no memory.
enum step_part { STEP_TYPES = 1, STEP_VALUES = 2, STEP_ALL = 3 };
bool step_init(op_step *c, const node *n, unsigned parts, arena *memory);
// Adds tables, in step.memory.
bool step_tables(op_step *c, unsigned parts);

// The tensor of input i or output i; NULL if it is absent.
static inline const tensor *step_in(const op_step *c, size_t i) {
  return i < c->input_count && c->in[i] ? &c->in[i]->tensor : NULL;
}
static inline tensor *step_out(const op_step *c, size_t i) {
  return i < c->output_count && c->out[i] ? &c->out[i]->tensor : NULL;
}

// Runs the operator's infer with outputs pre-set to unknown, and checks types against the record.
sdx_status step_infer(op_step *c);
// Runs the operator's prepare, if it has one; adds the node to its errors.
sdx_status step_prepare(op_step *c);

// axis_normalize, then where that axis lies in tensors as compute sees them. Errors name no node yet.
sdx_status step_axis(op_step *c, int64_t *axis, size_t rank, error_part part);

// error_set and error_at of the step's node; return the status. Names of inputs and outputs come from the record.
sdx_status step_fail(op_step *c, sdx_status status, const char *format, ...) __attribute__((format(printf, 3, 4)));
sdx_status step_fail_at(op_step *c, error_part part, sdx_status status, const char *format, ...)
    __attribute__((format(printf, 4, 5)));
// Adds the node to an error that a shared function has set; returns the status.
sdx_status step_located(op_step *c, sdx_status status);

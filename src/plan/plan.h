// SPDX-License-Identifier: Apache-2.0
// A plan fixes, for one set of input shapes, everything that can be known before data arrives:
// shapes, layouts, kernels, packed weights, which step runs when, and where every value lies in one slab.
// Steps whose shapes depend on data are `dynamic`: their outputs are allocated while running.
// Read next: plan.c and build.h (how one is made), frame.h (one run's memory), call.c (what operators may ask of a
// run).
#pragma once

#include "plan/pack.h"
#include "plan/weights.h"
#include "providers/provider.h"

typedef enum storage {
  STORE_NONE,     // nobody reads it
  STORE_CONST,    // weights, folded values, shape arithmetic done at plan time
  STORE_SLAB,     // at `offset` of the frame's slab in its place
  STORE_INPUT,    // memory of the caller (graph input or captured outer value)
  STORE_OUTPUT,   // memory of the result with index `slot`
  STORE_DYNAMIC,  // allocated during the run
} storage;

typedef struct plan_value {
  value value;           // when `known`, dimensions in the order of memory; data only for constants
  type_info type;        // what is known of it before the run, its shape as ONNX has it
  value_id root;         // views: whose bytes these are; itself otherwise
  uint32_t slot;         // STORE_INPUT: inputs first, then captures; STORE_OUTPUT: output index
  uint32_t first, last;  // steps that write it first and read it last
  size_t offset;
  uint8_t storage, layout, place;
  bool known;  // dtype and every dimension are fixed
  bool local;  // a constant that lives as long as the plan, not as the session
} plan_value;

typedef struct plan_step {
  op_step step;                                 // prepared; frames copy it and bind it to values of their own
  const value_id *inputs, *outputs, *captures;  // the node's, but for what stands for them in another layout
  size_t scratch_offset;                        // of the slab
  uint32_t release_first, release_count;        // dynamic values nobody reads after this step
  const char *reason;                           // why it runs on the host although there are devices; else NULL
  uint8_t place;
  bool dynamic, view;  // view: while the plan is made; then output 0 shows input 0's bytes
} plan_step;

typedef struct plan {
  arena memory;
  mem_account *account;
  graph *graph;
  plan_value *values;  // by value_id; those of the graph first
  value_id *outputs;   // of the graph
  plan_step *steps;
  value_id *releases;       // release lists of all steps
  value_id *views;          // views of inputs and outputs, whose address each run sets
  const node *owner;        // of a body: the node with the captures; else NULL
  value_id *captured;       // body values that stand for outer ones, in the order of slots
  uint32_t *capture_index;  // which of owner->captures
  uint32_t step_count, view_count, captured_count, value_count;
  uint32_t slots;  // inputs + captures
  size_t slab_bytes;
  size_t device_bytes[PLACES_MOST];  // slabs of the other places
  size_t live_bytes;                 // the most that is alive at once: no slab can be smaller
  size_t threads;
  int precision;
  pack_cache *packs;
  weights *weights;
  places *places;
  bool *wanted;          // outputs
  bool has_dynamic;      // some step allocates while running
  type_info *signature;  // types of graph inputs, then of owner->captures
  atomic_size_t references;
  uint64_t last_used;
  struct plan *next;
} plan;

typedef struct plan_request {
  graph *graph;
  const type_info *inputs;    // one per graph input; unknown dims make dynamic steps
  const node *owner;          // bodies: whose captures are bound
  const type_info *captures;  // parallel to owner->captures
  const bool *wanted;         // per output; NULL = all
  size_t threads;
  int precision;
  bool layouts;  // values may lie in other layouts than ONNX's
  mem_account *account;
  pack_cache *packs;
  weights *weights;  // NULL: constants stay as they are
  places *places;
} plan_request;

sdx_status plan_create(const plan_request *request, plan **out, error *err);
// What a plan would know of its outputs, bodies of bodies included, which a plan leaves to the run. One for each
// output, in `memory`.
sdx_status plan_types(const plan_request *request, arena *memory, type_info *outputs, error *err);
plan *plan_retain(plan *p);
void plan_release(plan *p);
// Same graph, wanted outputs and input types?
bool plan_fits(const plan *p, const plan_request *request);

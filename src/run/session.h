// SPDX-License-Identifier: Apache-2.0
// A session is a model made ready: imported, bound, optimised, with a cache of plans. A run handle
// executes it. Read next: load.c (bytes to session), run.c (one execution), execute.c (the step loop
// and bodies), describe.c and
// describe_graph.c (JSON for people and tools), profile.c.
#pragma once

#include "onnx/onnx.h"
#include "plan/frame.h"
#include "run/options.h"

typedef struct profile_event {
  const node *node;
  const char *kernel;
  uint64_t start_ns, duration_ns;
  int thread;
} profile_event;

typedef struct profile {
  pthread_mutex_t lock;
  profile_event *events;
  size_t count, capacity, dropped;
  uint64_t origin_ns;
} profile;

typedef enum bytes_kind { BYTES_OWNED, BYTES_MAPPED, BYTES_BORROWED } bytes_kind;

// The model once more, for runs that feed some of the defaults: what folding made of these is not in it.
typedef struct variant {
  struct variant *next;
  arena memory;
  graph *graph;         // its inputs: those of the session, then `fed`
  const uint32_t *fed;  // defaults that are inputs here, ascending
  uint32_t fed_count;
  sdx_io *outputs;  // as inferred here
} variant;

// A free dimension of an input that has the name of an earlier one.
typedef struct shared_dim {
  uint32_t input, first_input;
  uint8_t axis, first_axis;
} shared_dim;

// Plans, and the frames of bodies, lie in chains by the node that holds the body: finding one takes no longer where
// there are thousands.
enum { CHAINS = 1024 };
static inline size_t chain_of(const node *owner) {
  return (size_t)((uint64_t)(uintptr_t)owner * 0x9e3779b97f4a7c15u >> 54);
}

struct sdx_session {
  mem_account account;
  error err;
  sdx_options *options;
  op_custom_set custom;
  void *bytes;               // the file
  size_t size, spent_bytes;  // spent: of the model, given back to the account
  bytes_kind bytes_kind;
  model *model;
  sdx_value **kept;  // constants made by passes
  size_t kept_count, kept_capacity;
  bool only_read;      // as the file has it: to be looked at (read.c)
  bool folded_custom;  // constants depend on operators of the caller
  pack_cache packs;
  weights weights;
  int source;       // the file the model came from, open as long as its weights may be asked for again; -1: none
  model_file file;  // by which its external data is found; path NULL: the model came as bytes
  places places;
  pthread_mutex_t planning;  // one plan is made at a time, so that weights are packed once
  pthread_mutex_t lock;      // plans
  plan *plans[CHAINS];
  uint64_t uses;               // clock of the plan cache
  arena memory;                // io, metadata, custom records
  uint64_t load_deadline_ns;   // 0 = none
  graph *main;                 // model->graph
  graph *origin;               // the graph as it was imported, if it has defaults: what variants are made of
  model *origin_model;         // that holds it where it is not `model`
  const opset_import *opsets;  // that its nodes are of; none: the newest
  size_t opset_count;
  value *defaults;  // what counts where nothing is fed
  uint32_t input_count, default_count, output_count;
  sdx_io *inputs, *outputs;  // inputs: with the defaults behind them
  variant *variants;         // made behind `planning`, listed behind `lock`
  uint32_t variant_count;
  shared_dim *shared_dims;
  size_t shared_dim_count;
  const char **metadata;  // pairs key, value; built-in keys first, then custom from custom_at
  size_t metadata_count, custom_at;
  const tensor **tensors;  // as sdx_session_constant numbers them; NULL until it is asked
  size_t tensor_count;
  profile profile;
};

// A body that runs again and again keeps its frame here, per run handle; and, for as long as the step that runs it
// goes on, two values for each result: one that the next trip reads, one that it writes.
enum { BODY_SPARES = 2 };
typedef struct body_frame {
  struct body_frame *next;
  run_frame *frame;
  sdx_value **spares;  // [results * BODY_SPARES]
  bool busy;
} body_frame;

struct sdx_run {
  sdx_session *session;
  error err;
  error warning;                           // of the shapes fed last
  run_frame *frame;                        // of the last plan
  body_frame **bodies;                     // [CHAINS], NULL before the first
  sdx_value **inputs, **bound, **outputs;  // bound: the caller's memory for results
  bool *wanted;
  type_info *types;
  value *scalars;          // inputs of one element as the scalars that the model wants
  const value **given;     // by input, defaults included: of `inputs` or `scalars`, NULL where nothing is
  const value **gathered;  // room for the inputs of a variant
  const value **sources;   // by input of the graph that runs: `given` or `gathered`
  const variant *variant;  // whose graph that is; NULL: the session's main graph
  bool chosen;             // still that of the defaults that are given
  size_t kept_bytes;       // of own results that the next execution writes again: charged to the frame
  uint64_t timeout_ms, memory_limit_bytes;
  atomic_bool cancel;
};

// The plan for a request: from the cache or new. One reference for the caller.
sdx_status session_plan(sdx_session *s, const plan_request *request, plan **out, error *err);
// The plan for the declared shapes; free dimensions count as 1.
sdx_status session_declared_plan(sdx_session *s, plan **out, error *err);
// Plans the bodies of its steps for what is known of their inputs, so that their weights are packed. A body that cannot
// be planned before it runs is left out.
void session_plan_bodies(sdx_session *s, const plan *p);
// A request for the main graph with the session's settings filled in.
plan_request session_request(sdx_session *s, const type_info *inputs, const bool *wanted);
// variants.c: the graph in which those defaults are inputs for which `given` has a value: of the session for good.
sdx_status session_variant(sdx_session *s, const value *const *given, const variant **out, error *err);
// A copy of the origin in newest form, in which no upgrade has looked at a default.
sdx_status session_bind_origin(sdx_session *s, arena *memory, graph **out, error *err);
void session_drop_variants(sdx_session *s);

// Executes a frame. inputs: values of the plan's slots (graph inputs, then captures). outputs[k]: a
// tensor to write into, or NULL to receive a new counted value charged to `account`.
sdx_status frame_execute(run_frame *f, const value *const *inputs, mem_account *account, sdx_value **outputs,
                         profile *profile, error *err);
sdx_status run_body(run_frame *f, op_step *c, graph *body, size_t inputs, const value *const *in, size_t outputs,
                    sdx_value **out);
bool run_body_output(run_frame *f, op_step *c, graph *body, const value *const *in, size_t output, tensor *out,
                     int64_t *dims);
void run_drop_bodies(sdx_run *r);

void profile_init(profile *p);
void profile_deinit(profile *p);
void profile_add(profile *p, const node *n, const char *kernel, uint64_t start_ns, uint64_t end_ns);

sdx_session *session_create(const sdx_options *options);    // NULL: memory
sdx_status session_open(sdx_session *s, const char *path);  // opens and checks the source; error on the session
// reload.c: lists the weights that are held once only, from the session's source.
sdx_status session_list_weights(sdx_session *s);
sdx_status session_prepare(sdx_session *s);  // bytes to graph, passes included
sdx_status session_read(sdx_session *s);     // bytes to what describe.c tells, nothing more
sdx_status session_fetch(sdx_session *s);    // reads the source or maps it, unless the bytes are there
// What comes between import and passes, of a graph for these versions; none: in the newest form. `fix`: the dimensions
// that options fix.
sdx_status session_bind(sdx_session *s, const opset_import *opsets, size_t count, bool fix);
// The parts of it, for any graph of the model.
sdx_status session_bind_graph(sdx_session *s, graph *g, bool fix, text *warnings, error *err);
sdx_status session_describe_model(sdx_session *s);  // inputs, outputs, metadata
sdx_status session_describe_outputs(sdx_session *s, graph *g, arena *memory, sdx_io **outputs, error *err);
sdx_status session_optimise(sdx_session *s, graph *g, error *err);
import_options session_import_options(sdx_session *s);

// Members of the summary: nodes, weights and operators of all graphs together, of each, of each function.
void describe_counts(const sdx_session *s, text *t);
void describe_graph(const sdx_session *s, text *t);

// Operator records for the custom operators of the options, in the session's arena.
sdx_status custom_bind(sdx_session *s);

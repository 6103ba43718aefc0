// SPDX-License-Identifier: Apache-2.0
// The operator record and the three contexts its functions see. One operator (or one family of
// near-identical operators) is one file; the build scans for SDX_OP( and makes the table.
// Order inside a file: comment (formula, history) · params · upgrade · infer · prepare · compute ·
// cases · record.
#pragma once

#include "base/pool.h"
#include "graph/graph.h"

// ---- record -------------------------------------------------------------------------------------

typedef enum op_flags {
  OP_VIEW = 1,              // output 0 is input 0's bytes under another shape (Reshape, Identity, ...)
  OP_INPLACE = 2,           // output 0 may be written over input 0 (same bytes, elementwise order)
  OP_MOVES_DATA = 4,        // copies elements without looking at them: any dtype of the same width works
  OP_NONDETERMINISTIC = 8,  // random: never folded or merged
  OP_COMMUTATIVE = 16,      // inputs 0 and 1 may be swapped (for common subexpressions)
  OP_CONTROL = 32,          // has subgraphs (If, Loop, Scan, SequenceMap)
  OP_FREE_ATTRS = 256,      // attributes are not described: any are accepted (custom operators)
  OP_READS_SHAPE = 128,     // looks at the shapes of its inputs only (Shape, Size)
  OP_REWRITE = 512,         // another spelling: `upgrade` turns every node into other operators at import
  OP_LATE = 4096,           // its `upgrade` looks at other nodes: bound after all others of its graph
  OP_BY_CALLER = 1024,      // compute is up to the caller (sdx_options_add_op); ours only says so
  OP_MIXED = 2048,          // variadic inputs may differ in their element types (Loop, Scan, ...)
  OP_TRAILING_EXTRA = 64,   // more outputs may be listed than are computed (training-only ones)
} op_flags;

typedef struct op_params_context op_params_context;
typedef struct op_upgrade op_upgrade;
typedef struct op_infer op_infer;
typedef struct op_prepare op_prepare;
typedef struct op_call op_call;

typedef struct op_def {
  const char *domain;    // "" = ai.onnx; set by the table, from the macro
  const char *name;      // as ONNX spells it
  int since;             // version of the newest schema, the one params..compute implement
  const char *versions;  // all since-versions, newest first: "13 11 1"
  // Formal parameters: "X:T W:T B:T?" — name:type, '?' optional, '*' variadic (last; "+" one or more).
  const char *inputs, *outputs;
  // Type variables: "T=float16,float,double;T1=int32,int64". A fixed type may stand in for a
  // variable in inputs/outputs ("shape:int64"); "any" = every tensor type; sequences "seq(T)".
  const char *types;
  // Attributes: "axis:int=-1 mode:string=constant pads:ints value:tensor? to:int!" — kind after the
  // colon, '=' default, '!' required; neither: absent unless given. Names starting with '_' are
  // ours: set by upgrades and passes, never accepted from a file.
  const char *attrs;
  // Attributes that only older versions have, in the same notation; "axes:ints<13": up to opset 12.
  // They are dropped after `upgrade` has run.
  const char *attrs_old;
  unsigned flags;
  size_t params_size;  // zeroed struct handed to params and, read-only, to everything below
  sdx_status (*params)(op_params_context *c, void *params);  // attributes -> params; checks them
  sdx_status (*upgrade)(op_upgrade *u);                      // older version -> newest, at import
  sdx_status (*infer)(op_infer *c);                          // types and shapes
  sdx_status (*prepare)(op_prepare *c);                      // kernel, packed weights, scratch
  sdx_status (*compute)(op_call *c);
  const char *const *cases;  // NULL-terminated; random-test shapes as text, see README.md
} op_def;

// SDX_OP(Softmax) = {.since = 13, ...}; the generated table fills in domain and name.
#define SDX_OP(Name) const op_def op_ai_onnx_##Name
#define SDX_OP_ML(Name) const op_def op_ai_onnx_ml_##Name
#define SDX_OP_MS(Name) const op_def op_com_microsoft_##Name
#define SDX_OP_NCHWC(Name) const op_def op_com_microsoft_nchwc_##Name
#define SDX_OP_NHWC(Name) const op_def op_com_ms_internal_nhwc_##Name
#define SDX_OP_OLD(Name) const op_def op_experimental_##Name  // retired, domain ""
#define SDX_OP_PREVIEW(Name) const op_def op_ai_onnx_preview_##Name
#define SDX_OP_TRAINING(Name) const op_def op_ai_onnx_preview_training_##Name
#define SDX_CASES static const char *const cases[]

// Finds a record; NULL if the domain or the name is unknown.
const op_def *op_find(str domain, str name);
size_t op_count(void);
const op_def *op_at(size_t index);  // sorted by domain, name
// Nearest known name for "did you mean".
const char *op_hint(str domain, str name, char *buffer, size_t size);
// Which schema version a node of an opset import resolves to (largest since <= opset); 0 = none.
int op_version_at(const op_def *op, int64_t opset);
// Known and unknown attributes, arity, required ones: against the record. `params` then runs.
sdx_status op_bind(graph *g, node *n, int64_t opset, error *err);
// What of this can be told without changing the node: operator, version and attributes; arity and required attributes
// where the version is the newest.
sdx_status op_check(const node *n, int64_t opset, error *err);

// ---- params ---------------------------------------------------------------------------------------

// Attribute readers: value or the record's default. A wrong kind was refused before params runs.
struct op_params_context {
  const node *node;
  arena *memory;
  error *err;
};
bool params_has(const op_params_context *c, const char *name);
int64_t params_int(const op_params_context *c, const char *name);
float params_float(const op_params_context *c, const char *name);
str params_string(const op_params_context *c, const char *name);
const int64_t *params_ints(const op_params_context *c, const char *name, size_t *count);  // NULL, 0 if absent
const float *params_floats(const op_params_context *c, const char *name, size_t *count);
const str *params_strings(const op_params_context *c, const char *name, size_t *count);
const tensor *params_tensor(const op_params_context *c, const char *name);
graph *params_graph(const op_params_context *c, const char *name);
// Fails with a message that starts with the node and attribute.
sdx_status params_fail(op_params_context *c, const char *attribute, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

// ---- upgrade --------------------------------------------------------------------------------------

// Rewrites a node written for `version` into the newest form: change attributes in place, turn
// attributes into constant inputs, or add nodes around it.
struct op_upgrade {
  graph *graph;
  node *node;
  int version;
  error *err;
};
// Appends/sets an input (growing with absent ones up to index). Value = constant from graph_constant_*.
sdx_status upgrade_set_input(op_upgrade *u, size_t index, value_id value);
// attribute `name` (ints or int) -> 1-D int64 constant input at `index`; nothing if absent.
sdx_status upgrade_ints_to_input(op_upgrade *u, const char *name, size_t index);
// Inserts a node that computes `op_type` ("com.microsoft::Attention" where it is not of ai.onnx) of the given inputs;
// returns its single output's value.
value_id upgrade_insert(op_upgrade *u, const char *op_type, size_t inputs, const value_id *in, const attr *attrs,
                        size_t attr_count);
// The same with any number of outputs; false: error is set.
bool upgrade_insert_many(op_upgrade *u, const char *op_type, size_t inputs, const value_id *in, const attr *attrs,
                         size_t attr_count, size_t outputs, value_id *out);
// The node becomes another operator with these inputs and attributes; its outputs stay.
sdx_status upgrade_become(op_upgrade *u, const char *op_type, size_t inputs, const value_id *in, const attr *attrs,
                          size_t attr_count);
// Input i of the node, VALUE_ABSENT if it is left out.
static inline value_id upgrade_input(const op_upgrade *u, size_t i) {
  return i < u->node->input_count ? u->node->inputs[i] : VALUE_ABSENT;
}
sdx_status upgrade_fail(op_upgrade *u, sdx_status status, const char *format, ...)
    __attribute__((format(printf, 3, 4)));
// Renames the node's operator (Upsample -> Resize).
void upgrade_rename(op_upgrade *u, const char *op_type);
attr attr_of_int(const char *name, int64_t value);
attr attr_of_ints(const char *name, const int64_t *at, size_t count);
attr attr_of_float(const char *name, float value);
attr attr_of_string(const char *name, const char *text);

// ---- infer ----------------------------------------------------------------------------------------

// Runs with symbolic shapes on the whole graph, with concrete ones when a plan is made, and per call
// for steps whose shapes depend on data: always the same function.
struct op_infer {
  const node *node;
  const void *params;
  size_t input_count, output_count;
  const type_info *const *in;      // [i] NULL if absent; kind TYPE_UNKNOWN if nothing is known
  const tensor *const *constants;  // [i] the value if known now, else NULL
  type_info *out;                  // to fill; pre-set to TYPE_UNKNOWN
  arena *memory;
  graph *graph;  // for symbols; NULL at run time
  // Subgraph inference (control flow); NULL where not available.
  sdx_status (*infer_subgraph)(op_infer *c, graph *body, size_t inputs, const type_info *const *in,
                               const type_info **outputs);
  error *err;
};
// Runs the node's infer with outputs pre-set to unknown.
sdx_status op_infer_node(op_infer *c);
// Is input i given?
static inline bool infer_has(const op_infer *c, size_t i) { return i < c->input_count && c->in[i]; }
// A tensor output. dims may hold DIM_UNKNOWN/~symbol; rank -1 = not even the rank is known.
// Checks rank limit; copies dims.
sdx_status infer_output(op_infer *c, size_t index, sdx_dtype dtype, int rank, const int64_t *dims);
sdx_status infer_same(op_infer *c, size_t output, size_t input);                      // same type and shape
sdx_status infer_same_as(op_infer *c, size_t output, size_t input, sdx_dtype dtype);  // same shape
// Numpy broadcast over inputs [first, first+count) with symbols kept where they agree.
sdx_status infer_broadcast(op_infer *c, size_t output, size_t first, size_t count, sdx_dtype dtype);
// Input facts with errors that name node and input.
sdx_status infer_need(op_infer *c, size_t input);                     // present
sdx_status infer_rank(op_infer *c, size_t input, int low, int high);  // high -1 = no bound; unknown passes
static inline int infer_rank_of(const op_infer *c, size_t i) {
  return c->in[i] && c->in[i]->kind == TYPE_TENSOR ? c->in[i]->rank : -1;
}
static inline sdx_dtype infer_dtype_of(const op_infer *c, size_t i) {
  return c->in[i] ? (sdx_dtype)c->in[i]->dtype : SDX_UNDEFINED;
}
// One dimension of an input; DIM_UNKNOWN where it is absent or its rank is not known.
int64_t infer_dim(const op_infer *c, size_t input, int axis);
// `*size` is a size that several inputs share: takes it from dimension `axis` of `input`, or checks it there.
sdx_status infer_agree(op_infer *c, size_t input, int axis, const char *what, int64_t *size);
// Constant 1-D int32/int64 input as int64 array; NULL (count untouched) if not known now.
const int64_t *infer_constant_ints(op_infer *c, size_t input, size_t *count);
sdx_status infer_fail(op_infer *c, sdx_status status, const char *format, ...) __attribute__((format(printf, 3, 4)));
// Puts the node before an error that a shared function has set; returns the status.
sdx_status infer_located(op_infer *c, sdx_status status);
sdx_status call_located(op_call *c, sdx_status status);

// ---- prepare --------------------------------------------------------------------------------------

// Once per plan, when shapes are fixed. Optional: everything here may also be left to compute.
struct op_prepare {
  const node *node;
  const void *params;
  size_t input_count, output_count;
  const tensor *const *in;   // shapes of all inputs; data only where constant (else NULL)
  const tensor *const *out;  // shapes of all outputs
  const bool *constant;      // [i] input i is a constant whose data may be packed
  size_t threads;            // how many the run may use
  int precision;             // 0 highest, 1 high, 2 medium
  arena *memory;             // lives as long as the plan
  void *state;               // set by prepare: handed to compute
  size_t scratch_bytes;      // set by prepare: 64-byte aligned scratch of one execution (all threads)
  const char *kernel;        // set by prepare: name shown by inspect and profiles
  void *session;             // for prepare_pack
  error *err;
};
// Runs the node's prepare, if it has one; puts the node before its errors.
sdx_status op_prepare_node(op_prepare *c);
// Packed form of constant input `input`: made once per session and key, shared by plans, counted in
// its memory. `bytes` of 64-byte aligned memory are filled by `pack`. NULL: memory (error set).
const void *prepare_pack(op_prepare *c, size_t input, const char *key, size_t bytes,
                         void (*pack)(void *target, const tensor *source, void *context), void *context);

// ---- compute --------------------------------------------------------------------------------------

struct op_call {
  sdx_status (*compute)(op_call *c);  // of the node's operator
  const node *node;
  const void *params;
  void *state;       // from prepare, NULL if none ran
  value *const *in;  // [i] NULL if absent
  value **out;       // [i] NULL if not wanted
  uint32_t input_count, output_count, threads;
  void *scratch;
  size_t scratch_bytes;
  struct run_frame *frame;       // run/: allocation, subgraphs, cancel
  const value *const *captures;  // control flow: values of node->captures
  error *err;
};
static inline const tensor *call_in(const op_call *c, size_t i) {
  return i < c->input_count && c->in[i] ? &c->in[i]->tensor : NULL;
}
static inline tensor *call_out(const op_call *c, size_t i) {
  return i < c->output_count && c->out[i] ? &c->out[i]->tensor : NULL;
}
// The functions below are filled in by run/ (ops cannot include it). Set once at start-up.
typedef struct call_services {
  sdx_status (*set_shape)(op_call *c, size_t output, sdx_dtype dtype, size_t rank, const int64_t *dims);
  void *(*alloc)(op_call *c, size_t bytes);
  sdx_status (*check)(op_call *c);
  sdx_status (*set_value)(op_call *c, size_t output, sdx_value *owned);
  sdx_status (*run_subgraph)(op_call *c, graph *body, size_t inputs, const value *const *in, size_t outputs,
                             sdx_value **out);
  bool (*body_output)(op_call *c, graph *body, const value *const *in, size_t output, tensor *out, int64_t *dims);
  mem_account *(*account)(op_call *c);
  int64_t (*max_loop_trips)(const op_call *c);
} call_services;
extern const call_services *op_services;

// Output whose shape is only known now: allocates it (or checks it against the plan).
static inline sdx_status call_set_shape(op_call *c, size_t output, sdx_dtype dtype, size_t rank, const int64_t *dims) {
  return op_services->set_shape(c, output, dtype, rank, dims);
}
// Memory that lives until the end of the run, charged to its budget (string payloads, late scratch).
// NULL: budget spent; return call_no_memory.
static inline void *call_alloc(op_call *c, size_t bytes) { return op_services->alloc(c, bytes); }
// Non-tensor outputs: hands over a counted value. account for building it.
static inline sdx_status call_set_value(op_call *c, size_t output, sdx_value *owned) {
  return op_services->set_value(c, output, owned);
}
static inline mem_account *call_account(op_call *c) { return op_services->account(c); }
// How often a loop may go round (option max_loop_trips).
static inline int64_t call_max_loop_trips(const op_call *c) { return op_services->max_loop_trips(c); }
// Cancel or deadline: call it in loops that may run longer than a millisecond.
static inline sdx_status call_check(op_call *c) { return op_services->check(c); }
// Runs a branch or body; `out` receives counted values the caller releases.
static inline sdx_status call_run_subgraph(op_call *c, graph *body, size_t inputs, const value *const *in,
                                           size_t outputs, sdx_value **out) {
  return op_services->run_subgraph(c, body, inputs, in, outputs, out);
}
// Type and shape that a body would give its output, without running it; `dims` has room for TENSOR_MAX_RANK. false:
// they depend on data.
static inline bool call_body_output(op_call *c, graph *body, const value *const *in, size_t output, tensor *out,
                                    int64_t *dims) {
  return op_services->body_output(c, body, in, output, out, dims);
}
// "node 'x' (Gather): ..." Message with place; returns the status.
sdx_status call_fail(op_call *c, sdx_status status, const char *format, ...) __attribute__((format(printf, 3, 4)));
sdx_status call_no_memory(op_call *c, size_t bytes);
// Splits [0, count) into ranges of at least `grain` and runs them on the call's threads.
void call_parallel(op_call *c, size_t count, size_t grain,
                   void (*range)(void *context, size_t begin, size_t end, size_t worker), void *context);

// ---- binding --------------------------------------------------------------------------------------

// Operators of the caller (C API) that op_bind knows besides the table.
typedef struct op_custom_set {
  const op_def *const *ops;
  size_t count;
} op_custom_set;
// Binds every node of a freshly imported graph (subgraphs too): finds its record, checks it, upgrades
// old versions, fills params. `sink` NULL: stop at the first problem; else report all of them.
sdx_status ops_bind_graph(graph *g, const opset_import *opsets, size_t opset_count, const op_custom_set *custom,
                          const problem_sink *sink, error *err);

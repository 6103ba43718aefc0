// SPDX-License-Identifier: Apache-2.0
// The operator record: one operator (or one family of near-identical operators) is one file; the build scans for
// SDX_OP( and makes the table. Also what a record's load-time functions may use: `params` reads attributes, `upgrade`
// rewrites older versions. Order inside a file: comment (formula, history) · params · upgrade · infer · prepare ·
// compute · cases · record. Read next: step.h (what infer, prepare and compute receive).
#pragma once

#include "ops/step.h"

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
  OP_POINTWISE = 8192,      // an element of the outputs depends on the inputs' elements at its (broadcast) place alone
  OP_TRAILING_EXTRA = 64,   // more outputs may be listed than are computed (training-only ones)
} op_flags;

typedef struct op_params_context op_params_context;
typedef struct op_upgrade op_upgrade;

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
  sdx_status (*infer)(op_step *c);                           // types and shapes
  void (*layouts)(op_step *c, step_layouts *l);              // what it takes and gives; types are known
  sdx_status (*prepare)(op_step *c);                         // kernel, packed weights, scratch
  sdx_status (*compute)(op_step *c);
  const char *const *cases;  // NULL-terminated; random-test shapes as text, see README.md
} op_def;

// SDX_OP(Softmax) = {.since = 13, ...}; the generated table fills in domain and name.
#define OP_RECORD(Name, prefix, domain, folder) const op_def op_##prefix##_##Name
#include "ops/domains.def"
// Every element type of ONNX that takes whole bytes: .types = "T=" TYPES_TENSOR.
#define TYPES_TENSOR                                                                                       \
  "float,double,float16,bfloat16,int8,int16,int32,int64,uint8,uint16,uint32,uint64,bool,string,complex64," \
  "complex128"
#define SDX_CASES static const char *const cases[]

// The domain of records that a model's spelling means: "" for ai.onnx, qonnx.custom_op.general for onnx.brevitas.
str op_domain(str domain);
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

// ---- params -------------------------------------------------------------------------------------

// Attribute readers: value or the record's default. A wrong kind was refused before params runs.
struct op_params_context {
  const node *node;
  arena *memory;
  error *err;
  text *warnings;  // NULL: not wanted
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
// A line for the model's warnings, with the node in front.
void params_warn(op_params_context *c, const char *message);
// error_at of the node's attribute.
sdx_status params_fail(op_params_context *c, const char *attribute, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

// ---- upgrade ------------------------------------------------------------------------------------

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
// A node of the rewrite gets an attribute; a list may lie on the caller's stack.
sdx_status upgrade_set_attr(op_upgrade *u, node *n, attr a);
sdx_status upgrade_fail(op_upgrade *u, sdx_status status, const char *format, ...)
    __attribute__((format(printf, 3, 4)));
sdx_status upgrade_fail_at(op_upgrade *u, error_part part, sdx_status status, const char *format, ...)
    __attribute__((format(printf, 4, 5)));
// Renames the node's operator (Upsample -> Resize).
void upgrade_rename(op_upgrade *u, const char *op_type);
attr attr_of_int(const char *name, int64_t value);
attr attr_of_ints(const char *name, const int64_t *at, size_t count);
attr attr_of_float(const char *name, float value);
attr attr_of_string(const char *name, const char *text);

// ---- binding ------------------------------------------------------------------------------------

// Operators of the caller (C API) that op_bind knows besides the table.
typedef struct op_custom_set {
  const op_def *const *ops;
  size_t count;
} op_custom_set;
// Binds every node of a freshly imported graph (subgraphs too): finds its record, checks it, upgrades
// old versions, fills params. `sink` NULL: stop at the first problem; else report all of them. `warnings` takes a line
// for each thing that is passed over; NULL: unknown attributes are errors.
sdx_status ops_bind_graph(graph *g, const opset_import *opsets, size_t opset_count, const op_custom_set *custom,
                          const problem_sink *sink, text *warnings, error *err);

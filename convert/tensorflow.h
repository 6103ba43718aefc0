// SPDX-License-Identifier: Apache-2.0
// TensorFlow: what its files share. tensorflow.c opens a file, tensorflow_graph.c reads graphs and functions,
// tensorflow_scope.c finds what a result depends on and emits it, tensorflow_values.c keeps results;
// tensorflow_<family>.c turn operators into nodes, one row of a table each. The walk starts at the outputs: functions
// are inlined, what only passes values on vanishes, and operators whose results are known (shapes, indices) are emitted
// only if somebody asks for their value. Data stays as TensorFlow has it (channels last), with Transpose around what
// ONNX wants otherwise. Read next: tensorflow_scope.c.
#pragma once

#include "base/wire.h"
#include "convert/format.h"
#include "convert/nodes.h"

enum { TF_RANK = 8, TF_ELEMENTS = 256, TF_DEPTH = 16, TF_PLACE = 300 };
#define TF_LONGEST ((int64_t)1 << 40)  // the most a dimension may be
#define TF_UNKNOWN INT64_MIN           // of an element
enum { TF_RESOURCE = 0x7fff };         // in place of a type: handles and lists

// ---- the graph --------------------------------------------------------------------------------------

typedef struct tf_attr {
  str key;
  wire value;  // AttrValue
} tf_attr;

typedef struct tf_node {
  str name, op;
  str *inputs;  // of data, then of control
  size_t input_count, control_count;
  tf_attr *attrs;
  size_t attr_count;
  size_t argument;   // of "_Arg"
  sdx_ref constant;  // an initializer that was made of it
  const struct tf_kind *kind;
} tf_node;

typedef struct tf_graph {
  str name;
  tf_node *nodes;
  size_t count;
  str_map index;
  size_t arguments;  // of a function: as many "_Arg" are the first nodes
  str *outputs;      // of a function: their names,
  str *results;      // and the values they are
  size_t result_count;
} tf_graph;

// One result of a node, seen from a scope.
typedef struct tf_end {
  struct tf_scope *scope;
  size_t node, out;
} tf_end;

// What is known of a result.
typedef struct tf_value {
  enum { TF_NONE, TF_TENSOR, TF_TABLE, TF_LIST } what;  // a variable is the tensor it holds
  sdx_dtype dtype;
  int rank;                // -1: not known
  int64_t shape[TF_RANK];  // -1: not known
  sdx_ref ref;             // 0: not made yet
  const node_data *data;   // of a constant, little endian
  size_t size;             // one element's: all are the same
  const str *texts;        // of a constant
  sdx_ref *shared;         // the initializer that was made of it
  int64_t *elements;       // of few whole numbers, TF_UNKNOWN where one is not known; NULL: nothing is known
  size_t element_count;
  struct tf_op *pending;   // emits it when it is asked for
  size_t pending_out;      // as this result of it
  unsigned pending_depth;  // how many of them may wait for each other
  sdx_ref first;           // it is the transpose of this, which has its channels first
  tf_end origin;           // of constants and handles: the node that made it
  sdx_ref length;          // of a list without items yet: how many there will be
} tf_value;

typedef struct tf_op tf_op;

typedef struct tf_scope {
  struct tf *t;
  tf_graph *graph;
  sdx_graph *g;
  enum { TF_MAIN, TF_CALL, TF_BODY, TF_FRAME, TF_BRANCH } what;
  struct tf_scope *around;  // of the caller, or the loop
  size_t caller;            // its node there
  size_t first;             // of its inputs that is an argument
  str frame;                // of TF_FRAME
  tf_end chosen;            // of TF_BRANCH: what decides,
  bool branch;              // and how
  struct tf_scope_node {
    tf_value *values;
    tf_op *op;               // that made them
    struct tf_scope *inner;  // of a call
    enum { TF_NEW, TF_OPEN, TF_DONE } state;
  } * nodes;
  unsigned depth;
} tf_scope;

typedef struct tf {
  conversion *c;
  tf_graph main;
  tf_graph *functions;
  size_t function_count;
  str_map function_index, kinds;
  str_map names;              // of nodes
  bool *reached;              // of the nodes of the main graph
  struct tf_bundle *bundle;   // of variables; NULL: there is none
  struct tf_effect *effects;  // what fills variables and tables
  size_t effect_count;
  const char *folder;             // of a SavedModel
  const struct tf_asset *assets;  // its files
  size_t asset_count;
  size_t steps;  // taken so far, against graphs that never end
} tf;

struct tf_op {
  tf *t;
  tf_scope *scope;
  sdx_graph *g;
  size_t at;
  tf_node *node;
  const struct tf_kind *kind;
  tf_value *out;
  size_t out_count;
};

typedef struct tf_kind {
  const char *name;
  void (*emit)(tf_op *op);
  const char *op;           // what several rows differ in
  const char *outputs;      // their names where there are several: "values,indices"
  bool (*know)(tf_op *op);  // sets what is known of the result; true: nothing is to be emitted before it is asked for
  enum { TF_PASSES = 1, TF_LAZY = 2, TF_CALLS = 4, TF_EFFECT = 8, TF_BORDER = 16 } flags;
} tf_kind;
extern const tf_kind tf_variable_kinds[], tf_math_kinds[], tf_reduce_kinds[], tf_shape_kinds[], tf_slice_kinds[],
    tf_conv_kinds[], tf_image_kinds[], tf_source_kinds[], tf_detect_kinds[], tf_control_kinds[], tf_loop_kinds[],
    tf_list_kinds[], tf_text_kinds[];

bool tf_by_element(const tf_kind *kind);  // results have the shape of its operands

bool tf_read_graph(tf *t, wire graph_def);
tf_graph *tf_find_function(const tf *t, str name);
// Scans a message; false: a failure was told.
bool tf_open(tf *t, wire message, const wire_schema *schema, wire_counts *counts);

// ---- attributes -------------------------------------------------------------------------------------

int64_t tf_attr_int(const tf_node *node, const char *key, int64_t missing);  // whole numbers, truth, types
float tf_attr_float(const tf_node *node, const char *key, float missing);
str tf_attr_text(const tf_node *node, const char *key);                               // text, or the name of a function
size_t tf_attr_ints(const tf_node *node, const char *key, int64_t *to, size_t room);  // how many there are
// Itself, or the one of a list.
bool tf_attr_shape(tf *t, const tf_node *node, const char *key, size_t index, int *rank, int64_t *shape);
size_t tf_attr_list(const tf_node *node, const char *key, str *to, size_t room);  // texts or functions
sdx_dtype tf_dtype(int64_t type);                                                 // SDX_UNDEFINED: none of ONNX
sdx_dtype tf_attr_dtype(const tf_node *node, const char *key);

// ---- problems ---------------------------------------------------------------------------------------

sdx_status tf_fail(const tf_op *op, sdx_status status, const char *hint, const char *format, ...)
    __attribute__((format(printf, 4, 5)));

// ---- scopes -----------------------------------------------------------------------------------------

tf_scope *tf_scope_create(tf *t, tf_graph *graph, sdx_graph *g, tf_scope *around, size_t caller, int what);
bool tf_end_of(tf_scope *scope, str name, tf_end *end);  // of a name among inputs
bool tf_resolve(tf *t, tf_end *end);                     // through what only passes values on
tf_value *tf_value_at(tf_end end);                       // NULL: not computed yet
tf_value *tf_compute(tf *t, tf_end end);                 // NULL: a failure was told
bool tf_preset(tf_end end, const tf_value *value);       // of an argument or a merge
sdx_ref tf_add_input(tf *t, const tf_value *value, const char *name);
bool tf_add_border_inputs(tf *t, tf_scope *scope);
tf_scope *tf_enter_call(tf *t, tf_end end);
bool tf_check_operators(tf *t, size_t count, const tf_end *outputs);

// ---- inputs and results -----------------------------------------------------------------------------

tf_end tf_input_end(tf_op *op, size_t index);
tf_value *tf_in(tf_op *op, size_t index);  // NULL: a failure
sdx_ref tf_get(tf_op *op, size_t index);
sdx_ref tf_ref(tf *t, tf_value *value);
sdx_ref tf_emit_pending(const tf_value *value);
sdx_ref tf_get_int64(tf_op *op, size_t index);
size_t tf_element_bytes(sdx_dtype dtype);
// All the numbers of an input; false: they are not known, or more than `room`.
bool tf_ints(tf_op *op, size_t index, int64_t *to, size_t room, size_t *count);
bool tf_int(tf_op *op, size_t index, int64_t *to);
bool tf_number(tf_op *op, size_t index, double *to);  // of a constant with one element
// A constant input with its dimensions in another order; values that are computed are transposed.
sdx_ref tf_get_in_order(tf_op *op, size_t index, size_t rank, const int64_t *order);
tf_value *tf_set(tf_op *op, size_t index, sdx_ref ref, sdx_dtype dtype, int rank, const int64_t *shape);
tf_value *tf_set_like(tf_op *op, size_t index, sdx_ref ref, const tf_value *like);
// Of known or partly known elements; rank 0 or 1.
bool tf_know(tf_op *op, size_t index, sdx_dtype dtype, int rank, size_t count, const int64_t *elements);
bool tf_rank_is(tf_op *op, const tf_value *x, int rank);
bool tf_has_rank(tf_op *op, const tf_value *x);  // fails where it is not known
bool tf_axis(tf_op *op, int64_t axis, int rank, int64_t *at);
void tf_broadcast(const tf_value *a, const tf_value *b, int *rank, int64_t *shape);
bool tf_is_float(sdx_dtype dtype);

// ---- nodes ------------------------------------------------------------------------------------------

char *tf_name(tf *t, str node, const char *what);  // NULL: no memory
sdx_ref tf_node_add(tf_op *op, const char *what, size_t count, const sdx_ref *inputs);
sdx_ref tf_transpose(tf_op *op, sdx_ref x, size_t rank, const int64_t *order);
sdx_ref tf_to_first(tf_op *op, size_t index, size_t rank);  // an input, its channels
void tf_set_to_last(tf_op *op, size_t index, sdx_ref y, sdx_dtype dtype, size_t rank, const int64_t *shape);
sdx_ref tf_scalar(tf_op *op, sdx_dtype dtype, double number);
sdx_ref tf_list(tf_op *op, size_t count, const int64_t *ints);
sdx_ref tf_squeeze(tf_op *op, sdx_ref x, int64_t axis);
sdx_ref tf_cast(tf_op *op, sdx_ref x, sdx_dtype to);
sdx_ref tf_reduce(tf_op *op, const char *what, sdx_ref x, size_t count, const int64_t *axes, bool keep);
sdx_ref tf_slice_axis(tf_op *op, sdx_ref x, int64_t axis, int64_t from, int64_t to, int64_t step);
sdx_ref tf_shape_of(tf_op *op, sdx_ref x, int64_t from, int64_t to);
bool tf_channels_first(const tf_op *op);

// ---- bodies -----------------------------------------------------------------------------------------

sdx_graph *tf_open_body(tf_op *op);
sdx_ref tf_as_scalar(tf_op *op, sdx_graph *g, sdx_ref x);
void tf_add_result(tf_op *op, sdx_graph *g, sdx_ref value, sdx_dtype dtype, const char *what);
void tf_unite(const tf_value *a, const tf_value *b, tf_value *y);  // what is common to their shapes
bool tf_list_fill(tf_op *op, tf_value *list);                      // with zeros; false: it is not known of what shape

// ---- variables and tables ---------------------------------------------------------------------------

typedef struct tf_bundle tf_bundle;
bool tf_bundle_open(tf *t, const char *prefix);  // PREFIX.index, PREFIX.data-...
bool tf_bundle_value(tf *t, str key, tf_value *value);
bool tf_find_effects(tf *t, tf_scope *main);
bool tf_filler(tf *t, tf_end target, size_t *node, tf_scope **scope);  // the node that fills it first; false: none

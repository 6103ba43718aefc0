// SPDX-License-Identifier: Apache-2.0
// Exported programs of PyTorch (.pt2), inside. The file declares type and shape of every value, in expressions of
// symbols where they are free; an operator is a row in the table of its family, and what it gives is brought to what is
// declared. pt2_archive.c: the versions of the archive; pt2.c: the walk; pt2_values.c: arguments, values and sizes;
// pt2_symbol.c: expressions.
#pragma once

#include "convert/net.h"
#include "convert/pickle.h"
#include "convert/zip.h"
#include "support/json.h"

enum { PT2_RESULTS = 256, PT2_DEPTH = 16 };

typedef struct pt2_value {
  net_tensor tensor;            // ref 0: not made yet
  const char *size[NET_RANK];   // the expression of a dimension that is not known
  const stored_tensor *stored;  // a weight, made when it is asked for
  const char *name;             // of the weight
  const char *number;           // not NULL: a number of Python, this expression; it has no tensor
  const json_t *pending;        // the node that makes it when it is asked for
  struct pt2_value *base;       // of which it is a view
  const json_t *view_by;        // the node that made it so
} pt2_value;

// A graph seen from one place: the program, or the body of an operator.
typedef struct pt2_scope {
  struct pt2_scope *around;
  const json_t *graph;
  str_map names;  // of values, by number
  unsigned depth;
} pt2_scope;

typedef struct pt2_weights {
  str_map names;
  stored_tensor *tensors;
  size_t count, room;
} pt2_weights;

typedef struct pt2 {
  conversion *c;
  net n;
  json_t *root;
  const json_t *program;  // "graph_module" and what stands beside it
  pt2_weights weights;    // and buffers and constants, by their names in the model
  pt2_scope *scope;
  pt2_value **values;
  size_t value_count, value_room, names_made, pending;
  pt2_scope symbol_scope;  // sizes of inputs, and numbers that operators gave
} pt2;

typedef struct pt2_op {
  pt2 *p;
  net *n;
  const json_t *node;
  const struct pt2_kind *kind;
  const json_t *outputs[PT2_RESULTS];  // their names are in there; NULL: not used
  net_tensor out[PT2_RESULTS];
  size_t out_count;
} pt2_op;

// An operator is a row: its name without the overload, with it where overloads differ.
typedef struct pt2_kind {
  const char *name;
  void (*emit)(pt2_op *op);  // sets op->out, or fails; NULL: it has no effect
  const char *op;            // of ONNX: what it becomes, or the main part
} pt2_kind;
extern const pt2_kind pt2_math_kinds[], pt2_reduce_kinds[], pt2_shape_kinds[], pt2_index_kinds[], pt2_layer_kinds[],
    pt2_attention_kinds[], pt2_control_kinds[];
const pt2_kind *pt2_find_kind(const char *target);

// ---- the archive ------------------------------------------------------------------------------------

bool pt2_open(pt2 *p);  // fills root, program and weights
sdx_dtype pt2_dtype(int64_t scalar_type);

// ---- scopes and values ------------------------------------------------------------------------------

bool pt2_run_graph(pt2 *p, pt2_scope *scope);  // emits its nodes
pt2_value *pt2_bind(pt2 *p, pt2_scope *scope, const char *name, pt2_value value);
pt2_value *pt2_find(pt2 *p, const char *name);           // NULL: a failure
const char *pt2_expression(pt2 *p, const json_t *size);  // "" where there is none
bool pt2_declared(pt2 *p, const pt2_scope *scope, const char *name,
                  pt2_value *v);                              // type and shape; false: there is none
net_tensor pt2_tensor_of(pt2 *p, pt2_value *v);               // makes a weight of it, or a number
const char *pt2_argument_name(const json_t *argument);        // of the value that it is; "" for none
net_tensor pt2_argument(pt2_op *op, const json_t *argument);  // a tensor or number; fails where it is neither

// ---- arguments of operators -------------------------------------------------------------------------

const json_t *pt2_arg(const pt2_op *op, const char *name);  // NULL: it has its default, or is None
bool pt2_in(pt2_op *op, const char *name, net_tensor *x);
const json_t *pt2_arg_at(const pt2_op *op, size_t index);        // of operators without names for them
bool pt2_optional(pt2_op *op, const char *name, net_tensor *x);  // ref 0: there is none. False: a failure
bool pt2_has(const pt2_op *op, const char *name);
int64_t pt2_int(pt2_op *op, const char *name, int64_t missing);
bool pt2_flag(pt2_op *op, const char *name, bool missing);
double pt2_number(pt2_op *op, const char *name, double missing);
const char *pt2_text(pt2_op *op, const char *name, const char *missing);
size_t pt2_ints(pt2_op *op, const char *name, int64_t to[NET_RANK]);                         // 0: none
bool pt2_window_ints(pt2_op *op, const char *name, size_t n, int64_t missing, int64_t *to);  // one stands for all
// An int that may be an expression: known, or *ref is a scalar of int64.
bool pt2_size_arg(pt2_op *op, const char *name, int64_t missing, int64_t *number, sdx_ref *ref);
size_t pt2_list_size(const pt2_op *op, const char *name);
bool pt2_list_in(pt2_op *op, const char *name, size_t index, net_tensor *x);  // ref 0: None
pt2_value *pt2_value_in(pt2_op *op, const char *name);

// ---- results ----------------------------------------------------------------------------------------

sdx_dtype pt2_result_dtype(pt2_op *op, size_t index);
bool pt2_result(pt2_op *op, size_t index, pt2_value *v);  // as declared; false: failed
net_tensor pt2_shape(pt2_op *op, const pt2_value *v);     // int64 [rank]: its sizes
net_tensor pt2_reshape(pt2_op *op, net_tensor x, const char *const *sizes, const pt2_value *to);
int64_t pt2_opset(const pt2_op *op);
net_tensor pt2_binary(pt2_op *op, const char *what, net_tensor a, net_tensor b);  // brought to one type
net_tensor pt2_turned(pt2_op *op, const char *name, net_tensor (*otherwise)(net *n, net_tensor x));
net_tensor pt2_where(pt2_op *op, net_tensor test, net_tensor a, net_tensor b);

// ---- changes in place -------------------------------------------------------------------------------

void pt2_put_back(pt2_op *view, net_tensor x, net_tensor source);  // what slice or select gave, into x; sets out[0]
bool pt2_mutate(pt2_op *op);         // its result is what its first argument is from now on, and what that is a view of
bool pt2_remember_view(pt2_op *op);  // where its result is a view of its first argument

// ---- sizes ------------------------------------------------------------------------------------------

// int64 [1]: what an expression of the file is; 0: a failure was told.
sdx_ref pt2_symbol(pt2 *p, const char *expression);
net_tensor pt2_scalar_of(pt2 *p, const char *expression);  // the same without dimensions
const char *pt2_plain(pt2 *p, const char *expression);     // as people write it
bool pt2_expression_number(const char *expression, int64_t *number);

// SPDX-License-Identifier: Apache-2.0
// TensorFlow Lite: what its files share. tflite.c reads the file and walks over subgraphs, tflite_values.c keeps their
// tensors, tflite_<family>.c turn operators into nodes, one row of a table each. Quantised tensors are dequantised
// where they are read and quantised where they are made (QDQ), which engines fuse; results are within one step.
#pragma once

#include "convert/flatbuffer.h"
#include "convert/format.h"
#include "convert/nodes.h"

enum { TFLITE_RANK = 8, TFLITE_DEPTH = 8 };

typedef struct tflite_tensor {
  str name;
  sdx_dtype dtype;
  size_t rank;
  int64_t shape[TFLITE_RANK];  // -1: not known
  const unsigned char *bytes;  // of a constant
  size_t size;
  size_t scales;  // 0: not quantised
  flat_vector scale, zero;
  int64_t axis;     // of the scales
  sdx_ref ref;      // as it is stored; 0: not made yet
  sdx_ref floats;   // dequantised
  sdx_graph *from;  // the graph that `floats` is of
} tflite_tensor;

typedef struct tflite {
  conversion *c;
  flatbuffer b;
  flat_vector codes, graphs, buffers;
  str_map nodes;     // how many have a name
  size_t operators;  // emitted so far
  unsigned depth;
} tflite;

typedef struct tflite_graph {
  tflite *t;
  sdx_graph *g;
  const char *scope;
  tflite_tensor *tensors;
  size_t count;
} tflite_graph;

typedef struct tflite_op {
  tflite *t;
  tflite_graph *graph;
  sdx_graph *g;
  const struct tflite_kind *kind;
  const char *name;  // of its first result
  flat_vector in, out;
  flat_table options;
} tflite_op;

typedef struct tflite_kind {
  int code;
  const char *name;  // "CONV_2D"
  void (*emit)(tflite_op *op);
  const char *op;  // what several rows differ in
} tflite_kind;
extern const tflite_kind tflite_conv_kinds[], tflite_math_kinds[], tflite_shape_kinds[], tflite_control_kinds[];

sdx_status tflite_fail(const tflite_op *op, sdx_status status, const char *hint, const char *format, ...)
    __attribute__((format(printf, 4, 5)));

// ---- tensors ----------------------------------------------------------------------------------------

bool tflite_open_graph(tflite *t, size_t index, const char *scope, sdx_graph *g, tflite_graph *graph);
tflite_tensor *tflite_in(tflite_op *op, size_t index);   // NULL: left out, or a failure
tflite_tensor *tflite_out(tflite_op *op, size_t index);  // NULL: a failure
sdx_ref tflite_raw(tflite_op *op, size_t index);         // an input as it is stored
sdx_ref tflite_get(tflite_op *op, size_t index);         // an input in floats, or as it is where it is not quantised
// A constant input with its dimensions in another order, in floats. Values that are computed are transposed.
sdx_ref tflite_get_in_order(tflite_op *op, size_t index, size_t rank, const int64_t *order, const int64_t *shape);
void tflite_set(tflite_op *op, size_t index, sdx_ref value);      // in floats, or as it is
void tflite_set_raw(tflite_op *op, size_t index, sdx_ref value);  // as it is stored
// The whole numbers of a constant input; false: it is none, or they are more than `room`.
bool tflite_ints(tflite_op *op, size_t index, int64_t *to, size_t room, size_t *count);
sdx_ref tflite_find(tflite_graph *graph, size_t tensor);  // its value in the graph; 0: not made

flat_table tflite_table_at(flat_vector v, size_t index);  // outside: one without fields
int64_t tflite_int_at(flat_vector v, size_t index, unsigned bytes);

// ---- nodes ------------------------------------------------------------------------------------------

sdx_ref tflite_node(tflite_op *op, const char *what, size_t count, const sdx_ref *inputs);
sdx_ref tflite_transpose(tflite_op *op, sdx_ref x, size_t rank, const int64_t *order);
sdx_ref tflite_to_first(tflite_op *op, sdx_ref x, size_t rank);  // channels
sdx_ref tflite_to_last(tflite_op *op, sdx_ref x, size_t rank);
sdx_ref tflite_activated(tflite_op *op, sdx_ref x, unsigned field);  // by the fused function of the options
int64_t tflite_option(tflite_op *op, unsigned field, size_t bytes, int64_t missing);
bool tflite_axis(tflite_op *op, int64_t axis, size_t rank, int64_t *at);
// Of another subgraph: the values of its inputs and results.
bool tflite_emit_subgraph(tflite *t, size_t index, const char *scope, sdx_graph *g, size_t count, const sdx_ref *in,
                          size_t room, sdx_ref *out, tflite_graph *graph);

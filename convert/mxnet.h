// SPDX-License-Identifier: Apache-2.0
// MXNet: what its files share. mxnet.c finds symbol and parameters and walks over nodes, mxnet_params.c reads arrays,
// mxnet_<family>.c turn operators into nodes, one row of a table each.
#pragma once

#include <jansson.h>

#include "convert/net.h"

enum { MXNET_VALUES = 64 };

typedef struct mxnet_array {
  str name;
  net_numbers numbers;
  sdx_dtype dtype;
  net_tensor shape;
} mxnet_array;

// A value: of the graph, or an array that no node needed yet.
typedef struct mxnet_value {
  net_tensor tensor;
  const mxnet_array *array;
} mxnet_value;

typedef struct mxnet_reader {
  const json_t *node;  // NULL: there is none
  size_t index, input;
} mxnet_reader;

typedef struct mxnet {
  conversion *c;
  net n;
  const json_t *nodes;
  mxnet_reader *readers;  // of the nodes: the first that reads each
  mxnet_array *arrays;
  size_t array_count;
  str_map array_of;      // by name, without "arg:" and "aux:"
  mxnet_value **values;  // by node, then by result
  size_t *value_counts;
} mxnet;

typedef struct mxnet_op {
  mxnet *m;
  net *n;
  const json_t *attributes;
  const struct mxnet_kind *kind;
  mxnet_value in[MXNET_VALUES];
  net_tensor out[MXNET_VALUES];
  const mxnet_array *array;  // the result, where it is one
  size_t in_count, out_count;
} mxnet_op;

typedef struct mxnet_kind {
  const char *name;
  void (*emit)(mxnet_op *op);
  const char *op;  // what several rows differ in
} mxnet_kind;
extern const mxnet_kind mxnet_layer_kinds[], mxnet_value_kinds[], mxnet_shape_kinds[];

bool mxnet_read_arrays(mxnet *m, str bytes, const char *file);

// An input as a value of the graph. False: it is absent, or a failure that was reported.
bool mxnet_in(mxnet_op *op, size_t index, net_tensor *x);
// An input that is an array, as a constant of this shape. False: reported.
bool mxnet_weight(mxnet_op *op, size_t index, const char *part, size_t rank, const int64_t *shape, net_tensor *w);
const mxnet_array *mxnet_array_in(mxnet_op *op, size_t index);  // NULL: it is none, which was reported
const char *mxnet_text(const mxnet_op *op, const char *key, const char *missing);
bool mxnet_flag(const mxnet_op *op, const char *key, bool missing);
double mxnet_number(const mxnet_op *op, const char *key, double missing);
int64_t mxnet_int(const mxnet_op *op, const char *key, int64_t missing);
// The numbers of "(1, 2)", "[1, 2]" or "1"; None is `none`. How many; 0: not given.
size_t mxnet_ints(const mxnet_op *op, const char *key, int64_t none, int64_t to[NET_RANK]);

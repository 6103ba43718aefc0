// SPDX-License-Identifier: Apache-2.0
// Core ML's ML programs: operations on named values, constants beside each other in a file of weights. Half floats are
// computed as floats. coreml_mil.c reads programs, coreml_mil_<family>.c turn operations into nodes.
#pragma once

#include "convert/coreml.h"

enum { MIL_OUTPUTS = 64, MIL_LIST = 256 };

typedef struct mil_value {
  net_tensor tensor;    // ref 0: a constant that no node needed yet
  net_numbers numbers;  // of a constant
  str text;             // of a constant text
  bool constant;
} mil_value;

typedef struct mil {
  coreml *m;
  str_map names;
  mil_value *values;
  size_t count, room;
} mil;

typedef struct mil_op {
  mil *p;
  net *n;
  sdx_graph *g;
  proto message;
  const struct mil_kind *kind;
  net_tensor out[MIL_OUTPUTS];  // ref 0 before the operation; shapes as declared
  size_t out_count;
  bool as_constant;  // out[0] is `value` instead
  mil_value value;
} mil_op;

typedef struct mil_kind {
  const char *name;
  void (*emit)(mil_op *op);
  const char *op;  // what several rows differ in
} mil_kind;
extern const mil_kind mil_value_kinds[], mil_shape_kinds[], mil_layer_kinds[];

// A parameter: the first value bound to it; NULL: not given, or a failure that was reported.
const mil_value *mil_find(mil_op *op, const char *name);
// As a value of the graph. False: not given or a failure; reported unless `maybe`.
bool mil_in(mil_op *op, const char *name, net_tensor *x);
bool mil_maybe(mil_op *op, const char *name, net_tensor *x);
net_tensor *mil_all(mil_op *op, const char *name, size_t *count);  // all values bound to it; NULL: reported
// Constants. Those that are computed are reported.
int64_t mil_int(mil_op *op, const char *name, int64_t missing);
double mil_number(mil_op *op, const char *name, double missing);
size_t mil_ints(mil_op *op, const char *name, int64_t to[MIL_LIST]);  // how many; 0: not given
str mil_text(mil_op *op, const char *name);
// The numbers of a constant of such a shape; NULL where it is not given.
const net_numbers *mil_numbers(mil_op *op, const char *name);
bool mil_axis(mil_op *op, const net_tensor *x, const char *name, int64_t missing, size_t *axis);

// SPDX-License-Identifier: Apache-2.0
// CNTK's native models (version 2): dictionaries in protobuf, of variables and primitive functions that name each
// other. Shapes lie there with the fastest dimension first; here they are turned around, so that numbers lie as ONNX
// has them, behind the axes of batch and sequence. cntk.c: the file, the walk; cntk_ops.c: the functions, a row each.
#pragma once

#include "convert/net.h"
#include "convert/proto.h"

enum { CNTK_INPUTS = 64 };

typedef struct cntk_value {
  net_tensor x;
  size_t outside;  // axes of batch and sequence, which come first
} cntk_value;

typedef struct cntk_function {
  proto dictionary, attributes;
  const char *uid, *name;
  int64_t op;
  size_t input_count;
  str *inputs;  // names of values
  bool done;
} cntk_function;

typedef struct cntk {
  conversion *c;
  net n;
  size_t function_count;
  cntk_function *functions;
  str_map function_of;  // by uid
  size_t value_count, value_room;
  cntk_value *values;
  str_map value_of;  // by uid
  str_map alias_of;  // arguments of blocks: an index of names
  size_t alias_count;
  str *aliases;
} cntk;

typedef struct cntk_op {
  int64_t number;
  const char *name, *becomes;
  cntk_value (*emit)(cntk *k, const cntk_function *f, cntk_value *in);
} cntk_op;
const cntk_op *cntk_op_of(int64_t number);  // NULL: not converted
const char *cntk_op_name(int64_t number);   // "" where it is not known
bool cntk_operator_at(size_t index, const char **name, const char **becomes);

// The value of a key; false: it is not there.
bool cntk_get(const proto *dictionary, const char *key, proto *value);
int64_t cntk_int(const proto *dictionary, const char *key, int64_t missing);
double cntk_number(const proto *dictionary, const char *key, double missing);
const char *cntk_text(cntk *k, const proto *dictionary, const char *key);
// A shape, turned around; how many dimensions. -1: inferred or free.
size_t cntk_shape(const proto *dictionary, const char *key, int64_t shape[NET_RANK]);
size_t cntk_list(const proto *dictionary, const char *key, size_t room, proto *values);

// SPDX-License-Identifier: Apache-2.0
// ConstantFill (retired): one number in a shape that is an attribute, the input's values (input_as_shape) or the
// input's shape, with extra_shape behind it.
#include "base/size.h"
#include "ops/infer.h"
#include "ops/parts/move.h"
#include "tensor/convert.h"

typedef struct fill_params {
  double value;
  sdx_dtype dtype;
  bool input_is_shape;
  const int64_t *shape, *extra;
  size_t rank, extra_rank;
} fill_params;

static sdx_status constant_fill_read(op_params_context *c, void *params) {
  fill_params *p = params;
  int64_t dtype = params_int(c, "dtype");
  p->value = (double)params_float(c, "value");
  p->dtype = (sdx_dtype)dtype;
  p->input_is_shape = params_int(c, "input_as_shape") != 0;
  p->shape = params_ints(c, "shape", &p->rank);
  p->extra = params_ints(c, "extra_shape", &p->extra_rank);
  if (dtype == SDX_FLOAT || dtype == SDX_INT32 || dtype == SDX_INT64 || dtype == SDX_BOOL) return SDX_OK;
  return params_fail(c, "dtype", "is %lld, expected one of float, int32, int64, bool", (long long)dtype);
}

static sdx_status constant_fill_infer(op_step *c) {
  const fill_params *p = c->params;
  int64_t dims[TENSOR_MAX_RANK];
  size_t rank = p->rank;
  const int64_t *from = p->shape;
  if (c->input_count && c->in_types[0]) {
    int known = infer_rank_of(c, 0);
    if (p->input_is_shape) from = infer_constant_ints(c, 0, &rank);
    else from = known > 0 ? c->in_types[0]->dims : NULL, rank = (size_t)(known > 0 ? known : 0);
    if (!from && (p->input_is_shape || known < 0)) return infer_output(c, 0, p->dtype, -1, NULL);
  }
  if (rank > TENSOR_MAX_RANK || p->extra_rank > TENSOR_MAX_RANK - rank)
    return step_fail_at(c, at_output(0), SDX_INVALID_SHAPE, "would have rank %zu", rank + p->extra_rank);
  for (size_t d = 0; d < rank; d++) dims[d] = from[d];
  for (size_t d = 0; d < p->extra_rank; d++) dims[rank + d] = p->extra[d];
  for (size_t d = 0; d < rank + p->extra_rank; d++)
    if (dims[d] < 0 && (p->input_is_shape || d >= rank || !c->input_count))
      return step_fail_at(c, at_output(0), SDX_OUT_OF_RANGE, "would have dimension %zu of %lld", d, (long long)dims[d]);
  return infer_output(c, 0, p->dtype, (int)(rank + p->extra_rank), dims);
}

static sdx_status constant_fill_compute(op_step *c) {
  const fill_params *p = c->params;
  tensor *y = step_out(c, 0);
  char element[8] = {0};
  if (!y) return SDX_OK;
  if (p->dtype == SDX_BOOL) element[0] = p->value != 0;
  else convert_from_doubles(p->dtype, element, 0, 1, &p->value);
  move_fill(c, y->data, element, move_width(y), y->count);
  return SDX_OK;
}

SDX_CASES = {"shape=2,3 value=1.5", "input=float[2] extra_shape=3 dtype=7", NULL};

// clang-format off
SDX_OP_OLD(ConstantFill) = {
    .since = 1, .versions = "1", .inputs = "input:T1?", .outputs = "output:T2",
    .types = "T1=float,int32,int64,bool;T2=float,int32,int64,bool",
    .attrs = "dtype:int=1 extra_shape:ints input_as_shape:int=0 shape:ints value:float=0",
    .params_size = sizeof(fill_params), .params = constant_fill_read, .infer = constant_fill_infer,
    .compute = constant_fill_compute, .cases = cases,
};
// clang-format on

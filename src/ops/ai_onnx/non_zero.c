// SPDX-License-Identifier: Apache-2.0
// NonZero: indices of the elements that are not zero, one column each, in row-major order.
// Compress: the slices along `axis` (or the elements) whose condition is true; a condition shorter
// than the axis ends early. The output sizes depend on data: counted first, then filled.
#include "ops/parts/move.h"

#include "base/size.h"
#include "ops/call.h"
#include "ops/infer.h"

static sdx_status nonzero_infer(op_step *c) {
  int rank = infer_rank_of(c, 0);
  return infer_output(c, 0, SDX_INT64, 2, (int64_t[]){rank < 0 ? DIM_UNKNOWN : rank, DIM_UNKNOWN});
}

static sdx_status nonzero_compute(op_step *c) {
  const tensor *x = step_in(c, 0);
  int64_t at[TENSOR_MAX_RANK] = {0}, found = 0;
  for (size_t i = 0; i < x->count; i++) {
    SDX_TRY(call_check_in(c, i));
    found += element_is_true(x, i);
  }
  SDX_TRY(call_set_shape(c, 0, SDX_INT64, 2, (int64_t[]){x->rank, found}));
  int64_t *to = step_out(c, 0)->data, column = 0;
  for (size_t i = 0; i < x->count && column < found; i++) {
    SDX_TRY(call_check_in(c, i));
    if (element_is_true(x, i)) {
      for (size_t d = 0; d < x->rank; d++) to[(int64_t)d * found + column] = at[d];
      column++;
    }
    for (size_t d = x->rank; d-- > 0;) {
      if (++at[d] < x->dims[d]) break;
      at[d] = 0;
    }
  }
  return SDX_OK;
}

static const char *const non_zero_cases[] = {"X=float[2,3]@-1..1", "X=bool[3,4,2]",  "X=int32[7]@-1..1",
                                             "X=float[0,3]",       "X=int64[]@1..2", NULL};

SDX_OP(NonZero) = {
    .since = 13,
    .versions = "13 9",
    .inputs = "X:T",
    .outputs = "Y:int64",
    .types = "T=any",
    .infer = nonzero_infer,
    .compute = nonzero_compute,
    .cases = non_zero_cases,
};

// ---- Compress ---------------------------------------------------------------------------------------

typedef struct compress_params {
  int64_t axis;
  bool flat;
} compress_params;

static sdx_status compress_read(op_params_context *c, void *p) {
  *(compress_params *)p = (compress_params){params_int(c, "axis"), !params_has(c, "axis")};
  return SDX_OK;
}

static sdx_status compress_infer(op_step *c) {
  SDX_TRY(infer_need(c, 0));
  const compress_params *p = c->params;
  int64_t dims[TENSOR_MAX_RANK] = {DIM_UNKNOWN}, axis = p->axis;
  int rank = infer_rank_of(c, 0);
  if (p->flat || rank < 0) return infer_output(c, 0, infer_dtype_of(c, 0), p->flat ? 1 : -1, dims);
  SDX_TRY(step_located(c, axis_normalize(&axis, (size_t)rank, at_attribute("axis"), c->err)));
  for (int d = 0; d < rank; d++) dims[d] = d == axis ? DIM_UNKNOWN : c->in_types[0]->dims[d];
  return infer_output(c, 0, infer_dtype_of(c, 0), rank, dims);
}

static sdx_status compress_compute(op_step *c) {
  const compress_params *p = c->params;
  const tensor *x = step_in(c, 0), *condition = step_in(c, 1);
  const uint8_t *keep = condition->data;
  int64_t axis = p->axis, dims[TENSOR_MAX_RANK], kept = 0;
  if (!p->flat) SDX_TRY(step_located(c, axis_normalize(&axis, x->rank, at_attribute("axis"), c->err)));
  size_t n = p->flat ? x->count : (size_t)x->dims[axis], outer = 1, inner = move_width(x);
  if (condition->count > n)
    return step_fail_at(c, at_input(1), SDX_INVALID_SHAPE, "has %zu entries for %zu slices", condition->count, n);
  for (size_t i = 0; i < condition->count; i++) kept += keep[i] != 0;
  for (int64_t d = 0; !p->flat && d < x->rank; d++) {
    dims[d] = d == axis ? kept : x->dims[d];
    if (d != axis) *(d < axis ? &outer : &inner) *= (size_t)x->dims[d];
  }
  SDX_TRY(call_set_shape(c, 0, (sdx_dtype)x->dtype, p->flat ? 1 : x->rank, p->flat ? &kept : dims));
  char *to = step_out(c, 0)->data;
  size_t done = 0;
  for (size_t o = 0; o < outer; o++)
    for (size_t i = 0; i < condition->count && !pool_stopped_after(&done, inner); i++)
      if (keep[i]) {
        memcpy(to, (const char *)x->data + (o * n + i) * inner, inner);
        to += inner;
      }
  return SDX_OK;
}

static const char *const compress_cases[] = {"input=float[3,4] condition=bool(1,0,1) axis=0",
                                             "input=float[3,4] condition=bool(0,1,0,1) axis=-1",
                                             "input=float[2,3] condition=bool(0,1,1,0,1)", NULL};

SDX_OP(Compress) = {
    .since = 28,
    .versions = "28 11 9",
    .inputs = "input:T condition:bool",
    .outputs = "output:T",
    .types = "T=" TYPES_TENSOR,
    .attrs = "axis:int",
    .params_size = sizeof(compress_params),
    .params = compress_read,
    .infer = compress_infer,
    .compute = compress_compute,
    .cases = compress_cases,
};

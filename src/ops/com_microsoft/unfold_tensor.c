// SPDX-License-Identifier: Apache-2.0
// UnfoldTensor: windows of one dimension, as a new last dimension.
#include "base/size.h"
#include "ops/infer.h"
#include "ops/parts/move.h"

typedef struct unfold_params {
  int64_t dim, size, step;
} unfold_params;

static sdx_status unfold_tensor_read(op_params_context *c, void *params) {
  unfold_params *p = params;
  *p = (unfold_params){params_int(c, "dim"), params_int(c, "size"), params_int(c, "step")};
  if (p->size < 1) return params_fail(c, "size", "is %lld, expected at least 1", (long long)p->size);
  if (p->step < 1) return params_fail(c, "step", "is %lld, expected at least 1", (long long)p->step);
  return SDX_OK;
}

static sdx_status unfold_tensor_infer(op_step *c) {
  const unfold_params *p = c->params;
  int rank = infer_rank_of(c, 0);
  int64_t out[TENSOR_MAX_RANK], dim = p->dim;
  SDX_TRY(infer_rank(c, 0, 1, TENSOR_MAX_RANK - 1));
  if (rank < 0) return infer_output(c, 0, infer_dtype_of(c, 0), -1, NULL);
  SDX_TRY(step_located(c, axis_normalize(&dim, (size_t)rank, at_attribute("dim"), c->err)));
  for (int i = 0; i < rank; i++) out[i] = c->in_types[0]->dims[i];
  if (out[dim] >= 0 && out[dim] < p->size)
    return step_fail_at(c, at_attribute("size"), SDX_OUT_OF_RANGE, "is %lld, but dimension %lld has only %lld elements",
                        (long long)p->size, (long long)dim, (long long)out[dim]);
  out[dim] = out[dim] < 0 ? DIM_UNKNOWN : (out[dim] - p->size) / p->step + 1;
  out[rank] = p->size;
  return infer_output(c, 0, infer_dtype_of(c, 0), rank + 1, out);
}

static sdx_status unfold_tensor_compute(op_step *c) {
  const unfold_params *p = c->params;
  const tensor *x = step_in(c, 0);
  tensor *y = step_out(c, 0);
  int64_t dim = p->dim;
  strided box = {.rank = y->rank};
  SDX_TRY(step_located(c, axis_normalize(&dim, x->rank, at_attribute("dim"), c->err)));
  if (y->count == 0) return SDX_OK;
  memcpy(box.dims, y->dims, y->rank * sizeof *y->dims);
  move_strides(x->dims, x->rank, box.from);
  move_strides(y->dims, y->rank, box.to);
  box.from[x->rank] = box.from[dim];
  box.from[dim] = wrap_mul(box.from[dim], p->step);
  move_strided(c, &box, move_width(x), x->data, y->data);
  return y->dtype == SDX_STRING ? move_keep_strings(c, y) : SDX_OK;
}

SDX_CASES = {"input=float[2,7,3] dim=1 size=3 step=2", NULL};

SDX_OP_MS(UnfoldTensor) = {
    .since = 1,
    .versions = "1",
    .inputs = "input:T",
    .outputs = "output:T",
    .types =
        "T=uint8,uint16,uint32,uint64,int8,int16,int32,int64,bfloat16,float16,float,double,string,bool,complex64,"
        "complex128",
    .attrs = "dim:int=-1 size:int! step:int=1",
    .params_size = sizeof(unfold_params),
    .params = unfold_tensor_read,
    .infer = unfold_tensor_infer,
    .compute = unfold_tensor_compute,
    .cases = cases};

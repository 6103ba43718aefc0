// SPDX-License-Identifier: Apache-2.0
// SwiGLU: a * sigmoid(alpha * a) * b for a and b of one shape.
#include "ops/infer.h"
#include "ops/parts/arithmetic.h"
#include "ops/parts/row.h"
#include "ops/parts/unary.h"

static sdx_status swiglu_read(op_params_context *c, void *params) {
  *(float *)params = params_float(c, "alpha");
  return SDX_OK;
}

static sdx_status swiglu_infer(op_step *c) {
  int rank = infer_rank_of(c, 0);
  if (rank >= 0) SDX_TRY(infer_rank(c, 1, rank, rank));
  for (int d = 0; d < rank; d++) {
    int64_t dim = infer_dim(c, 0, d);
    SDX_TRY(infer_agree(c, 1, d, "as in input 0", &dim));
  }
  return infer_same(c, 0, 0);
}

static sdx_status swiglu_prepare(op_step *c) { return prepare_widened(c, 0); }

static sdx_status swiglu(op_step *c) {
  tensor *y = step_out(c, 0);
  if (!y) return SDX_OK;
  SDX_TRY(unary_apply(c, NULL, UNARY_F32_SWISH, y, step_in(c, 0), *(const float *)c->params, 0));
  return arithmetic_mul(c, y, y, step_in(c, 1));
}
static sdx_status swiglu_compute(op_step *c) { return call_widened(c, swiglu); }

SDX_CASES = {"A=float[2,3] B=float[2,3]", "A=float16[5] B=float16[5] alpha=0.5", "A=double[2,1] B=double[2,1]", NULL};

SDX_OP(SwiGLU) = {
    .since = 28,
    .versions = "28",
    .inputs = "A:T B:T",
    .outputs = "Y:T",
    .types = "T=" TYPES_FLOAT,
    .attrs = "alpha:float=1",
    .flags = OP_INPLACE,
    .params_size = sizeof(float),
    .params = swiglu_read,
    .infer = swiglu_infer,
    .prepare = swiglu_prepare,
    .compute = swiglu_compute,
    .cases = cases,
};

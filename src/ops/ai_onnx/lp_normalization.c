// SPDX-License-Identifier: Apache-2.0
// LpNormalization: x / (sum |x|^p)^(1/p) along `axis`, p = 1 or 2; where the norm is 0 the result is 0.
// History: 22 bfloat16 and the rule for 0.
#include <math.h>

#include "ops/parts/row.h"

typedef struct lp_params {
  int64_t axis;
  bool square;
} lp_params;

static sdx_status lp_normalization_read(op_params_context *c, void *params) {
  int64_t p = params_int(c, "p");
  if (p != 1 && p != 2) return params_fail(c, "p", "is %lld, expected 1 or 2", (long long)p);
  *(lp_params *)params = (lp_params){params_int(c, "axis"), p == 2};
  return SDX_OK;
}

static sdx_status lp_normalization_infer(op_step *c) {
  int64_t axis = ((const lp_params *)c->params)->axis, given = axis;
  int rank = infer_rank_of(c, 0);
  if (rank >= 0 && axis_normalize(&axis, (size_t)rank, (error_part){0}, NULL) != SDX_OK)
    return step_fail_at(c, at_attribute("axis"), SDX_OUT_OF_RANGE, "is %lld, expected within [-%d, %d)",
                        (long long)given, rank, rank);
  return infer_same(c, 0, 0);
}

typedef struct lp_job {
  const void *x;
  void *y;
  size_t axis, inner;
  bool square;
} lp_job;
#define LOOPS "ops/ai_onnx/lp_normalization.inl"
#include "ops/call.h"
#include "ops/infer.h"
#include "ops/parts/each_float.inl"

static sdx_status lp_normalization_prepare(op_step *c) { return prepare_widened(c, 0); }

static sdx_status normalize(op_step *c) {
  const lp_params *p = c->params;
  const tensor *x = step_in(c, 0);
  size_t axis = (size_t)(p->axis < 0 ? p->axis + x->rank : p->axis);
  if (x->count == 0) return SDX_OK;
  lp_job j = {x->data, step_out(c, 0)->data, (size_t)x->dims[axis], 1, p->square};
  for (size_t i = axis + 1; i < x->rank; i++) j.inner *= (size_t)x->dims[i];
  call_parallel(c, x->count / j.axis, j.axis >= GRAIN_CHEAP ? 1 : GRAIN_CHEAP / j.axis,
                x->dtype == SDX_DOUBLE ? lp_double : lp_float, &j);
  return SDX_OK;
}
static sdx_status lp_normalization_compute(op_step *c) { return step_out(c, 0) ? call_widened(c, normalize) : SDX_OK; }

SDX_CASES = {"input=float[2,3,4]", "input=float[2,3,4] axis=1 p=1", "input=float16[5] axis=0", "input=double[2,3]",
             NULL};

SDX_OP(LpNormalization) = {.since = 22,
                           .versions = "22 1",
                           .inputs = "input:T",
                           .outputs = "output:T",
                           .types = "T=" TYPES_FLOAT,
                           .attrs = "axis:int=-1 p:int=2",
                           .flags = OP_INPLACE,
                           .params_size = sizeof(lp_params),
                           .params = lp_normalization_read,
                           .infer = lp_normalization_infer,
                           .prepare = lp_normalization_prepare,
                           .compute = lp_normalization_compute,
                           .cases = cases};

// SPDX-License-Identifier: Apache-2.0
// BiasSoftmax: softmax(data + bias), the bias broadcast, over everything from `axis` on as one row.
#include <math.h>

#include "base/size.h"
#include "kernels/softmax_f32/softmax_f32.h"
#include "ops/call.h"
#include "ops/infer.h"
#include "ops/parts/arithmetic.h"
#include "ops/parts/row.h"

static sdx_status bias_softmax_read(op_params_context *c, void *params) {
  *(int64_t *)params = params_int(c, "axis");
  return SDX_OK;
}

static sdx_status bias_softmax_infer(op_step *c) {
  int64_t axis = *(const int64_t *)c->params;
  int rank = infer_rank_of(c, 0), bias = infer_rank_of(c, 1);
  if (rank < 0) return infer_same(c, 0, 0);
  SDX_TRY(step_located(c, axis_normalize(&axis, (size_t)rank, at_attribute("axis"), c->err)));
  SDX_TRY(infer_rank(c, 1, 0, rank));
  for (int d = 0; d < bias; d++) {
    int64_t dim = infer_dim(c, 0, rank - bias + d);
    if (infer_dim(c, 1, d) != 1) SDX_TRY(infer_agree(c, 1, d, "as in input 0", &dim));
  }
  return infer_same(c, 0, 0);
}

typedef struct softmax_job {
  const softmax_f32_kernel *kernel;  // NULL: double
  void *data;
  size_t columns;
} softmax_job;

static void rows_range(void *context, size_t begin, size_t end, size_t worker) {
  const softmax_job *j = context;
  if (j->kernel) {
    float *x = (float *)j->data + begin * j->columns;
    j->kernel->rows(x, x, end - begin, j->columns, false);
    return;
  }
  for (size_t r = begin; r < end; r++) {
    double *x = (double *)j->data + r * j->columns, max = x[0], sum = 0;
    for (size_t i = 1; i < j->columns; i++) max = x[i] > max ? x[i] : max;
    for (size_t i = 0; i < j->columns; i++) sum += x[i] = exp(x[i] - max);
    for (size_t i = 0; i < j->columns; i++) x[i] /= sum;
  }
}

static sdx_status bias_softmax(op_step *c) {
  const tensor *x = step_in(c, 0);
  tensor *y = step_out(c, 0);
  int64_t axis = *(const int64_t *)c->params;
  if (!y || y->count == 0) return SDX_OK;
  SDX_TRY(arithmetic_add(c, y, x, step_in(c, 1)));
  softmax_job j = {y->dtype == SDX_FLOAT ? KERNEL_BEST(softmax_f32) : NULL, y->data, 1};
  for (int64_t d = axis < 0 ? axis + x->rank : axis; d < x->rank; d++) j.columns *= (size_t)x->dims[d];
  call_parallel(c, y->count / j.columns, 1 + GRAIN_COSTLY / j.columns, rows_range, &j);
  return call_check(c);
}
static sdx_status bias_softmax_compute(op_step *c) { return call_widened(c, bias_softmax); }
static sdx_status bias_softmax_prepare(op_step *c) { return prepare_widened(c, 0); }

SDX_CASES = {"data=float[2,3,4,5] bias=float[2,1,1,5] axis=3 is_inner_broadcast=1",
             "data=double[2,3,4] bias=double[3,4] axis=1 is_inner_broadcast=0", NULL};

SDX_OP_MS(BiasSoftmax) = {
    .since = 1,
    .versions = "1",
    .inputs = "data:T bias:T",
    .outputs = "output:T",
    .types = "T=float16,float,double",
    .attrs = "axis:int=1 is_inner_broadcast:int!",
    .params_size = sizeof(int64_t),
    .params = bias_softmax_read,
    .infer = bias_softmax_infer,
    .prepare = bias_softmax_prepare,
    .compute = bias_softmax_compute,
    .cases = cases,
};

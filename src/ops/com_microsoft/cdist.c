// SPDX-License-Identifier: Apache-2.0
// CDist: squared or plain Euclidean distances between the rows of two matrices.
#include <math.h>

#include "ops/call.h"
#include "ops/infer.h"
#include "ops/parts/elementwise.h"

static sdx_status cdist_read(op_params_context *c, void *params) {
  str metric = params_string(c, "metric");
  *(bool *)params = str_is(metric, "euclidean");
  if (*(bool *)params || str_is(metric, "sqeuclidean")) return SDX_OK;
  return params_fail(c, "metric", "is '%.*s', expected one of euclidean, sqeuclidean", STR_ARG(metric));
}

static sdx_status cdist_infer(op_step *c) {
  int64_t width = infer_dim(c, 0, 1);
  SDX_TRY(infer_rank(c, 0, 2, 2));
  SDX_TRY(infer_rank(c, 1, 2, 2));
  SDX_TRY(infer_agree(c, 1, 1, "columns", &width));
  return infer_output(c, 0, infer_dtype_of(c, 0), 2, (int64_t[]){infer_dim(c, 0, 0), infer_dim(c, 1, 0)});
}

typedef struct cdist_job {
  const tensor *a, *b;
  tensor *y;
  size_t width, columns;
  bool root;
} cdist_job;

// Differences, not |a|^2 - 2 a b + |b|^2, which loses near points.
#define DISTANCES(T, root_of)                                                                \
  static void distances_##T(void *context, size_t begin, size_t end, size_t worker) {        \
    const cdist_job *j = context;                                                            \
    for (size_t i = begin; i < end; i++) {                                                   \
      const T *a = (const T *)j->a->data + i * j->width, *b = j->b->data;                    \
      T *y = (T *)j->y->data + i * j->columns;                                               \
      for (size_t n = 0; n < j->columns; n++, b += j->width) {                               \
        T lanes[8] = {0}, sum = 0;                                                           \
        for (size_t k = 0; k < j->width; k++) lanes[k % 8] += (a[k] - b[k]) * (a[k] - b[k]); \
        for (size_t k = 0; k < 8; k++) sum += lanes[k];                                      \
        y[n] = j->root ? root_of(sum) : sum;                                                 \
      }                                                                                      \
    }                                                                                        \
  }
DISTANCES(float, sqrtf)
DISTANCES(double, sqrt)

static sdx_status cdist_compute(op_step *c) {
  const tensor *a = step_in(c, 0), *b = step_in(c, 1);
  cdist_job j = {a, b, step_out(c, 0), (size_t)a->dims[1], (size_t)b->dims[0], *(const bool *)c->params};
  size_t work = (j.width + 1) * (j.columns + 1);
  call_parallel(c, (size_t)a->dims[0], 1 + GRAIN_CHEAP / work,
                a->dtype == SDX_DOUBLE ? distances_double : distances_float, &j);
  return call_check(c);
}

SDX_CASES = {"A=float[4,5] B=float[6,5] metric=euclidean", "A=double[4,5] B=double[6,5]", NULL};

SDX_OP_MS(CDist) = {.since = 1,
                    .versions = "1",
                    .inputs = "A:T B:T",
                    .outputs = "C:T",
                    .types = "T=float,double",
                    .attrs = "metric:string=sqeuclidean",
                    .params_size = sizeof(bool),
                    .params = cdist_read,
                    .infer = cdist_infer,
                    .compute = cdist_compute,
                    .cases = cases};

// SPDX-License-Identifier: Apache-2.0
// Det: determinants of the square matrices in the last two dimensions, by elimination with the largest pivot, in
// double. History: 22 float16, bfloat16.
#include <math.h>

#include "base/size.h"
#include "ops/call.h"
#include "ops/infer.h"
#include "ops/parts/elementwise.h"
#include "ops/parts/row.h"
#include "tensor/convert.h"

static sdx_status det_infer(op_step *c) {
  int rank = infer_rank_of(c, 0);
  SDX_TRY(infer_rank(c, 0, 2, -1));
  if (rank < 0) return infer_output(c, 0, infer_dtype_of(c, 0), -1, NULL);
  int64_t rows = infer_dim(c, 0, rank - 2);
  SDX_TRY(infer_agree(c, 0, rank - 1, "columns", &rows));
  return infer_output(c, 0, infer_dtype_of(c, 0), rank - 2, c->in_types[0]->dims);
}

static double determinant(double *a, size_t n) {
  double result = 1;
  for (size_t k = 0; k < n; k++) {
    size_t pivot = k;
    for (size_t r = k + 1; r < n; r++)
      if (fabs(a[r * n + k]) > fabs(a[pivot * n + k])) pivot = r;
    if (a[pivot * n + k] == 0) return 0;
    for (size_t i = k; pivot != k && i < n; i++) {
      double swap = a[k * n + i];
      a[k * n + i] = a[pivot * n + i], a[pivot * n + i] = swap;
    }
    result *= pivot != k ? -a[k * n + k] : a[k * n + k];
    for (size_t r = k + 1; r < n; r++) {
      double factor = a[r * n + k] / a[k * n + k];
      for (size_t i = k + 1; i < n; i++) a[r * n + i] -= factor * a[k * n + i];
    }
  }
  return result;
}

typedef struct det_job {
  const tensor *in;
  tensor *out;
  double *room;  // n * n for each thread
  size_t n;
} det_job;

static void det_range(void *context, size_t begin, size_t end, size_t worker) {
  const det_job *j = context;
  size_t size = j->n * j->n;
  double *a = j->room + worker * size;
  for (size_t i = begin; i < end; i++) {
    convert_to_doubles((sdx_dtype)j->in->dtype, j->in->data, i * size, size, a);
    double d = determinant(a, j->n);
    convert_from_doubles((sdx_dtype)j->out->dtype, j->out->data, i, 1, &d);
  }
}

static sdx_status det_compute(op_step *c) {
  const tensor *x = step_in(c, 0);
  tensor *y = step_out(c, 0);
  if (!y) return SDX_OK;
  det_job j = {.in = x, .out = y, .n = (size_t)x->dims[x->rank - 1]};
  size_t bytes, threads = c->threads ? c->threads : 1;
  if (!size_mul(j.n * j.n, sizeof(double) * threads, &bytes)) return call_no_memory(c, SIZE_MAX);
  j.room = call_alloc(c, bytes);
  if (!j.room) return call_no_memory(c, bytes);
  call_parallel(c, y->count, 1 + GRAIN_CHEAP / (j.n * j.n * j.n + 1), det_range, &j);
  return call_check(c);
}

SDX_CASES = {"X=float[3,3]", "X=double[2,4,4]", "X=float16[1,1]", "X=float[2,0,0]", NULL};

SDX_OP(Det) = {
    .since = 22,
    .versions = "22 11",
    .inputs = "X:T",
    .outputs = "Y:T",
    .types = "T=" TYPES_FLOAT,
    .infer = det_infer,
    .compute = det_compute,
    .cases = cases,
};

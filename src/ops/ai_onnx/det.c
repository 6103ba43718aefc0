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

typedef struct elimination {
  double *a;
  size_t n, k;  // column k goes, in the rows below row k
} elimination;

static void eliminate(void *context, size_t begin, size_t end, size_t worker) {
  const elimination *e = context;
  const double *pivot = e->a + e->k * e->n;
  for (size_t r = e->k + 1 + begin; r < e->k + 1 + end; r++) {
    double *row = e->a + r * e->n, factor = row[e->k] / pivot[e->k];
    for (size_t i = e->k + 1; i < e->n; i++) row[i] -= factor * pivot[i];
  }
}

// With a step the rows are shared among its threads, and it can be ended between two columns.
static double determinant(op_step *c, double *a, size_t n) {
  double result = 1;
  for (size_t k = 0; k < n && !(c && call_check(c)); k++) {
    size_t pivot = k;
    for (size_t r = k + 1; r < n; r++)
      if (fabs(a[r * n + k]) > fabs(a[pivot * n + k])) pivot = r;
    if (a[pivot * n + k] == 0) return 0;
    for (size_t i = k; pivot != k && i < n; i++) {
      double swap = a[k * n + i];
      a[k * n + i] = a[pivot * n + i], a[pivot * n + i] = swap;
    }
    result *= pivot != k ? -a[k * n + k] : a[k * n + k];
    elimination e = {a, n, k};
    if (c) call_parallel(c, n - k - 1, 1 + GRAIN_CHEAP / (n - k), eliminate, &e);
    else eliminate(&e, 0, n - k - 1, 0);
  }
  return result;
}

enum { LARGE = 256 };  // matrices of so many rows come one after the other, on all threads

typedef struct det_job {
  op_step *step;  // NULL: whole matrices are what threads share
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
    double d = determinant(j->step, a, j->n);
    convert_from_doubles((sdx_dtype)j->out->dtype, j->out->data, i, 1, &d);
  }
}

static sdx_status det_compute(op_step *c) {
  const tensor *x = step_in(c, 0);
  tensor *y = step_out(c, 0);
  if (!y) return SDX_OK;
  det_job j = {.in = x, .out = y, .n = (size_t)x->dims[x->rank - 1]};
  if (j.n >= LARGE) j.step = c;
  size_t bytes, threads = c->threads && !j.step ? c->threads : 1;
  if (!size_mul(j.n * j.n, sizeof(double) * threads, &bytes)) return call_no_memory(c, SIZE_MAX);
  j.room = call_alloc(c, bytes);
  if (!j.room) return call_no_memory(c, bytes);
  if (j.step) det_range(&j, 0, y->count, 0);
  else call_parallel(c, y->count, 1 + GRAIN_CHEAP / (j.n * j.n * j.n + 1), det_range, &j);
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

// SPDX-License-Identifier: Apache-2.0
// See normalize.h. Two passes in double: mean, then variance around it.
#include "ops/parts/normalize.h"

#include <math.h>

#include "ops/call.h"
#include "ops/parts/arithmetic.h"
#include "ops/parts/elementwise.h"
#include "tensor/convert.h"

sdx_status normalize_epsilon(op_params_context *c, float *epsilon) {
  *epsilon = params_float(c, "epsilon");
  return *epsilon >= 0 ? SDX_OK : params_fail(c, "epsilon", "is %g, expected a number >= 0", (double)*epsilon);
}

typedef struct rows_job {
  const tensor *x;
  tensor *y, *mean, *inverse;
  size_t cols;
  double epsilon;
  bool rms;
} rows_job;

enum { BLOCK = 256 };

// Sum of (x - center)^power over a row.
static double row_sum(const tensor *x, size_t first, size_t cols, double center, int power) {
  double total = 0, block[BLOCK];
  for (size_t i = 0; i < cols; i += BLOCK) {
    size_t n = cols - i < BLOCK ? cols - i : BLOCK;
    convert_to_doubles((sdx_dtype)x->dtype, x->data, first + i, n, block);
    for (size_t k = 0; k < n; k++) total += power == 1 ? block[k] : (block[k] - center) * (block[k] - center);
  }
  return total;
}

static void rows_range(void *context, size_t begin, size_t end, size_t worker) {
  const rows_job *j = context;
  for (size_t r = begin; r < end; r++) {
    size_t first = r * j->cols;
    double mean = j->rms ? 0 : row_sum(j->x, first, j->cols, 0, 1) / (double)j->cols, block[BLOCK];
    double inverse = 1 / sqrt(row_sum(j->x, first, j->cols, mean, 2) / (double)j->cols + j->epsilon);
    for (size_t i = 0; i < j->cols; i += BLOCK) {
      size_t n = j->cols - i < BLOCK ? j->cols - i : BLOCK;
      convert_to_doubles((sdx_dtype)j->x->dtype, j->x->data, first + i, n, block);
      for (size_t k = 0; k < n; k++) block[k] = (block[k] - mean) * inverse;
      convert_from_doubles((sdx_dtype)j->y->dtype, j->y->data, first + i, n, block);
    }
    if (j->mean) convert_from_doubles((sdx_dtype)j->mean->dtype, j->mean->data, r, 1, &mean);
    if (j->inverse) convert_from_doubles((sdx_dtype)j->inverse->dtype, j->inverse->data, r, 1, &inverse);
  }
}

void normalize_rows(op_step *c, const tensor *x, tensor *y, tensor *mean, tensor *inverse, size_t rows, size_t cols,
                    double epsilon, bool rms) {
  rows_job j = {x, y, mean, inverse, cols, epsilon, rms};
  call_parallel(c, rows, cols >= GRAIN_COSTLY || cols == 0 ? 1 : GRAIN_COSTLY / cols, rows_range, &j);
}

bool normalize_in_float(size_t count, const tensor *const *tensors) {
  for (size_t i = 0; i < count; i++)
    if (tensors[i] && tensors[i]->dtype != SDX_FLOAT) return false;
  return true;
}

sdx_status normalize_affine(op_step *c, tensor *y, const tensor *scale, const tensor *bias) {
  if (scale) SDX_TRY(arithmetic_mul(c, y, y, scale));
  return bias ? arithmetic_add(c, y, y, bias) : SDX_OK;
}

tensor normalize_channel_view(const tensor *t, size_t rank, int64_t dims[TENSOR_MAX_RANK]) {
  tensor view = *t;
  view.rank = (uint8_t)(rank > 1 ? rank - 1 : 1);
  dims[0] = (int64_t)t->count;
  for (size_t i = 1; i < view.rank; i++) dims[i] = 1;
  view.dims = dims;
  return view;
}

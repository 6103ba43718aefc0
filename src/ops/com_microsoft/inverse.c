// SPDX-License-Identifier: Apache-2.0
// Inverse of each matrix, by elimination with row pivots in double; a singular one gives no finite numbers.
#include <math.h>

#include "base/size.h"
#include "ops/call.h"
#include "ops/infer.h"
#include "tensor/convert.h"

static sdx_status inverse_infer(op_step *c) {
  int rank = infer_rank_of(c, 0);
  SDX_TRY(infer_rank(c, 0, 2, -1));
  if (rank >= 2) {
    int64_t side = c->in_types[0]->dims[rank - 2];
    SDX_TRY(infer_agree(c, 0, rank - 1, "columns", &side));
  }
  return infer_same(c, 0, 0);
}

// [n, 2 n]: the matrix and the unit matrix beside it.
static void eliminate(double *m, size_t n) {
  size_t width = 2 * n;
  for (size_t p = 0; p < n; p++) {
    size_t best = p;
    for (size_t r = p + 1; r < n; r++)
      if (fabs(m[r * width + p]) > fabs(m[best * width + p])) best = r;
    for (size_t k = 0; best != p && k < width; k++) {
      double t = m[p * width + k];
      m[p * width + k] = m[best * width + k], m[best * width + k] = t;
    }
    double pivot = m[p * width + p];
    for (size_t k = 0; k < width; k++) m[p * width + k] /= pivot;
    for (size_t r = 0; r < n; r++) {
      double factor = m[r * width + p];
      for (size_t k = 0; r != p && k < width; k++) m[r * width + k] -= factor * m[p * width + k];
    }
  }
}

static sdx_status inverse_compute(op_step *c) {
  const tensor *x = step_in(c, 0);
  tensor *y = step_out(c, 0);
  size_t n = (size_t)x->dims[x->rank - 1], bytes;
  if (x->count == 0) return SDX_OK;
  if (!size_mul(n * n, 2 * sizeof(double), &bytes)) return call_no_memory(c, SIZE_MAX);
  double *m = call_alloc(c, bytes);
  if (!m) return call_no_memory(c, bytes);
  for (size_t i = 0; i < x->count; i += n * n) {
    for (size_t r = 0; r < n; r++) {
      convert_to_doubles((sdx_dtype)x->dtype, x->data, i + r * n, n, m + r * 2 * n);
      for (size_t k = 0; k < n; k++) m[r * 2 * n + n + k] = r == k;
    }
    eliminate(m, n);
    for (size_t r = 0; r < n; r++) convert_from_doubles((sdx_dtype)y->dtype, y->data, i + r * n, n, m + r * 2 * n + n);
    SDX_TRY(call_check(c));
  }
  return SDX_OK;
}

SDX_CASES = {"X=float[2,3,3]", NULL};

SDX_OP_MS(Inverse) = {.since = 1,
                      .versions = "1",
                      .inputs = "X:T",
                      .outputs = "Y:T",
                      .types = "T=float16,float,double",
                      .infer = inverse_infer,
                      .compute = inverse_compute,
                      .cases = cases};

// SPDX-License-Identifier: Apache-2.0
// Random rows: the same bits.
#include "kernels/dot_f64/dot_f64.h"

static bool compare(kernel_check *k, const void *variant, const void *reference) {
  const dot_f64_kernel *v = variant, *r = reference;
  size_t n = check_size(k, 0, 70), rows = check_size(k, 1, 5);
  const float *c = check_floats(k, n * rows, false), *from = check_floats(k, n, false);
  double *x = check_buffer(k, n * sizeof *x, sizeof *x), *got = check_buffer(k, rows * sizeof *got, sizeof *got),
         *want = check_buffer(k, rows * sizeof *want, sizeof *want);
  for (size_t i = 0; i < n; i++) x[i] = (double)from[i] * 1.1;
  v->rows(x, c, n, rows, got), r->rows(x, c, n, rows, want);
  return check_same(k, got, want, rows * sizeof *got);
}

static double bench(kernel_check *k, const void *variant, const char **unit) {
  const dot_f64_kernel *v = variant;
  enum { N = 64, ROWS = 16 };
  static const double x[N];
  static const float c[N * ROWS];
  static double y[ROWS];
  v->rows(x, c, N, ROWS, y);
  *unit = "flop";
  return 2.0 * N * ROWS;
}

KERNEL_CHECK(dot_f64) = {.family = "dot_f64", .compare = compare, .bench = bench};

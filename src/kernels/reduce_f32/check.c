// SPDX-License-Identifier: Apache-2.0
// Variants agree bit for bit (NaN with NaN); the judge itself is held against sums in double.
#include <math.h>

#include "kernels/reduce_f32/reduce_f32.h"

static const char *const names[] = {
#define X(name) #name,
    REDUCE_F32_LIST(X)
#undef X
};

static bool accurate(kernel_check *k, const float *x, size_t rows, size_t cols, bool inner, const float *y) {
  size_t count = inner ? rows : cols, n = inner ? cols : rows;
  for (size_t i = 0; i < count; i++) {
    double sum = 0, scale = 0;
    for (size_t j = 0; j < n; j++) {
      double v = inner ? x[i * cols + j] : x[j * cols + i];
      sum += v, scale += fabs(v);
    }
    if (isfinite(scale) && scale < 1e30 && !(fabs(y[i] - sum) <= 128 * 0x1p-24 * scale)) {
      check_message(k, "sum %zu is %.9g, in double %.17g", i, (double)y[i], sum);
      return false;
    }
  }
  return true;
}

static bool compare(kernel_check *k, const void *variant, const void *reference) {
  const reduce_f32_kernel *v = variant, *r = reference;
  size_t op = check_random(k) % REDUCE_F32_COUNT;
  bool inner = check_coin(k, 2), long_axis = check_coin(k, 5);
  size_t n = check_size(k, 0, long_axis ? 9000 : 200), other = check_size(k, 0, long_axis ? 9 : 600);
  size_t rows = inner ? other : n, cols = inner ? n : other;
  float *x = check_floats(k, rows * cols, check_coin(k, 3));
  float *got = check_buffer(k, other * sizeof(float), 4), *want = check_buffer(k, other * sizeof(float), 4);
  if (inner) v->inner[op](x, got, rows, cols), r->inner[op](x, want, rows, cols);
  else v->outer[op](x, cols, got, rows, cols), r->outer[op](x, cols, want, rows, cols);
  if (check_close(k, got, want, other, 0, 0) && (op != REDUCE_F32_SUM || accurate(k, x, rows, cols, inner, want)))
    return true;
  check_message(k, "%s %s of %zu x %zu", names[op], inner ? "inner" : "outer", rows, cols);
  return false;
}

static double bench(kernel_check *k, const void *variant, const char **unit) {
  const reduce_f32_kernel *v = variant;
  enum { ROWS = 16, COLS = 768 };
  static float x[ROWS * COLS], y[ROWS + COLS];
  v->inner[REDUCE_F32_SUM](x, y, ROWS, COLS);
  v->inner[REDUCE_F32_MAX](x, y, ROWS, COLS);
  v->outer[REDUCE_F32_SUM](x, COLS, y, ROWS, COLS);
  *unit = "elements of SUM, MAX, outer SUM";
  return 3.0 * ROWS * COLS;
}

KERNEL_CHECK(reduce_f32) = {.family = "reduce_f32", .compare = compare, .bench = bench};

// SPDX-License-Identifier: Apache-2.0
// Random shapes along both axes, with NaN and infinities; in place gives the same bits.
#include <string.h>

#include "kernels/softmax_f32/softmax_f32.h"

static void run(const softmax_f32_kernel *v, bool inner, const float *x, float *y, size_t outer, size_t n, bool log) {
  if (inner) v->rows(x, y, outer, n, log);
  else v->columns(x, y, n, outer, outer, log);
}

static bool compare(kernel_check *k, const void *variant, const void *reference) {
  bool inner = check_coin(k, 2), log = check_coin(k, 2);
  size_t outer = check_size(k, 1, 80), n = check_size(k, 1, check_coin(k, 8) ? 5000 : 150), count = outer * n;
  float *x = check_floats(k, count, check_coin(k, 3));
  float *got = check_buffer(k, count * sizeof(float), 4), *want = check_buffer(k, count * sizeof(float), 4);
  run(reference, inner, x, want, outer, n, log), run(variant, inner, x, got, outer, n, log);
  // Small results carry the rounding of x - max, up to 88 units of 2^-24.
  if (!check_close(k, got, want, count, log ? 2e-6 : 1e-8, log ? 2e-6 : 1e-6) ||
      !check_close(k, got, want, count, log ? 2e-6 : 1e-37, 6.5e-6)) {
    check_message(k, "%s%s of %zu x %zu", log ? "logarithm of " : "", inner ? "rows" : "columns", outer, n);
    return false;
  }
  memcpy(want, x, count * sizeof(float));
  run(variant, inner, want, want, outer, n, log);
  return check_close(k, want, got, count, 0, 0);
}

static double bench(kernel_check *k, const void *variant, const char **unit) {
  const softmax_f32_kernel *v = variant;
  enum { ROWS = 64, COLS = 197 };
  static float x[ROWS * COLS], y[ROWS * COLS];
  if (x[1] == 0)  // once: it takes longer than the softmax
    for (int i = 0; i < ROWS * COLS; i++) x[i] = (float)(i % 97) * 0.1f;
  v->rows(x, y, ROWS, COLS, false);
  *unit = "elements of rows of 197";
  return ROWS * COLS;
}

KERNEL_CHECK(softmax_f32) = {.family = "softmax_f32", .compare = compare, .bench = bench};

// SPDX-License-Identifier: Apache-2.0
// dot_f64 as its header defines it.
#include "kernels/dot_f64/dot_f64.h"

enum { SUMS = 8 };

static void rows(const double *x, const float *c, size_t n, size_t rows, double *y) {
  for (size_t row = 0; row < rows; row++, c += n) {
    double sum[SUMS] = {0};
    for (size_t k = 0; k < n; k++) sum[k % SUMS] += x[k] * (double)c[k];
    for (size_t half = SUMS / 2; half; half /= 2)
      for (size_t i = 0; i < half; i++) sum[i] += sum[i + half];
    y[row] = sum[0];
  }
}

KERNEL(dot_f64) = {.rows = rows};

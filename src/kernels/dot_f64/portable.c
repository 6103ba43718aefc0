// SPDX-License-Identifier: Apache-2.0
// dot_f64 by groups of eight, whose sums stay in registers.
#include "kernels/dot_f64/dot_f64.h"
#include "kernels/loop.h"

enum { SUMS = 8 };

static void rows(const double *x, const float *c, size_t n, size_t rows, double *y) {
  for (size_t row = 0; row < rows; row++, c += n) {
    double sum[SUMS] = {0};
    size_t k = 0;
    for (; k + SUMS <= n; k += SUMS) UNROLL for (size_t i = 0; i < SUMS; i++) sum[i] += x[k + i] * (double)c[k + i];
    UNROLL for (size_t i = 0; i < SUMS; i++) if (k + i < n) sum[i] += x[k + i] * (double)c[k + i];
    y[row] = ((sum[0] + sum[4]) + (sum[2] + sum[6])) + ((sum[1] + sum[5]) + (sum[3] + sum[7]));
  }
}

KERNEL(dot_f64) = {.rows = rows};

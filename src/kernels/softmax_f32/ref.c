// SPDX-License-Identifier: Apache-2.0
// The judge of softmax_f32: the formula in double precision.
#include <math.h>

#include "kernels/softmax_f32/softmax_f32.h"

static void strided(const float *x, float *y, size_t n, size_t stride, bool logarithm) {
  if (n == 0) return;
  float max = x[0];
  for (size_t i = 1; i < n; i++) max = x[i * stride] > max || max != max ? x[i * stride] : max;
  double sum = 0;
  for (size_t i = 0; i < n; i++) sum += exp((double)x[i * stride] - max);
  for (size_t i = 0; i < n; i++) {
    double shifted = (double)x[i * stride] - max;
    y[i * stride] = (float)(logarithm ? shifted - log(sum) : exp(shifted) / sum);
  }
}

static void rows(const float *x, float *y, size_t rows, size_t cols, bool logarithm) {
  for (size_t r = 0; r < rows; r++) strided(x + r * cols, y + r * cols, cols, 1, logarithm);
}
static void columns(const float *x, float *y, size_t axis, size_t inner, size_t width, bool logarithm) {
  for (size_t c = 0; c < width; c++) strided(x + c, y + c, axis, inner, logarithm);
}

KERNEL(softmax_f32) = {.rows = rows, .columns = columns};

// SPDX-License-Identifier: Apache-2.0
// Each normalisation on random shapes; the expectation is computed here in double, since all variants come from
// one source.
#include <math.h>
#include <string.h>

#include "kernels/norm_f32/norm_f32.h"

// got against (x - mean) / deviation * scale + bias of n elements whose parameters are at i / stride.
static bool expected(kernel_check *k, const float *x, const float *got, size_t n, bool centred, const float *scale,
                     const float *bias, size_t stride, double epsilon) {
  double mean = 0, variance = 0, largest = 0;
  for (size_t i = 0; i < n; i++) mean += x[i];
  mean = centred && n ? mean / (double)n : 0;
  for (size_t i = 0; i < n; i++) variance += (x[i] - mean) * (x[i] - mean);
  double inverse = 1 / sqrt(variance / (double)n + epsilon);
  for (size_t i = 0; i < n; i++)
    largest = fmax(largest, fabs((x[i] - mean) * inverse * scale[i / stride]) + (bias ? fabs(bias[i / stride]) : 0));
  for (size_t i = 0; i < n; i++) {
    double want = (x[i] - mean) * inverse * scale[i / stride] + (bias ? bias[i / stride] : 0);
    if (fabs(got[i] - want) <= 2e-6 * largest + 1e-30) continue;
    check_message(k, "element %zu is %.9g, expected %.9g", i, (double)got[i], want);
    return false;
  }
  return true;
}

static bool compare(kernel_check *k, const void *variant, const void *reference) {
  const norm_f32_kernel *v = variant, *r = reference;
  size_t rows = check_size(k, 1, 5), cols = check_size(k, 1, check_coin(k, 4) ? 5000 : 200);
  float *x = check_floats(k, rows * cols, false), *scale = check_floats(k, cols + rows, false);
  float *bias = check_floats(k, cols + rows, false), epsilon = 1e-5f, mean[5], inverse[5];
  float *got = check_buffer(k, rows * cols * sizeof(float), 4), *want = check_buffer(k, rows * cols * sizeof(float), 4);
  unsigned kind = (unsigned)(check_random(k) % 4);
  bool with_bias = check_coin(k, 2), good = true;
  if (kind < 2) {
    const float *b = with_bias ? bias : NULL;
    if (kind == 0) v->layer(x, scale, b, got, mean, inverse, rows, cols, epsilon);
    else v->rms(x, scale, b, got, inverse, rows, cols, epsilon);
    for (size_t i = 0; good && i < rows; i++)
      good = expected(k, x + i * cols, got + i * cols, cols, kind == 0, scale, b, 1, epsilon);
  } else if (kind == 2) {
    v->group(x, scale, bias, got, rows, cols, epsilon);
    good = expected(k, x, got, rows * cols, true, scale, bias, cols, epsilon);
  } else {
    size_t spatial = check_coin(k, 3) ? 1 : cols, channels = rows * cols / spatial;
    if (spatial == 1) channels = cols;
    v->channels(x, scale, bias, got, channels, spatial), r->channels(x, scale, bias, want, channels, spatial);
    good = check_close(k, got, want, channels * spatial, 0, 0);
  }
  if (!good) check_message(k, "kind %u, %zu x %zu", kind, rows, cols);
  return good;
}

static double bench(kernel_check *k, const void *variant, const char **unit) {
  const norm_f32_kernel *v = variant;
  enum { ROWS = 32, COLS = 768 };
  static float x[ROWS * COLS], scale[COLS], y[ROWS * COLS];
  for (int i = 0; i < COLS; i++) scale[i] = 1;
  v->layer(x, scale, scale, y, NULL, NULL, ROWS, COLS, 1e-5f);
  v->layer(y, scale, scale, y, NULL, NULL, ROWS, COLS, 1e-5f);  // in place
  *unit = "elements of LayerNormalization";
  return 2.0 * ROWS * COLS;
}

KERNEL_CHECK(norm_f32) = {.family = "norm_f32", .compare = compare, .bench = bench};

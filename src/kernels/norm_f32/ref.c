// SPDX-License-Identifier: Apache-2.0
// norm_f32 in plain C: sums in 32 lanes that the compiler turns into vector registers, blocks in double.
#include <math.h>

#include "kernels/loop.h"
#include "kernels/norm_f32/norm_f32.h"

enum { LANES = 32, BLOCK = 2048 };

// Sum of (x - center)^power over n elements.
static inline double sum(const float *x, size_t n, float center, int power) {
  double total = 0;
  for (size_t start = 0; start < n; start += BLOCK) {
    size_t end = n - start < BLOCK ? n : start + BLOCK, i = start;
    float lane[LANES] = {0};
    for (; i + LANES <= end; i += LANES)
      for (size_t l = 0; l < LANES; l++) {
        float v = x[i + l] - center;
        lane[l] += power == 2 ? v * v : v;
      }
    for (size_t l = 0; i + l < end; l++) {
      float v = x[i + l] - center;
      lane[l] += power == 2 ? v * v : v;
    }
    for (size_t step = LANES / 2; step > 0; step /= 2)
      for (size_t l = 0; l < step; l++) lane[l] += lane[l + step];
    total += lane[0];
  }
  return total;
}

// The mean in float leaves a rest that the second sum takes out of the variance.
static void moments(const float *x, size_t n, float epsilon, float *mean, float *inverse) {
  float center = (float)(sum(x, n, 0, 1) / (double)n);
  double rest = sum(x, n, center, 1) / (double)n;
  double variance = sum(x, n, center, 2) / (double)n - rest * rest;
  *mean = (float)(center + rest);
  *inverse = (float)(1 / sqrt((variance < 0 ? 0 : variance) + epsilon));
}

static void layer(const float *x, const float *scale, const float *bias, float *y, float *mean, float *inverse,
                  size_t rows, size_t cols, float epsilon) {
  for (size_t r = 0; r < rows; r++, x += cols, y += cols) {
    float m, s;
    moments(x, cols, epsilon, &m, &s);
    if (bias) {
      SIMD_LOOP for (size_t i = 0; i < cols; i++) y[i] = (x[i] - m) * s * scale[i] + bias[i];
    } else {
      SIMD_LOOP for (size_t i = 0; i < cols; i++) y[i] = (x[i] - m) * s * scale[i];
    }
    if (mean) mean[r] = m;
    if (inverse) inverse[r] = s;
  }
}

static void rms(const float *x, const float *scale, const float *bias, float *y, float *inverse, size_t rows,
                size_t cols, float epsilon) {
  for (size_t r = 0; r < rows; r++, x += cols, y += cols) {
    float s = (float)(1 / sqrt(sum(x, cols, 0, 2) / (double)cols + epsilon));
    if (bias) {
      SIMD_LOOP for (size_t i = 0; i < cols; i++) y[i] = x[i] * s * scale[i] + bias[i];
    } else {
      SIMD_LOOP for (size_t i = 0; i < cols; i++) y[i] = x[i] * s * scale[i];
    }
    if (inverse) inverse[r] = s;
  }
}

static void group(const float *x, const float *scale, const float *bias, float *y, size_t channels, size_t spatial,
                  float epsilon) {
  float m, s;
  moments(x, channels * spatial, epsilon, &m, &s);
  for (size_t c = 0; c < channels; c++, x += spatial, y += spatial) {
    float k = s * scale[c], b = bias[c];
    SIMD_LOOP for (size_t i = 0; i < spatial; i++) y[i] = (x[i] - m) * k + b;
  }
}

static void channels(const float *x, const float *scale, const float *shift, float *y, size_t channels,
                     size_t spatial) {
  if (spatial == 1) {
    SIMD_LOOP for (size_t c = 0; c < channels; c++) y[c] = x[c] * scale[c] + shift[c];
    return;
  }
  for (size_t c = 0; c < channels; c++, x += spatial, y += spatial) {
    float k = scale[c], b = shift[c];
    SIMD_LOOP for (size_t i = 0; i < spatial; i++) y[i] = x[i] * k + b;
  }
}

KERNEL(norm_f32) = {.layer = layer, .rms = rms, .group = group, .channels = channels};

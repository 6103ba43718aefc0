// SPDX-License-Identifier: Apache-2.0
// softmax_f32 for tiers with fused multiply-add: three short passes over a row that lies in the cache (largest,
// exponentials and their sum, scaling), all in vectors. A row's last elements are padded with -inf, whose
// exponential adds nothing.
#include <math.h>
#include <string.h>

#include "base/pool.h"
#include "kernels/loop.h"
#include "kernels/softmax_f32/softmax_f32.h"
#include "kernels/unary_f32/math.inl"

enum { LANES = 32, BLOCK = 2048, STRIP = 64, STRIP_ROWS = 64, SHORT = 48, PIECE = 1 << 18, STRIP_PIECE = 1 << 14 };

// Long rows and columns may be ended between two pieces.
static inline bool ended(size_t i, size_t piece) { return i && i % piece == 0 && pool_stopped(); }

static inline float larger(float a, float b) { return choose((a > b) | (a != a), a, b); }

static float largest(const float *x, size_t n) {
  float lane[LANES];
  size_t i = 0;
  for (size_t l = 0; l < LANES; l++) lane[l] = -INFINITY;
  for (; i + LANES <= n; i += LANES)
    for (size_t l = 0; l < LANES; l++) lane[l] = larger(lane[l], x[i + l]);
  for (size_t l = 0; i + l < n; l++) lane[l] = larger(lane[l], x[i + l]);
  for (size_t step = LANES / 2; step > 0; step /= 2)
    for (size_t l = 0; l < step; l++) lane[l] = larger(lane[l], lane[l + step]);
  return lane[0];
}

static float largest_of_row(const float *x, size_t n) {
  float max = -INFINITY;
  for (size_t i = 0; i < n && !ended(i, PIECE); i += PIECE)
    max = larger(max, largest(x + i, n - i < PIECE ? n - i : PIECE));
  return max;
}

static inline float total(float *lane) {
  for (size_t step = LANES / 2; step > 0; step /= 2)
    for (size_t l = 0; l < step; l++) lane[l] += lane[l + step];
  return lane[0];
}

// Exponentials of a block into y (unless only their sum is wanted).
static inline float exponentials(const float *x, float *y, size_t n, float max, bool keep) {
  float lane[LANES] = {0}, last[LANES];
  size_t i = 0;
  for (; i + LANES <= n; i += LANES) {
    float e[LANES];
    for (size_t l = 0; l < LANES; l++) e[l] = exponential_down(x[i + l] - max);
    for (size_t l = 0; l < LANES; l++) lane[l] += e[l];
    if (keep) memcpy(y + i, e, sizeof e);
  }
  if (i < n) {
    for (size_t l = 0; l < LANES; l++) last[l] = -INFINITY;
    memcpy(last, x + i, (n - i) * sizeof(float));
    for (size_t l = 0; l < LANES; l++) last[l] = exponential_down(last[l] - max);
    for (size_t l = 0; l < LANES; l++) lane[l] += last[l];
    if (keep) memcpy(y + i, last, (n - i) * sizeof(float));
  }
  return total(lane);
}

// Columns side by side, STRIP at a time; sums of STRIP_ROWS rows in float, those in double.
static void strip(const float *x, float *y, size_t axis, size_t inner, size_t width, bool logarithmic) {
  float max[STRIP], part[STRIP];
  double sum[STRIP] = {0};
  for (size_t j = 0; j < width; j++) max[j] = -INFINITY;
  for (size_t a = 0; a < axis && !ended(a, STRIP_PIECE); a++)
    for (size_t j = 0; j < width; j++) max[j] = larger(max[j], x[a * inner + j]);
  for (size_t first = 0; first < axis && !ended(first, STRIP_PIECE); first += STRIP_ROWS) {
    size_t past = axis - first < STRIP_ROWS ? axis : first + STRIP_ROWS;
    for (size_t j = 0; j < width; j++) part[j] = 0;
    for (size_t a = first; a < past; a++) {
      const float *from = x + a * inner;
      float *to = y + a * inner, e[STRIP];
      for (size_t j = 0; j < width; j++) e[j] = exponential_down(from[j] - max[j]);
      for (size_t j = 0; j < width; j++) part[j] += e[j];
      if (!logarithmic) memcpy(to, e, width * sizeof(float));
    }
    for (size_t j = 0; j < width; j++) sum[j] += part[j];
  }
  for (size_t j = 0; j < width; j++) part[j] = logarithmic ? logarithm((float)sum[j]) : (float)(1 / sum[j]);
  for (size_t a = 0; a < axis && !ended(a, STRIP_PIECE); a++) {
    const float *from = x + a * inner;
    float *to = y + a * inner;
    if (logarithmic) {
      SIMD_LOOP for (size_t j = 0; j < width; j++) to[j] = from[j] - max[j] - part[j];
    } else {
      SIMD_LOOP for (size_t j = 0; j < width; j++) to[j] *= part[j];
    }
  }
}

// Short rows turned into columns: in a vector of their own most lanes would be empty.
static void short_rows(const float *x, float *y, size_t rows, size_t cols, bool logarithmic) {
  float turned[SHORT * STRIP];
  memset(turned, 0, cols * STRIP * sizeof *turned);
  for (size_t r = 0, count; r < rows; r += count, x += count * cols, y += count * cols) {
    count = rows - r < STRIP ? rows - r : STRIP;
    for (size_t j = 0; j < cols; j++)
      for (size_t i = 0; i < count; i++) turned[j * STRIP + i] = x[i * cols + j];
    strip(turned, turned, cols, STRIP, STRIP, logarithmic);
    for (size_t j = 0; j < cols; j++)
      for (size_t i = 0; i < count; i++) y[i * cols + j] = turned[j * STRIP + i];
  }
}

static void rows(const float *x, float *y, size_t rows, size_t cols, bool logarithmic) {
  if (cols <= SHORT) {
    short_rows(x, y, rows, cols, logarithmic);
    return;
  }
  for (size_t r = 0; r < rows; r++, x += cols, y += cols) {
    float max = largest_of_row(x, cols);
    double sum = 0;
    for (size_t i = 0; i < cols && !ended(i, PIECE); i += BLOCK) {
      size_t n = cols - i < BLOCK ? cols - i : BLOCK;
      sum += logarithmic ? exponentials(x + i, y, n, max, false) : exponentials(x + i, y + i, n, max, true);
    }
    float shift = logarithmic ? logarithm((float)sum) : 0, scale = (float)(1 / sum);
    for (size_t i = 0; i < cols && !ended(i, PIECE); i += PIECE) {
      const float *from = x + i;
      float *to = y + i;
      size_t n = cols - i < PIECE ? cols - i : PIECE;
      if (logarithmic) {
        SIMD_LOOP for (size_t k = 0; k < n; k++) to[k] = from[k] - max - shift;
      } else {
        SIMD_LOOP for (size_t k = 0; k < n; k++) to[k] *= scale;
      }
    }
  }
}

static void columns(const float *x, float *y, size_t axis, size_t inner, size_t width, bool logarithmic) {
  for (size_t j = 0; j < width; j += STRIP)
    strip(x + j, y + j, axis, inner, width - j < STRIP ? width - j : STRIP, logarithmic);
}

KERNEL(softmax_f32) = {.rows = rows, .columns = columns};

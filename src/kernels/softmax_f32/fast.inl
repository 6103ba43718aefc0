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
#include "kernels/vec.h"

enum { LANES = 32, BLOCK = 2048, STRIP = 64, STRIP_ROWS = 64, SHORT = 48, PIECE = 1 << 18, STRIP_PIECE = 1 << 14 };

// Long rows and columns may be ended between two pieces.
static inline bool ended(size_t i, size_t piece) { return i && i % piece == 0 && pool_stopped(); }

static inline float larger(float a, float b) { return a < b ? b : a; }
static inline float plus(float a, float b) { return a + b; }

// LANES numbers, joined in halves.
typedef struct row_lanes {
  vec v[LANES / VECTOR];
} row_lanes;
#define JOIN(name, of_vectors, of_floats)                                                              \
  static inline float name(row_lanes x) {                                                              \
    float lane[VECTOR];                                                                                \
    UNROLL for (int n = LANES / VECTOR / 2; n > 0; n /= 2) UNROLL for (int i = 0; i < n; i++) x.v[i] = \
        of_vectors(x.v[i], x.v[i + n]);                                                                \
    vec_store(lane, x.v[0]);                                                                           \
    UNROLL for (int n = VECTOR / 2; n > 0; n /= 2) UNROLL for (int i = 0; i < n; i++) lane[i] =        \
        of_floats(lane[i], lane[i + n]);                                                               \
    return lane[0];                                                                                    \
  }
JOIN(join_largest, vec_raise, larger)
JOIN(join_sum, vec_add, plus)

// The lanes of vector v that exist where n elements are left, at most LANES.
static inline lanes left_of(size_t n, int v) {
  int left = (int)n - v * VECTOR;
  return lanes_below(left < 0 ? 0 : left > VECTOR ? VECTOR : left);
}

// NaN is passed over: it comes back with the sum of the exponentials.
static float largest(const float *x, size_t n) {
  const vec none = vec_splat(-INFINITY);
  row_lanes max;
  size_t i = 0;
  UNROLL for (int v = 0; v < LANES / VECTOR; v++) max.v[v] = none;
  for (; i + LANES <= n; i += LANES)
    UNROLL for (int v = 0; v < LANES / VECTOR; v++) max.v[v] = vec_raise(max.v[v], vec_load(x + i + v * VECTOR));
  if (i < n)
    UNROLL for (int v = 0; v < LANES / VECTOR; v++) max.v[v] =
        vec_raise(max.v[v], vec_load_lanes(x + i + v * VECTOR, left_of(n - i, v), none));
  return join_largest(max);
}

static float largest_of_row(const float *x, size_t n) {
  float max = -INFINITY;
  for (size_t i = 0; i < n && !ended(i, PIECE); i += PIECE)
    max = larger(max, largest(x + i, n - i < PIECE ? n - i : PIECE));
  return max;
}

// Exponentials of a block into y (unless only their sum is wanted).
static inline float exponentials(const float *x, float *y, size_t n, float max, bool keep) {
  row_lanes all;
  float e[LANES];
  size_t i = 0;
  UNROLL for (int v = 0; v < LANES / VECTOR; v++) all.v[v] = vec_splat(0);
  for (; i + LANES <= n; i += LANES) {
    for (size_t l = 0; l < LANES; l++) e[l] = exponential_down(x[i + l] - max);
    UNROLL for (int v = 0; v < LANES / VECTOR; v++) all.v[v] = vec_add(all.v[v], vec_load(e + v * VECTOR));
    if (keep) memcpy(y + i, e, sizeof e);
  }
  if (i < n) {
    UNROLL for (int v = 0; v < LANES / VECTOR; v++)
        vec_store(e + v * VECTOR, vec_load_lanes(x + i + v * VECTOR, left_of(n - i, v), vec_splat(-INFINITY)));
    for (size_t l = 0; l < LANES; l++) e[l] = exponential_down(e[l] - max);
    UNROLL for (int v = 0; v < LANES / VECTOR; v++) {
      vec part = vec_load(e + v * VECTOR);
      all.v[v] = vec_add(all.v[v], part);
      if (keep) vec_store_lanes(y + i + v * VECTOR, left_of(n - i, v), part);
    }
  }
  return join_sum(all);
}

static void scale_row(float *y, size_t n, float by) {
  const vec scale = vec_splat(by);
  size_t i = 0;
  for (; i + VECTOR <= n; i += VECTOR) vec_store(y + i, vec_mul(vec_load(y + i), scale));
  const lanes left = left_of(n - i, 0);
  if (i < n) vec_store_lanes(y + i, left, vec_mul(vec_load_lanes(y + i, left, scale), scale));
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
  const size_t width = rows < STRIP ? (rows + VECTOR - 1) / VECTOR * VECTOR : STRIP;
  memset(turned, 0, cols * width * sizeof *turned);
  for (size_t r = 0, count; r < rows; r += count, x += count * cols, y += count * cols) {
    count = rows - r < width ? rows - r : width;
    for (size_t j = 0; j < cols; j++)
      for (size_t i = 0; i < count; i++) turned[j * width + i] = x[i * cols + j];
    strip(turned, turned, cols, width, width, logarithmic);
    for (size_t j = 0; j < cols; j++)
      for (size_t i = 0; i < count; i++) y[i * cols + j] = turned[j * width + i];
  }
}

static double sum_of_row(const float *x, float *y, size_t n, float max, bool logarithmic) {
  double sum = 0;
  for (size_t i = 0; i < n && !ended(i, PIECE); i += BLOCK) {
    size_t part = n - i < BLOCK ? n - i : BLOCK;
    sum += logarithmic ? exponentials(x + i, y, part, max, false) : exponentials(x + i, y + i, part, max, true);
  }
  return sum;
}

static void end_row(const float *x, float *y, size_t n, float max, double sum, bool logarithmic) {
  const float shift = logarithmic ? logarithm((float)sum) : 0, scale = (float)(1 / sum);
  for (size_t i = 0; i < n && !ended(i, PIECE); i += PIECE) {
    const float *from = x + i;
    float *to = y + i;
    size_t part = n - i < PIECE ? n - i : PIECE;
    if (logarithmic) {
      SIMD_LOOP for (size_t k = 0; k < part; k++) to[k] = from[k] - max - shift;
    } else {
      scale_row(to, part, scale);
    }
  }
}

static void rows(const float *x, float *y, size_t rows, size_t cols, bool logarithmic) {
  if (cols <= SHORT) {
    short_rows(x, y, rows, cols, logarithmic);
    return;
  }
  for (size_t r = 0; r < rows; r++, x += cols, y += cols) {
    float max = largest_of_row(x, cols);
    double sum = sum_of_row(x, y, cols, max, logarithmic);
    end_row(x, y, cols, max, sum, logarithmic);
  }
}

static void columns(const float *x, float *y, size_t axis, size_t inner, size_t width, bool logarithmic) {
  for (size_t j = 0; j < width; j += STRIP)
    strip(x + j, y + j, axis, inner, width - j < STRIP ? width - j : STRIP, logarithmic);
}

KERNEL(softmax_f32) = {.rows = rows, .columns = columns};

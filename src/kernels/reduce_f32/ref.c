// SPDX-License-Identifier: Apache-2.0
// reduce_f32 in plain C. Every function is told which reduction it does; each entry point at the end passes a
// constant, so the compiler makes a loop of its own for each and the choices below cost nothing. The lanes are an array
// that it turns into vector registers: the automatic variants are fast and give the same bits.
#include <math.h>

#include "base/pool.h"
#include "kernels/loop.h"
#include "kernels/reduce_f32/reduce_f32.h"

enum { LANES = REDUCE_F32_LANES, BLOCK = REDUCE_F32_BLOCK, ROWS = REDUCE_F32_ROWS, STRIP = 256 };

// The result over no elements, but for the mean.
INLINE float start(reduce_f32_op op) {
  switch (op) {
    case REDUCE_F32_PROD:
      return 1;
    case REDUCE_F32_MAX:
      return -INFINITY;
    case REDUCE_F32_MIN:
      return INFINITY;
    default:
      return 0;
  }
}

// What an element contributes.
INLINE float term(reduce_f32_op op, float x) {
  switch (op) {
    case REDUCE_F32_SUMSQ:
      return x * x;
    case REDUCE_F32_L1:
      return __builtin_fabsf(x);
    default:
      return x;
  }
}

// Two contributions, or two lanes, become one. A NaN on either side stays.
INLINE float fold(reduce_f32_op op, float a, float b) {
  switch (op) {
    case REDUCE_F32_PROD:
      return a * b;
    case REDUCE_F32_MAX:
      return a > b || a != a ? a : b;
    case REDUCE_F32_MIN:
      return a < b || a != a ? a : b;
    default:
      return a + b;
  }
}

// Blocks of sums are added in double; all else goes on as within a block.
INLINE bool is_sum(reduce_f32_op op) { return op != REDUCE_F32_PROD && op != REDUCE_F32_MAX && op != REDUCE_F32_MIN; }

INLINE float finish_sum(reduce_f32_op op, double sum, size_t count) {
  return (float)(op == REDUCE_F32_MEAN ? sum / (double)count : sum);
}

INLINE float reduce_block(reduce_f32_op op, const float *x, size_t n) {
  float lane[LANES];
  for (size_t l = 0; l < LANES; l++) lane[l] = start(op);
  size_t i = 0;
  for (; i + LANES <= n; i += LANES)
    for (size_t l = 0; l < LANES; l++) lane[l] = fold(op, lane[l], term(op, x[i + l]));
  for (size_t l = 0; i + l < n; l++) lane[l] = fold(op, lane[l], term(op, x[i + l]));
  for (size_t step = LANES / 2; step > 0; step /= 2)
    for (size_t l = 0; l < step; l++) lane[l] = fold(op, lane[l], lane[l + step]);
  return lane[0];
}

INLINE void inner(reduce_f32_op op, const float *x, float *y, size_t rows, size_t cols) {
  size_t done = 0;
  for (size_t r = 0; r < rows; r++, x += cols) {
    double sum = 0;
    float total = start(op);
    for (size_t i = 0; i < cols && !pool_stopped_after(&done, BLOCK); i += BLOCK) {
      float block = reduce_block(op, x + i, cols - i < BLOCK ? cols - i : BLOCK);
      sum = i == 0 ? (double)block : sum + (double)block;
      total = i == 0 ? block : fold(op, total, block);
    }
    y[r] = is_sum(op) ? finish_sum(op, sum, cols) : total;
  }
}

// STRIP columns side by side.
INLINE void outer(reduce_f32_op op, const float *x, size_t stride, float *y, size_t rows, size_t cols) {
  size_t done = 0;
  for (size_t c = 0; c < cols; c += STRIP) {
    size_t width = cols - c < STRIP ? cols - c : STRIP;
    double sum[STRIP];
    float total[STRIP];
    for (size_t j = 0; j < width; j++) sum[j] = 0, total[j] = start(op);
    for (size_t r = 0; r < rows && !pool_stopped_after(&done, ROWS * width); r += ROWS) {
      size_t last = rows - r < ROWS ? rows : r + ROWS;
      float block[STRIP];
      for (size_t j = 0; j < width; j++) block[j] = start(op);
      for (size_t i = r; i < last; i++) {
        const float *row = x + i * stride + c;
        for (size_t j = 0; j < width; j++) block[j] = fold(op, block[j], term(op, row[j]));
      }
      if (is_sum(op))
        for (size_t j = 0; j < width; j++) sum[j] += (double)block[j];
      else
        for (size_t j = 0; j < width; j++) total[j] = fold(op, total[j], block[j]);
    }
    for (size_t j = 0; j < width; j++) y[c + j] = is_sum(op) ? finish_sum(op, sum[j], rows) : total[j];
  }
}

#define ENTRY_POINTS(NAME)                                                                      \
  static void NAME##_inner(const float *x, float *y, size_t rows, size_t cols) {                \
    inner(REDUCE_F32_##NAME, x, y, rows, cols);                                                 \
  }                                                                                             \
  static void NAME##_outer(const float *x, size_t stride, float *y, size_t rows, size_t cols) { \
    outer(REDUCE_F32_##NAME, x, stride, y, rows, cols);                                         \
  }
REDUCE_F32_LIST(ENTRY_POINTS)

#define INNER(NAME) [REDUCE_F32_##NAME] = NAME##_inner,
#define OUTER(NAME) [REDUCE_F32_##NAME] = NAME##_outer,
KERNEL(reduce_f32) = {.inner = {REDUCE_F32_LIST(INNER)}, .outer = {REDUCE_F32_LIST(OUTER)}};

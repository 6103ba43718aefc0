// SPDX-License-Identifier: Apache-2.0
// reduce_f32 in plain C: the lanes are an array that the compiler turns into vector registers, so the
// automatic variants are fast and give the same bits.
#include <math.h>

#include "kernels/reduce_f32/reduce_f32.h"

enum { LANES = REDUCE_F32_LANES, BLOCK = REDUCE_F32_BLOCK, ROWS = REDUCE_F32_ROWS, STRIP = 256 };

static inline float larger(float a, float b) { return a > b || a != a ? a : b; }
static inline float smaller(float a, float b) { return a < b || a != a ? a : b; }
static inline float plus(float a, float b) { return a + b; }
static inline float times(float a, float b) { return a * b; }

// TERM(v): what an element contributes; FOLD(a, b): combines two; Wide: type that combines blocks;
// FINISH(total, count): the result.
#define REDUCE(NAME, START, TERM, FOLD, Wide, WIDE_FOLD, FINISH)                                \
  static float NAME##_block(const float *x, size_t n) {                                         \
    float lane[LANES];                                                                          \
    for (size_t l = 0; l < LANES; l++) lane[l] = START;                                         \
    size_t i = 0;                                                                               \
    for (; i + LANES <= n; i += LANES)                                                          \
      for (size_t l = 0; l < LANES; l++) lane[l] = FOLD(lane[l], TERM(x[i + l]));               \
    for (size_t l = 0; i + l < n; l++) lane[l] = FOLD(lane[l], TERM(x[i + l]));                 \
    for (size_t step = LANES / 2; step > 0; step /= 2)                                          \
      for (size_t l = 0; l < step; l++) lane[l] = FOLD(lane[l], lane[l + step]);                \
    return lane[0];                                                                             \
  }                                                                                             \
  static void NAME##_inner(const float *x, float *y, size_t rows, size_t cols) {                \
    for (size_t r = 0; r < rows; r++, x += cols) {                                              \
      Wide total = START;                                                                       \
      for (size_t i = 0; i < cols; i += BLOCK) {                                                \
        float block = NAME##_block(x + i, cols - i < BLOCK ? cols - i : BLOCK);                 \
        total = i == 0 ? (Wide)block : WIDE_FOLD(total, block);                                 \
      }                                                                                         \
      y[r] = FINISH(total, cols);                                                               \
    }                                                                                           \
  }                                                                                             \
  static void NAME##_outer(const float *x, size_t stride, float *y, size_t rows, size_t cols) { \
    for (size_t c = 0; c < cols; c += STRIP) {                                                  \
      size_t width = cols - c < STRIP ? cols - c : STRIP;                                       \
      Wide total[STRIP];                                                                        \
      for (size_t j = 0; j < width; j++) total[j] = START;                                      \
      for (size_t r = 0; r < rows; r += ROWS) {                                                 \
        size_t last = rows - r < ROWS ? rows : r + ROWS;                                        \
        float sum[STRIP];                                                                       \
        for (size_t j = 0; j < width; j++) sum[j] = START;                                      \
        for (size_t i = r; i < last; i++) {                                                     \
          const float *from = x + i * stride + c;                                               \
          for (size_t j = 0; j < width; j++) sum[j] = FOLD(sum[j], TERM(from[j]));              \
        }                                                                                       \
        for (size_t j = 0; j < width; j++) total[j] = WIDE_FOLD(total[j], sum[j]);              \
      }                                                                                         \
      for (size_t j = 0; j < width; j++) y[c + j] = FINISH(total[j], rows);                     \
    }                                                                                           \
  }

#define SELF(v) (v)
#define SQUARE(v) ((v) * (v))
#define ADD(a, b) ((a) + (b))
#define MULTIPLY(a, b) ((a) * (b))
#define KEEP(total, count) ((float)(total))
#define DIVIDE(total, count) ((float)((total) / (double)(count)))
REDUCE(SUM, 0, SELF, plus, double, ADD, KEEP)
REDUCE(MEAN, 0, SELF, plus, double, ADD, DIVIDE)
REDUCE(SUMSQ, 0, SQUARE, plus, double, ADD, KEEP)
REDUCE(L1, 0, __builtin_fabsf, plus, double, ADD, KEEP)
REDUCE(PROD, 1, SELF, times, float, MULTIPLY, KEEP)
REDUCE(MAX, -INFINITY, SELF, larger, float, larger, KEEP)
REDUCE(MIN, INFINITY, SELF, smaller, float, smaller, KEEP)

#define INNER(NAME) [REDUCE_F32_##NAME] = NAME##_inner,
#define OUTER(NAME) [REDUCE_F32_##NAME] = NAME##_outer,
KERNEL(reduce_f32) = {.inner = {REDUCE_F32_LIST(INNER)}, .outer = {REDUCE_F32_LIST(OUTER)}};

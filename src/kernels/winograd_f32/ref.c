// SPDX-License-Identifier: Apache-2.0
// winograd_f32 in plain C, channel by channel; the compiler makes vectors of channels for each tier, all with the
// same bits, as products and sums are rounded each.
#include "kernels/loop.h"
#include "kernels/winograd_f32/winograd_f32.h"

enum { PARTS = WINOGRAD_F32_PARTS, PIXELS = WINOGRAD_F32_PIXELS };

// tile + 2 values `step` apart: B^T d.
INLINE void forth(int tile, float *d, int step) {
  float d0 = d[0], d1 = d[step], d2 = d[2 * step], d3 = d[3 * step];
  if (tile == 2) {
    d[0] = d0 - d2, d[step] = d1 + d2, d[2 * step] = d2 - d1, d[3 * step] = d1 - d3;
    return;
  }
  const float a = 0.75f, b = 1.5f, aa = a * a, bb = b * b, d4 = d[4 * step], d5 = d[5 * step];
  float even_a = d4 - bb * d2, odd_a = a * (d3 - bb * d1), even_b = d4 - aa * d2, odd_b = b * (d3 - aa * d1);
  d[0] = aa * bb * d0 - (aa + bb) * d2 + d4, d[5 * step] = aa * bb * d1 - (aa + bb) * d3 + d5;
  d[step] = even_a + odd_a, d[2 * step] = even_a - odd_a;
  d[3 * step] = even_b + odd_b, d[4 * step] = even_b - odd_b;
}

// tile + 2 values become the first `tile`: A^T m.
INLINE void back(int tile, float *m, int step) {
  float m0 = m[0], m1 = m[step], m2 = m[2 * step], m3 = m[3 * step];
  if (tile == 2) {
    m[0] = m0 + m1 + m2, m[step] = m1 - m2 - m3;
    return;
  }
  const float a = 0.75f, b = 1.5f, m4 = m[4 * step], m5 = m[5 * step];
  float sum_a = m1 + m2, difference_a = m1 - m2, sum_b = m3 + m4, difference_b = m3 - m4;
  m[0] = m0 + sum_a + sum_b, m[step] = a * difference_a + b * difference_b;
  m[2 * step] = a * a * sum_a + b * b * sum_b;
  m[3 * step] = a * a * a * difference_a + b * b * b * difference_b + m5;
}

INLINE void input(int tile, const float *const *pixels, size_t channels, float *parts) {
  const int side = tile + 2;
  const float *x[PARTS];
  for (int i = 0; i < side * side; i++) x[i] = pixels[i];
  SIMD_LOOP
  for (size_t c = 0; c < channels; c++) {
    float d[PARTS];
    UNROLL for (int i = 0; i < side * side; i++) d[i] = x[i][c];
    UNROLL for (int i = 0; i < side; i++) forth(tile, d + i, side);
    UNROLL for (int i = 0; i < side; i++) forth(tile, d + i * side, 1);
    UNROLL for (int i = 0; i < side * side; i++) parts[(size_t)i * channels + c] = d[i];
  }
}

INLINE void output_as(int tile, const float *parts, size_t channels, const float *bias, const float *const *residual,
                      const activation_limits *limits, float *const *y, bool adds) {
  const int side = tile + 2;
  const float low = limits->low, high = limits->high, zero = limits->zero, *from[PIXELS];
  float *to[PIXELS];
  for (int i = 0; i < tile * tile; i++) to[i] = y[i], from[i] = adds ? residual[i] : NULL;
  SIMD_LOOP
  for (size_t c = 0; c < channels; c++) {
    float m[PARTS], b = bias[c];
    UNROLL for (int i = 0; i < side * side; i++) m[i] = parts[(size_t)i * channels + c];
    UNROLL for (int i = 0; i < side; i++) back(tile, m + i, side);
    UNROLL for (int i = 0; i < tile; i++) back(tile, m + i * side, 1);
    UNROLL for (int i = 0; i < tile * tile; i++) {
      float v = m[i / tile * side + i % tile] + b;
      if (adds) v += from[i][c];
      v = v < low ? low : v;
      to[i][c] = (v > high ? high : v) + zero;
    }
  }
}

#define TRANSFORMS(tile)                                                                                          \
  static void input_##tile(const float *const *pixels, size_t channels, float *parts) {                           \
    input(tile, pixels, channels, parts);                                                                         \
  }                                                                                                               \
  static void output_##tile(const float *parts, size_t channels, const float *bias, const float *const *residual, \
                            const activation_limits *limits, float *const *y) {                                   \
    if (residual) output_as(tile, parts, channels, bias, residual, limits, y, true);                              \
    else output_as(tile, parts, channels, bias, NULL, limits, y, false);                                          \
  }
TRANSFORMS(2)
TRANSFORMS(4)

static bool below(const float *x, size_t n, float limit) {
  unsigned not_below = 0;
  for (size_t i = 0; i < n; i++) not_below |= !(__builtin_fabsf(x[i]) < limit);
  return !not_below;
}

KERNEL(winograd_f32) = {.of_2 = {input_2, output_2}, .of_4 = {input_4, output_4}, .below = below};

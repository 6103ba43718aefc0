// SPDX-License-Identifier: Apache-2.0
// winograd_f32 in plain C, channel by channel; the compiler makes vectors of channels for each tier, and as there are
// only additions, the same bits.
#include "kernels/loop.h"
#include "kernels/winograd_f32/winograd_f32.h"

enum { SIDE = WINOGRAD_F32_SIDE, PARTS = WINOGRAD_F32_PARTS };

// Four values `step` apart: B^T d.
INLINE void forth(float *d, int step) {
  float a = d[0], b = d[step], c = d[2 * step], e = d[3 * step];
  d[0] = a - c, d[step] = b + c, d[2 * step] = c - b, d[3 * step] = b - e;
}

// Four values become the first two: A^T m.
INLINE void back(float *m, int step) {
  float a = m[0], b = m[step], c = m[2 * step], e = m[3 * step];
  m[0] = a + b + c, m[step] = b - c - e;
}

static void input(const float *const *pixels, size_t channels, float *parts) {
  const float *x[PARTS];
  for (int i = 0; i < PARTS; i++) x[i] = pixels[i];
  SIMD_LOOP
  for (size_t c = 0; c < channels; c++) {
    float d[PARTS];
    UNROLL for (int i = 0; i < PARTS; i++) d[i] = x[i][c];
    UNROLL for (int i = 0; i < SIDE; i++) forth(d + i, SIDE);
    UNROLL for (int i = 0; i < SIDE; i++) forth(d + i * SIDE, 1);
    UNROLL for (int i = 0; i < PARTS; i++) parts[(size_t)i * channels + c] = d[i];
  }
}

INLINE void output_as(const float *parts, size_t channels, const float *bias, const float *const *residual,
                      const activation_limits *limits, float *const *y, bool adds) {
  const float low = limits->low, high = limits->high, zero = limits->zero;
  float *y0 = y[0], *y1 = y[1], *y2 = y[2], *y3 = y[3];
  const float *r0 = adds ? residual[0] : NULL, *r1 = adds ? residual[1] : NULL, *r2 = adds ? residual[2] : NULL,
              *r3 = adds ? residual[3] : NULL;
  SIMD_LOOP
  for (size_t c = 0; c < channels; c++) {
    float m[PARTS], b = bias[c];
    UNROLL for (int i = 0; i < PARTS; i++) m[i] = parts[(size_t)i * channels + c];
    UNROLL for (int i = 0; i < SIDE; i++) back(m + i, SIDE);
    back(m, 1), back(m + SIDE, 1);
    float to[4] = {m[0] + b, m[1] + b, m[SIDE] + b, m[SIDE + 1] + b};
    if (adds) to[0] += r0[c], to[1] += r1[c], to[2] += r2[c], to[3] += r3[c];
    UNROLL for (int i = 0; i < 4; i++) {
      float v = to[i] < low ? low : to[i];
      to[i] = (v > high ? high : v) + zero;
    }
    y0[c] = to[0], y1[c] = to[1], y2[c] = to[2], y3[c] = to[3];
  }
}

static void output(const float *parts, size_t channels, const float *bias, const float *const *residual,
                   const activation_limits *limits, float *const *y) {
  if (residual) output_as(parts, channels, bias, residual, limits, y, true);
  else output_as(parts, channels, bias, NULL, limits, y, false);
}

static bool below(const float *x, size_t n, float limit) {
  unsigned not_below = 0;
  for (size_t i = 0; i < n; i++) not_below |= !(__builtin_fabsf(x[i]) < limit);
  return !not_below;
}

KERNEL(winograd_f32) = {.input = input, .output = output, .below = below};

// SPDX-License-Identifier: Apache-2.0
// quantize in plain C without branches: the compiler's vectors make it run at memory speed.
#include "kernels/quantize/quantize.h"

// Clamping happens before the cast (out of range would be undefined) and puts NaN at the low end.
static inline int32_t clamped(float v, float low, float high) {
  v = v >= low ? v : low;
  v = v <= high ? v : high;
  return (int32_t)v;
}

#define TO(name, From, To, LOW, HIGH, expression)                                                            \
  static void name(const From *restrict x, To *restrict y, size_t n, float scale, int32_t zero) {            \
    float low = (float)(LOW - zero), high = (float)(HIGH - zero);                                            \
    for (size_t i = 0; i < n; i++) y[i] = (To)(clamped(__builtin_nearbyintf(expression), low, high) + zero); \
  }
TO(to_u8, float, uint8_t, 0, UINT8_MAX, x[i] / scale)
TO(to_s8, float, int8_t, INT8_MIN, INT8_MAX, x[i] / scale)
TO(to_u16, float, uint16_t, 0, UINT16_MAX, x[i] / scale)
TO(to_s16, float, int16_t, INT16_MIN, INT16_MAX, x[i] / scale)
TO(again_u8, int32_t, uint8_t, 0, UINT8_MAX, (float)x[i] * scale)
TO(again_s8, int32_t, int8_t, INT8_MIN, INT8_MAX, (float)x[i] * scale)

#define FROM(name, From)                                                                             \
  static void name(const From *restrict x, float *restrict y, size_t n, float scale, int32_t zero) { \
    for (size_t i = 0; i < n; i++) y[i] = (float)((int32_t)x[i] - zero) * scale;                     \
  }
FROM(from_u8, uint8_t)
FROM(from_s8, int8_t)
FROM(from_u16, uint16_t)
FROM(from_s16, int16_t)
// A 33-bit difference: through double, which holds it exactly.
static void from_s32(const int32_t *restrict x, float *restrict y, size_t n, float scale, int32_t zero) {
  for (size_t i = 0; i < n; i++) y[i] = (float)((double)x[i] - zero) * scale;
}

#define PAIR(name, T, LOW, HIGH, operator)                                                        \
  static void name(const quantize_pair *p, const T *a, const T *b, T *restrict y, size_t n) {     \
    quantize_pair q = *p;                                                                         \
    float low = (float)(LOW - q.y.zero), high = (float)(HIGH - q.y.zero), factor = 1 / q.y.scale; \
    for (size_t i = 0; i < n; i++) {                                                              \
      float u = (float)(a[i] - q.a.zero) * q.a.scale, v = (float)(b[i] - q.b.zero) * q.b.scale;   \
      y[i] = (T)(clamped(__builtin_nearbyintf((u operator v) * factor), low, high) + q.y.zero);   \
    }                                                                                             \
  }
PAIR(add_u8, uint8_t, 0, UINT8_MAX, +)
PAIR(add_s8, int8_t, INT8_MIN, INT8_MAX, +)
PAIR(mul_u8, uint8_t, 0, UINT8_MAX, *)
PAIR(mul_s8, int8_t, INT8_MIN, INT8_MAX, *)

static void scale_s32(const int32_t *restrict x, float *restrict y, size_t n, float factor, const float *scale,
                      const float *bias) {
  if (scale)
    for (size_t i = 0; i < n; i++) y[i] = (float)x[i] * (factor * scale[i]);
  else
    for (size_t i = 0; i < n; i++) y[i] = (float)x[i] * factor;
  for (size_t i = 0; bias && i < n; i++) y[i] += bias[i];
}

// Lanes of their own, as the compiler may not reorder comparisons with NaN.
static void range(const float *x, size_t n, float *low, float *high) {
  enum { LANES = 64 };
  float least[LANES], most[LANES];
  for (size_t i = 0; i < LANES; i++) least[i] = *low, most[i] = *high;
  size_t k = 0;
  for (; k + LANES <= n; k += LANES)
    for (size_t i = 0; i < LANES; i++) {
      least[i] = x[k + i] < least[i] ? x[k + i] : least[i];
      most[i] = x[k + i] > most[i] ? x[k + i] : most[i];
    }
  for (; k < n; k++) *low = x[k] < *low ? x[k] : *low, *high = x[k] > *high ? x[k] : *high;
  for (size_t i = 0; i < LANES; i++) {
    *low = least[i] < *low ? least[i] : *low;
    *high = most[i] > *high ? most[i] : *high;
  }
}

KERNEL(quantize) = {.to_u8 = to_u8,
                    .to_s8 = to_s8,
                    .to_u16 = to_u16,
                    .to_s16 = to_s16,
                    .from_u8 = from_u8,
                    .from_s8 = from_s8,
                    .from_u16 = from_u16,
                    .from_s16 = from_s16,
                    .from_s32 = from_s32,
                    .again_u8 = again_u8,
                    .again_s8 = again_s8,
                    .add_u8 = add_u8,
                    .add_s8 = add_s8,
                    .mul_u8 = mul_u8,
                    .mul_s8 = mul_s8,
                    .scale_s32 = scale_s32,
                    .range = range};

// SPDX-License-Identifier: Apache-2.0
// The judge of unary_f32: double precision from libm, rounded once. Slow and plain; fast.inl is judged by it.
#include <math.h>

#include "kernels/unary_f32/unary_f32.h"

static inline float unit_clamp(float v) { return v < 0 ? 0.0f : v > 1 ? 1.0f : v; }
static inline float clip(float x, float a, float b) {
  x = x < a ? a : x;
  return x > b ? b : x;
}
#define LOOP(NAME, expression)                                                    \
  static void f_##NAME(const float *in, float *out, size_t n, float a, float b) { \
    for (size_t i = 0; i < n; i++) {                                              \
      float x = in[i];                                                            \
      out[i] = (float)(expression);                                               \
    }                                                                             \
  }
#include "kernels/unary_f32/exact.inl"
#include "kernels/unary_f32/formulas.inl"

#define X(NAME, formula) [UNARY_F32_##NAME] = f_##NAME,
KERNEL(unary_f32) = {.fn = {UNARY_F32_LIST(X)}};

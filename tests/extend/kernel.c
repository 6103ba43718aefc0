// SPDX-License-Identifier: Apache-2.0
// binary_f32 written for one more tier: addition by hand where that is NEON, the rest by the compiler.
#include "kernels/binary_f32/binary_f32.h"

#include <math.h>
#ifdef __ARM_NEON
#include <arm_neon.h>
#endif

static void add(const float *a, const float *b, float *y, size_t n) {
  size_t i = 0;
#ifdef __ARM_NEON
  for (; i + 4 <= n; i += 4) vst1q_f32(y + i, vaddq_f32(vld1q_f32(a + i), vld1q_f32(b + i)));
#endif
  for (; i < n; i++) y[i] = a[i] + b[i];
}

#define FORM(name, A, B, f)                                              \
  static void name(const float *a, const float *b, float *y, size_t n) { \
    const float only_a = n ? a[0] : 0, only_b = n ? b[0] : 0;            \
    for (size_t i = 0; i < n; i++) {                                     \
      float u = A, v = B;                                                \
      y[i] = f;                                                          \
    }                                                                    \
    (void)only_a, (void)only_b;                                          \
  }
#define BY_ONE(name, f) FORM(name##_vs, a[i], only_b, f) FORM(name##_sv, only_a, b[i], f)
#define FORMS(name, f) FORM(name##_vv, a[i], b[i], f) BY_ONE(name, f)
BY_ONE(plus, u + v)
FORMS(minus, u - v)
FORMS(times, u *v)
FORMS(over, u / v)
FORMS(least, u != u ? u : v != v ? v : u < v ? u : v)
FORMS(most, u != u ? u : v != v ? v : u > v ? u : v)
FORMS(prelu, u >= 0 ? u : u * v)
FORMS(plus_relu, u + v < 0 ? 0 : u + v)
FORMS(power, powf(u, v))
#define ROW(op, name) [BINARY_F32_##op] = {name##_vv, name##_vs, name##_sv}
KERNEL(binary_f32) = {{[BINARY_F32_ADD] = {add, plus_vs, plus_sv},
                       ROW(SUB, minus),
                       ROW(MUL, times),
                       ROW(DIV, over),
                       ROW(MIN, least),
                       ROW(MAX, most),
                       ROW(PRELU, prelu),
                       ROW(ADD_RELU, plus_relu),
                       ROW(POW, power)}};

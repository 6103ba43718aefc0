// SPDX-License-Identifier: Apache-2.0
// unary_f32 for tiers with fused multiply-add: loops over math.inl, vectorised by the compiler. A tier's file is
// this one and its flags.
#include <math.h>
#include <string.h>

#include "kernels/loop.h"
#include "kernels/unary_f32/math.inl"
#include "kernels/unary_f32/unary_f32.h"

enum { WIDTH = 16 };  // floats in the widest vector

static inline float unit_clamp(float v) {
  v = choose(v < 0, 0.0f, v);
  return choose(v > 1, 1.0f, v);
}
static inline float clip(float x, float a, float b) {
  x = choose(x < a, a, x);
  return choose(x > b, b, x);
}
static inline float gelu_tanh(float x) {
  float t = 0x1.988454p-1f * FMA(0x1.6e4e26p-5f * x * x, x, x);
  return choose(x < -30.0f, -0.0f, times_logistic(x, 2.0f * t));
}
// The limits at infinity, where the product below would be inf * 0.
static inline float gelu(float x) {
  return choose(x < -30.0f, -0.0f, 0.5f * x * (1.0f + error_function(x * 0x1.6a09e6p-1f)));
}
// tanh(ln(1 + w)) = (w^2 + 2w) / (w^2 + 2w + 2), which is 1 from 20 on.
static inline float mish(float x) {
  float w = exponential(choose(x > 20.0f, 20.0f, x)), t = w * (w + 2.0f);
  return choose(x < -110.0f, -0.0f, x * (t / (t + 2.0f)));
}
static inline float softplus(float x) {
  float rest = logarithm_of_1_plus(exponential(-__builtin_fabsf(x)));
  return choose(x > 0, x, x == x ? 0.0f : x) + rest;
}
static inline float elu(float x, float a) { return choose(x >= 0, x, a * exponential_minus_1(choose(x > 0, 0.0f, x))); }
static inline float celu(float x, float a) {
  float v = x / a;
  return choose(x >= 0, x, a * exponential_minus_1(choose(v > 88.0f, 88.0f, v)));
}

// The last elements go through a full vector of their own: the same code, no scalar tail.
#define LOOP(NAME, expression)                                                    \
  static void f_##NAME(const float *in, float *out, size_t n, float a, float b) { \
    size_t whole = n / WIDTH * WIDTH;                                             \
    SIMD_LOOP for (size_t i = 0; i < whole; i++) {                                \
      float x = in[i];                                                            \
      out[i] = expression;                                                        \
    }                                                                             \
    if (whole == n) return;                                                       \
    float last[WIDTH] = {0};                                                      \
    memcpy(last, in + whole, (n - whole) * sizeof(float));                        \
    SIMD_LOOP for (size_t i = 0; i < WIDTH; i++) {                                \
      float x = last[i];                                                          \
      last[i] = expression;                                                       \
    }                                                                             \
    memcpy(out + whole, last, (n - whole) * sizeof(float));                       \
  }
#include "kernels/unary_f32/exact.inl"
LOOP(EXP, exponential(x))
LOOP(LOG, logarithm(x))
LOOP(SIGMOID, logistic(x))
LOOP(TANH, hyperbolic_tangent(x))
LOOP(ERF, error_function(x))
LOOP(GELU, gelu(x))
LOOP(GELU_TANH, gelu_tanh(x))
LOOP(SWISH, times_logistic(x, a *x))
LOOP(ELU, elu(x, a))
LOOP(SELU, b *elu(x, a))
LOOP(CELU, celu(x, a))
LOOP(SOFTPLUS, softplus(x))
LOOP(MISH, mish(x))

// Arguments beyond the reduction's reach are rare: libm corrects them one by one.
enum { BLOCK = 256 };
#define PERIODIC(NAME, quadrants, exact)                                                                  \
  static void f_##NAME(const float *in, float *out, size_t n, float a, float b) {                         \
    for (size_t start = 0; start < n; start += BLOCK) {                                                   \
      float x[BLOCK], y[BLOCK], far = 0;                                                                  \
      size_t count = n - start < BLOCK ? n - start : BLOCK, padded = (count + WIDTH - 1) / WIDTH * WIDTH; \
      memset(x + padded - WIDTH, 0, WIDTH * sizeof(float));                                               \
      memcpy(x, in + start, count * sizeof(float));                                                       \
      for (size_t i = 0; i < padded; i++) y[i] = sine(x[i], quadrants);                                   \
      for (size_t i = 0; i < padded; i++) far = choose(__builtin_fabsf(x[i]) > REDUCTION_LIMIT, 1, far);  \
      for (size_t i = 0; far > 0 && i < count; i++)                                                       \
        if (__builtin_fabsf(x[i]) > REDUCTION_LIMIT) y[i] = exact(x[i]);                                  \
      memcpy(out + start, y, count * sizeof(float));                                                      \
    }                                                                                                     \
  }
PERIODIC(SIN, 0, sinf)
PERIODIC(COS, 1, cosf)

#define X(NAME, formula) [UNARY_F32_##NAME] = f_##NAME,
KERNEL(unary_f32) = {.fn = {UNARY_F32_LIST(X)}};

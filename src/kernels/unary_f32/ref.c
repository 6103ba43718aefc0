// SPDX-License-Identifier: Apache-2.0
// The judge of unary_f32: double precision from libm, rounded once. Slow and plain; fast.inl is judged by it.
#include <math.h>

#include "kernels/unary_f32/unary_f32.h"

static inline float unit_clamp(float v) { return v < 0 ? 0.0f : v > 1 ? 1.0f : v; }
static inline float clip(float x, float a, float b) {
  x = x < a ? a : x;
  return x > b ? b : x;
}
static double sigmoid(double x) { return x >= 0 ? 1 / (1 + exp(-x)) : exp(x) / (1 + exp(x)); }
static double softplus(double x) { return fmax(x, 0) + log1p(exp(-fabs(x))); }
static double mish(double x) { return x == -INFINITY ? -0.0 : x * tanh(softplus(x)); }
// -inf * 0 would be NaN where the limit is 0.
static double swish(double x, double a) { return isinf(x) && a * x < 0 ? 0 : x * sigmoid(a * x); }
static double gelu(double x) { return x == -INFINITY ? -0.0 : x * 0.5 * erfc(-x * M_SQRT1_2); }
static double gelu_tanh(double x) {
  if (x == -INFINITY) return -0.0;
  double t = 0.7978845608028654 * (x + 0.044715 * x * x * x);
  return x * sigmoid(2 * t);
}

#define LOOP(NAME, expression)                                                    \
  static void f_##NAME(const float *in, float *out, size_t n, float a, float b) { \
    for (size_t i = 0; i < n; i++) {                                              \
      float x = in[i];                                                            \
      out[i] = (float)(expression);                                               \
    }                                                                             \
  }
#include "kernels/unary_f32/exact.inl"
LOOP(EXP, exp(x))
LOOP(LOG, log(x))
LOOP(SIGMOID, sigmoid(x))
LOOP(TANH, tanh(x))
LOOP(ERF, erf(x))
LOOP(GELU, gelu(x))
LOOP(GELU_TANH, gelu_tanh(x))
LOOP(SWISH, swish(x, a))
LOOP(ELU, x >= 0 ? x : (double)a * expm1(x))
LOOP(SELU, b *(x >= 0 ? x : (double)a * expm1(x)))
LOOP(CELU, x >= 0 ? x : (double)a * expm1((double)x / a))
LOOP(SOFTPLUS, softplus(x))
LOOP(MISH, mish(x))
LOOP(SIN, sin(x))
LOOP(COS, cos(x))

#define X(NAME, formula) [UNARY_F32_##NAME] = f_##NAME,
KERNEL(unary_f32) = {.fn = {UNARY_F32_LIST(X)}};

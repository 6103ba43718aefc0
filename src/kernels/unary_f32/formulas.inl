// SPDX-License-Identifier: Apache-2.0
// The approximated operations of unary_f32 as double-precision formulas, included where LOOP(NAME, expression)
// makes a function of x, a and b: by ref.c for the judge, by ops/parts/unary.c for double tensors.
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

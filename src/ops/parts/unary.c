// SPDX-License-Identifier: Apache-2.0
// See unary.h: float in the kernel family unary_f32, half precision through it in blocks, double in libm.
#include "ops/parts/unary.h"

#include <math.h>

#include "ops/parts/elementwise.h"

typedef void (*double_fn)(const double *in, double *out, size_t n, double a, double b);
#define LOOP(NAME, expression)                                                             \
  static void double_##NAME(const double *in, double *out, size_t n, double a, double b) { \
    for (size_t i = 0; i < n; i++) {                                                       \
      double x = in[i];                                                                    \
      out[i] = expression;                                                                 \
    }                                                                                      \
  }
static double unit_clamp(double v) { return v < 0 ? 0 : v > 1 ? 1 : v; }
static double clip(double x, double a, double b) {
  x = x < a ? a : x;
  return x > b ? b : x;
}
LOOP(NEG, -x)
LOOP(ABS, fabs(x))
LOOP(SIGN, x > 0 ? 1 : x < 0 ? -1 : x)
LOOP(SQRT, sqrt(x))
LOOP(RECIPROCAL, 1 / x)
LOOP(SQUARE, x *x)
LOOP(FLOOR, floor(x))
LOOP(CEIL, ceil(x))
LOOP(ROUND, nearbyint(x))
LOOP(RELU, x <= 0 ? 0 : x)
LOOP(LEAKY_RELU, x < 0 ? x * a : x)
LOOP(THRESHOLDED_RELU, x > a ? x : 0)
LOOP(AFFINE, a *x + b)
LOOP(HARD_SIGMOID, unit_clamp(a *x + b))
LOOP(HARD_SWISH, x *unit_clamp(x / 6 + 0.5))
LOOP(SOFTSIGN, x / (1 + fabs(x)))
LOOP(CLIP, clip(x, a, b))
#include "kernels/unary_f32/formulas.inl"

#define X(NAME, formula) [UNARY_F32_##NAME] = double_##NAME,
static const double_fn double_fns[UNARY_F32_COUNT] = {UNARY_F32_LIST(X)};
#undef X

typedef struct function {
  unary_f32_fn f32;
  double_fn f64;
  float a, b;
} function;
static void float_row(const void *context, void *out, const void *in, size_t n) {
  const function *f = context;
  f->f32(in, out, n, f->a, f->b);
}
static void double_row(const void *context, void *out, const void *in, size_t n) {
  const function *f = context;
  f->f64(in, out, n, f->a, f->b);
}

sdx_status unary_apply(op_step *c, const unary_f32_kernel *kernel, unary_f32_op f, tensor *out, const tensor *in,
                       float a, float b) {
  static const unary_row rows[SDX_DTYPE_COUNT] = {[SDX_FLOAT] = float_row, [SDX_DOUBLE] = double_row};
  if (!kernel) kernel = KERNEL_BEST(unary_f32);
  function both = {kernel->fn[f], double_fns[f], a, b};
  return unary_run(c, out, in, rows, &both, f <= UNARY_F32_CLIP ? GRAIN_CHEAP : GRAIN_COSTLY);
}

// SPDX-License-Identifier: Apache-2.0
// Contract: y[i] = f(x[i]; a, b) for i in [0, n) on contiguous floats. y may be x, otherwise no overlap; any
// alignment of 4; n may be 0. The result of an element depends on its value, a and b alone, never on its
// position or n: callers may split arrays as they like.
//
// Error against the exactly rounded result: 0 for NEG .. CLIP (one rounding per written operation for those with a and
// b); <= 1 ulp for EXP LOG, <= 3 ulp for TANH SIGMOID, <= 4 ulp for the others, plus 2^-126 absolute (results below the
// normal range may flush gradually, never to garbage). GELU, SWISH and MISH: 4 ulp of |x|. NaN in, NaN out (RELU,
// LEAKY_RELU, CLIP too; not THRESHOLDED_RELU). Infinities and signed zeros as in C's libm; LOG(-x) = NaN, LOG(0) =
// -inf, EXP overflows to inf above 88.7228394 and underflows gradually.
#pragma once

#include <stddef.h>

#include "kernels/kernel.h"

// X(NAME, formula). Exact first, approximated after CLIP.
#define UNARY_F32_LIST(X)                                           \
  X(NEG, "-x")                                                      \
  X(ABS, "|x|")                                                     \
  X(SIGN, "-1, 0 or 1; NaN stays")                                  \
  X(SQRT, "sqrt(x)")                                                \
  X(RECIPROCAL, "1/x")                                              \
  X(SQUARE, "x*x")                                                  \
  X(FLOOR, "floor(x)")                                              \
  X(CEIL, "ceil(x)")                                                \
  X(ROUND, "nearest, ties to even")                                 \
  X(RELU, "max(x, 0), relu(-0) = 0")                                \
  X(LEAKY_RELU, "x >= 0 ? x : a*x")                                 \
  X(THRESHOLDED_RELU, "x > a ? x : 0")                              \
  X(AFFINE, "a*x + b, two roundings")                               \
  X(HARD_SIGMOID, "max(0, min(1, a*x + b))")                        \
  X(HARD_SWISH, "x * max(0, min(1, x/6 + 0.5))")                    \
  X(SOFTSIGN, "x / (1 + |x|)")                                      \
  X(CLIP, "min(max(x, a), b)")                                      \
  X(EXP, "e^x")                                                     \
  X(LOG, "ln x")                                                    \
  X(SIGMOID, "1 / (1 + e^-x)")                                      \
  X(TANH, "tanh x")                                                 \
  X(ERF, "erf x")                                                   \
  X(GELU, "x/2 * (1 + erf(x / sqrt 2))")                            \
  X(GELU_TANH, "x/2 * (1 + tanh(sqrt(2/pi) * (x + 0.044715 x^3)))") \
  X(SWISH, "x * sigmoid(a*x)")                                      \
  X(ELU, "x >= 0 ? x : a * (e^x - 1)")                              \
  X(SELU, "b * (x >= 0 ? x : a * (e^x - 1))")                       \
  X(CELU, "max(0, x) + min(0, a * (e^(x/a) - 1))")                  \
  X(SOFTPLUS, "ln(1 + e^x)")                                        \
  X(MISH, "x * tanh(softplus(x))")                                  \
  X(SIN, "sin x")                                                   \
  X(COS, "cos x")

typedef enum unary_f32_op {
#define X(name, formula) UNARY_F32_##name,
  UNARY_F32_LIST(X)
#undef X
      UNARY_F32_COUNT
} unary_f32_op;

typedef void (*unary_f32_fn)(const float *x, float *y, size_t n, float a, float b);

typedef struct unary_f32_kernel {
  unary_f32_fn fn[UNARY_F32_COUNT];
} unary_f32_kernel;

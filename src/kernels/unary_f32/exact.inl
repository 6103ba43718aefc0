// SPDX-License-Identifier: Apache-2.0
// The operations of unary_f32 that are exact by definition: one formula serves the judge and the fast
// variants, which differ only in the compiler's flags. Included where LOOP(NAME, expression) makes a function.
LOOP(NEG, -x)
LOOP(ABS, __builtin_fabsf(x))
LOOP(SIGN, x > 0 ? 1.0f : x < 0 ? -1.0f : x * 0.0f + x)  // the last: 0, -0 and NaN stay
LOOP(SQRT, __builtin_sqrtf(x))
LOOP(RECIPROCAL, 1.0f / x)
LOOP(SQUARE, x *x)
LOOP(FLOOR, __builtin_floorf(x))
LOOP(CEIL, __builtin_ceilf(x))
LOOP(ROUND, __builtin_nearbyintf(x))
LOOP(RELU, x <= 0 ? 0.0f : x)
LOOP(LEAKY_RELU, x < 0 ? x * a : x)
LOOP(THRESHOLDED_RELU, x > a ? x : 0.0f)
LOOP(AFFINE, a *x + b)
LOOP(HARD_SIGMOID, unit_clamp(a *x + b))
LOOP(HARD_SWISH, x *unit_clamp(x *(1.0f / 6.0f) + 0.5f))
LOOP(SOFTSIGN, x / (1.0f + __builtin_fabsf(x)))
LOOP(CLIP, clip(x, a, b))

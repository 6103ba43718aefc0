// SPDX-License-Identifier: Apache-2.0
// Elementary functions on one float without branches or tables, so that a loop over them becomes vector code of
// whatever width the tier has, with the same bits in every lane and in the tail. Needs fused multiply-add.
// Polynomials are minimax fits made for this file (the error beside each is the fit's, before rounding).
// Read next: fast.inl, which turns them into loops; softmax_f32 uses exponential and logarithm too.
#pragma once

#include "base/half.h"

#define FMA(a, b, c) __builtin_fmaf(a, b, c)

static inline float choose(int condition, float yes, float no) { return condition ? yes : no; }
static inline float sign_of(float magnitude, float sign) {
  return float_from_bits((float_bits(magnitude) & 0x7fffffff) | (float_bits(sign) & 0x80000000));
}

// x = n ln 2 + r, |r| <= ln 2 / 2, e^r = 1 + q, for |x| < 150 or NaN. Adding 1.5 * 2^23 rounds to an integer and leaves
// it in the low bits, so nothing is converted and NaN stays NaN; from there it is shifted to where the exponent stands.
typedef struct exp_parts {
  uint32_t n;  // n * 2^23
  float q;
} exp_parts;
static inline exp_parts exp_split(float x) {
  float shifted = FMA(x, 0x1.715476p+0f, 0x1.8p23f), n = shifted - 0x1.8p23f;
  float r = FMA(n, -0x1.62e4p-1f, x);  // ln 2 in two parts; the first has zeros at its end
  r = FMA(n, -0x1.7f7d1cp-20f, r);
  float p = 0x1.a242f6p-13f;  // 2^-31
  p = FMA(p, r, 0x1.6d4292p-10f), p = FMA(p, r, 0x1.111004p-7f), p = FMA(p, r, 0x1.5554f2p-5f);
  p = FMA(p, r, 0x1.555556p-3f), p = FMA(p, r, 0.5f);
  return (exp_parts){float_bits(shifted) << 23, FMA(r * r, p, r)};
}
// 2^n for an n * 2^23, -126 <= n <= 127
static inline float power_of_2(uint32_t n) { return float_from_bits(n + 0x3f800000); }
// NaN stays NaN.
static inline float at_least(float x, float low) { return low > x ? low : x; }
static inline float at_most(float x, float high) { return high < x ? high : x; }

static inline float exponential(float x) {
  exp_parts e = exp_split(at_most(at_least(x, -104.0f), 89.0f));
  uint32_t half = (uint32_t)((int32_t)e.n >> 1) & 0xff800000;  // in two steps: the ends of the range are not normal
  float s = power_of_2(half);
  return FMA(s, e.q, s) * power_of_2(e.n - half);
}
// e^x for x <= 0 (or NaN), results below the normal range flushed to 0: for sums and ratios.
static inline float exponential_down(float x) {
  exp_parts e = exp_split(at_least(x, -87.0f));
  float s = power_of_2(e.n);
  return choose(x < -87.0f, 0.0f, FMA(s, e.q, s));
}
// e^x - 1 for x <= 88
static inline float exponential_minus_1(float x) {
  exp_parts e = exp_split(at_least(x, -30.0f));
  float s = power_of_2(e.n);
  return FMA(s, e.q, s - 1.0f);
}

static inline float logarithm(float x) {
  int small = x < 0x1p-126f;
  uint32_t u = float_bits(choose(small, x * 0x1p23f, x));
  int32_t k = (int32_t)(u - 0x3f2aaaab) >> 23;  // the fraction lies in [2/3, 4/3)
  float f = float_from_bits(u - ((uint32_t)k << 23)) - 1.0f;
  float n = (float)k - choose(small, 23.0f, 0.0f);
  float p = -0x1.0e2cb0p-3f;  // 2^-27
  p = FMA(p, f, 0x1.1defc4p-3f), p = FMA(p, f, -0x1.f03b2ap-4f), p = FMA(p, f, 0x1.1ef264p-3f);
  p = FMA(p, f, -0x1.55b7f0p-3f), p = FMA(p, f, 0x1.99ce34p-3f), p = FMA(p, f, -0x1.fffe5ep-3f);
  p = FMA(p, f, 0x1.55550cp-2f), p = FMA(p, f, -0.5f);
  float r = FMA(f * f, p, f);
  r = FMA(n, 0x1.62e4p-1f, FMA(n, 0x1.7f7d1cp-20f, r));
  r = choose(x == 0, -__builtin_inff(), r);
  r = choose(x < 0, __builtin_nanf(""), r);
  return choose(x < __builtin_inff(), r, x);  // inf and NaN stay
}
// ln(1 + e) for e in [0, 1]: 2 atanh(e / (2 + e))
static inline float logarithm_of_1_plus(float e) {
  float s = e / (2.0f + e), z = s * s;
  float p = 0x1.f08af8p-3f;  // 2^-32
  p = FMA(p, z, 0x1.b72bb8p-3f), p = FMA(p, z, 0x1.250510p-2f), p = FMA(p, z, 0x1.9996d8p-2f);
  p = FMA(p, z, 0x1.555558p-1f);
  return FMA(s * z, p, 2.0f * s);
}

// y / (1 + e^-x) in the two roundings that a division and a product have; 0 where e^-x leaves the range, whatever y.
static inline float times_logistic(float y, float x) {
  exp_parts e = exp_split(-at_most(at_least(x, -88.0f), 87.0f));
  float s = power_of_2(e.n);
  return choose(x < -88.0f, 0.0f, y * (1.0f / (1.0f + FMA(s, e.q, s))));
}
static inline float logistic(float x) { return times_logistic(1.0f, x); }
static inline float hyperbolic_tangent(float x) {
  float e = exponential_minus_1(-2.0f * __builtin_fabsf(x));
  return sign_of(e / (2.0f + e), x);
}

// Near zero a polynomial in x^2; beyond, 1 - e^-g(|x|) with g = -ln erfc, smooth enough for degree 7.
static inline float error_function(float x) {
  float a = __builtin_fabsf(x), z = x * x, p = 0x1.4f1db2p-14f;  // 2^-30
  p = FMA(p, z, -0x1.a5fb10p-11f), p = FMA(p, z, 0x1.544920p-8f), p = FMA(p, z, -0x1.b80110p-6f);
  p = FMA(p, z, 0x1.ce2d64p-4f), p = FMA(p, z, -0x1.812740p-2f), p = FMA(p, z, 0x1.06eba8p-3f);
  float c = a > 4.0f ? 4.0f : a, g = 0x1.61e0a0p-16f;  // 2^-34 of the result
  g = FMA(g, c, -0x1.c78c56p-12f), g = FMA(g, c, 0x1.1159ecp-8f), g = FMA(g, c, -0x1.9b8e32p-6f);
  g = FMA(g, c, 0x1.bb83dap-4f), g = FMA(g, c, 0x1.44460cp-1f), g = FMA(g, c, 0x1.2127e4p+0f);
  g = FMA(g, c, -0x1.6e5700p-13f);
  float large = 1.0f - exponential_down(-g);
  return choose(a < 0.92f, FMA(x, p, x), sign_of(large, x));
}

// Sine (or cosine: one of `quadrants` further) for |x| <= REDUCTION_LIMIT: x = n pi/2 + r with pi/2 in three parts.
#define REDUCTION_LIMIT 30000.0f
static inline float sine(float x, uint32_t quadrants) {
  float shifted = FMA(x, 0x1.45f306p-1f, 0x1.8p23f), n = shifted - 0x1.8p23f;
  float r = FMA(n, -0x1.921fb6p+0f, x);
  r = FMA(n, 0x1.777a5cp-25f, r), r = FMA(n, 0x1.ee59dap-50f, r);
  uint32_t quadrant = float_bits(shifted) + quadrants;
  float z = r * r;
  float s = FMA(FMA(FMA(0x1.7b13f0p-19f, z, -0x1.a0561cp-13f), z, 0x1.111172p-7f), z, -0x1.555556p-3f);
  float c = FMA(FMA(0x1.99d65ep-16f, z, -0x1.6c0c04p-10f), z, 0x1.55554ap-5f);
  s = FMA(r * z, s, r), c = FMA(z * z, c, FMA(z, -0.5f, 1.0f));
  float v = choose(quadrant & 1, c, s);
  v = float_from_bits(float_bits(v) ^ (quadrant & 2) << 30);
  return choose(quadrants == 0 && x == 0, x, v);  // -0 stays
}

// SPDX-License-Identifier: Apache-2.0
// The float kinds of 8, 6 and 4 bits: decoding and encoding with round to nearest even. Each kind is a
// row (exponent bias, mantissa bits, largest value, codes of NaN and infinity), the arithmetic is
// written once. See half.h for float16 and bfloat16.
#pragma once

#include <math.h>
#include <stdint.h>

#include "base/half.h"
#include "sardonyx/types.h"

typedef struct float8_kind {
  int bias, mantissa_bits, bits;
  float max;
  int nan, infinity;   // code without sign; -1: the kind has none
  bool unsigned_zero;  // "FNUZ": one zero, and its sign bit alone means NaN
} float8_kind;

static const float8_kind float8_e4m3fn = {7, 3, 8, 448, 0x7f, -1, false};
static const float8_kind float8_e4m3fnuz = {8, 3, 8, 240, 0x80, -1, true};
static const float8_kind float8_e5m2 = {15, 2, 8, 57344, 0x7f, 0x7c, false};
static const float8_kind float8_e5m2fnuz = {16, 2, 8, 57344, 0x80, -1, true};
static const float8_kind float4_e2m1 = {1, 1, 4, 6, -1, -1, false};
static const float8_kind float6_e2m3 = {1, 3, 6, 7.5f, -1, -1, false};
static const float8_kind float6_e3m2 = {3, 2, 6, 28, -1, -1, false};

// NULL: not one of the 8-bit kinds above.
static inline const float8_kind *float8_of(sdx_dtype d) {
  switch (d) {
    case SDX_FLOAT8E4M3FN:
      return &float8_e4m3fn;
    case SDX_FLOAT8E4M3FNUZ:
      return &float8_e4m3fnuz;
    case SDX_FLOAT8E5M2:
      return &float8_e5m2;
    case SDX_FLOAT8E5M2FNUZ:
      return &float8_e5m2fnuz;
    default:
      return NULL;
  }
}

// The same for those of 6 bits, which take a byte in memory.
static inline const float8_kind *float6_of(sdx_dtype d) {
  return d == SDX_FLOAT6E2M3 ? &float6_e2m3 : d == SDX_FLOAT6E3M2 ? &float6_e3m2 : NULL;
}

static inline float float8_to_float(const float8_kind *k, unsigned code) {
  unsigned sign = code >> (k->bits - 1) & 1, low = code & ((1u << (k->bits - 1)) - 1);
  if (k->unsigned_zero ? code == 0x80 : k->infinity >= 0 ? (int)low > k->infinity : (int)low == k->nan) return NAN;
  if ((int)low == k->infinity) return sign ? -INFINITY : INFINITY;
  int exponent = (int)(low >> k->mantissa_bits), mantissa = (int)(low & ((1u << k->mantissa_bits) - 1));
  if (exponent) mantissa += 1 << k->mantissa_bits;
  else exponent = 1;
  // 2^n as bits: every kind's range lies inside float's normal one.
  float magnitude = (float)mantissa * float_from_bits((uint32_t)(exponent - k->bias - k->mantissa_bits + 127) << 23);
  return sign ? -magnitude : magnitude;
}

// saturate: what does not fit becomes the largest value, else infinity or NaN (the tables of Cast).
static inline uint8_t float8_from_float(const float8_kind *k, float f, bool saturate) {
  uint32_t bits = float_bits(f), magnitude = bits & 0x7fffffff;
  unsigned sign = (bits >> 31) << (k->bits - 1);
  if (magnitude > 0x7f800000) {  // float4 and float6 have no NaN: it becomes the largest value
    if (k->unsigned_zero) return 0x80;
    if (k->nan >= 0) return (uint8_t)(k->nan | (int)sign);
    f = k->max, magnitude = float_bits(f), sign = 0;
  }
  int exponent = (int)(magnitude >> 23) - 127;
  if (exponent < 1 - k->bias) exponent = 1 - k->bias;
  unsigned code = 0x7fffffff;
  if (magnitude < 0x7f800000) {
    // In units of the last place: exact division by a power of two, then one rounding.
    float unit = float_from_bits((uint32_t)(exponent - k->mantissa_bits + 127) << 23);
    float steps = rintf(float_from_bits(magnitude) / unit);
    if (steps * unit <= k->max) code = (unsigned)steps + ((unsigned)(exponent + k->bias - 1) << k->mantissa_bits);
  }
  if (code == 0x7fffffff) {
    if (saturate || k->nan < 0) return float8_from_float(k, sign ? -k->max : k->max, true);
    if (k->unsigned_zero) return 0x80;
    code = (unsigned)(k->infinity >= 0 ? k->infinity : k->nan);
  }
  if (k->unsigned_zero && code == 0) return 0;
  return (uint8_t)(code | sign);
}

// Exponent only: 2^(code - 127).
static inline float float8_e8m0_to_float(uint8_t code) {
  if (code == 255) return NAN;
  return code ? float_from_bits((uint32_t)code << 23) : 0x1p-127f;
}

// SPDX-License-Identifier: Apache-2.0
// Conversions between float and the narrow float formats. Static inline and free of intrinsics, so
// kernel files of any tier may include it; round to nearest even everywhere.
#pragma once

#include <stdbool.h>
#include <stdint.h>
#include <string.h>

static inline uint32_t float_bits(float f) {
  uint32_t u;
  memcpy(&u, &f, 4);
  return u;
}
static inline float float_from_bits(uint32_t u) {
  float f;
  memcpy(&f, &u, 4);
  return f;
}

static inline float bf16_to_float(uint16_t h) { return float_from_bits((uint32_t)h << 16); }
static inline uint16_t bf16_from_float(float f) {
  uint32_t u = float_bits(f);
  if ((u & 0x7fffffff) > 0x7f800000) return (uint16_t)(u >> 16 | 0x40);  // NaN stays NaN
  return (uint16_t)((u + 0x7fff + (u >> 16 & 1)) >> 16);
}

static inline float fp16_to_float(uint16_t h) {
  uint32_t sign = (uint32_t)(h & 0x8000) << 16, exponent = h >> 10 & 31, mantissa = h & 1023;
  if (exponent == 31) return float_from_bits(sign | 0x7f800000 | mantissa << 13);
  if (exponent == 0) {  // zero or subnormal: mantissa * 2^-24 is exact
    float magnitude = (float)mantissa * 0x1p-24f;
    return float_from_bits(float_bits(magnitude) | sign);
  }
  return float_from_bits(sign | (exponent + 112) << 23 | mantissa << 13);
}
static inline uint16_t fp16_from_float(float f) {
  uint32_t u = float_bits(f), sign = u >> 16 & 0x8000;
  u &= 0x7fffffff;
  if (u > 0x7f800000) return (uint16_t)(sign | 0x7e00 | (u >> 13 & 0x1ff));
  if (u >= 0x477ff000) return (uint16_t)(sign | 0x7c00);  // rounds to infinity
  if (u < 0x38800000) {                                   // subnormal: let the FPU round at 2^-24
    float magic = float_from_bits(u) + 0.5f;
    return (uint16_t)(sign | (float_bits(magic) - 0x3f000000));
  }
  return (uint16_t)(sign | ((u + 0xfff + (u >> 13 & 1)) - 0x38000000) >> 13);
}

// From double without rounding twice: the float on the way keeps in its last bit that something was cut off.
static inline float float_sticky(double d) {
  float f = (float)d;
  double back = f;
  if (back == d || d != d) return f;
  uint32_t u = float_bits(f);
  if ((back < 0 ? -back : back) > (d < 0 ? -d : d)) u--;  // towards zero; from infinity to the largest float
  return float_from_bits(u | 1);
}
static inline uint16_t fp16_from_double(double d) { return fp16_from_float(float_sticky(d)); }
static inline uint16_t bf16_from_double(double d) { return bf16_from_float(float_sticky(d)); }

// SPDX-License-Identifier: Apache-2.0
// 16-bit floats for JSON, where a number meets them one by one (the engine's bulk conversions are
// not part of its public interface). Rounding: to nearest, ties to even, once.
#pragma once

#include <math.h>
#include <stdint.h>
#include <string.h>

// `fraction` bits below the leading one, exponents from `lowest` to `highest`; overflow gives inf.
static inline uint16_t small_float_from_f64(double value, int fraction, int lowest, int highest) {
  uint16_t sign = signbit(value) ? 0x8000 : 0;
  uint16_t infinite = (uint16_t)((highest - lowest + 2) << fraction);
  double size = fabs(value);
  if (isnan(value)) return sign | infinite | (uint16_t)(1 << (fraction - 1));
  if (size == 0) return sign;
  int exponent = isinf(size) ? highest + 1 : ilogb(size);
  if (exponent > highest) return sign | infinite;
  if (exponent < lowest) exponent = lowest;  // subnormal: the step stays that of the lowest exponent
  uint32_t steps = (uint32_t)nearbyint(ldexp(size, fraction - exponent));
  // A carry out of the fraction walks into the exponent by itself.
  uint32_t bits = steps < (1u << fraction) ? steps : ((uint32_t)(exponent - lowest) << fraction) + steps;
  return sign | (uint16_t)bits;
}
static inline uint16_t half_from_f64(double value) { return small_float_from_f64(value, 10, -14, 15); }
static inline uint16_t bfloat_from_f64(double value) { return small_float_from_f64(value, 7, -126, 127); }

static inline float bfloat_to_f32(uint16_t bits) {
  uint32_t wide = (uint32_t)bits << 16;
  float value;
  memcpy(&value, &wide, sizeof value);
  return value;
}
static inline float half_to_f32(uint16_t bits) {
  int exponent = bits >> 10 & 31, fraction = bits & 1023;
  float size = exponent == 31 ? (fraction ? NAN : INFINITY)
               : exponent     ? ldexpf((float)(fraction + 1024), exponent - 25)
                              : ldexpf((float)fraction, -24);
  return bits & 0x8000 ? -size : size;
}

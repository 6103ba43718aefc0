// SPDX-License-Identifier: Apache-2.0
// Constants of float as bytes with scales, for all kinds of quantisation.
#pragma once

#include <math.h>

#include "quantize/quantize.h"

typedef struct byte_type {
  int32_t low, high;
} byte_type;
static inline byte_type byte_type_of(sdx_dtype t) {
  return t == SDX_UINT8 ? (byte_type){0, 255} : (byte_type){-128, 127};
}
static inline int32_t round_within(float x, byte_type t) {
  float r = rintf(x);
  return r < (float)t.low ? t.low : r > (float)t.high ? t.high : (int32_t)r;
}

// What a quantised constant is made of; sdx_value references of the caller. Symmetric: zero points are 0, or 128.
typedef struct quantised_weights {
  sdx_value *bytes, *scale, *zero;
  int64_t axis;  // -1: one scale
} quantised_weights;
bool weights_are_finite(const sdx_value *w);  // of float; others have no scale
// axis -1: one scale for all. False: memory.
bool weights_quantise(const sdx_value *w, int64_t axis, sdx_dtype type, quantised_weights *out);
sdx_value *scalar_float(float x);
sdx_value *scalar_byte(sdx_dtype type, int32_t x);

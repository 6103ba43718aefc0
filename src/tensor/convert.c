// SPDX-License-Identifier: Apache-2.0
// See convert.h. The loops are in convert.inl, once for float and once for double.
#include "tensor/convert.h"

#include "base/float8.h"

static unsigned nibble(const void *data, size_t i) { return ((const uint8_t *)data)[i / 2] >> (i % 2 * 4) & 15; }
// Writers of one packed tensor split it at multiples of two elements (four for the 2-bit kinds).
static void nibble_set(void *data, size_t i, unsigned code) {
  uint8_t *at = (uint8_t *)data + i / 2;
  *at = (uint8_t)((*at & ~(15u << (i % 2 * 4))) | (code & 15) << (i % 2 * 4));
}

int64_t convert_get_int(sdx_dtype dtype, const void *data, size_t i) {
  switch (dtype) {
    case SDX_UINT8:
      return ((const uint8_t *)data)[i];
    case SDX_INT8:
      return ((const int8_t *)data)[i];
    case SDX_UINT16:
      return ((const uint16_t *)data)[i];
    case SDX_INT16:
      return ((const int16_t *)data)[i];
    case SDX_UINT32:
      return ((const uint32_t *)data)[i];
    case SDX_INT32:
      return ((const int32_t *)data)[i];
    case SDX_UINT64:
      return (int64_t)((const uint64_t *)data)[i];
    case SDX_INT64:
      return ((const int64_t *)data)[i];
    case SDX_BOOL:
      return ((const uint8_t *)data)[i] != 0;
    case SDX_UINT4:
      return nibble(data, i);
    case SDX_INT4:
      return (int64_t)(nibble(data, i) ^ 8) - 8;
    case SDX_UINT2:
      return ((const uint8_t *)data)[i / 4] >> (i % 4 * 2) & 3;
    case SDX_INT2:
      return (int64_t)((((const uint8_t *)data)[i / 4] >> (i % 4 * 2) & 3) ^ 2) - 2;
    default:
      return 0;
  }
}

static int64_t clamp(int64_t v, int64_t low, int64_t high) { return v < low ? low : v > high ? high : v; }

void convert_set_int(sdx_dtype dtype, void *data, size_t i, int64_t v) {
  switch (dtype) {
    case SDX_UINT8:
      ((uint8_t *)data)[i] = (uint8_t)clamp(v, 0, UINT8_MAX);
      break;
    case SDX_INT8:
      ((int8_t *)data)[i] = (int8_t)clamp(v, INT8_MIN, INT8_MAX);
      break;
    case SDX_UINT16:
      ((uint16_t *)data)[i] = (uint16_t)clamp(v, 0, UINT16_MAX);
      break;
    case SDX_INT16:
      ((int16_t *)data)[i] = (int16_t)clamp(v, INT16_MIN, INT16_MAX);
      break;
    case SDX_UINT32:
      ((uint32_t *)data)[i] = (uint32_t)clamp(v, 0, UINT32_MAX);
      break;
    case SDX_INT32:
      ((int32_t *)data)[i] = (int32_t)clamp(v, INT32_MIN, INT32_MAX);
      break;
    case SDX_UINT64:
      ((uint64_t *)data)[i] = (uint64_t)v;
      break;
    case SDX_INT64:
      ((int64_t *)data)[i] = v;
      break;
    case SDX_BOOL:
      ((uint8_t *)data)[i] = v != 0;
      break;
    case SDX_UINT4:
      nibble_set(data, i, (unsigned)clamp(v, 0, 15));
      break;
    case SDX_INT4:
      nibble_set(data, i, (unsigned)clamp(v, -8, 7));
      break;
    case SDX_UINT2:
    case SDX_INT2: {
      unsigned code = (unsigned)(dtype == SDX_INT2 ? clamp(v, -2, 1) : clamp(v, 0, 3)) & 3, shift = i % 4 * 2;
      uint8_t *at = (uint8_t *)data + i / 4;
      *at = (uint8_t)((*at & ~(3u << shift)) | code << shift);
      break;
    }
    default:
      break;
  }
}

static float narrow_floats(float f) { return f; }
static float narrow_doubles(double d) { return float_sticky(d); }
static uint16_t half_from_floats(float f) { return fp16_from_float(f); }
static uint16_t half_from_doubles(double d) { return fp16_from_double(d); }
static uint16_t brain_from_floats(float f) { return bf16_from_float(f); }
static uint16_t brain_from_doubles(double d) { return bf16_from_double(d); }

#define REAL float
#define NAME(x) x##_floats
#include "tensor/convert.inl"
#define REAL double
#define NAME(x) x##_doubles
#include "tensor/convert.inl"

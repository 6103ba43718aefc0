// SPDX-License-Identifier: Apache-2.0
// Contract: linear quantisation of contiguous runs that share one scale and zero point; any alignment of the
// element; n may be 0; no overlap of different widths.
// to_*: saturate(round_half_even(x / scale) + zero); NaN gives the type's lowest value.
// from_*: (float)(x - zero) * scale; the difference itself is exact.
// again_*: the same as to_* on int32 sums with a multiplier: saturate(round_half_even((float)x * scale) + zero).
// add_*, mul_*: sum or product of two dequantised numbers (as from_*), quantised as to_*, but times 1 / y.scale.
// scale_s32: (float)x * (factor * scale[i]) + bias[i]; scale NULL: 1, bias NULL: nothing is added.
// range: *low and *high become the least and the greatest of them and x; NaN does not take part.
// All variants give the same bits.
#pragma once

#include <stdint.h>

#include "kernels/kernel.h"

typedef struct quantize_scale {
  float scale;
  int32_t zero;
} quantize_scale;

typedef struct quantize_pair {
  quantize_scale a, b, y;
} quantize_pair;

typedef struct quantize_kernel {
  void (*to_u8)(const float *x, uint8_t *y, size_t n, float scale, int32_t zero);
  void (*to_s8)(const float *x, int8_t *y, size_t n, float scale, int32_t zero);
  void (*to_u16)(const float *x, uint16_t *y, size_t n, float scale, int32_t zero);
  void (*to_s16)(const float *x, int16_t *y, size_t n, float scale, int32_t zero);
  void (*from_u8)(const uint8_t *x, float *y, size_t n, float scale, int32_t zero);
  void (*from_s8)(const int8_t *x, float *y, size_t n, float scale, int32_t zero);
  void (*from_u16)(const uint16_t *x, float *y, size_t n, float scale, int32_t zero);
  void (*from_s16)(const int16_t *x, float *y, size_t n, float scale, int32_t zero);
  void (*from_s32)(const int32_t *x, float *y, size_t n, float scale, int32_t zero);
  void (*again_u8)(const int32_t *x, uint8_t *y, size_t n, float scale, int32_t zero);
  void (*again_s8)(const int32_t *x, int8_t *y, size_t n, float scale, int32_t zero);
  void (*add_u8)(const quantize_pair *p, const uint8_t *a, const uint8_t *b, uint8_t *y, size_t n);
  void (*add_s8)(const quantize_pair *p, const int8_t *a, const int8_t *b, int8_t *y, size_t n);
  void (*mul_u8)(const quantize_pair *p, const uint8_t *a, const uint8_t *b, uint8_t *y, size_t n);
  void (*mul_s8)(const quantize_pair *p, const int8_t *a, const int8_t *b, int8_t *y, size_t n);
  void (*scale_s32)(const int32_t *x, float *y, size_t n, float factor, const float *scale, const float *bias);
  void (*range)(const float *x, size_t n, float *low, float *high);
} quantize_kernel;

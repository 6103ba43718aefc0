// SPDX-License-Identifier: Apache-2.0
// Contract: conversions of contiguous runs; any alignment of the element; n may be 0; no overlap.
// To fp16 and bf16: round to nearest even, overflow to infinity, subnormals kept, NaN stays a (quiet) NaN.
// Integers to float: nearest even. Floats to integers: toward zero; NaN and what does not fit give the lowest integer
// (what numpy does on x86). All variants agree bit for bit, payloads of NaN excepted.
#pragma once

#include <stdint.h>

#include "kernels/kernel.h"

typedef struct convert_kernel {
  void (*fp16_to_f32)(const uint16_t *x, float *y, size_t n);
  void (*f32_to_fp16)(const float *x, uint16_t *y, size_t n);
  void (*bf16_to_f32)(const uint16_t *x, float *y, size_t n);
  void (*f32_to_bf16)(const float *x, uint16_t *y, size_t n);
  void (*f64_to_f32)(const double *x, float *y, size_t n);
  void (*f32_to_f64)(const float *x, double *y, size_t n);
  void (*u8_to_f32)(const uint8_t *x, float *y, size_t n);
  void (*s8_to_f32)(const int8_t *x, float *y, size_t n);
  void (*s32_to_f32)(const int32_t *x, float *y, size_t n);
  void (*s64_to_f32)(const int64_t *x, float *y, size_t n);
  void (*f32_to_s32)(const float *x, int32_t *y, size_t n);
  void (*f32_to_s64)(const float *x, int64_t *y, size_t n);
  void (*s32_to_s64)(const int32_t *x, int64_t *y, size_t n);
  void (*s64_to_s32)(const int64_t *x, int32_t *y, size_t n);  // wraps
} convert_kernel;

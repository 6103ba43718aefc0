// SPDX-License-Identifier: Apache-2.0
// convert with the half-precision instructions (F16C) for both directions of fp16; the rest as in ref.c.
#include <immintrin.h>

#include "base/half.h"
#include "kernels/convert/convert.h"

#define LOOP(name, From, To, expression)                               \
  static void name(const From *restrict x, To *restrict y, size_t n) { \
    for (size_t i = 0; i < n; i++) y[i] = (To)(expression);            \
  }
#include "kernels/convert/plain.inl"

static void fp16_to_f32(const uint16_t *x, float *y, size_t n) {
  size_t i = 0;
  for (; i + 8 <= n; i += 8) _mm256_storeu_ps(y + i, _mm256_cvtph_ps(_mm_loadu_si128((const __m128i *)(x + i))));
  for (; i < n; i++) y[i] = _cvtsh_ss(x[i]);
}
static void f32_to_fp16(const float *x, uint16_t *y, size_t n) {
  size_t i = 0;
  for (; i + 8 <= n; i += 8)
    _mm_storeu_si128((__m128i *)(y + i), _mm256_cvtps_ph(_mm256_loadu_ps(x + i), _MM_FROUND_TO_NEAREST_INT));
  for (; i < n; i++) y[i] = (uint16_t)_cvtss_sh(x[i], _MM_FROUND_TO_NEAREST_INT);
}

#include "kernels/convert/table.inl"

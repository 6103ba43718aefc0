// SPDX-License-Identifier: Apache-2.0
// The way out of an integer kernel: a vector of int32 sums, scaled, rounded half to even, clamped; the low bytes of the
// first n are stored. In the widest integer vector of the tier a file is compiled for; static inline only.
// A NaN becomes `low`: the maximum gives its second operand then.
#pragma once

#include <immintrin.h>

#include "kernels/igemm_u8s8/igemm_u8s8.h"
#include "kernels/loop.h"

#if defined(__AVX512F__)
typedef __m512i ints;
typedef __m512 floats;

INLINE void narrow(ints sum, floats scale, const igemm_u8s8_output *o, uint8_t *y, size_t n) {
  floats low = _mm512_set1_ps((float)(o->low - o->zero)), high = _mm512_set1_ps((float)(o->high - o->zero));
  floats v = _mm512_max_ps(_mm512_mul_ps(_mm512_cvtepi32_ps(sum), scale), low);
  ints q = _mm512_add_epi32(_mm512_cvtps_epi32(_mm512_min_ps(v, high)), _mm512_set1_epi32(o->zero));
  if (n == 16) _mm_storeu_si128((__m128i *)y, _mm512_cvtepi32_epi8(q));
  else _mm512_mask_cvtepi32_storeu_epi8(y, (__mmask16)((1u << n) - 1), q);
}
#else
typedef __m256i ints;
typedef __m256 floats;

INLINE void narrow(ints sum, floats scale, const igemm_u8s8_output *o, uint8_t *y, size_t n) {
  const ints pick = _mm256_setr_epi8(0, 4, 8, 12, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, 0, 4, 8, 12, -1, -1,
                                     -1, -1, -1, -1, -1, -1, -1, -1, -1, -1);
  floats low = _mm256_set1_ps((float)(o->low - o->zero)), high = _mm256_set1_ps((float)(o->high - o->zero));
  floats v = _mm256_max_ps(_mm256_mul_ps(_mm256_cvtepi32_ps(sum), scale), low);
  ints q = _mm256_add_epi32(_mm256_cvtps_epi32(_mm256_min_ps(v, high)), _mm256_set1_epi32(o->zero));
  q = _mm256_shuffle_epi8(q, pick);
  uint64_t bytes = (uint32_t)_mm256_extract_epi32(q, 0) | (uint64_t)(uint32_t)_mm256_extract_epi32(q, 4) << 32;
  if (n == 8) __builtin_memcpy(y, &bytes, 8);
  else
    for (size_t i = 0; i < n; i++, bytes >>= 8) y[i] = (uint8_t)bytes;
}
#endif

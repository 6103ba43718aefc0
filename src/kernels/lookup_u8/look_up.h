// SPDX-License-Identifier: Apache-2.0
// A vector of bytes looked up in a table of 256, for AVX-512: the high half of a byte says which sixteenth of the table
// its low half chooses from. static inline only.
#pragma once

#include <immintrin.h>
#include <stdint.h>

#include "kernels/loop.h"

#ifdef __AVX512BW__
INLINE __m512i look_up(__m512i x, const uint8_t *table) {
  const __m512i low = _mm512_and_si512(x, _mm512_set1_epi8(15)), high = _mm512_andnot_si512(_mm512_set1_epi8(15), x);
  __m512i y = _mm512_setzero_si512();
  UNROLL for (int i = 0; i < 16; i++) {
    const __m512i part = _mm512_broadcast_i32x4(_mm_loadu_si128((const __m128i *)(table + 16 * i)));
    y = _mm512_mask_shuffle_epi8(y, _mm512_cmpeq_epi8_mask(high, _mm512_set1_epi8((char)(16 * i))), part, low);
  }
  return y;
}
#endif

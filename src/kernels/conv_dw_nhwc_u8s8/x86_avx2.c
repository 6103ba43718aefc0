// SPDX-License-Identifier: Apache-2.0
// conv_dw_nhwc_u8s8 with AVX2: two rows of 32 channels are interleaved and widened to int16, whose products of pairs
// are exact in int32.
#include "kernels/conv_dw_nhwc_u8s8/conv_dw_nhwc_u8s8.h"
#include "kernels/igemm_u8s8/narrow.h"

enum { UNIT = 32, GROUP = 2, PIXELS = 2 };

typedef __m256i packed_bytes;
#define bytes_xor _mm256_xor_si256
#define bytes_of(byte) _mm256_set1_epi8((char)(byte))
INLINE packed_bytes bytes_load(const uint8_t *p, size_t n) {
  uint8_t all[UNIT] = {0};
  if (n == UNIT) return _mm256_loadu_si256((const __m256i *)p);
  for (size_t i = 0; i < n; i++) all[i] = p[i];
  return _mm256_loadu_si256((const __m256i *)all);
}
INLINE void widen(packed_bytes low, packed_bytes high, ints x[NARROW_MOST]) {
  const ints none = _mm256_setzero_si256();
  x[0] = _mm256_unpacklo_epi8(low, none), x[1] = _mm256_unpackhi_epi8(low, none);
  x[2] = _mm256_unpacklo_epi8(high, none), x[3] = _mm256_unpackhi_epi8(high, none);
}
INLINE void interleave(const packed_bytes row[GROUP], ints x[NARROW_MOST]) {
  widen(_mm256_unpacklo_epi8(row[0], row[1]), _mm256_unpackhi_epi8(row[0], row[1]), x);
}
INLINE void unpack(packed_bytes bytes, ints x[NARROW_MOST]) {
  interleave((const packed_bytes[]){bytes, _mm256_setzero_si256()}, x);
}
#define MULTIPLY(sum, x, w) _mm256_add_epi32(sum, _mm256_madd_epi16(x, w))

#include "kernels/conv_dw_nhwc_u8s8/walk.inl"

KERNEL(conv_dw_nhwc_u8s8) = {.wide = true, .group = GROUP, .unit = UNIT, .run = run};

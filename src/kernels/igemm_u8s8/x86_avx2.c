// SPDX-License-Identifier: Apache-2.0
// igemm_u8s8 with AVX2, whose byte products saturate: elements are int16, whose products of pairs are exact in int32.
#include <immintrin.h>

#include "kernels/igemm_u8s8/igemm_u8s8.h"
#include "kernels/loop.h"

enum { UNIT = 8, ELEMENT = 2, MOST = 2 };

typedef __m256i ints;
static inline ints ints_load(const void *p) { return _mm256_loadu_si256((const __m256i *)p); }
static inline void ints_store(void *p, ints v) { _mm256_store_si256(p, v); }
static inline ints ints_group(const char *p) {
  int32_t two;
  __builtin_memcpy(&two, p, sizeof two);
  return _mm256_set1_epi32(two);
}
#define MULTIPLY(sum, x, w) _mm256_add_epi32(sum, _mm256_madd_epi16(x, w))

// A NaN becomes `low`: the maximum gives its second operand then.
INLINE void narrow(ints sum, const float *scale, const igemm_u8s8_output *o, uint8_t *y, size_t n) {
  __m256 low = _mm256_set1_ps((float)(o->low - o->zero)), high = _mm256_set1_ps((float)(o->high - o->zero));
  __m256 v = _mm256_mul_ps(_mm256_cvtepi32_ps(sum), _mm256_loadu_ps(scale));
  v = _mm256_min_ps(_mm256_max_ps(v, low), high);
  __m256i q = _mm256_add_epi32(_mm256_cvtps_epi32(v), _mm256_set1_epi32(o->zero));
  __m256i bytes = _mm256_shuffle_epi8(q, _mm256_setr_epi8(0, 4, 8, 12, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1,
                                                          0, 4, 8, 12, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1));
  uint64_t all = (uint32_t)_mm256_extract_epi32(bytes, 0) | (uint64_t)(uint32_t)_mm256_extract_epi32(bytes, 4) << 32;
  if (n == UNIT) __builtin_memcpy(y, &all, UNIT);
  else
    for (size_t i = 0; i < n; i++, all >>= 8) y[i] = (uint8_t)all;
}

#define INSTANCES(X) ROWS_1_TO_6(X, 1) ROWS_1_TO_6(X, 2)
#include "kernels/igemm_u8s8/tile.inl"

KERNEL(igemm_u8s8) = {.wide = true, .group = 2, .unit = UNIT, .main = MOST, .rows = {0, 6, 6}, .tile = tile};

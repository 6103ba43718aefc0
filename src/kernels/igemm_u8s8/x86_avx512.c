// SPDX-License-Identifier: Apache-2.0
// igemm_u8s8 with VNNI: four products an element and instruction, exact in int32.
#include <immintrin.h>

#include "kernels/igemm_u8s8/igemm_u8s8.h"
#include "kernels/loop.h"

enum { UNIT = 16, ELEMENT = 1, MOST = 4 };

typedef __m512i ints;
static inline ints ints_load(const void *p) { return _mm512_loadu_si512(p); }
static inline void ints_store(void *p, ints v) { _mm512_store_si512(p, v); }
static inline ints ints_group(const char *p) {
  int32_t four;
  __builtin_memcpy(&four, p, sizeof four);
  return _mm512_set1_epi32(four);
}
#define MULTIPLY(sum, x, w) _mm512_dpbusd_epi32(sum, x, w)

// A NaN becomes `low`: the maximum gives its second operand then.
INLINE void narrow(ints sum, const float *scale, const igemm_u8s8_output *o, uint8_t *y, size_t n) {
  __m512 low = _mm512_set1_ps((float)(o->low - o->zero)), high = _mm512_set1_ps((float)(o->high - o->zero));
  __m512 v = _mm512_mul_ps(_mm512_cvtepi32_ps(sum), _mm512_loadu_ps(scale));
  v = _mm512_min_ps(_mm512_max_ps(v, low), high);
  __m512i q = _mm512_add_epi32(_mm512_cvtps_epi32(v), _mm512_set1_epi32(o->zero));
  if (n == UNIT) _mm_storeu_si128((__m128i *)y, _mm512_cvtepi32_epi8(q));
  else _mm512_mask_cvtepi32_storeu_epi8(y, (__mmask16)((1u << n) - 1), q);
}

#define INSTANCES(X) ROWS_1_TO_8(X, 1) ROWS_1_TO_8(X, 2) ROWS_1_TO_8(X, 3) ROWS_1_TO_6(X, 4)
#include "kernels/igemm_u8s8/tile.inl"

KERNEL(igemm_u8s8) = {.group = 4, .unit = UNIT, .main = MOST, .rows = {0, 8, 8, 8, 6}, .tile = tile};

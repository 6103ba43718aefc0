// SPDX-License-Identifier: Apache-2.0
// igemm_u8s8 with AVX2, whose byte products saturate: elements are int16, whose products of pairs are exact in int32.
#include "kernels/igemm_u8s8/narrow.h"

enum { UNIT = 8, ELEMENT = 2, MOST = 2 };

static inline void ints_store(void *p, ints v) { _mm256_store_si256(p, v); }
static inline ints ints_group(const char *p) {
  int32_t two;
  __builtin_memcpy(&two, p, sizeof two);
  return _mm256_set1_epi32(two);
}
#define MULTIPLY(sum, x, w) _mm256_add_epi32(sum, _mm256_madd_epi16(x, w))

#define WIDTHS(X) X(1) X(2)
#define INSTANCES(X) ROWS_1_TO_6(X, 1) ROWS_1_TO_6(X, 2)
#include "kernels/igemm_u8s8/tile.inl"

KERNEL(igemm_u8s8) = {.wide = true, .group = 2, .unit = UNIT, .main = MOST, .rows = {0, 6, 6}, .tile = tile};

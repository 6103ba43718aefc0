// SPDX-License-Identifier: Apache-2.0
// igemm_u8s8 with VNNI: four products an element and instruction, exact in int32.
#include "kernels/igemm_u8s8/narrow.h"

enum { UNIT = 16, ELEMENT = 1, MOST = 4 };

static inline void ints_store(void *p, ints v) { _mm512_store_si512(p, v); }
static inline ints ints_group(const char *p) {
  int32_t four;
  __builtin_memcpy(&four, p, sizeof four);
  return _mm512_set1_epi32(four);
}
#define MULTIPLY(sum, x, w) _mm512_dpbusd_epi32(sum, x, w)

#define WIDTHS(X) X(1) X(2) X(3) X(4)
#define INSTANCES(X) ROWS_1_TO_8(X, 1) ROWS_1_TO_8(X, 2) ROWS_1_TO_8(X, 3) ROWS_1_TO_6(X, 4)
#include "kernels/igemm_u8s8/tile.inl"

KERNEL(igemm_u8s8) = {.group = 4, .unit = UNIT, .main = MOST, .rows = {0, 8, 8, 8, 6}, .tile = tile};

// SPDX-License-Identifier: Apache-2.0
// gemm_u8s8 with AVX2: 6 x 16 sums in 12 registers. The byte products of this tier saturate (vpmaddubsw), so
// elements are widened to int16, whose pair products are exact in int32.
#include <immintrin.h>

#include "kernels/gemm_u8s8/gemm_u8s8.h"
#include "kernels/loop.h"

enum { MR = 6, NR = 16, AHEAD = 1024 };
#define WIDE 1

// The first `count` rows of the panel of A, of which `rows` exist.
INLINE void tile_rows(size_t count, size_t groups, const void *a, const void *b, int32_t *c, size_t ldc, size_t rows,
                      size_t cols) {
  const char *x = a, *y = b;
  __m256i low[MR], high[MR];
  UNROLL for (size_t i = 0; i < count; i++) low[i] = high[i] = _mm256_setzero_si256();
  for (size_t g = 0; g < groups; g++, x += MR * 4, y += NR * 4) {
    __m256i b0 = _mm256_loadu_si256((const __m256i *)y), b1 = _mm256_loadu_si256((const __m256i *)(y + 32));
    if (count < 3) _mm_prefetch(y + AHEAD, _MM_HINT_T0);  // few rows wait for memory
    UNROLL for (size_t i = 0; i < count; i++) {
      int32_t pair;
      __builtin_memcpy(&pair, x + 4 * i, 4);
      __m256i v = _mm256_set1_epi32(pair);
      low[i] = _mm256_add_epi32(low[i], _mm256_madd_epi16(v, b0));
      high[i] = _mm256_add_epi32(high[i], _mm256_madd_epi16(v, b1));
    }
  }
  __m256i lane = _mm256_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7);
  __m256i m0 = _mm256_cmpgt_epi32(_mm256_set1_epi32((int)cols), lane);
  __m256i m1 = _mm256_cmpgt_epi32(_mm256_set1_epi32((int)cols - 8), lane);
  UNROLL for (size_t i = 0; i < count; i++) {
    if (i >= rows) break;
    int32_t *to = c + i * ldc;
    _mm256_maskstore_epi32(to, m0, _mm256_add_epi32(low[i], _mm256_maskload_epi32(to, m0)));
    if (cols > 8) _mm256_maskstore_epi32(to + 8, m1, _mm256_add_epi32(high[i], _mm256_maskload_epi32(to + 8, m1)));
  }
}

#define ROWS(X) X(1) X(2) X(3) X(4) X(6)
#include "kernels/gemm_u8s8/rows.inl"

#include "kernels/gemm_u8s8/pack.inl"

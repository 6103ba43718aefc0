// SPDX-License-Identifier: Apache-2.0
// gemm_u8s8 with VNNI: 12 x 32 sums in 24 registers, four products an element and instruction, exact in int32.
#include <immintrin.h>

#include "kernels/gemm_u8s8/gemm_u8s8.h"
#include "kernels/loop.h"

enum { MR = 12, NR = 32, AHEAD = 1024 };
#define WIDE 0

// The first `count` rows of the panel of A, of which `rows` exist.
INLINE void tile_rows(size_t count, size_t groups, const void *a, const void *b, int32_t *c, size_t ldc, size_t rows,
                      size_t cols) {
  const char *x = a, *y = b;
  __m512i low[MR], high[MR];
  UNROLL for (size_t i = 0; i < count; i++) low[i] = high[i] = _mm512_setzero_si512();
  for (size_t g = 0; g < groups; g++, x += MR * 4, y += NR * 4) {
    __m512i b0 = _mm512_loadu_si512(y), b1 = _mm512_loadu_si512(y + 64);
    // Few rows wait for memory.
    if (count < 4) _mm_prefetch(y + AHEAD, _MM_HINT_T0), _mm_prefetch(y + AHEAD + 64, _MM_HINT_T0);
    UNROLL for (size_t i = 0; i < count; i++) {
      int32_t four;
      __builtin_memcpy(&four, x + 4 * i, 4);
      __m512i v = _mm512_set1_epi32(four);
      low[i] = _mm512_dpbusd_epi32(low[i], v, b0), high[i] = _mm512_dpbusd_epi32(high[i], v, b1);
    }
  }
  __mmask16 m0 = cols >= 16 ? 0xffff : (__mmask16)((1u << cols) - 1);
  __mmask16 m1 = cols >= 32 ? 0xffff : cols <= 16 ? 0 : (__mmask16)((1u << (cols - 16)) - 1);
  UNROLL for (size_t i = 0; i < count; i++) {
    if (i >= rows) break;
    int32_t *to = c + i * ldc;
    _mm512_mask_storeu_epi32(to, m0, _mm512_add_epi32(low[i], _mm512_maskz_loadu_epi32(m0, to)));
    if (m1) _mm512_mask_storeu_epi32(to + 16, m1, _mm512_add_epi32(high[i], _mm512_maskz_loadu_epi32(m1, to + 16)));
  }
}

#define ROWS(X) X(1) X(2) X(4) X(6) X(8) X(12)
#include "kernels/gemm_u8s8/rows.inl"

#include "kernels/gemm_u8s8/pack.inl"

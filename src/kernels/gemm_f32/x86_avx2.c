// SPDX-License-Identifier: Apache-2.0
// AVX2 and FMA: 6 x 16 of C in 12 of the 16 registers; tails by mask.
#include <immintrin.h>

#include "kernels/gemm_f32/gemm_f32.h"

#define MR 6
#define VECTORS 2
#define LANES 8
typedef __m256 vec;
typedef __m256i tail;

static inline tail first_lanes(size_t n) {
  return _mm256_cmpgt_epi32(_mm256_set1_epi32((int)n), _mm256_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7));
}

#define ZERO() _mm256_setzero_ps()
#define LOAD(p) _mm256_loadu_ps(p)
#define STORE(p, v) _mm256_storeu_ps(p, v)
#define BROADCAST(p) _mm256_broadcast_ss(p)
#define FMA(a, b, c) _mm256_fmadd_ps(a, b, c)
#define TAIL(n) first_lanes(n)
#define LOAD_TAIL(p, t) _mm256_maskload_ps(p, t)
#define STORE_TAIL(p, t, v) _mm256_maskstore_ps(p, t, v)
#include "kernels/gemm_f32/tile.inl"

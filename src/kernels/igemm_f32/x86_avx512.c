// SPDX-License-Identifier: Apache-2.0
// AVX-512: 8 x 48 in 24 of the 32 registers and whatever is narrower in steps of 8 columns, the last of them in half a
// vector.
#include <immintrin.h>

#define UNITS_A_VECTOR 2
typedef __m256 half;
#define HALF_LOAD(p) _mm256_loadu_ps(p)
#define HALF_STORE(p, v) _mm256_storeu_ps(p, v)
#define HALF_SPLAT(f) _mm256_set1_ps(f)
#define HALF_ADD(a, b) _mm256_add_ps(a, b)
#define HALF_FMA(a, b, c) _mm256_fmadd_ps(a, b, c)
#define HALF_CLAMP(v, low, high) _mm256_min_ps(high, _mm256_max_ps(low, v))
#define HALF_OF(v) _mm512_castps512_ps256(v)
#define CLAMP(v, low, high) _mm512_min_ps(high, _mm512_max_ps(low, v))
#define MOST 6
#define MAIN 6
#define ROWS 0, 8, 8, 8, 8, 8, 8
#define INSTANCES(X) \
  ROWS_1_TO_8(X, 1) ROWS_1_TO_8(X, 2) ROWS_1_TO_8(X, 3) ROWS_1_TO_8(X, 4) ROWS_1_TO_8(X, 5) ROWS_1_TO_8(X, 6)
#include "kernels/igemm_f32/tile.inl"

// SPDX-License-Identifier: Apache-2.0
// AVX2 and FMA: 6 x 16, at the end of odd widths 4 x 24, each in 12 of the 16 registers; 8 x 8 for narrow outputs.
#include <immintrin.h>

#define UNITS_A_VECTOR 1
typedef __m256 half;
#define HALF_LOAD(p) _mm256_loadu_ps(p)
#define HALF_STORE(p, v) _mm256_storeu_ps(p, v)
#define HALF_SPLAT(f) _mm256_set1_ps(f)
#define HALF_ADD(a, b) _mm256_add_ps(a, b)
#define HALF_FMA(a, b, c) _mm256_fmadd_ps(a, b, c)
#define HALF_CLAMP(v, low, high) _mm256_min_ps(high, _mm256_max_ps(low, v))
#define HALF_OF(v) (v)
#define CLAMP(v, low, high) _mm256_min_ps(high, _mm256_max_ps(low, v))
#define MOST 3
#define MAIN 2
#define ROWS 0, 8, 6, 4
#define INSTANCES(X) ROWS_1_TO_8(X, 1) ROWS_1_TO_6(X, 2) ROWS_1_TO_4(X, 3)
#include "kernels/igemm_f32/tile.inl"

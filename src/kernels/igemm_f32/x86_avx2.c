// SPDX-License-Identifier: Apache-2.0
// AVX2 and FMA: 6 x 16, at the end of odd widths 4 x 24, each in 12 of the 16 registers; 8 x 8 for narrow outputs.
#include "kernels/igemm_f32/job.inl"

#define TYPE __m256
#define LANES 8
#define NAME(x) x##_8
#define LOAD(p) _mm256_loadu_ps(p)
#define STORE(p, v) _mm256_storeu_ps(p, v)
#define SPLAT(f) _mm256_set1_ps(f)
#define ADD(a, b) _mm256_add_ps(a, b)
#define FMA(a, b, c) _mm256_fmadd_ps(a, b, c)
#define LIMIT(v, low, high) _mm256_min_ps(high, _mm256_max_ps(low, v))
#define IN_REGISTER(v) __asm__("" : "+x"(v))
#include "kernels/igemm_f32/tile.inl"

#define UNIT 8
#define MAIN 2
#define ROWS 0, 8, 6, 4
#define RUN(units) run_8
#define VECTORS(units) (units)
#define INSTANCES(X) ROWS_1_TO_8(X, 1) ROWS_1_TO_6(X, 2) ROWS_1_TO_4(X, 3)
#include "kernels/igemm_f32/sweep.inl"

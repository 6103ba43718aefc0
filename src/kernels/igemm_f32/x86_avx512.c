// SPDX-License-Identifier: Apache-2.0
// AVX-512: 8 x 48, 8 x 32 and 8 x 16 in full vectors; 8 x 24 and 8 x 8 in half ones, of which two a cycle are done.
#include "kernels/igemm_f32/job.inl"

#define IN_REGISTER(v) (void)0

#define TYPE __m512
#define LANES 16
#define NAME(x) x##_16
#define LOAD(p) _mm512_loadu_ps(p)
#define STORE(p, v) _mm512_storeu_ps(p, v)
#define SPLAT(f) _mm512_set1_ps(f)
#define ADD(a, b) _mm512_add_ps(a, b)
#define FMA(a, b, c) _mm512_fmadd_ps(a, b, c)
#define LIMIT(v, low, high) _mm512_min_ps(high, _mm512_max_ps(low, v))
#include "kernels/igemm_f32/tile.inl"
#undef TYPE
#undef LANES
#undef NAME
#undef LOAD
#undef STORE
#undef SPLAT
#undef ADD
#undef FMA
#undef LIMIT

#define TYPE __m256
#define LANES 8
#define NAME(x) x##_8
#define LOAD(p) _mm256_loadu_ps(p)
#define STORE(p, v) _mm256_storeu_ps(p, v)
#define SPLAT(f) _mm256_set1_ps(f)
#define ADD(a, b) _mm256_add_ps(a, b)
#define FMA(a, b, c) _mm256_fmadd_ps(a, b, c)
#define LIMIT(v, low, high) _mm256_min_ps(high, _mm256_max_ps(low, v))
#include "kernels/igemm_f32/tile.inl"

#define UNIT 8
#define MAIN 6
#define ROWS 0, 8, 8, 8, 8, 0, 8
#define RUN_1 run_8
#define RUN_2 run_16
#define RUN_3 run_8
#define RUN_4 run_16
#define RUN_6 run_16
#define RUN(units) RUN_##units
#define VECTORS(units) (units % 2 ? units : units / 2)
#define INSTANCES(X) ROWS_1_TO_8(X, 1) ROWS_1_TO_8(X, 2) ROWS_1_TO_8(X, 3) ROWS_1_TO_8(X, 4) ROWS_1_TO_8(X, 6)
#include "kernels/igemm_f32/sweep.inl"

// SPDX-License-Identifier: Apache-2.0
// conv_dw_f32 for AVX2; see fast.inl.
#include <immintrin.h>

typedef __m256 vec;
enum { VECTOR = 8 };
#define LOAD(p) _mm256_loadu_ps(p)
#define STORE(p, v) _mm256_storeu_ps(p, v)
#define SPLAT(f) _mm256_set1_ps(f)
#define MULTIPLY_ADD(a, b, c) _mm256_fmadd_ps(a, b, c)
#include "kernels/conv_dw_f32/fast.inl"

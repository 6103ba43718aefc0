// SPDX-License-Identifier: Apache-2.0
// conv_dw_f32 for AVX-512; see fast.inl.
#include <immintrin.h>

typedef __m512 vec;
enum { VECTOR = 16 };
#define LOAD(p) _mm512_loadu_ps(p)
#define STORE(p, v) _mm512_storeu_ps(p, v)
#define SPLAT(f) _mm512_set1_ps(f)
#define MULTIPLY_ADD(a, b, c) _mm512_fmadd_ps(a, b, c)
#include "kernels/conv_dw_f32/fast.inl"

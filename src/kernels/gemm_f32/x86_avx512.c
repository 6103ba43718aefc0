// SPDX-License-Identifier: Apache-2.0
// AVX-512: 12 x 32 of C in 24 of the 32 registers; tails by mask.
#include <immintrin.h>

#include "kernels/gemm_f32/gemm_f32.h"

#define MR 12
#define VECTORS 2
#define LANES 16
typedef __m512 vec;
typedef __mmask16 tail;
#define ZERO() _mm512_setzero_ps()
#define LOAD(p) _mm512_loadu_ps(p)
#define STORE(p, v) _mm512_storeu_ps(p, v)
#define BROADCAST(p) _mm512_set1_ps(*(p))
#define FMA(a, b, c) _mm512_fmadd_ps(a, b, c)
#define TAIL(n) ((tail)((1u << (n)) - 1))
#define LOAD_TAIL(p, t) _mm512_maskz_loadu_ps(t, p)
#define STORE_TAIL(p, t, v) _mm512_mask_storeu_ps(p, t, v)
#include "kernels/gemm_f32/tile.inl"

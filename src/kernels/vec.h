// SPDX-License-Identifier: Apache-2.0
// The widest float vector of the tier a file is compiled for, for the few loops that the compiler does not
// vectorise by itself. Static inline only; used by .inl files that are written once for all tiers.
#pragma once

#if defined(__AVX512F__)
#include <immintrin.h>
typedef __m512 vec;
enum { VECTOR = 16 };
static inline vec vec_load(const float *p) { return _mm512_loadu_ps(p); }
static inline void vec_store(float *p, vec v) { _mm512_storeu_ps(p, v); }
static inline vec vec_splat(float f) { return _mm512_set1_ps(f); }
static inline vec vec_add(vec a, vec b) { return _mm512_add_ps(a, b); }
static inline vec vec_fma(vec a, vec b, vec c) { return _mm512_fmadd_ps(a, b, c); }  // a * b + c
static inline vec vec_max(vec a, vec b) {                                            // NaN if either is
  return _mm512_mask_mov_ps(_mm512_max_ps(a, b), _mm512_cmp_ps_mask(a, a, _CMP_UNORD_Q), a);
}
#elif defined(__AVX2__)
#include <immintrin.h>
typedef __m256 vec;
enum { VECTOR = 8 };
static inline vec vec_load(const float *p) { return _mm256_loadu_ps(p); }
static inline void vec_store(float *p, vec v) { _mm256_storeu_ps(p, v); }
static inline vec vec_splat(float f) { return _mm256_set1_ps(f); }
static inline vec vec_add(vec a, vec b) { return _mm256_add_ps(a, b); }
static inline vec vec_fma(vec a, vec b, vec c) { return _mm256_fmadd_ps(a, b, c); }
static inline vec vec_max(vec a, vec b) {
  return _mm256_blendv_ps(_mm256_max_ps(a, b), a, _mm256_cmp_ps(a, a, _CMP_UNORD_Q));
}
#elif defined(__aarch64__)
#include <arm_neon.h>
typedef float32x4_t vec;
enum { VECTOR = 4 };
static inline vec vec_load(const float *p) { return vld1q_f32(p); }
static inline void vec_store(float *p, vec v) { vst1q_f32(p, v); }
static inline vec vec_splat(float f) { return vdupq_n_f32(f); }
static inline vec vec_add(vec a, vec b) { return vaddq_f32(a, b); }
static inline vec vec_fma(vec a, vec b, vec c) { return vfmaq_f32(c, a, b); }
static inline vec vec_max(vec a, vec b) { return vmaxq_f32(a, b); }
#endif

// SPDX-License-Identifier: Apache-2.0
// The widest float vector of the tier a file is compiled for, for the few loops that the compiler does not
// vectorise by itself. Static inline only; used by .inl files that are written once for all tiers.
//
// `lanes` chooses some lanes of a vector: what is not chosen is neither read nor written in memory.
// vec_in_register keeps a load that several instructions use from becoming an operand of each.
// vec_even loads p[0], p[2], ..., vec_third p[0], p[3], ...; they read nothing behind the last of them.
#pragma once

#include <stdbool.h>
#include <stddef.h>

#if defined(__AVX512F__)
#include <immintrin.h>
typedef __m512 vec;
enum { VECTOR = 16 };
static inline vec vec_load(const float *p) { return _mm512_loadu_ps(p); }
static inline void vec_store(float *p, vec v) { _mm512_storeu_ps(p, v); }
static inline vec vec_in_register(vec v) {
  __asm__("" : "+v"(v));
  return v;
}
static inline vec vec_splat(float f) { return _mm512_set1_ps(f); }
static inline vec vec_add(vec a, vec b) { return _mm512_add_ps(a, b); }
static inline vec vec_sub(vec a, vec b) { return _mm512_sub_ps(a, b); }
static inline vec vec_mul(vec a, vec b) { return _mm512_mul_ps(a, b); }
static inline vec vec_fma(vec a, vec b, vec c) { return _mm512_fmadd_ps(a, b, c); }  // a * b + c
static inline vec vec_max(vec a, vec b) {                                            // NaN if either is
  return _mm512_mask_mov_ps(_mm512_max_ps(a, b), _mm512_cmp_ps_mask(a, a, _CMP_UNORD_Q), a);
}
// v < low ? low : v, then (limit) v > high ? high : v; NaN stays.
static inline vec vec_raise(vec v, vec low) { return _mm512_max_ps(low, v); }
static inline vec vec_limit(vec v, vec low, vec high) { return _mm512_min_ps(high, _mm512_max_ps(low, v)); }
typedef __mmask16 lanes;
static inline lanes lanes_below(int n) { return (lanes)_bzhi_u32(0xffff, (unsigned)n); }  // 0 <= n <= VECTOR
static inline lanes lanes_but(lanes a, lanes b) { return (lanes)(a & ~b); }
static inline lanes lanes_either(lanes a, lanes b) { return (lanes)(a | b); }
static inline vec vec_load_lanes(const float *p, lanes l, vec other) { return _mm512_mask_loadu_ps(other, l, p); }
static inline void vec_store_lanes(float *p, lanes l, vec v) { _mm512_mask_storeu_ps(p, l, v); }
// Even places of the first half, odd places of the second, which starts one place early.
static inline vec vec_join_even(vec a, vec b) {
  return _mm512_permutex2var_ps(a, _mm512_setr_epi32(0, 2, 4, 6, 8, 10, 12, 14, 17, 19, 21, 23, 25, 27, 29, 31), b);
}
static inline vec vec_even(const float *p) { return vec_join_even(vec_load(p), vec_load(p + VECTOR - 1)); }
static inline vec vec_even_lanes(const float *p, lanes l, vec other) {
  vec v = vec_join_even(_mm512_maskz_loadu_ps((lanes)_pdep_u32(l, 0x5555), p),
                        _mm512_maskz_loadu_ps((lanes)_pdep_u32(l >> 8, 0xaaaa), p + VECTOR - 1));
  return _mm512_mask_mov_ps(other, l, v);
}
static inline vec vec_third(const float *p) {
  __m512i first = _mm512_setr_epi32(0, 3, 6, 9, 12, 15, 18, 21, 24, 27, 30, 0, 0, 0, 0, 0);
  __m512i all = _mm512_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 19, 22, 25, 28, 31);
  vec low = _mm512_permutex2var_ps(vec_load(p), first, vec_load(p + 16));
  return _mm512_permutex2var_ps(low, all, vec_load(p + 30));
}
static inline vec vec_step_lanes(const float *p, int step, lanes l, vec other) {
  __m512i at = _mm512_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15);
  return _mm512_mask_i32gather_ps(other, l, _mm512_mullo_epi32(at, _mm512_set1_epi32(step)), p, 4);
}
#elif defined(__AVX2__)
#include <immintrin.h>
typedef __m256 vec;
enum { VECTOR = 8 };
static inline vec vec_load(const float *p) { return _mm256_loadu_ps(p); }
static inline void vec_store(float *p, vec v) { _mm256_storeu_ps(p, v); }
static inline vec vec_in_register(vec v) {
  __asm__("" : "+x"(v));
  return v;
}
static inline vec vec_splat(float f) { return _mm256_set1_ps(f); }
static inline vec vec_add(vec a, vec b) { return _mm256_add_ps(a, b); }
static inline vec vec_sub(vec a, vec b) { return _mm256_sub_ps(a, b); }
static inline vec vec_mul(vec a, vec b) { return _mm256_mul_ps(a, b); }
static inline vec vec_fma(vec a, vec b, vec c) { return _mm256_fmadd_ps(a, b, c); }
static inline vec vec_max(vec a, vec b) {
  return _mm256_blendv_ps(_mm256_max_ps(a, b), a, _mm256_cmp_ps(a, a, _CMP_UNORD_Q));
}
static inline vec vec_raise(vec v, vec low) { return _mm256_max_ps(low, v); }
static inline vec vec_limit(vec v, vec low, vec high) { return _mm256_min_ps(high, _mm256_max_ps(low, v)); }
typedef __m256i lanes;
static inline lanes lanes_below(int n) {
  return _mm256_cmpgt_epi32(_mm256_set1_epi32(n), _mm256_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7));
}
static inline lanes lanes_but(lanes a, lanes b) { return _mm256_andnot_si256(b, a); }
static inline lanes lanes_either(lanes a, lanes b) { return _mm256_or_si256(a, b); }
static inline vec vec_load_lanes(const float *p, lanes l, vec other) {
  return _mm256_blendv_ps(other, _mm256_maskload_ps(p, l), _mm256_castsi256_ps(l));
}
static inline void vec_store_lanes(float *p, lanes l, vec v) { _mm256_maskstore_ps(p, l, v); }
// Even places of the first half, odd places of the second, which starts one place early.
static inline vec vec_join_even(vec a, vec b) {
  __m256 pairs = _mm256_shuffle_ps(a, b, _MM_SHUFFLE(3, 1, 2, 0));
  return _mm256_castpd_ps(_mm256_permute4x64_pd(_mm256_castps_pd(pairs), _MM_SHUFFLE(3, 1, 2, 0)));
}
static inline vec vec_even(const float *p) { return vec_join_even(vec_load(p), vec_load(p + VECTOR - 1)); }
static inline vec vec_even_lanes(const float *p, lanes l, vec other) {
  __m256i low = _mm256_permutevar8x32_epi32(l, _mm256_setr_epi32(0, 0, 1, 1, 2, 2, 3, 3));
  __m256i high = _mm256_permutevar8x32_epi32(l, _mm256_setr_epi32(4, 4, 5, 5, 6, 6, 7, 7));
  __m256i even = _mm256_setr_epi32(-1, 0, -1, 0, -1, 0, -1, 0);
  vec v = vec_join_even(_mm256_maskload_ps(p, _mm256_and_si256(low, even)),
                        _mm256_maskload_ps(p + VECTOR - 1, _mm256_andnot_si256(even, high)));
  return _mm256_blendv_ps(other, v, _mm256_castsi256_ps(l));
}
static inline vec vec_third(const float *p) {
  vec low = _mm256_blend_ps(vec_load(p), vec_load(p + 8), 0x92);
  low = _mm256_permutevar8x32_ps(low, _mm256_setr_epi32(0, 3, 6, 1, 4, 7, 0, 0));
  vec high = _mm256_permutevar8x32_ps(vec_load(p + 14), _mm256_setr_epi32(0, 0, 0, 0, 0, 0, 4, 7));
  return _mm256_blend_ps(low, high, 0xc0);
}
static inline vec vec_step_lanes(const float *p, int step, lanes l, vec other) {
  __m256i at = _mm256_mullo_epi32(_mm256_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7), _mm256_set1_epi32(step));
  return _mm256_mask_i32gather_ps(other, p, at, _mm256_castsi256_ps(l), 4);
}
#elif defined(__aarch64__)
#include <arm_neon.h>
typedef float32x4_t vec;
enum { VECTOR = 4 };
static inline vec vec_load(const float *p) { return vld1q_f32(p); }
static inline void vec_store(float *p, vec v) { vst1q_f32(p, v); }
static inline vec vec_in_register(vec v) {
  __asm__("" : "+w"(v));
  return v;
}
static inline vec vec_splat(float f) { return vdupq_n_f32(f); }
static inline vec vec_add(vec a, vec b) { return vaddq_f32(a, b); }
static inline vec vec_sub(vec a, vec b) { return vsubq_f32(a, b); }
static inline vec vec_mul(vec a, vec b) { return vmulq_f32(a, b); }
static inline vec vec_fma(vec a, vec b, vec c) { return vfmaq_f32(c, a, b); }
static inline vec vec_max(vec a, vec b) { return vmaxq_f32(a, b); }
static inline vec vec_raise(vec v, vec low) { return vbslq_f32(vcltq_f32(v, low), low, v); }
static inline vec vec_limit(vec v, vec low, vec high) {
  v = vec_raise(v, low);
  return vbslq_f32(vcgtq_f32(v, high), high, v);
}
typedef uint32x4_t lanes;
static inline lanes lanes_below(int n) {
  return vcltq_s32(vcombine_s32(vcreate_s32(1ull << 32), vcreate_s32(3ull << 32 | 2)), vdupq_n_s32(n));
}
static inline lanes lanes_but(lanes a, lanes b) { return vbicq_u32(a, b); }
static inline lanes lanes_either(lanes a, lanes b) { return vorrq_u32(a, b); }
static inline vec vec_step_lanes(const float *p, int step, lanes l, vec other) {
  float to[VECTOR];
  unsigned chosen[VECTOR];
  vst1q_f32(to, other), vst1q_u32(chosen, l);
  for (int i = 0; i < VECTOR; i++)
    if (chosen[i]) to[i] = p[i * step];
  return vld1q_f32(to);
}
static inline vec vec_load_lanes(const float *p, lanes l, vec other) { return vec_step_lanes(p, 1, l, other); }
static inline void vec_store_lanes(float *p, lanes l, vec v) {
  float from[VECTOR];
  unsigned chosen[VECTOR];
  vst1q_f32(from, v), vst1q_u32(chosen, l);
  for (int i = 0; i < VECTOR; i++)
    if (chosen[i]) p[i] = from[i];
}
static inline vec vec_even(const float *p) {
  return vuzp2q_f32(vextq_f32(vld1q_f32(p), vld1q_f32(p), 3), vld1q_f32(p + 3));
}
static inline vec vec_even_lanes(const float *p, lanes l, vec other) { return vec_step_lanes(p, 2, l, other); }
static inline vec vec_third(const float *p) {
  float from[VECTOR] = {p[0], p[3], p[6], p[9]};
  return vld1q_f32(from);
}
#endif

#if defined(__AVX2__) || defined(__aarch64__)
// Neighbouring channels done together: some whole vectors, or chosen lanes of one.
typedef struct vec_part {
  int vectors;
  bool whole;
  lanes chosen;
} vec_part;

static inline vec vec_part_load(vec_part p, const float *from, int i) {
  return p.whole ? vec_load(from + i * VECTOR) : vec_load_lanes(from, p.chosen, vec_splat(0));
}
static inline void vec_part_store(vec_part p, float *to, int i, vec v) {
  if (p.whole) vec_store(to + i * VECTOR, v);
  else vec_store_lanes(to, p.chosen, v);
}
#endif

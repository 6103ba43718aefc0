// SPDX-License-Identifier: Apache-2.0
// nbits_f32 in whole vectors of the tier: the numbers of a block stay in registers while its k are walked.
#include <string.h>

#include "kernels/nbits_f32/nbits_f32.h"
#include "kernels/vec.h"

enum { N = NBITS_COLUMNS, HALF = N / 2, PARTS = HALF / VECTOR };

// VECTOR bytes at q, their low four bits or their high ones, as floats.
#if defined(__AVX512F__)
static inline vec nibbles(const uint8_t *q, bool high) {
  __m512i wide = _mm512_cvtepu8_epi32(_mm_loadu_si128((const __m128i *)(const void *)q));
  return _mm512_cvtepi32_ps(high ? _mm512_srli_epi32(wide, 4) : _mm512_and_si512(wide, _mm512_set1_epi32(15)));
}
#elif defined(__AVX2__)
static inline vec nibbles(const uint8_t *q, bool high) {
  __m256i wide = _mm256_cvtepu8_epi32(_mm_loadl_epi64((const __m128i *)(const void *)q));
  return _mm256_cvtepi32_ps(high ? _mm256_srli_epi32(wide, 4) : _mm256_and_si256(wide, _mm256_set1_epi32(15)));
}
#else
static inline vec nibbles(const uint8_t *q, bool high) {
  uint32_t four;
  memcpy(&four, q, sizeof four);
  uint32x4_t wide = vmovl_u16(vget_low_u16(vmovl_u8(vcreate_u8(high ? four >> 4 & 0x0f0f0f0f : four & 0x0f0f0f0f))));
  return vcvtq_f32_u32(wide);
}
#endif

// Of one block: the first half of the columns, then the second.
typedef struct numbers {
  vec scales[2 * PARTS], zeros[2 * PARTS];
} numbers;

static inline void numbers_of(const nbits_panel *p, size_t block, numbers *to) {
  for (int i = 0; i < 2 * PARTS; i++) {
    to->scales[i] = vec_load(p->scales + block * N + i * VECTOR);
    to->zeros[i] = p->zeros ? vec_load(p->zeros + block * N + i * VECTOR) : vec_splat(8);
  }
}

// Vector `i` of the weights whose bytes begin at q.
static inline vec weights_at(const uint8_t *q, const numbers *b, int i) {
  return vec_mul(vec_sub(nibbles(q + i % PARTS * VECTOR, i >= PARTS), b->zeros[i]), b->scales[i]);
}

static void widen(const nbits_panel *p, size_t k0, size_t kc, size_t first, size_t count, float *to, size_t stride) {
  for (size_t k = k0, past; k < k0 + kc; k = past) {
    numbers b;
    numbers_of(p, k / p->block, &b);
    past = (k / p->block + 1) * p->block;
    if (past > k0 + kc) past = k0 + kc;
    for (size_t i = k; i < past; i++, to += stride) {
      float row[N], *here = count == N ? to : row;
      for (int v = 0; v < 2 * PARTS; v++) vec_store(here + v * VECTOR, weights_at(p->weights + i * HALF, &b, v));
      if (count < N) memcpy(to, row + first, count * sizeof *to);
    }
  }
}

static void multiply(const nbits_panel *p, size_t k, const float *a, float *c) {
  vec sums[2 * PARTS];
  for (int v = 0; v < 2 * PARTS; v++) sums[v] = vec_splat(0);
  for (size_t i = 0, past; i < k; i = past) {
    numbers b;
    numbers_of(p, i / p->block, &b);
    past = i + p->block < k ? i + p->block : k;
    for (size_t d = i; d < past; d++) {
      vec x = vec_splat(a[d]);
      for (int v = 0; v < 2 * PARTS; v++) sums[v] = vec_fma(x, weights_at(p->weights + d * HALF, &b, v), sums[v]);
    }
  }
  for (int v = 0; v < 2 * PARTS; v++) vec_store(c + v * VECTOR, sums[v]);
}

KERNEL(nbits_f32) = {.widen = widen, .multiply = multiply};

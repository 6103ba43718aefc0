// SPDX-License-Identifier: Apache-2.0
// rank with AVX2: a node is two vectors of floats or four of doubles.
#include <immintrin.h>

#include "kernels/rank/rank.h"

static inline size_t below_f32(const float *node, float v) {
  __m256 x = _mm256_set1_ps(v);
  int low = _mm256_movemask_ps(_mm256_cmp_ps(_mm256_loadu_ps(node), x, _CMP_LT_OQ));
  int high = _mm256_movemask_ps(_mm256_cmp_ps(_mm256_loadu_ps(node + 8), x, _CMP_LT_OQ));
  return (size_t)__builtin_popcount((unsigned)(low | high << 8));
}

static inline size_t below_f64(const double *node, double v) {
  __m256d x = _mm256_set1_pd(v);
  __m256i count = _mm256_setzero_si256();
  for (int i = 0; i < RANK_FAN; i += 4)
    count = _mm256_sub_epi64(count, _mm256_castpd_si256(_mm256_cmp_pd(_mm256_loadu_pd(node + i), x, _CMP_LT_OQ)));
  __m128i two = _mm_add_epi64(_mm256_castsi256_si128(count), _mm256_extracti128_si256(count, 1));
  return (size_t)(_mm_cvtsi128_si64(two) + _mm_extract_epi64(two, 1));
}

#include "kernels/rank/search.inl"

// SPDX-License-Identifier: Apache-2.0
// rank with AVX-512: a node is one vector of floats or two of doubles.
#include <immintrin.h>

#include "kernels/rank/rank.h"

static inline size_t below_f32(const float *node, float v) {
  return (size_t)__builtin_popcount(_mm512_cmp_ps_mask(_mm512_loadu_ps(node), _mm512_set1_ps(v), _CMP_LT_OQ));
}

static inline size_t below_f64(const double *node, double v) {
  __m512d x = _mm512_set1_pd(v);
  unsigned low = _mm512_cmp_pd_mask(_mm512_loadu_pd(node), x, _CMP_LT_OQ);
  unsigned high = _mm512_cmp_pd_mask(_mm512_loadu_pd(node + 8), x, _CMP_LT_OQ);
  return (size_t)__builtin_popcount(low | high << 8);
}

#include "kernels/rank/search.inl"

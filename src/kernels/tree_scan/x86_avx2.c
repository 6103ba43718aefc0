// SPDX-License-Identifier: Apache-2.0
// tree_scan with AVX2.
#include <immintrin.h>

#include "kernels/tree_scan/tree_scan.h"

typedef __m256i vec;
enum { LANES = 32 };
static inline vec load(const void *p) { return _mm256_loadu_si256(p); }
static inline void store(void *p, vec v) { _mm256_storeu_si256(p, v); }
static inline vec splat(int8_t b) { return _mm256_set1_epi8(b); }
static inline vec pick(vec x, vec threshold, vec yes, vec no) {
  return _mm256_blendv_epi8(yes, no, _mm256_cmpgt_epi8(x, threshold));
}

#include "kernels/tree_scan/scan.inl"

// SPDX-License-Identifier: Apache-2.0
// dot_f64 with its eight sums in two vectors; what is missing in the last group is 0.
#include <immintrin.h>

#include "kernels/dot_f64/dot_f64.h"

enum { SUMS = 8 };

static void rows(const double *x, const float *c, size_t n, size_t rows, double *y) {
  const size_t whole = n / SUMS * SUMS;
  const __m256i rest =
      _mm256_cmpgt_epi32(_mm256_set1_epi32((int)(n - whole)), _mm256_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7));
  const __m256i low = _mm256_cvtepi32_epi64(_mm256_castsi256_si128(rest));
  const __m256i high = _mm256_cvtepi32_epi64(_mm256_extracti128_si256(rest, 1));
  for (size_t row = 0; row < rows; row++, c += n) {
    __m256d a = _mm256_setzero_pd(), b = _mm256_setzero_pd();
    for (size_t k = 0; k < whole; k += SUMS) {
      a = _mm256_add_pd(a, _mm256_mul_pd(_mm256_loadu_pd(x + k), _mm256_cvtps_pd(_mm_loadu_ps(c + k))));
      b = _mm256_add_pd(b, _mm256_mul_pd(_mm256_loadu_pd(x + k + 4), _mm256_cvtps_pd(_mm_loadu_ps(c + k + 4))));
    }
    if (whole < n) {
      const __m256 last = _mm256_maskload_ps(c + whole, rest);
      const __m256d first = _mm256_cvtps_pd(_mm256_castps256_ps128(last));
      const __m256d second = _mm256_cvtps_pd(_mm256_extractf128_ps(last, 1));
      a = _mm256_add_pd(a, _mm256_mul_pd(_mm256_maskload_pd(x + whole, low), first));
      b = _mm256_add_pd(b, _mm256_mul_pd(_mm256_maskload_pd(x + whole + 4, high), second));
    }
    a = _mm256_add_pd(a, b);
    __m128d two = _mm_add_pd(_mm256_castpd256_pd128(a), _mm256_extractf128_pd(a, 1));
    y[row] = _mm_cvtsd_f64(_mm_add_sd(two, _mm_unpackhi_pd(two, two)));
  }
}

KERNEL(dot_f64) = {.rows = rows};

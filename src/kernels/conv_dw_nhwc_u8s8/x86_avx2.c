// SPDX-License-Identifier: Apache-2.0
// conv_dw_nhwc_u8s8 by channels of a vector and pixels of four, which share their weights. An element and its weight
// are pairs of int16 whose second products are 0. What channels are left over goes through a copy.
#include "kernels/conv_dw_nhwc_u8s8/conv_dw_nhwc_u8s8.h"
#include "kernels/igemm_u8s8/narrow.h"

enum { LANES = 8, PIXELS = 4 };

// n: channels that exist, `LANES` or fewer.
INLINE void pixels(const conv_dw_nhwc_u8s8_pixels *p, bool is_signed, size_t first, size_t count, size_t c, size_t n) {
  const __m256i chosen = _mm256_cmpgt_epi32(_mm256_set1_epi32((int)n), _mm256_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7));
  __m256i sum[PIXELS], bias = _mm256_maskload_epi32(p->bias + c, chosen);
  UNROLL for (size_t i = 0; i < count; i++) sum[i] = bias;
  const void *const *x = p->x + first * p->taps;
  for (size_t t = 0; t < p->taps; t++, x++) {
    __m256i w = _mm256_maskload_epi32(p->w + t * p->channels + c, chosen);
    // Of signed elements the upper half is not 0; then that of the weight must be.
    if (is_signed) w = _mm256_and_si256(w, _mm256_set1_epi32(0xffff));
    UNROLL for (size_t i = 0; i < count; i++) {
      int64_t bytes = 0;
      const char *from = (const char *)x[i * p->taps] + c;
      if (n == LANES) __builtin_memcpy(&bytes, from, LANES);
      else
        for (size_t k = 0; k < n; k++) bytes |= (int64_t)(uint8_t)from[k] << (8 * k);
      __m128i eight = _mm_cvtsi64_si128(bytes);
      __m256i v = is_signed ? _mm256_cvtepi8_epi32(eight) : _mm256_cvtepu8_epi32(eight);
      sum[i] = _mm256_add_epi32(sum[i], _mm256_madd_epi16(v, w));
    }
  }
  const floats scale = _mm256_maskload_ps(p->scale + c, chosen);
  UNROLL for (size_t i = 0; i < count; i++) narrow(sum[i], scale, &p->output, p->y + (first + i) * p->y_stride + c, n);
}

#include "kernels/conv_dw_nhwc_u8s8/walk.inl"

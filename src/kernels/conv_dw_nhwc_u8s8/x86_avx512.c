// SPDX-License-Identifier: Apache-2.0
// conv_dw_nhwc_u8s8 by channels of a vector and pixels of four, which share their weights. An element and its weight
// are pairs of int16 whose second products are 0.
#include "kernels/conv_dw_nhwc_u8s8/conv_dw_nhwc_u8s8.h"
#include "kernels/igemm_u8s8/narrow.h"

enum { LANES = 16, PIXELS = 4 };

INLINE void pixels(const conv_dw_nhwc_u8s8_pixels *p, bool is_signed, size_t first, size_t count, size_t c, size_t n) {
  const __mmask16 m = (__mmask16)((1u << n) - 1);
  __m512i sum[PIXELS], bias = _mm512_maskz_loadu_epi32(m, p->bias + c);
  UNROLL for (size_t i = 0; i < count; i++) sum[i] = bias;
  const void *const *x = p->x + first * p->taps;
  for (size_t t = 0; t < p->taps; t++, x++) {
    __m512i w = _mm512_maskz_loadu_epi32(m, p->w + t * p->channels + c);
    // Of signed elements the upper half is not 0; then that of the weight must be.
    if (is_signed) w = _mm512_and_si512(w, _mm512_set1_epi32(0xffff));
    UNROLL for (size_t i = 0; i < count; i++) {
      __m128i bytes = _mm_maskz_loadu_epi8(m, (const char *)x[i * p->taps] + c);
      __m512i v = is_signed ? _mm512_cvtepi8_epi32(bytes) : _mm512_cvtepu8_epi32(bytes);
      sum[i] = _mm512_dpwssd_epi32(sum[i], v, w);
    }
  }
  const floats scale = _mm512_maskz_loadu_ps(m, p->scale + c);
  UNROLL for (size_t i = 0; i < count; i++) narrow(sum[i], scale, &p->output, p->y + (first + i) * p->y_stride + c, n);
}

#include "kernels/conv_dw_nhwc_u8s8/walk.inl"

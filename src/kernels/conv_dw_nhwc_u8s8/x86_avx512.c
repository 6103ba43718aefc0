// SPDX-License-Identifier: Apache-2.0
// conv_dw_nhwc_u8s8 by channels of a vector and pixels of four, which share their weights. An element and its weight
// are pairs of int16 whose second products are 0.
#include <immintrin.h>

#include "kernels/conv_dw_nhwc_u8s8/conv_dw_nhwc_u8s8.h"
#include "kernels/loop.h"

enum { LANES = 16, PIXELS = 4 };

INLINE void pixels(const conv_dw_nhwc_u8s8_pixels *p, bool is_signed, size_t first, size_t count, size_t c,
                   __mmask16 m) {
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
  const igemm_u8s8_output *o = &p->output;
  __m512 low = _mm512_set1_ps((float)(o->low - o->zero)), high = _mm512_set1_ps((float)(o->high - o->zero));
  __m512 scale = _mm512_maskz_loadu_ps(m, p->scale + c);
  UNROLL for (size_t i = 0; i < count; i++) {
    // A NaN becomes `low`: the maximum gives its second operand then.
    __m512 v = _mm512_max_ps(_mm512_mul_ps(_mm512_cvtepi32_ps(sum[i]), scale), low);
    __m512i q = _mm512_add_epi32(_mm512_cvtps_epi32(_mm512_min_ps(v, high)), _mm512_set1_epi32(o->zero));
    _mm512_mask_cvtepi32_storeu_epi8(p->y + (first + i) * p->y_stride + c, m, q);
  }
}

INLINE void all(const conv_dw_nhwc_u8s8_pixels *p, bool is_signed) {
  for (size_t c = 0; c < p->channels; c += LANES) {
    size_t left = p->channels - c, i = 0;
    __mmask16 m = left < LANES ? (__mmask16)((1u << left) - 1) : (__mmask16)0xffff;
    for (; i + PIXELS <= p->count; i += PIXELS) pixels(p, is_signed, i, PIXELS, c, m);
    for (; i < p->count; i++) pixels(p, is_signed, i, 1, c, m);
  }
}

static void run(const conv_dw_nhwc_u8s8_pixels *p) {
  if (p->x_signed) all(p, true);
  else all(p, false);
}

KERNEL(conv_dw_nhwc_u8s8) = {.run = run};

// SPDX-License-Identifier: Apache-2.0
// conv_dw_nhwc_u8s8 with VNNI: four rows of 64 channels are interleaved, whose products one instruction adds up.
#include "kernels/conv_dw_nhwc_u8s8/conv_dw_nhwc_u8s8.h"
#include "kernels/igemm_u8s8/narrow.h"

enum { UNIT = 64, GROUP = 4, PIXELS = 4 };

typedef __m512i packed_bytes;
#define bytes_xor _mm512_xor_si512
#define bytes_of(byte) _mm512_set1_epi8((char)(byte))
INLINE packed_bytes bytes_load(const uint8_t *p, size_t n) {
  return n == UNIT ? _mm512_loadu_si512(p) : _mm512_maskz_loadu_epi8((1ull << n) - 1, p);
}
INLINE void interleave(const packed_bytes row[GROUP], ints x[NARROW_MOST]) {
  const ints low[2] = {_mm512_unpacklo_epi8(row[0], row[1]), _mm512_unpacklo_epi8(row[2], row[3])};
  const ints high[2] = {_mm512_unpackhi_epi8(row[0], row[1]), _mm512_unpackhi_epi8(row[2], row[3])};
  x[0] = _mm512_unpacklo_epi16(low[0], low[1]), x[1] = _mm512_unpackhi_epi16(low[0], low[1]);
  x[2] = _mm512_unpacklo_epi16(high[0], high[1]), x[3] = _mm512_unpackhi_epi16(high[0], high[1]);
}
INLINE void unpack(packed_bytes bytes, ints x[NARROW_MOST]) {
  const ints none = _mm512_setzero_si512();
  interleave((const packed_bytes[]){bytes, none, none, none}, x);
}
#define MULTIPLY(sum, x, w) _mm512_dpbusd_epi32(sum, x, w)

#include "kernels/conv_dw_nhwc_u8s8/walk.inl"

KERNEL(conv_dw_nhwc_u8s8) = {.group = GROUP, .unit = UNIT, .run = run};

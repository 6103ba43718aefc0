// SPDX-License-Identifier: Apache-2.0
// The way out of an integer kernel: int32 sums of neighbouring columns become bytes, as igemm_u8s8_output says, in the
// widest integer vector of the tier a file is compiled for; static inline only. Four vectors of sums make one of bytes.
// Packing saturates, but numbers beyond int32 and NaN are the lowest int32 before: so the upper end is cut off in
// float, by a minimum that lets NaN pass (it gives its second operand then, as the maximum does).
#pragma once

#include <immintrin.h>

#include "kernels/igemm_u8s8/igemm_u8s8.h"
#include "kernels/loop.h"

#ifdef __AVX2__

#ifdef __AVX512F__
#include "kernels/lookup_u8/look_up.h"

typedef __m512i ints;
typedef __m512 floats;
#define TIER(name) _mm512_##name
#define ints_load(p) _mm512_loadu_si512(p)
#define floats_load(p) _mm512_loadu_ps(p)
#define floats_nearest(x) _mm512_roundscale_ps(x, _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC)

INLINE ints narrow_load(const uint8_t *p, bool is_signed, size_t n) {
  const __m128i bytes = _mm_maskz_loadu_epi8(n < 16 ? (__mmask16)((1u << n) - 1) : 0xffff, p);
  return is_signed ? _mm512_cvtepi8_epi32(bytes) : _mm512_cvtepu8_epi32(bytes);
}

// Columns of what narrow_pack gives, in their order.
INLINE ints narrow_order(ints bytes) {
  return _mm512_permutexvar_epi32(_mm512_setr_epi32(0, 4, 8, 12, 1, 5, 9, 13, 2, 6, 10, 14, 3, 7, 11, 15), bytes);
}

INLINE ints narrow_look_up(ints bytes, const uint8_t *table) { return look_up(bytes, table); }

INLINE void narrow_store(ints bytes, uint8_t *y, size_t n) {
  if (n >= 64) _mm512_storeu_si512(y, bytes);
  else _mm512_mask_storeu_epi8(y, (1ull << n) - 1, bytes);
}

// The row `row` of rows that have `vectors` vectors.
INLINE void narrow_store_row(ints bytes, size_t vectors, size_t row, uint8_t *y, size_t n) {
  const bool whole = n == vectors * 16;
  if (vectors > 2) narrow_store(bytes, y, n);
  else if (vectors == 2) {
    const __m256i half = row == 0 ? _mm512_castsi512_si256(bytes) : _mm512_extracti64x4_epi64(bytes, 1);
    if (whole) _mm256_storeu_si256((__m256i *)y, half);
    else _mm256_mask_storeu_epi8(y, (__mmask32)((1ull << n) - 1), half);
  } else {
    const __m128i quarter = row == 0   ? _mm512_castsi512_si128(bytes)
                            : row == 1 ? _mm512_extracti32x4_epi32(bytes, 1)
                            : row == 2 ? _mm512_extracti32x4_epi32(bytes, 2)
                                       : _mm512_extracti32x4_epi32(bytes, 3);
    if (whole) _mm_storeu_si128((__m128i *)y, quarter);
    else _mm_mask_storeu_epi8(y, (__mmask16)((1u << n) - 1), quarter);
  }
}
#else
typedef __m256i ints;
typedef __m256 floats;
#define TIER(name) _mm256_##name
#define ints_load(p) _mm256_loadu_si256((const __m256i *)(p))
#define floats_load(p) _mm256_loadu_ps(p)
#define floats_nearest(x) _mm256_round_ps(x, _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC)

INLINE ints narrow_load(const uint8_t *p, bool is_signed, size_t n) {
  uint64_t bytes = 0;
  if (n >= 8) __builtin_memcpy(&bytes, p, 8);
  else
    for (size_t i = 0; i < n; i++) bytes |= (uint64_t)p[i] << (8 * i);
  const __m128i eight = _mm_cvtsi64_si128((int64_t)bytes);
  return is_signed ? _mm256_cvtepi8_epi32(eight) : _mm256_cvtepu8_epi32(eight);
}

INLINE ints narrow_order(ints bytes) {
  return _mm256_permutevar8x32_epi32(bytes, _mm256_setr_epi32(0, 4, 1, 5, 2, 6, 3, 7));
}

INLINE ints narrow_look_up(ints bytes, const uint8_t *table) {
  uint8_t all[32];
  _mm256_storeu_si256((__m256i *)all, bytes);
  for (size_t i = 0; i < 32; i++) all[i] = table[all[i]];
  return _mm256_loadu_si256((const __m256i *)all);
}

INLINE void narrow_store(ints bytes, uint8_t *y, size_t n) {
  uint8_t all[32];
  if (n >= 32) {
    _mm256_storeu_si256((__m256i *)y, bytes);
    return;
  }
  _mm256_storeu_si256((__m256i *)all, bytes);
  for (size_t i = 0; i < n; i++) y[i] = all[i];
}

// The row `row` of rows that have `vectors` vectors.
INLINE void narrow_store_row(ints bytes, size_t vectors, size_t row, uint8_t *y, size_t n) {
  if (vectors > 2) {
    narrow_store(bytes, y, n);
    return;
  }
  const size_t at = row * vectors;
  const __m128i half = at < 2 ? _mm256_castsi256_si128(bytes) : _mm256_extracti128_si256(bytes, 1);
  uint64_t low = (uint64_t)(at % 2 ? _mm_extract_epi64(half, 1) : _mm_cvtsi128_si64(half));
  if (n == 16) _mm_storeu_si128((__m128i *)y, half);
  else if (n == 8) __builtin_memcpy(y, &low, 8);
  else {
    uint64_t high = (uint64_t)_mm_extract_epi64(half, 1);
    for (size_t i = 0; i < n; i++, low >>= 8) {
      if (i == 8) low = high;
      y[i] = (uint8_t)low;
    }
  }
}
#endif

enum { NARROW_UNIT = sizeof(ints) / sizeof(int32_t), NARROW_MOST = 4 };  // columns of a vector; vectors at once

// Below, `plain` is a constant: nothing is added or looked up.
INLINE bool narrow_is_plain(const igemm_u8s8_output *o) { return !o->adds && !o->table; }

// A sum as a float less its zero point, before it is rounded; `other` less its zero point, where it is added.
INLINE floats narrow_sum(const igemm_u8s8_output *o, bool plain, ints sum, floats scale, ints other) {
  const float top = o->is_signed ? 127 : 255, bottom = o->is_signed ? -128 : 0, zero = (float)o->zero;
  floats v = TIER(min_ps)(TIER(set1_ps)(top - zero), TIER(mul_ps)(TIER(cvtepi32_ps)(sum), scale));
  if (plain || !o->adds) return v;
  v = TIER(mul_ps)(floats_nearest(TIER(max_ps)(v, TIER(set1_ps)(bottom - zero))), TIER(set1_ps)(o->own_scale));
  v = TIER(add_ps)(v, TIER(mul_ps)(TIER(cvtepi32_ps)(other), TIER(set1_ps)(o->other_scale)));
  return TIER(min_ps)(TIER(set1_ps)(top - (float)o->sum_zero), TIER(mul_ps)(v, TIER(set1_ps)(o->factor)));
}

// Bytes of the first `count` vectors of numbers: of each 16 bytes, four are of each vector.
INLINE ints narrow_pack(const igemm_u8s8_output *o, bool plain, const floats *v, size_t count) {
  ints q[NARROW_MOST];
  UNROLL for (size_t i = 0; i < NARROW_MOST; i++) q[i] = i < count ? TIER(cvtps_epi32)(v[i]) : q[0];
  const ints zero = TIER(set1_epi16)((short)(!plain && o->adds ? o->sum_zero : o->zero));
  const ints low = TIER(adds_epi16)(TIER(packs_epi32)(q[0], q[1]), zero);
  const ints high = TIER(adds_epi16)(TIER(packs_epi32)(q[2], q[3]), zero);
  return o->is_signed ? TIER(packs_epi16)(low, high) : TIER(packus_epi16)(low, high);
}

// Rows of `vectors` vectors of sums, rows * vectors <= NARROW_MOST: n bytes of each row of y are written, as many of
// `other` read where it is added. stride: bytes from one row to the next.
INLINE void narrow(const igemm_u8s8_output *o, bool plain, const ints *sum, const floats *scale, size_t vectors,
                   size_t rows, const uint8_t *other, uint8_t *y, size_t stride, size_t n) {
  floats v[NARROW_MOST];
  UNROLL for (size_t i = 0; i < NARROW_MOST; i++) {
    const size_t before = i % vectors * NARROW_UNIT;
    ints w = sum[0];
    if (i >= rows * vectors) continue;
    if (!plain && o->adds)
      w = TIER(sub_epi32)(narrow_load(other + i / vectors * stride + before, o->is_signed, n > before ? n - before : 0),
                          TIER(set1_epi32)(o->other_zero));
    v[i] = narrow_sum(o, plain, sum[i], scale[i % vectors], w);
  }
  ints bytes = narrow_order(narrow_pack(o, plain, v, rows * vectors));
  if (!plain && o->table) bytes = narrow_look_up(bytes, o->table);
  UNROLL for (size_t row = 0; row < NARROW_MOST; row++) if (row < rows)
      narrow_store_row(bytes, vectors, row, y + row * stride, n);
}

#endif

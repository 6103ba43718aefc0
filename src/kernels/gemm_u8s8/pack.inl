// SPDX-License-Identifier: Apache-2.0
// Packing for a variant of gemm_u8s8, included after MR, NR and WIDE are defined so that it is compiled for the
// variant's tier. Panels: see gemm_u8s8.h. Sums are those of the elements as stored, padding left out.
#include <string.h>

#if WIDE
typedef int16_t packed_a, packed_b;
enum { GROUP = 2, FLIP_A = 0, FLIP_B = 0 };
#else
typedef uint8_t packed_a;
typedef int8_t packed_b;
enum { GROUP = 4, FLIP_A = 128, FLIP_B = 128 };
#endif

// An element as stored: wide ones keep their value, narrow ones are shifted when the sign is the other one.
static inline packed_a store_a(uint8_t v, bool is_signed) {
  return (packed_a)(WIDE ? (is_signed ? (int8_t)v : v) : is_signed ? v ^ FLIP_A : v);
}
static inline packed_b store_b(uint8_t v, bool is_signed) {
  return (packed_b)(WIDE ? (is_signed ? (int8_t)v : v) : is_signed ? v : v ^ FLIP_B);
}

// rows <= MR rows of A, ks deep; the panel's rest is zero.
static void pack_a(void *panel, int32_t *sum, const uint8_t *a, size_t lda, bool is_signed, size_t rows, size_t ks) {
  packed_a *to = panel;
  size_t padded = (ks + GEMM_U8S8_K_UNIT - 1) / GEMM_U8S8_K_UNIT * GEMM_U8S8_K_UNIT;
  memset(to, 0, MR * padded * sizeof *to);
  for (size_t i = 0; i < MR; i++) sum[i] = 0;
  for (size_t i = 0; i < rows; i++) {
    const uint8_t *from = a + i * lda;
    uint32_t total = 0;
    size_t k = 0;
    for (; k + GROUP <= ks; k += GROUP) {  // whole groups are moved as one
      packed_a group[GROUP];
      for (size_t g = 0; g < GROUP; g++) group[g] = store_a(from[k + g], is_signed);
      memcpy(to + (k / GROUP * MR + i) * GROUP, group, sizeof group);
    }
    for (; k < ks; k++) to[(k / GROUP * MR + i) * GROUP + k % GROUP] = store_a(from[k], is_signed);
    for (k = 0; k < ks; k++) total += (uint32_t)(int32_t)store_a(from[k], is_signed);
    sum[i] = (int32_t)total;
  }
}

// One group of B: GROUP rows (those past `left` are zero) of NR columns, interleaved.
static inline void pack_group(packed_b *restrict to, uint32_t *restrict sum, const uint8_t *const *rows,
                              bool is_signed) {
  for (size_t j = 0; j < NR; j++)
    for (size_t g = 0; g < GROUP; g++) to[j * GROUP + g] = store_b(rows[g][j], is_signed);
  for (size_t g = 0; g < GROUP; g++)
    for (size_t j = 0; j < NR; j++) sum[j] += (uint32_t)(int32_t)store_b(rows[g][j], is_signed);
}

// ks rows x cols <= NR columns of B. Whole groups are read in place, edges through a copy whose extra elements
// store as zero.
static void pack_b(void *panel, int32_t *sum, const uint8_t *b, size_t ldb, bool is_signed, size_t ks, size_t cols) {
  packed_b *to = panel;
  uint32_t total[NR] = {0};
  uint8_t zero = WIDE || is_signed ? 0 : FLIP_B, edge[GROUP][NR];
  for (size_t k = 0; k < (ks + GEMM_U8S8_K_UNIT - 1) / GEMM_U8S8_K_UNIT * GEMM_U8S8_K_UNIT; k += GROUP) {
    const uint8_t *rows[GROUP];
    bool whole = cols == NR && k + GROUP <= ks;
    if (!whole) memset(edge, zero, sizeof edge);
    for (size_t g = 0; g < GROUP; g++) {
      rows[g] = whole ? b + (k + g) * ldb : edge[g];
      if (!whole && k + g < ks) memcpy(edge[g], b + (k + g) * ldb, cols);
    }
    if (is_signed) pack_group(to, total, rows, true);
    else pack_group(to, total, rows, false);
    to += NR * GROUP;
  }
  for (size_t j = 0; j < NR; j++) sum[j] = (int32_t)total[j];
}

KERNEL(gemm_u8s8) = {.mr = MR, .nr = NR, .wide = WIDE, .pack_a = pack_a, .pack_b = pack_b, .tile = tile};

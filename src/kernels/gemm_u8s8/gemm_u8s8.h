// SPDX-License-Identifier: Apache-2.0
// Contract: exact integer matrix product C[m][n] = sum over k of (A[m][k] - a_zero[m]) * (B[k][n] - b_zero[n])
// in int32 with wrap; A and B are int8 or uint8 each. Never saturates in between. Used by MatMulInteger,
// ConvInteger, QLinear*: whoever wants another output type requantises C (kernels/quantize).
//
// Either operand may be packed ahead (constants), and B may be produced by a callback (im2col). The driver
// blocks and spreads over threads; a variant packs panels and computes a register tile. Integers: any order
// gives the same bits.
#pragma once

#include <stdint.h>

#include "kernels/kernel.h"
#include "kernels/pack_format.h"

enum { GEMM_U8S8_MAX_TILE = 64, GEMM_U8S8_K_UNIT = 4 };

// A variant. Panels hold k in groups, A as [k/group][mr][group], B as [k/group][nr][group], zero-filled to
// GEMM_U8S8_K_UNIT in k. `wide`: elements are int16 as given, group 2. Otherwise bytes, group 4, A shifted by 128
// to uint8 and B to int8 where the given type has the other sign; the driver corrects with the sums.
typedef struct gemm_u8s8_kernel {
  size_t mr, nr;  // <= GEMM_U8S8_MAX_TILE
  bool wide;
  // sum[mr], sum[nr]: sums over k of what was stored.
  void (*pack_a)(void *panel, int32_t *sum, const uint8_t *a, size_t lda, bool is_signed, size_t rows, size_t ks);
  void (*pack_b)(void *panel, int32_t *sum, const uint8_t *b, size_t ldb, bool is_signed, size_t ks, size_t cols);
  // C[rows][cols] += the product of two panels.
  void (*tile)(size_t groups, const void *a, const void *b, int32_t *c, size_t ldc, size_t rows, size_t cols);
} gemm_u8s8_kernel;

// Writes B[k0 .. k0+ks)[n0 .. n0+ns) row by row into target, `stride` bytes between rows.
typedef void (*gemm_u8s8_fill)(const void *context, size_t k0, size_t ks, size_t n0, size_t ns, uint8_t *target,
                               size_t stride);

typedef struct gemm_u8s8 {
  size_t m, n, k;
  bool a_signed, b_signed;
  const void *a;  // row stride lda; NULL if packed_a
  size_t lda;
  const void *packed_a;  // from gemm_u8s8_pack_a
  const void *b;         // row stride ldb; NULL if packed_b or fill
  size_t ldb;
  const void *packed_b;  // from gemm_u8s8_pack_b
  gemm_u8s8_fill fill;
  const void *fill_context;
  const void *a_zero, *b_zero;          // of A's and B's type; NULL = 0
  bool a_zero_per_row, b_zero_per_col;  // m or n of them instead of one
  int32_t *c;
  size_t ldc;
  const gemm_u8s8_kernel *kernel;  // NULL: the best one (set by tests)
} gemm_u8s8;

// The caller has checked that m * k and k * n fit. Packed forms and scratch are 64-byte aligned.
size_t gemm_u8s8_packed_a_bytes(size_t m, size_t k);
size_t gemm_u8s8_packed_b_bytes(size_t k, size_t n);
void gemm_u8s8_pack_a(void *target, const void *a, size_t lda, bool is_signed, size_t m, size_t k, size_t threads);
void gemm_u8s8_pack_b(void *target, const void *b, size_t ldb, bool is_signed, size_t k, size_t n, size_t threads);
pack_format gemm_u8s8_format_a(bool is_signed);
pack_format gemm_u8s8_format_b(bool is_signed);
// Depends on sizes and on what is packed.
size_t gemm_u8s8_scratch_bytes(const gemm_u8s8 *g, size_t threads);
void gemm_u8s8_run(const gemm_u8s8 *g, void *scratch, size_t threads);

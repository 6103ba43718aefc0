// SPDX-License-Identifier: Apache-2.0
// Weights that stay narrow: rows of 2- to 8-bit integers in blocks that each have a scale and a zero point, widened
// panel by panel while gemm_f32 runs. Shared by MatMulNBits, MatMulBnb4 and QMoE.
#pragma once

#include "kernels/gemm_f32/gemm_f32.h"
#include "ops/record.h"

// Value i of a row of packed values: bits run from the low end of each byte, values may cross bytes.
static inline unsigned packed_at(const uint8_t *row, size_t i, size_t bits) {
  size_t at = i * bits, byte = at / 8, shift = at % 8;
  unsigned v = (unsigned)row[byte] >> shift;
  if (shift + bits > 8) v |= (unsigned)row[byte + 1] << (8 - shift);
  return v & ((1u << bits) - 1);
}

// w[n][k] = (q - zero) * scale of its block. Without zeros they are 2^(bits - 1).
typedef struct packed_weights {
  const uint8_t *data;
  size_t row_bytes, bits, block, blocks;  // blocks of a row
  const tensor *scales, *zeros;
  size_t first;           // row of scales and zeros that row 0 of data belongs to
  size_t zero_bytes;      // packed zeros: bytes of a row of them
  const int32_t *groups;  // block of each k; NULL: k / block
} packed_weights;
// A gemm_f32_fill with packed_weights as context: column n of B is row n of the weights.
void packed_fill(void *context, size_t batch, float *panel, size_t stride, size_t k0, size_t kc, size_t n0, size_t nc);

// Y = A W' + bias for input 0 of the node, with W from a fill. `bias` is an input, SIZE_MAX: none.
sdx_status packed_product_prepare(op_step *c, size_t n, size_t k, size_t bias);
sdx_status packed_product_run(op_step *c, gemm_f32_fill fill, void *context, size_t n, size_t k, size_t bias);
// Input i, where its size is known, has `count` elements, or `or_count` unless that is 0.
sdx_status packed_need(op_step *c, size_t i, const char *name, size_t count, size_t or_count);
// Output 0: input 0 with its last dimension, k, replaced by n.
sdx_status packed_infer(op_step *c, size_t n, size_t k);

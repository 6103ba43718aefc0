// SPDX-License-Identifier: Apache-2.0
// Batched matrix products in every type, Y[i] = activation(alpha A[i] B[i] + beta C): what MatMul, Gemm
// and their fused relatives share. float goes to gemm_f32, float16 and bfloat16 through it, double and
// integers (which wrap) to plain loops. An operator describes the product in prepare and runs it in compute.
#pragma once

#include "kernels/gemm_f32/gemm_f32.h"
#include "ops/record.h"

typedef struct product_operand {
  size_t row, column;   // strides in elements
  size_t batch;         // elements from one matrix to the next; 0: one matrix for all
  const size_t *index;  // NULL, or which matrix product i uses
  const void *packed;   // set by product_prepare
} product_operand;

typedef struct product {
  size_t m, n, k, batch;
  product_operand a, b;
  float alpha, beta;
  bool has_bias;
  size_t bias_row, bias_column;  // strides of C in elements: 0 where it repeats
  activation activation;
  // Set by product_prepare.
  gemm_f32_plan plan;
} product;

// Chooses the kernel, packs a constant B that one matrix is enough for, and sets scratch_bytes and
// kernel. Inputs 0 and 1 are A and B; `bias` is the index of C.
sdx_status product_prepare(op_step *c, product *p, size_t bias);
sdx_status product_run(op_step *c, const product *p, size_t bias);

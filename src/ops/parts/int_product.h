// SPDX-License-Identifier: Apache-2.0
// Exact int32 matrix products and convolutions of 8-bit tensors with zero points, which MatMulInteger,
// ConvInteger, the QLinear operators and com.microsoft's relatives share. They differ in what they make
// of the sums.
#pragma once

#include "kernels/conv_u8s8/conv_u8s8.h"
#include "ops/parts/conv.h"
#include "ops/parts/matmul.h"

// numpy.matmul of inputs a and b.
typedef struct int_product {
  product shape;
  size_t a, b;           // inputs
  const void *packed_b;  // NULL: B is read as it is
  size_t scratch_bytes;
} int_product;

// Zero points: one number, or one for each row of A / column of B (for each matrix where there are more).
sdx_status int_product_prepare(op_step *c, int_product *p, size_t a, size_t b, const tensor *y);
sdx_status int_product_run(op_step *c, const int_product *p, size_t a_zero, size_t b_zero, int32_t *sums,
                           void *scratch);

// sums -> y (int8 or uint8) with scale a_scale[row] * b_scale[column] / y_scale; scales of one number serve all.
typedef struct requantization {
  const int32_t *sums;
  void *y;
  size_t rows, columns;
  const tensor *a_scale, *b_scale;
  float y_scale;
  int32_t y_zero;
  bool is_signed;
} requantization;
void requantize_rows(op_step *c, const requantization *r);

typedef struct int_conv {
  conv_u8s8 conv;  // without the data
  size_t x, w;     // inputs
  size_t scratch_bytes;
} int_conv;
sdx_status int_conv_prepare(op_step *c, const conv_params *p, int_conv *v, size_t x, size_t w, const tensor *y);
sdx_status int_conv_run(op_step *c, const int_conv *v, size_t x_zero, size_t w_zero, int32_t *sums, void *scratch);

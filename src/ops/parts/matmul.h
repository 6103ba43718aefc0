// SPDX-License-Identifier: Apache-2.0
// numpy's matmul with optional transposition and scale: shared by MatMul and com.microsoft's FusedMatMul.
#pragma once

#include "ops/parts/product.h"

typedef struct matmul_params {
  bool transpose_a, transpose_b;  // last two dimensions exchanged
  bool batch_a, batch_b;          // first dimension moved to before the last: [m, batch.., k]
  float alpha;
} matmul_params;

// Shape rule for operands at inputs a and b, and the product it stands for.
sdx_status matmul_infer_shape(op_step *c, const matmul_params *p, size_t a, size_t b, sdx_dtype dtype);
sdx_status matmul_layout(op_step *c, const matmul_params *p, const tensor *a, const tensor *b, const tensor *y,
                         product *out);

sdx_status matmul_infer(op_step *c);
sdx_status matmul_prepare(op_step *c);
sdx_status matmul_compute(op_step *c);

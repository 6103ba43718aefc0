// SPDX-License-Identifier: Apache-2.0
// numpy's matmul with optional transposition and scale: shared by MatMul and com.microsoft's FusedMatMul.
#pragma once

#include "ops/op.h"

typedef struct matmul_params {
  bool transpose_a, transpose_b;  // last two dimensions exchanged
  bool batch_a, batch_b;          // first dimension moved to before the last: [m, batch.., k]
  float alpha;
} matmul_params;

sdx_status matmul_infer(op_infer *c);
sdx_status matmul_prepare(op_prepare *c);
sdx_status matmul_compute(op_call *c);

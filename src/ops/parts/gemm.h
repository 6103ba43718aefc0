// SPDX-License-Identifier: Apache-2.0
// Y = activation(alpha A' B' + beta C), shared by Gemm and com.microsoft's FusedGemm.
#pragma once

#include "kernels/activation.h"
#include "ops/record.h"

typedef struct gemm_params {
  bool transpose_a, transpose_b;
  float alpha, beta;
  activation activation;
} gemm_params;

sdx_status gemm_read(op_params_context *c, void *params);
sdx_status gemm_infer(op_step *c);
sdx_status gemm_prepare(op_step *c);
sdx_status gemm_compute(op_step *c);

// SPDX-License-Identifier: Apache-2.0
// FusedMatMul: Y = alpha A' B', with optional transposition of the last two dimensions (transA,
// transB) and of the batch behind the rows (transBatchA, transBatchB: [m, batch.., k]). TransposeMatMul is
// its older name. The work is done in ops/ai_onnx/matmul.c.
#include "ops/parts/matmul.h"

static sdx_status fused_matmul_read(op_params_context *c, void *params) {
  matmul_params *p = params;
  p->transpose_a = params_int(c, "transA") != 0, p->transpose_b = params_int(c, "transB") != 0;
  p->batch_a = params_int(c, "transBatchA") != 0, p->batch_b = params_int(c, "transBatchB") != 0;
  p->alpha = params_float(c, "alpha");
  return SDX_OK;
}

SDX_CASES = {"A=float[2,4,3] B=float[2,4,5] transA=1 alpha=0.5", "A=float[2,3,4] B=float[5,4] transB=1",
             "A=float[3,2,4] B=float[2,4,5] transBatchA=1", NULL};

#define RECORD                                                                                                         \
  .since = 1, .versions = "1", .inputs = "A:T B:T", .outputs = "Y:T", .types = "T=float,double,float16,bfloat16",      \
  .attrs = "alpha:float=1.0 transA:int=0 transB:int=0 transBatchA:int=0 transBatchB:int=0",                            \
  .params_size = sizeof(matmul_params), .params = fused_matmul_read, .infer = matmul_infer, .prepare = matmul_prepare, \
  .compute = matmul_compute, .cases = cases

SDX_OP_MS(FusedMatMul) = {RECORD};
SDX_OP_MS(TransposeMatMul) = {RECORD};

// SPDX-License-Identifier: Apache-2.0
// MatMul: numpy.matmul. The work is in ops/parts/matmul.h, which FusedMatMul shares.
//
// History: 1 floats, 9 adds 32- and 64-bit integers (they wrap), 13 adds bfloat16.
#include "ops/parts/matmul.h"

static sdx_status matmul_read(op_params_context *c, void *params) {
  ((matmul_params *)params)->alpha = 1;
  return SDX_OK;
}

SDX_CASES = {"A=float[3,4] B=float[4,5]",       "A=float[2,3,4] B=float[4,1]", "A=float[5] B=float[2,5,3]",
             "A=int32[2,1,3,2] B=int32[4,2,2]", "A=double[3,0] B=double[0,2]", NULL};

SDX_OP(MatMul) = {
    .since = 13,
    .versions = "13 9 1",
    .inputs = "A:T B:T",
    .outputs = "Y:T",
    .types = "T=float,double,float16,bfloat16,int32,int64,uint32,uint64",
    .params_size = sizeof(matmul_params),
    .params = matmul_read,
    .infer = matmul_infer,
    .prepare = matmul_prepare,
    .compute = matmul_compute,
    .cases = cases,
};

// SPDX-License-Identifier: Apache-2.0
// Gemm: Y = alpha A' B' + beta C for matrices; A' is A or its transpose, C broadcasts to [M, N]. The work is in
// ops/parts/gemm.h, which FusedGemm shares.
//
// History: 1 and 6 had C mandatory and broadcast it only if the attribute `broadcast` said so; 7 broadcasts
// always; 9 adds integers; 11 makes C optional; 13 adds bfloat16. Integers with alpha or beta other than 1
// are scaled in double.
#include "ops/parts/gemm.h"

SDX_CASES = {"A=float[3,4] B=float[4,5] C=float[5]",
             "A=float[4,3] B=float[5,4] C=float[3,1] transA=1 transB=1 alpha=0.5 beta=2", "A=int64[2,3] B=int64[3,2]",
             "A=double[2,0] B=double[0,3] C=double[2,3]", NULL};

SDX_OP(Gemm) = {
    .since = 13,
    .versions = "13 11 9 7 6 1",
    .inputs = "A:T B:T C:T?",
    .outputs = "Y:T",
    .types = "T=float,double,float16,bfloat16,int32,int64,uint32,uint64",
    .attrs = "alpha:float=1.0 beta:float=1.0 transA:int=0 transB:int=0",
    .attrs_old = "broadcast:int=0<7",
    .params_size = sizeof(gemm_params),
    .params = gemm_read,
    .infer = gemm_infer,
    .prepare = gemm_prepare,
    .compute = gemm_compute,
    .cases = cases,
};

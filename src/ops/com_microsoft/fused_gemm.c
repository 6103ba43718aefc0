// SPDX-License-Identifier: Apache-2.0
// FusedGemm: Y = activation(alpha A' B' + beta C), what onnxruntime's optimizer and our own passes make of
// Gemm and an activation. The work is done in ops/ai_onnx/gemm.c.
#include "ops/parts/activations.h"
#include "ops/parts/gemm.h"

static sdx_status fused_gemm_read(op_params_context *c, void *params) {
  gemm_params *p = params;
  float numbers[2] = {params_float(c, "activation_alpha"), params_float(c, "activation_beta")};
  size_t count = params_has(c, "activation_beta") ? 2 : params_has(c, "activation_alpha") ? 1 : 0;
  SDX_TRY(activation_read(c, "activation", numbers, count, &p->activation));
  return gemm_read(c, params);
}

SDX_CASES = {"A=float[3,4] B=float[4,5] C=float[5] activation=Relu",
             "A=float[3,4] B=float[5,4] transB=1 activation=LeakyRelu activation_alpha=0.1", NULL};

SDX_OP_MS(FusedGemm) = {
    .since = 1,
    .versions = "1",
    .inputs = "A:T B:T C:T?",
    .outputs = "Y:T",
    .types = "T=float,float16,bfloat16",
    .attrs =
        "activation:string activation_alpha:float activation_beta:float activation_gamma:float alpha:float=1.0 "
        "beta:float=1.0 transA:int=0 transB:int=0",
    .params_size = sizeof(gemm_params),
    .params = fused_gemm_read,
    .infer = gemm_infer,
    .prepare = gemm_prepare,
    .compute = gemm_compute,
    .cases = cases,
};

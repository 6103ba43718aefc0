// SPDX-License-Identifier: Apache-2.0
// The Gelu family that ONNX Runtime's optimiser and exporters write: Gelu (by erf), FastGelu (tanh
// approximation, optional bias), QuickGelu x * sigmoid(alpha x), BiasGelu gelu(A + B) with B along the
// last axis.
#include "ops/infer.h"
#include "ops/parts/arithmetic.h"
#include "ops/parts/row.h"
#include "ops/parts/unary.h"

static sdx_status quick_gelu_read(op_params_context *c, void *params) {
  *(float *)params = params_float(c, "alpha");
  return SDX_OK;
}

static sdx_status gelu_infer(op_step *c) {
  SDX_TRY(infer_rank(c, 1, 1, 1));
  return infer_same(c, 0, 0);
}

// f(x + bias); without a bias f(x).
static sdx_status biased(op_step *c, unary_f32_op f, float a) {
  tensor *out = step_out(c, 0);
  const tensor *in = step_in(c, 0), *bias = step_in(c, 1);
  if (!out) return SDX_OK;
  if (bias) {
    SDX_TRY(arithmetic_add(c, out, in, bias));
    in = out;
  }
  return unary_apply(c, NULL, f, out, in, a, 0);
}
static sdx_status gelu_compute(op_step *c) { return biased(c, UNARY_F32_GELU, 0); }
static sdx_status fast_gelu_compute(op_step *c) { return biased(c, UNARY_F32_GELU_TANH, 0); }
static sdx_status quick_gelu_compute(op_step *c) { return biased(c, UNARY_F32_SWISH, *(const float *)c->params); }

SDX_CASES = {"X=float[2,3]", "X=float16[5]", "X=double[2,3]", NULL};
static const char *const bias_cases[] = {"A=float[2,3] B=float[3]", "A=float16[2,5] B=float16[5]", NULL};

// clang-format off
#define RECORD(Inputs, Compute, Cases)                                                                   \
  .since = 1, .versions = "1", .inputs = Inputs, .outputs = "Y:T", .types = "T=" TYPES_FLOAT,            \
  .flags = OP_INPLACE | OP_POINTWISE, .infer = gelu_infer, .compute = Compute, .cases = Cases
SDX_OP_MS(Gelu) = {RECORD("X:T", gelu_compute, cases)};
SDX_OP_MS(FastGelu) = {RECORD("X:T bias:T?", fast_gelu_compute, cases)};
SDX_OP_MS(BiasGelu) = {RECORD("A:T B:T", gelu_compute, bias_cases)};
SDX_OP_MS(QuickGelu) = {RECORD("X:T", quick_gelu_compute, cases), .attrs = "alpha:float=1.702",
                        .params_size = sizeof(float), .params = quick_gelu_read};
// clang-format on

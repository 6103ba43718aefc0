// SPDX-License-Identifier: Apache-2.0
// Elementwise operators of the first, experimental ONNX releases that old files still contain:
// Affine alpha*x + beta · Scale scale*x · ImageScaler scale*x + bias[channel] · ScaledTanh
// alpha*tanh(beta*x) · ParametricSoftplus alpha*softplus(beta*x).
#include "ops/call.h"
#include "ops/infer.h"
#include "ops/parts/arithmetic.h"
#include "ops/parts/row.h"
#include "ops/parts/unary.h"
#include "ops/parts/widen.h"

// y = outer * f(a*x + b); f absent: a*x + b.
typedef struct retired_params {
  bool has_f;
  unary_f32_op f;
  float a, b, outer;
  const float *bias;
  int64_t channels;
} retired_params;

static sdx_status affine_read(op_params_context *c, void *params) {
  *(retired_params *)params = (retired_params){.a = params_float(c, "alpha"), .b = params_float(c, "beta")};
  return SDX_OK;
}
static sdx_status scale_read(op_params_context *c, void *params) {
  retired_params *p = params;
  size_t count;
  p->a = params_float(c, "scale");
  p->bias = params_floats(c, "bias", &count);
  p->channels = (int64_t)count;
  return SDX_OK;
}
static sdx_status outer_read(op_params_context *c, void *params) {
  *(retired_params *)params =
      (retired_params){true, UNARY_F32_TANH, params_float(c, "beta"), 0, params_float(c, "alpha"), NULL, 0};
  if (str_is(c->node->op_type, "ParametricSoftplus")) ((retired_params *)params)->f = UNARY_F32_SOFTPLUS;
  return SDX_OK;
}

static sdx_status retired_activations_infer(op_step *c) {
  const retired_params *p = c->params;
  int rank = infer_rank_of(c, 0);
  if (p->bias && rank >= 0) {
    SDX_TRY(infer_rank(c, 0, 2, -1));
    int64_t channels = c->in_types[0]->dims[1];
    if (channels >= 0 && channels != p->channels)
      return step_fail_at(c, at_input(0), SDX_INVALID_SHAPE, "has %lld channels, attribute 'bias' has %lld",
                          (long long)channels, (long long)p->channels);
  }
  return infer_same(c, 0, 0);
}

static sdx_status retired_activations_compute(op_step *c) {
  const retired_params *p = c->params;
  tensor *out = step_out(c, 0);
  if (!out) return SDX_OK;
  SDX_TRY(unary_apply(c, NULL, UNARY_F32_AFFINE, out, step_in(c, 0), p->a, p->b));
  if (p->has_f) {
    SDX_TRY(unary_apply(c, NULL, p->f, out, out, 0, 0));
    return unary_apply(c, NULL, UNARY_F32_AFFINE, out, out, p->outer, 0);
  }
  if (!p->bias) return SDX_OK;
  int64_t dims[TENSOR_MAX_RANK];
  for (size_t i = 0; i < out->rank; i++) dims[i] = i == 1 ? p->channels : 1;
  tensor bias;
  SDX_TRY(tensor_init(&bias, (sdx_dtype)out->dtype, out->rank, dims, c->err));
  bias.data = call_alloc(c, bias.bytes);
  if (!bias.data) return call_no_memory(c, bias.bytes);
  widen_write((sdx_dtype)out->dtype, bias.data, 0, bias.count, p->bias);
  return arithmetic_add(c, out, out, &bias);
}

SDX_CASES = {"X=float[2,3]", "X=float16[5]", "X=double[2,3]", NULL};
static const char *const scaler_cases[] = {"X=float[2,3,4,5] bias=1,2,3 scale=0.5", NULL};
static const char *const outer_cases[] = {"X=float[2,3] alpha=2 beta=0.5", NULL};

// clang-format off
#define RECORD(Attrs, Params, Cases)                                                                            \
  {.since = 1, .versions = "1", .inputs = "X:T", .outputs = "Y:T", .types = "T=" TYPES_FLOAT, .attrs = Attrs,    \
   .flags = OP_INPLACE, .params_size = sizeof(retired_params),              \
   .params = Params, .infer = retired_activations_infer, .compute = retired_activations_compute, .cases = Cases}
SDX_OP_OLD(Affine) = RECORD("alpha:float=1 beta:float=0", affine_read, cases);
SDX_OP_OLD(Scale) = RECORD("scale:float=1", scale_read, cases);
SDX_OP_OLD(ImageScaler) = RECORD("scale:float=1 bias:floats", scale_read, scaler_cases);
SDX_OP_OLD(ScaledTanh) = RECORD("alpha:float! beta:float!", outer_read, outer_cases);
SDX_OP_OLD(ParametricSoftplus) = RECORD("alpha:float! beta:float!", outer_read, outer_cases);
// clang-format on

// SPDX-License-Identifier: Apache-2.0
// SimplifiedLayerNormalization: RMSNormalization's older name. SkipLayerNormalization and
// SkipSimplifiedLayerNormalization normalise input + skip + bias over the last axis and can return that sum. The work
// is in ops/parts/layer_normalization.h.
#include "ops/parts/layer_normalization.h"

#include "ops/call.h"
#include "ops/infer.h"
#include "ops/parts/arithmetic.h"
#include "ops/parts/normalize.h"
#include "ops/parts/row.h"

static sdx_status skip_layer_normalization_read(op_params_context *c, void *params) {
  layer_normalization_params *p = params;
  p->axis = -1, p->stash = SDX_FLOAT;
  return normalize_epsilon(c, &p->epsilon);
}
static sdx_status skip_simplified_layer_normalization_read(op_params_context *c, void *params) {
  ((layer_normalization_params *)params)->rms = true;
  return skip_layer_normalization_read(c, params);
}

static sdx_status skip_layer_normalization_infer(op_step *c) {
  int rank = infer_rank_of(c, 0);
  SDX_TRY(infer_rank(c, 0, 1, -1));
  SDX_TRY(infer_same(c, 0, 0));
  SDX_TRY(layer_normalization_infer_statistic(c, 1, rank - 1));
  SDX_TRY(layer_normalization_infer_statistic(c, 2, rank - 1));
  return infer_same(c, 3, 0);
}

static sdx_status skip(op_step *c) {
  bool rms = ((const layer_normalization_params *)c->params)->rms;  // has no beta: bias stands one place earlier
  const tensor *beta = rms ? NULL : step_in(c, 3), *bias = step_in(c, rms ? 3 : 4);
  tensor *sum = step_out(c, 3) ? step_out(c, 3) : step_out(c, 0);
  SDX_TRY(arithmetic_add(c, sum, step_in(c, 0), step_in(c, 1)));
  if (bias) SDX_TRY(arithmetic_add(c, sum, sum, bias));
  return layer_normalization_run(c, sum, step_in(c, 2), beta, step_out(c, 0), step_out(c, 1), step_out(c, 2));
}
static sdx_status skip_layer_normalization_compute(op_step *c) {
  return step_out(c, 0) ? call_widened(c, skip) : SDX_OK;
}

static const char *const rms_cases[] = {"X=float[2,3,4] scale=float[4]", "X=float16[2,5] scale=float16[5]",
                                        "X=float[2,3,4] scale=float[3,4] axis=1", "X=double[2,3] scale=double[3]",
                                        NULL};
static const char *const skip_cases[] = {"input=float[2,3,4] skip=float[2,3,4] gamma=float[4]",
                                         "input=float16[2,3,4] skip=float16[3,4] gamma=float16[4]", NULL};

SDX_OP_MS(SimplifiedLayerNormalization) = {
    .since = 1,
    .versions = "1",
    .inputs = "X:T scale:V",
    .outputs = "Y:V inv_std_var:U?",
    .types = "T=" TYPES_FLOAT ";V=" TYPES_FLOAT ";U=float,bfloat16,double",
    .attrs = "axis:int=-1 epsilon:float=1e-5 stash_type:int=1",
    .flags = OP_INPLACE,
    .params_size = sizeof(layer_normalization_params),
    .params = layer_normalization_read_rms,
    .infer = layer_normalization_infer,
    .prepare = layer_normalization_prepare,
    .compute = layer_normalization_compute,
    .cases = rms_cases,
};

#define SKIP                                                                                                    \
  .since = 1, .versions = "1", .outputs = "output:T mean:float? inv_std_var:float? input_skip_bias_sum:T?",     \
  .types = "T=" TYPES_FLOAT, .attrs = "epsilon:float=1e-12", .params_size = sizeof(layer_normalization_params), \
  .infer = skip_layer_normalization_infer, .prepare = layer_normalization_prepare,                              \
  .compute = skip_layer_normalization_compute, .cases = skip_cases

SDX_OP_MS(SkipLayerNormalization) = {SKIP, .inputs = "input:T skip:T gamma:T beta:T? bias:T?",
                                     .params = skip_layer_normalization_read};
SDX_OP_MS(SkipSimplifiedLayerNormalization) = {SKIP, .inputs = "input:T skip:T gamma:T bias:T?",
                                               .params = skip_simplified_layer_normalization_read};

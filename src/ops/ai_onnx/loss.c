// SPDX-License-Identifier: Apache-2.0
// NegativeLogLikelihoodLoss: -weight[t] * x[n, t, d...] for the class t = target[n, d...], then none, their sum, or
// their mean over the applied weights. SoftmaxCrossEntropyLoss: the same of log(softmax(x)), which may be an output.
// Samples whose target is `ignore_index` count as 0 with weight 0; any other target must be a class.
// History: 13 bfloat16 (SoftmaxCrossEntropyLoss), 22 bfloat16 (NegativeLogLikelihoodLoss); nothing else changed.
#include <math.h>

#include "base/size.h"
#include "ops/parts/row.h"

typedef enum reduction { REDUCE_NONE, REDUCE_SUM, REDUCE_MEAN } reduction;

typedef struct loss_params {
  reduction reduction;
  bool softmax, ignores;
  int64_t ignored;
} loss_params;

static sdx_status loss_read(op_params_context *c, void *params) {
  loss_params *p = params;
  str name = params_string(c, "reduction");
  if (str_is(name, "none")) p->reduction = REDUCE_NONE;
  else if (str_is(name, "sum")) p->reduction = REDUCE_SUM;
  else if (str_is(name, "mean")) p->reduction = REDUCE_MEAN;
  else return params_fail(c, "reduction", "is '%.*s', expected one of none, sum, mean", STR_ARG(name));
  p->ignores = params_has(c, "ignore_index");
  if (p->ignores) p->ignored = params_int(c, "ignore_index");
  return SDX_OK;
}
static sdx_status softmax_cross_entropy_loss_read(op_params_context *c, void *params) {
  ((loss_params *)params)->softmax = true;
  return loss_read(c, params);
}

static sdx_status loss_infer(op_step *c) {
  const loss_params *p = c->params;
  sdx_dtype dtype = infer_dtype_of(c, 0);
  SDX_TRY(infer_rank(c, 0, 2, -1));
  SDX_TRY(infer_rank(c, 1, 1, -1));
  SDX_TRY(infer_rank(c, 2, 1, 1));
  SDX_TRY(infer_same(c, 1, 0));
  int64_t classes = infer_dim(c, 0, 1), dims[TENSOR_MAX_RANK];
  SDX_TRY(infer_agree(c, 2, 0, "classes", &classes));
  int rank = infer_rank_of(c, 0), samples = infer_rank_of(c, 1);
  if (rank >= 0 && samples >= 0 && samples != rank - 1)
    return step_fail_at(c, at_input(1), SDX_INVALID_SHAPE,
                        "has rank %d, expected %d: that of input 0 without the classes", samples, rank - 1);
  if (samples < 0) samples = rank - 1;
  for (int d = 0; d < samples; d++) {
    dims[d] = infer_dim(c, 1, d);
    SDX_TRY(infer_agree(c, 0, d + (d > 0), "samples", &dims[d]));
  }
  if (p->reduction != REDUCE_NONE) return infer_output(c, 0, dtype, 0, NULL);
  return infer_output(c, 0, dtype, rank < 0 && samples < 0 ? -1 : samples, dims);
}

// Input 0 as [batch, classes, inner]; the targets, checked, as [batch, inner].
typedef struct loss_job {
  const void *in, *weights;
  const tensor *target;
  void *losses, *log_probs;  // log_probs may be NULL
  size_t classes, inner;
  const loss_params *params;
} loss_job;

static bool is_ignored(const loss_params *p, int64_t target) { return p->ignores && target == p->ignored; }

#define LOOPS "ops/ai_onnx/loss.inl"
#include "ops/call.h"
#include "ops/infer.h"
#include "ops/parts/each_float.inl"

static size_t losses_bytes(const loss_params *p, const tensor *target, size_t element) {
  return p->reduction == REDUCE_NONE ? 0 : target->count * element;
}

static sdx_status loss_prepare(op_step *c) {
  size_t element = step_in(c, 0)->dtype == SDX_DOUBLE ? sizeof(double) : sizeof(float);
  return prepare_widened(c, losses_bytes(c->params, step_in(c, 1), element));
}

static sdx_status check_targets(op_step *c, const loss_params *p, size_t classes) {
  const tensor *target = step_in(c, 1);
  for (size_t i = 0; i < target->count; i++) {
    int64_t t = tensor_index_at(target, i);
    if ((t < 0 || t >= (int64_t)classes) && !is_ignored(p, t))
      return step_fail_at(c, at_input(1), SDX_OUT_OF_RANGE, "is %lld at %zu, but there are %zu classes", (long long)t,
                          i, classes);
  }
  return SDX_OK;
}

static sdx_status loss(op_step *c) {
  const loss_params *p = c->params;
  const tensor *x = step_in(c, 0), *weights = step_in(c, 2);
  tensor *y = step_out(c, 0), *log_probs = step_out(c, 1);
  bool is_float = x->dtype == SDX_FLOAT;
  loss_job j = {.in = x->data,
                .weights = weights ? weights->data : NULL,
                .target = step_in(c, 1),
                .losses = y ? y->data : NULL,
                .log_probs = log_probs ? log_probs->data : NULL,
                .classes = (size_t)x->dims[1],
                .inner = 1,
                .params = p};
  for (size_t d = 2; d < x->rank; d++) j.inner *= (size_t)x->dims[d];
  SDX_TRY(check_targets(c, p, j.classes));
  if (p->reduction != REDUCE_NONE || !y) {
    j.losses = call_scratch(c, j.target->count * (is_float ? sizeof(float) : sizeof(double)));
    if (!j.losses) return c->err->status;
  }
  call_parallel(c, j.target->count, 1 + GRAIN_COSTLY / (j.classes + 1), is_float ? losses_float : losses_double, &j);
  if (y && p->reduction != REDUCE_NONE) (is_float ? reduce_float : reduce_double)(&j, y->data);
  return call_check(c);
}

static sdx_status loss_compute(op_step *c) { return call_widened(c, loss); }

// clang-format off
static const char *const negative_log_likelihood_loss_cases[] = {"input=float[3,5] target=int64[3]@0..4",
    "input=float[2,4,3] target=int32[2,3]@0..3 weight=float[4]@0.1..2 reduction=sum",
    "input=float[2,4,3,2] target=int64[2,3,2]@0..3 ignore_index=1 reduction=none", NULL};

SDX_OP(NegativeLogLikelihoodLoss) = {
    .since = 22, .versions = "22 13 12", .inputs = "input:T target:Tind weight:T?", .outputs = "loss:T",
    .types = "T=" TYPES_FLOAT ";Tind=int32,int64", .attrs = "ignore_index:int reduction:string=mean",
    .params_size = sizeof(loss_params), .params = loss_read, .infer = loss_infer, .prepare = loss_prepare,
    .compute = loss_compute,
    .cases = negative_log_likelihood_loss_cases,
};
static const char *const softmax_cross_entropy_loss_cases[] = {"scores=float[3,5] labels=int64[3]@0..4 outputs=2",
    "scores=float[2,4,3] labels=int32[2,3]@0..3 weights=float[4]@0.1..2 reduction=sum",
    "scores=float[2,4,3,2] labels=int64[2,3,2]@0..3 ignore_index=1 reduction=none", NULL};

SDX_OP(SoftmaxCrossEntropyLoss) = {
    .since = 13, .versions = "13 12", .inputs = "scores:T labels:Tind weights:T?", .outputs = "output:T log_prob:T?",
    .types = "T=" TYPES_FLOAT ";Tind=int32,int64", .attrs = "ignore_index:int reduction:string=mean",
    .params_size = sizeof(loss_params), .params = softmax_cross_entropy_loss_read, .infer = loss_infer,
    .prepare = loss_prepare,
    .compute = loss_compute,
    .cases = softmax_cross_entropy_loss_cases,
};
// clang-format on

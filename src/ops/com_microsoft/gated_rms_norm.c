// SPDX-License-Identifier: Apache-2.0
// GatedRMSNorm: x / rms(x) * scale * act(gate) over groups as long as the scale.
#include <math.h>

#include "ops/call.h"
#include "ops/infer.h"
#include "ops/parts/elementwise.h"
#include "ops/parts/normalize.h"

typedef struct gated_params {
  float epsilon;
  bool sigmoid;  // without the factor z
} gated_params;

static sdx_status gated_rms_norm_read(op_params_context *c, void *params) {
  gated_params *p = params;
  str name = params_string(c, "activation");
  p->sigmoid = str_is(name, "sigmoid");
  if (!p->sigmoid && !str_is(name, "silu") && !str_is(name, "swish"))
    return params_fail(c, "activation", "is '%.*s', expected one of silu, swish, sigmoid", STR_ARG(name));
  return normalize_epsilon(c, &p->epsilon);
}

static sdx_status gated_rms_norm_infer(op_step *c) {
  int rank = infer_rank_of(c, 0);
  SDX_TRY(infer_rank(c, 0, 1, -1));
  SDX_TRY(infer_rank(c, 1, 1, 1));
  int64_t each = infer_dim(c, 1, 0), last = rank > 0 ? c->in_types[0]->dims[rank - 1] : DIM_UNKNOWN;
  if (each == 0 || (each > 0 && last >= 0 && last % each))
    return step_fail_at(c, at_input(0), SDX_INVALID_SHAPE,
                        "has the last dimension %lld, expected a multiple of the %lld elements of 'scale'",
                        (long long)last, (long long)each);
  if (rank >= 0) SDX_TRY(infer_rank(c, 2, rank, rank));
  for (int i = 0; i < rank; i++) {
    int64_t have = c->in_types[0]->dims[i];
    SDX_TRY(infer_agree(c, 2, i, "dimension of X", &have));
  }
  return infer_same(c, 0, 0);
}

typedef struct gated_job {
  const gated_params *p;
  const float *x, *scale, *gate;
  float *y;
  size_t each;
} gated_job;

static void gated_range(void *context, size_t begin, size_t end, size_t worker) {
  const gated_job *j = context;
  for (size_t row = begin; row < end; row++) {
    const float *x = j->x + row * j->each, *gate = j->gate + row * j->each;
    double squares = 0;
    for (size_t i = 0; i < j->each; i++) squares += (double)x[i] * (double)x[i];
    float inverse = (float)(1 / sqrt(squares / (double)j->each + (double)j->p->epsilon));
    for (size_t i = 0; i < j->each; i++) {
      float z = 1 / (1 + expf(-gate[i]));
      j->y[row * j->each + i] = x[i] * inverse * j->scale[i] * (j->p->sigmoid ? z : z * gate[i]);
    }
  }
}

static sdx_status gated_rms_norm_prepare(op_step *c) { return prepare_widened(c, 0); }
static sdx_status gated(op_step *c) {
  const tensor *x = step_in(c, 0), *scale = step_in(c, 1);
  gated_job j = {c->params, x->data, scale->data, step_in(c, 2)->data, step_out(c, 0)->data, scale->count};
  call_parallel(c, x->count / j.each, 1 + GRAIN_COSTLY / j.each, gated_range, &j);
  return call_check(c);
}
static sdx_status gated_rms_norm_compute(op_step *c) { return call_widened(c, gated); }

SDX_CASES = {"X=float[2,3,8] scale=float[4] gate=float[2,3,8]", NULL};

SDX_OP_MS(GatedRMSNorm) = {.since = 1,
                           .versions = "1",
                           .inputs = "X:T scale:T gate:T",
                           .outputs = "Y:T",
                           .types = "T=float,float16,bfloat16",
                           .attrs = "activation:string=silu epsilon:float=1e-5",
                           .params_size = sizeof(gated_params),
                           .params = gated_rms_norm_read,
                           .infer = gated_rms_norm_infer,
                           .prepare = gated_rms_norm_prepare,
                           .compute = gated_rms_norm_compute,
                           .cases = cases};

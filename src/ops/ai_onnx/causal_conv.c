// SPDX-License-Identifier: Apache-2.0
// CausalConvWithState: every channel is convolved with a kernel of its own over the past only. What came before the
// input is past_state (zeros if absent); the last k - 1 numbers are the next call's.
#include <math.h>

#include "base/size.h"
#include "ops/elementwise.h"

enum { X, W, BIAS, PAST };

static sdx_status params(op_params_context *c, void *params) {
  str name = params_string(c, "activation");
  *(bool *)params = str_is(name, "silu") || str_is(name, "swish");
  if (*(bool *)params || str_is(name, "none")) return SDX_OK;
  return params_fail(c, "activation", "'%.*s' is none of none, silu, swish", STR_ARG(name));
}

static sdx_status infer(op_infer *c) {
  int64_t batch = DIM_UNKNOWN, channels = DIM_UNKNOWN, one = 1, taps = infer_dim(c, W, 2);
  SDX_TRY(infer_rank(c, X, 3, 3));
  SDX_TRY(infer_rank(c, W, 3, 3));
  SDX_TRY(infer_rank(c, BIAS, 1, 1));
  SDX_TRY(infer_rank(c, PAST, 3, 3));
  SDX_TRY(infer_agree(c, X, 0, "batch", &batch));
  SDX_TRY(infer_agree(c, X, 1, "channels", &channels));
  SDX_TRY(infer_agree(c, W, 0, "channels", &channels));
  SDX_TRY(infer_agree(c, W, 1, "channels of a group", &one));
  SDX_TRY(infer_agree(c, BIAS, 0, "channels", &channels));
  if (taps == 0) return infer_fail(c, SDX_INVALID_SHAPE, "input 1 ('weight') is a kernel of length 0");
  int64_t kept = taps > 0 ? taps - 1 : DIM_UNKNOWN;
  SDX_TRY(infer_agree(c, PAST, 0, "batch", &batch));
  SDX_TRY(infer_agree(c, PAST, 1, "channels", &channels));
  SDX_TRY(infer_agree(c, PAST, 2, "kernel length - 1", &kept));
  SDX_TRY(infer_output(c, 0, infer_dtype_of(c, X), 3, (int64_t[]){batch, channels, infer_dim(c, X, 2)}));
  return infer_output(c, 1, infer_dtype_of(c, X), 3, (int64_t[]){batch, channels, kept});
}

typedef struct causal_job {
  const float *x, *w, *bias, *past;
  float *y, *state;  // either may be NULL
  size_t channels, length, taps;
  bool silu;
} causal_job;

static void channels_range(void *context, size_t begin, size_t end, size_t worker) {
  const causal_job *j = context;
  size_t kept = j->taps - 1;
  for (size_t i = begin; i < end; i++) {
    const float *x = j->x + i * j->length, *past = j->past ? j->past + i * kept : NULL;
    const float *w = j->w + i % j->channels * j->taps;
    float bias = j->bias ? j->bias[i % j->channels] : 0;
    for (size_t t = 0; j->y && t < j->length; t++) {
      float sum = 0;
      for (size_t k = 0; k < j->taps; k++) sum += w[k] * (t + k >= kept ? x[t + k - kept] : past ? past[t + k] : 0);
      sum += bias;
      j->y[i * j->length + t] = j->silu ? sum / (1 + expf(-sum)) : sum;
    }
    for (size_t k = 0; j->state && k < kept; k++) {
      size_t at = j->length + k;  // in past and input put together
      j->state[i * kept + k] = at >= kept ? x[at - kept] : past ? past[at] : 0;
    }
  }
}

static sdx_status prepare(op_prepare *c) { return prepare_widened(c, 0); }

static sdx_status convolve(op_call *c) {
  const tensor *x = call_in(c, X), *w = call_in(c, W), *bias = call_in(c, BIAS), *past = call_in(c, PAST);
  tensor *y = call_out(c, 0), *state = call_out(c, 1);
  causal_job j = {.x = x->data,
                  .w = w->data,
                  .bias = bias ? bias->data : NULL,
                  .past = past ? past->data : NULL,
                  .y = y ? y->data : NULL,
                  .state = state ? state->data : NULL,
                  .channels = (size_t)x->dims[1],
                  .length = (size_t)x->dims[2],
                  .taps = (size_t)w->dims[2],
                  .silu = *(const bool *)c->params};
  call_parallel(c, (size_t)x->dims[0] * j.channels, 1 + GRAIN_CHEAP / (j.length * j.taps + 1), channels_range, &j);
  return call_check(c);
}
static sdx_status compute(op_call *c) { return call_widened(c, convolve); }

SDX_CASES = {"input=float[2,3,5] weight=float[3,1,4]", "input=float16[1,2,3] weight=float16[2,1,2] activation=silu",
             NULL};

// clang-format off
SDX_OP(CausalConvWithState) = {
    .since = 27, .versions = "27", .inputs = "input:T weight:T bias:T? past_state:T?",
    .outputs = "output:T present_state:T", .types = "T=float,float16,bfloat16", .attrs = "activation:string=none",
    .params_size = sizeof(bool), .params = params, .infer = infer, .prepare = prepare, .compute = compute,
    .cases = cases,
};
// clang-format on

// SPDX-License-Identifier: Apache-2.0
// LRN: X / (bias + alpha / size * sum of squares over `size` neighbouring channels) ^ beta; the window of channel
// c is [c - floor((size-1)/2), c + ceil((size-1)/2)]. History: 13 bfloat16.
#include <math.h>

#include "ops/parts/row.h"

typedef struct lrn_params {
  double alpha, beta, bias;
  size_t size;
} lrn_params;

static sdx_status lrn_read(op_params_context *c, void *params) {
  int64_t size = params_int(c, "size");
  if (size < 1) return params_fail(c, "size", "is %lld, expected at least 1", (long long)size);
  *(lrn_params *)params =
      (lrn_params){params_float(c, "alpha"), params_float(c, "beta"), params_float(c, "bias"), (size_t)size};
  return SDX_OK;
}

static sdx_status lrn_infer(op_step *c) {
  SDX_TRY(infer_rank(c, 0, 2, -1));
  return infer_same(c, 0, 0);
}

enum { STRIP = 64 };  // elements of a channel done side by side

typedef struct lrn_job {
  const void *x;
  void *y;
  size_t channels, spatial, strips, before, after;
  double scale, beta, bias;
} lrn_job;

static double power(double base, double beta) {  // 0.75 is what every published model has
  return beta == 0.75 ? sqrt(base) * sqrt(sqrt(base)) : pow(base, beta);
}
#define LOOPS "ops/ai_onnx/lrn.inl"
#include "ops/call.h"
#include "ops/infer.h"
#include "ops/parts/each_float.inl"

static sdx_status lrn_prepare(op_step *c) { return prepare_widened(c, 0); }

static sdx_status normalize(op_step *c) {
  const lrn_params *p = c->params;
  const tensor *x = step_in(c, 0);
  if (x->count == 0) return SDX_OK;
  size_t axis = layout_axis((layout)c->layout, x->rank, 1), outer = 1;
  for (size_t i = 0; i <= axis; i++) outer *= (size_t)x->dims[i];
  lrn_job j = {x->data,           step_out(c, 0)->data, (size_t)x->dims[axis],      x->count / outer, 0,
               (p->size - 1) / 2, p->size / 2,          p->alpha / (double)p->size, p->beta,          p->bias};
  j.strips = (j.spatial + STRIP - 1) / STRIP;
  size_t window = p->size < j.channels ? p->size : j.channels;
  call_parallel(c, outer * j.strips, 1 + GRAIN_COSTLY / (window + STRIP),
                x->dtype == SDX_DOUBLE ? lrn_double : lrn_float, &j);
  return SDX_OK;
}
static sdx_status lrn_compute(op_step *c) { return step_out(c, 0) ? call_widened(c, normalize) : SDX_OK; }

SDX_CASES = {"X=float[2,7,4,5] size=3", "X=float[1,3,70] size=5 alpha=0.1", "X=float16[1,4,2] size=2",
             "X=double[1,3,2,2] size=9 beta=0.5", NULL};

SDX_OP(LRN) = {.since = 13,
               .versions = "13 1",
               .inputs = "X:T",
               .outputs = "Y:T",
               .types = "T=" TYPES_FLOAT,
               .attrs = "alpha:float=1e-4 beta:float=0.75 bias:float=1 size:int!",
               .params_size = sizeof(lrn_params),
               .params = lrn_read,
               .infer = lrn_infer,
               .layouts = layouts_follow,
               .prepare = lrn_prepare,
               .compute = lrn_compute,
               .cases = cases};

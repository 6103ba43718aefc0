// SPDX-License-Identifier: Apache-2.0
// Shrink: x < -lambd: x + bias; x > lambd: x - bias; else 0. Every type is computed in double; results
// outside an integer type saturate. One version (9).
#include "ops/call.h"
#include "ops/infer.h"
#include "ops/parts/row.h"
#include "tensor/convert.h"

typedef struct shrink_params {
  double bias, lambd;
} shrink_params;

typedef struct shrink_job {
  const shrink_params *params;
  tensor *out;
  const tensor *in;
} shrink_job;

static sdx_status shrink_read(op_params_context *c, void *params) {
  *(shrink_params *)params = (shrink_params){params_float(c, "bias"), params_float(c, "lambd")};
  return SDX_OK;
}

static sdx_status shrink_infer(op_step *c) { return infer_same(c, 0, 0); }

static void range(void *context, size_t begin, size_t end, size_t worker) {
  enum { BLOCK = 256 };
  const shrink_job *j = context;
  const shrink_params *p = j->params;
  double x[BLOCK];
  for (size_t i = begin; i < end; i += BLOCK) {
    size_t n = end - i < BLOCK ? end - i : BLOCK;
    convert_to_doubles((sdx_dtype)j->in->dtype, j->in->data, i, n, x);
    for (size_t k = 0; k < n; k++) x[k] = x[k] < -p->lambd ? x[k] + p->bias : x[k] > p->lambd ? x[k] - p->bias : 0;
    convert_from_doubles((sdx_dtype)j->out->dtype, j->out->data, i, n, x);
  }
}

static sdx_status shrink_compute(op_step *c) {
  shrink_job job = {c->params, step_out(c, 0), step_in(c, 0)};
  if (job.out) call_parallel(c, job.out->count, GRAIN_CHEAP, range, &job);
  return SDX_OK;
}

SDX_CASES = {"input=float[2,3] lambd=0.5 bias=0.25", "input=int8[300] lambd=1.5 bias=1.5", "input=float16[5]", NULL};

SDX_OP(Shrink) = {.since = 9,
                  .versions = "9",
                  .inputs = "input:T",
                  .outputs = "output:T",
                  .types = "T=float16,float,double," TYPES_INTEGER,
                  .attrs = "bias:float=0 lambd:float=0.5",
                  .flags = OP_INPLACE | OP_POINTWISE,
                  .params_size = sizeof(shrink_params),
                  .params = shrink_read,
                  .infer = shrink_infer,
                  .compute = shrink_compute,
                  .cases = cases};

// SPDX-License-Identifier: Apache-2.0
// IsAllFinite: whether no element of any input is infinite or NaN (or only one of both kinds is asked for).
#include <math.h>

#include "ops/call.h"
#include "ops/infer.h"
#include "tensor/convert.h"

typedef struct finite_params {
  bool infinite, nan;  // what is looked for
} finite_params;

static sdx_status is_all_finite_read(op_params_context *c, void *params) {
  bool infinite = params_int(c, "isinf_only") != 0, nan = params_int(c, "isnan_only") != 0;
  if (infinite && nan) return params_fail(c, "isnan_only", "and 'isinf_only' are both set");
  *(finite_params *)params = (finite_params){!nan, !infinite};
  return SDX_OK;
}

static sdx_status is_all_finite_infer(op_step *c) { return infer_output(c, 0, SDX_BOOL, 0, NULL); }

static sdx_status is_all_finite_compute(op_step *c) {
  const finite_params *p = c->params;
  bool all = true;
  for (size_t n = 0; all && n < c->input_count; n++) {
    const tensor *x = step_in(c, n);
    double block[256];
    for (size_t i = 0; x && all && i < x->count; i += 256) {
      size_t m = x->count - i < 256 ? x->count - i : 256;
      convert_to_doubles((sdx_dtype)x->dtype, x->data, i, m, block);
      for (size_t k = 0; k < m; k++) all &= !(p->infinite && isinf(block[k])) && !(p->nan && isnan(block[k]));
    }
    SDX_TRY(call_check(c));
  }
  *(uint8_t *)step_out(c, 0)->data = all;
  return SDX_OK;
}

SDX_CASES = {"input=float[2,3]", NULL};

SDX_OP_MS(IsAllFinite) = {.since = 1,
                          .versions = "1",
                          .inputs = "input:V+",
                          .outputs = "output:bool",
                          .types = "V=float16,float,double,bfloat16",
                          .attrs = "isinf_only:int=0 isnan_only:int=0",
                          .params_size = sizeof(finite_params),
                          .params = is_all_finite_read,
                          .infer = is_all_finite_infer,
                          .compute = is_all_finite_compute,
                          .cases = cases};

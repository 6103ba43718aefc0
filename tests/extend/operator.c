// SPDX-License-Identifier: Apache-2.0
// Triple: y = 3 x of what is not negative. An operator that exists in this test only, as its error does.
#include "ops/infer.h"

static sdx_status triple_infer(op_step *c) { return infer_same(c, 0, 0); }

static sdx_status triple_compute(op_step *c) {
  const tensor *x = step_in(c, 0);
  tensor *y = step_out(c, 0);
  for (size_t i = 0; i < x->count; i++) {
    float v = ((const float *)x->data)[i];
    if (v < 0) return step_fail(c, SDX_NEGATIVE, "input 0 ('X') is %g at %zu", (double)v, i);
    ((float *)y->data)[i] = 3 * v;
  }
  return SDX_OK;
}

SDX_CASES = {"X=float[3,4]@0..1", NULL};

SDX_OP(Triple) = {.since = 1,
                  .versions = "1",
                  .inputs = "X:T",
                  .outputs = "Y:T",
                  .types = "T=float",
                  .flags = OP_INPLACE,
                  .infer = triple_infer,
                  .compute = triple_compute,
                  .cases = cases};

// SPDX-License-Identifier: Apache-2.0
// Halve: y = x / 2, of a domain that exists in this test only.
#include "ops/infer.h"

static sdx_status halve_infer(op_step *c) { return infer_same(c, 0, 0); }

static sdx_status halve_compute(op_step *c) {
  const tensor *x = step_in(c, 0);
  tensor *y = step_out(c, 0);
  for (size_t i = 0; i < x->count; i++) ((float *)y->data)[i] = ((const float *)x->data)[i] / 2;
  return SDX_OK;
}

SDX_OP_EXAMPLE(Halve) = {.since = 1,
                         .versions = "1",
                         .inputs = "X:T",
                         .outputs = "Y:T",
                         .types = "T=float",
                         .infer = halve_infer,
                         .compute = halve_compute};

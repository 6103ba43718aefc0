// SPDX-License-Identifier: Apache-2.0
// Reorder: output 0 is input 0 in another layout. The tensors list their dimensions in the order of memory.
#include "ops/reorder.h"

#include "kernels/transpose/transpose.h"

static sdx_status reorder_prepare(op_step *c) {
  const reorder_params *p = c->params;
  const tensor *x = step_in(c, 0);
  int64_t perm[TENSOR_MAX_RANK];
  transpose_plan *plan = arena_alloc(c->memory, sizeof *plan);
  if (!plan) return error_no_memory(c->err, sizeof *plan);
  for (size_t axis = 0; axis < x->rank; axis++)
    perm[layout_axis(p->to, x->rank, axis)] = (int64_t)layout_axis(p->from, x->rank, axis);
  transpose_init(plan, x->rank, x->dims, perm, (size_t)dtype_bits((sdx_dtype)x->dtype) / 8);
  c->state = plan;
  return SDX_OK;
}

static sdx_status reorder_compute(op_step *c) {
  transpose_run(c->state, step_in(c, 0)->data, step_out(c, 0)->data, c->threads ? c->threads : 1);
  return SDX_OK;
}

const op_def op_reorder = {.domain = "sardonyx",
                           .name = "Reorder",
                           .since = 1,
                           .versions = "1",
                           .inputs = "X:T",
                           .outputs = "Y:T",
                           .types = "T=any",
                           .params_size = sizeof(reorder_params),
                           .prepare = reorder_prepare,
                           .compute = reorder_compute};

// SPDX-License-Identifier: Apache-2.0
// Lookup; see own.h.
#include "ops/own.h"

#include "kernels/lookup_u8/lookup_u8.h"
#include "ops/call.h"
#include "ops/infer.h"

enum { X, TABLE };

static sdx_status lookup_infer(op_step *c) { return infer_same_as(c, 0, X, infer_dtype_of(c, TABLE)); }

typedef struct lookup {
  const uint8_t *x, *table;
  uint8_t *y;
  const lookup_u8_kernel *kernel;
} lookup;

static void lookup_range(void *context, size_t begin, size_t end, size_t worker) {
  const lookup *l = context;
  l->kernel->run(l->x + begin, l->table, l->y + begin, end - begin);
}

static sdx_status lookup_compute(op_step *c) {
  const tensor *x = step_in(c, X), *table = step_in(c, TABLE);
  if (table->count != LOOKUP_ENTRIES)
    return step_fail_at(c, at_input(TABLE), SDX_INVALID_SHAPE, "has %zu elements, expected %d", table->count,
                        LOOKUP_ENTRIES);
  lookup l = {x->data, table->data, step_out(c, 0)->data, KERNEL_BEST(lookup_u8)};
  call_parallel(c, x->count, 1 << 15, lookup_range, &l);
  return SDX_OK;
}

const op_def op_lookup = {.domain = "sardonyx",
                          .name = "Lookup",
                          .since = 1,
                          .versions = "1",
                          .inputs = "X:T1 table:T2",
                          .outputs = "Y:T2",
                          .types = "T1=int8,uint8;T2=int8,uint8",
                          .flags = OP_INPLACE,
                          .infer = lookup_infer,
                          .layouts = layouts_follow,
                          .compute = lookup_compute};

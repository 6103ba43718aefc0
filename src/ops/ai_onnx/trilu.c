// SPDX-License-Identifier: Apache-2.0
// Trilu: one triangle of each matrix, zeros elsewhere.
#include "base/pool.h"
#include "base/size.h"
#include "ops/infer.h"
#include "ops/parts/move.h"

typedef struct trilu_params {
  bool upper;
} trilu_params;

static sdx_status trilu_read(op_params_context *c, void *p) {
  ((trilu_params *)p)->upper = params_int(c, "upper") != 0;
  return SDX_OK;
}

static sdx_status trilu_infer(op_step *c) {
  SDX_TRY(infer_need(c, 0));
  SDX_TRY(infer_rank(c, 0, 2, -1));
  return infer_same(c, 0, 0);
}

static sdx_status trilu_compute(op_step *c) {
  const tensor *x = step_in(c, 0), *at = step_in(c, 1);
  tensor *y = step_out(c, 0);
  bool upper = ((const trilu_params *)c->params)->upper;
  if (x->count == 0) return SDX_OK;
  if (at && at->count != 1)
    return step_fail_at(c, at_input(1), SDX_INVALID_SHAPE, "has %zu elements, expected 1", at->count);
  int64_t k = at ? tensor_index_at(at, 0) : 0, rows = x->dims[x->rank - 2], columns = x->dims[x->rank - 1];
  size_t width = move_width(x), row_bytes = (size_t)columns * width, done = 0;
  for (size_t i = 0; i < x->count / (size_t)columns && !pool_stopped_after(&done, row_bytes); i++) {
    int64_t r = (int64_t)(i % (size_t)rows);
    // The triangle's edge: upper keeps columns >= r + k, lower keeps columns <= r + k.
    int64_t edge = i64_max(0, i64_min(columns, k > columns ? columns : k < -rows ? 0 : r + k + (upper ? 0 : 1)));
    size_t begin = upper ? (size_t)edge : 0, end = upper ? (size_t)columns : (size_t)edge;
    char *to = (char *)y->data + i * row_bytes;
    memset(to, 0, begin * width);
    if (y->data != x->data)
      memcpy(to + begin * width, (const char *)x->data + i * row_bytes + begin * width, (end - begin) * width);
    memset(to + end * width, 0, row_bytes - end * width);
  }
  return SDX_OK;
}

static const char *const trilu_cases[] = {"input=float[4,5]",
                                          "input=float[2,4,3] upper=0",
                                          "input=float[5,4] k=int64(1)",
                                          "input=float[3,3] k=int64(-2) upper=0",
                                          "input=float[0,3]",
                                          NULL};

SDX_OP(Trilu) = {
    .since = 14,
    .versions = "14",
    .inputs = "input:T k:int64?",
    .outputs = "output:T",
    .types = "T=" TYPES_TENSOR,
    .attrs = "upper:int=1",
    .flags = OP_INPLACE,
    .params_size = sizeof(trilu_params),
    .params = trilu_read,
    .infer = trilu_infer,
    .compute = trilu_compute,
    .cases = trilu_cases,
};

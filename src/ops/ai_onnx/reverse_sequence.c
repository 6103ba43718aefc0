// SPDX-License-Identifier: Apache-2.0
// ReverseSequence: the first elements of each batch entry reversed.
#include "base/pool.h"
#include "base/size.h"
#include "ops/infer.h"
#include "ops/parts/move.h"

typedef struct reverse_params {
  int64_t batch_axis, time_axis;
} reverse_params;

static sdx_status reverse_sequence_read(op_params_context *c, void *p) {
  reverse_params *out = p;
  *out = (reverse_params){params_int(c, "batch_axis"), params_int(c, "time_axis")};
  if ((out->batch_axis != 0 || out->time_axis != 1) && (out->batch_axis != 1 || out->time_axis != 0))
    return params_fail(c, "batch_axis", "and 'time_axis' are %lld and %lld, expected 0 and 1 or 1 and 0",
                       (long long)out->batch_axis, (long long)out->time_axis);
  return SDX_OK;
}

static sdx_status reverse_sequence_infer(op_step *c) {
  SDX_TRY(infer_need(c, 0));
  SDX_TRY(infer_rank(c, 0, 2, -1));
  SDX_TRY(infer_rank(c, 1, 1, 1));
  return infer_same(c, 0, 0);
}

static sdx_status reverse_sequence_compute(op_step *c) {
  const reverse_params *p = c->params;
  const tensor *x = step_in(c, 0), *lengths = step_in(c, 1);
  tensor *y = step_out(c, 0);
  int64_t batches = x->dims[p->batch_axis], times = x->dims[p->time_axis];
  if (lengths->count != (size_t)batches)
    return step_fail_at(c, at_input(1), SDX_INVALID_SHAPE, "has %zu entries for %lld batch entries", lengths->count,
                        (long long)batches);
  size_t slice = move_width(x), done = 0;
  for (size_t d = 2; d < x->rank; d++) slice *= (size_t)x->dims[d];
  for (int64_t b = 0; b < batches; b++) {
    int64_t n = tensor_index_at(lengths, (size_t)b);
    if (n < 0 || n > times)
      return step_fail_at(c, at_input(1), SDX_OUT_OF_RANGE, "is %lld at %lld, expected 0 to %lld", (long long)n,
                          (long long)b, (long long)times);
    for (int64_t t = 0; t < times && !pool_stopped_after(&done, slice); t++) {
      int64_t from = t < n ? n - 1 - t : t;
      size_t to_row = (size_t)(p->batch_axis ? t * batches + b : b * times + t),
             from_row = (size_t)(p->batch_axis ? from * batches + b : b * times + from);
      memcpy((char *)y->data + to_row * slice, (const char *)x->data + from_row * slice, slice);
    }
  }
  return SDX_OK;
}

static const char *const reverse_sequence_cases[] = {
    "input=float[4,3,2] sequence_lens=int64(1,3,4)",
    "input=float[2,5] sequence_lens=int64(0,3) batch_axis=0 time_axis=1", NULL};

SDX_OP(ReverseSequence) = {
    .since = 28,
    .versions = "28 10",
    .inputs = "input:T sequence_lens:int64",
    .outputs = "Y:T",
    .types = "T=" TYPES_TENSOR,
    .attrs = "batch_axis:int=1 time_axis:int=0",
    .flags = OP_MOVES_DATA,
    .params_size = sizeof(reverse_params),
    .params = reverse_sequence_read,
    .infer = reverse_sequence_infer,
    .compute = reverse_sequence_compute,
    .cases = reverse_sequence_cases,
};

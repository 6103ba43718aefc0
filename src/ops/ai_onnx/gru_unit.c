// SPDX-License-Identifier: Apache-2.0
// GRUUnit (retired): the last step of a gated recurrent unit, whose gates [.., batch, 3 * width] (reset, update,
// output) were computed before. h' = u h + (1 - u) tanh(o) with u = sigmoid(update). Samples whose sequence has ended
// by step t keep their state, or get zeros if drop_states.
#include <math.h>

#include "base/size.h"
#include "ops/infer.h"
#include "ops/parts/elementwise.h"
#include "ops/parts/row.h"

enum { HIDDEN, GATES, LENGTHS, STEP };

static sdx_status gru_unit_read(op_params_context *c, void *params) {
  *(bool *)params = params_int(c, "drop_states") != 0;
  return SDX_OK;
}

static sdx_status gru_unit_infer(op_step *c) {
  int rank = infer_rank_of(c, HIDDEN);
  SDX_TRY(infer_rank(c, HIDDEN, 2, -1));
  SDX_TRY(infer_rank(c, LENGTHS, 1, 1));
  if (rank >= 0) SDX_TRY(infer_rank(c, GATES, rank, rank));
  for (int d = 0; d < rank; d++) {
    int64_t dim = infer_dim(c, HIDDEN, d);
    if (d == rank - 1 && dim >= 0 && !i64_mul(dim, 3, &dim))
      return step_fail(c, SDX_INVALID_SHAPE, "the state is too wide");
    SDX_TRY(infer_agree(c, GATES, d, d == rank - 1 ? "three gates" : "as in input 0", &dim));
  }
  int64_t batch = rank >= 2 ? infer_dim(c, HIDDEN, rank - 2) : DIM_UNKNOWN;
  SDX_TRY(infer_agree(c, LENGTHS, 0, "batch", &batch));
  return infer_same(c, 0, HIDDEN);
}

static double get(const tensor *t, size_t i) {
  return t->dtype == SDX_DOUBLE ? ((const double *)t->data)[i] : (double)((const float *)t->data)[i];
}

static sdx_status gru_unit(op_step *c) {
  const tensor *h = step_in(c, HIDDEN), *gates = step_in(c, GATES), *lengths = step_in(c, LENGTHS);
  tensor *y = step_out(c, 0);
  if (!y || y->count == 0) return SDX_OK;
  if (step_in(c, STEP)->count != 1)
    return step_fail_at(c, at_input(3), SDX_INVALID_SHAPE, "has %zu elements, expected 1", step_in(c, STEP)->count);
  int64_t step = tensor_index_at(step_in(c, STEP), 0);
  size_t width = (size_t)h->dims[h->rank - 1], batch = (size_t)h->dims[h->rank - 2];
  for (size_t i = 0; i < y->count; i++) {
    size_t row = i / width, at = row * 3 * width + i % width;
    double u = 1 / (1 + exp(-get(gates, at + width))), value = get(h, i);
    if (step < tensor_index_at(lengths, row % batch)) value = u * value + (1 - u) * tanh(get(gates, at + 2 * width));
    else if (*(const bool *)c->params) value = 0;
    if (y->dtype == SDX_DOUBLE) ((double *)y->data)[i] = value;
    else ((float *)y->data)[i] = (float)value;
  }
  return SDX_OK;
}
static sdx_status gru_unit_compute(op_step *c) { return call_widened(c, gru_unit); }
static sdx_status gru_unit_prepare(op_step *c) { return prepare_widened(c, 0); }

// clang-format off
static const char *const gruunit_cases[] = {
    "hidden_prev=float[1,2,3] gates=float[1,2,9] seq_lengths=int32(2,5) t=int32[1](1)", NULL};

SDX_OP_OLD(GRUUnit) = {
    .since = 1, .versions = "1", .inputs = "hidden_prev:T gates:T seq_lengths:Ti t:Ti", .outputs = "hidden:T",
    .types = "T=float16,float,double;Ti=int32,int64", .attrs = "drop_states:int=0", .params_size = sizeof(bool),
    .params = gru_unit_read, .infer = gru_unit_infer, .prepare = gru_unit_prepare, .compute = gru_unit_compute,
    .cases = gruunit_cases,
};
// clang-format on

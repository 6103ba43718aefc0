// SPDX-License-Identifier: Apache-2.0
// See rotary_embedding.h.
#include "ops/parts/rotary_embedding.h"

#include "base/size.h"
#include "ops/call.h"
#include "ops/infer.h"
#include "ops/parts/elementwise.h"
#include "ops/parts/rotary.h"

// Where the operators have their inputs.
typedef struct rotary_inputs {
  size_t cos, sin, positions;
} rotary_inputs;
static rotary_inputs inputs(const rotary_embedding_params *p) {
  return p->microsoft ? (rotary_inputs){2, 3, 1} : (rotary_inputs){1, 2, 3};
}

sdx_status rotary_embedding_read(op_params_context *c, void *params) {
  rotary_embedding_params *p = params;
  p->interleaved = params_int(c, "interleaved") != 0;
  p->heads = params_int(c, "num_heads");
  p->dim = params_int(c, "rotary_embedding_dim");
  if (p->heads < 0) return params_fail(c, "num_heads", "is %lld, expected at least 0", (long long)p->heads);
  if (p->dim < 0 || p->dim % 2)
    return params_fail(c, "rotary_embedding_dim", "is %lld, expected a positive even number", (long long)p->dim);
  return SDX_OK;
}
sdx_status rotary_embedding_read_microsoft(op_params_context *c, void *params) {
  ((rotary_embedding_params *)params)->microsoft = true;
  return rotary_embedding_read(c, params);
}

// Heads and their width, from dims that may be unknown (negative).
static sdx_status measure(op_step *c, const rotary_embedding_params *p, int64_t pairs, int64_t *heads, int64_t *width) {
  int rank = infer_rank_of(c, 0);
  int64_t hidden = infer_dim(c, 0, rank - 1);
  *heads = p->heads ? p->heads : DIM_UNKNOWN;
  *width = DIM_UNKNOWN;
  if (rank == 4) {
    *heads = infer_dim(c, 0, 1), *width = hidden;
  } else if (p->heads) {
    if (hidden >= 0 && hidden % p->heads)
      return step_fail_at(c, at_input(0), SDX_INVALID_SHAPE, "has %lld columns, expected a multiple of %lld heads",
                          (long long)hidden, (long long)p->heads);
    if (hidden >= 0) *width = hidden / p->heads;
  } else if (!p->microsoft || p->dim) {
    return step_fail(c, SDX_INVALID_GRAPH, "an input of rank 3 needs the attribute num_heads");
  } else if (pairs > 0 && hidden >= 0) {
    if (hidden % (2 * pairs))
      return step_fail_at(c, at_input(0), SDX_INVALID_SHAPE,
                          "has %lld columns, expected a multiple of the tables' 2 * %lld", (long long)hidden,
                          (long long)pairs);
    *width = 2 * pairs, *heads = hidden / *width;
  }
  int64_t rotary_dim = p->dim ? p->dim : *width;
  if (*width >= 0 && rotary_dim > *width)
    return step_fail(c, SDX_INVALID_SHAPE, "rotary_embedding_dim is %lld, but heads have %lld numbers",
                     (long long)rotary_dim, (long long)*width);
  bool whole = pairs >= 0 && *width >= 0 && *width == 2 * pairs;  // ONNX 1.18 and ONNX Runtime read their beginning
  if (rotary_dim >= 0 && (rotary_dim % 2 || (pairs >= 0 && rotary_dim / 2 != pairs && !whole)))
    return step_fail(c, SDX_INVALID_SHAPE, "%lld numbers are rotated, but the tables have %lld columns",
                     (long long)rotary_dim, (long long)pairs);
  return SDX_OK;
}

sdx_status rotary_embedding_infer(op_step *c) {
  const rotary_embedding_params *p = c->params;
  rotary_inputs at = inputs(p);
  bool ids = infer_has(c, at.positions);
  SDX_TRY(infer_rank(c, 0, 3, 4));
  SDX_TRY(infer_rank(c, at.cos, ids ? 2 : 3, ids ? 2 : 3));
  SDX_TRY(infer_rank(c, at.sin, ids ? 2 : 3, ids ? 2 : 3));
  int rank = infer_rank_of(c, 0), time = rank == 4 ? 2 : 1;
  int64_t pairs = DIM_UNKNOWN, table = DIM_UNKNOWN, batch = DIM_UNKNOWN, rows = DIM_UNKNOWN, heads, width;
  SDX_TRY(infer_agree(c, at.cos, ids ? 1 : 2, "pairs", &pairs));
  SDX_TRY(infer_agree(c, at.sin, ids ? 1 : 2, "pairs", &pairs));
  if (rank < 0) return infer_same(c, 0, 0);
  SDX_TRY(infer_agree(c, 0, 0, "batch", &batch));
  SDX_TRY(infer_agree(c, 0, time, "time", &rows));
  for (size_t i = at.cos; i <= at.sin; i++) {
    SDX_TRY(infer_agree(c, i, 0, ids ? "positions" : "batch", ids ? &table : &batch));
    if (!ids) SDX_TRY(infer_agree(c, i, 1, "time", &rows));
  }
  if (ids && !(p->microsoft && infer_rank_of(c, at.positions) == 1)) {
    SDX_TRY(infer_rank(c, at.positions, 2, 2));
    SDX_TRY(infer_agree(c, at.positions, 0, "batch", &batch));
    SDX_TRY(infer_agree(c, at.positions, 1, "time", &rows));
  } else if (ids) {
    int64_t one = 1;
    SDX_TRY(infer_agree(c, at.positions, 0, "one offset", &one));
  }
  SDX_TRY(measure(c, p, pairs, &heads, &width));
  return infer_same(c, 0, 0);
}

sdx_status rotary_embedding_prepare(op_step *c) { return prepare_widened(c, 0); }

static sdx_status embed(op_step *c) {
  const rotary_embedding_params *p = c->params;
  rotary_inputs at = inputs(p);
  const tensor *x = step_in(c, 0), *cosine = step_in(c, at.cos), *ids = step_in(c, at.positions);
  tensor *y = step_out(c, 0);
  if (!y || y->count == 0) return SDX_OK;
  size_t columns = (size_t)cosine->dims[cosine->rank - 1], rows = (size_t)x->dims[x->rank - 2], heads, width;
  if (x->rank == 4) heads = (size_t)x->dims[1], width = (size_t)x->dims[3];
  else if (p->heads) heads = (size_t)p->heads, width = (size_t)x->dims[2] / heads;
  else width = 2 * columns, heads = (size_t)x->dims[2] / width;
  rotary r = {.cos = cosine->data,
              .sin = step_in(c, at.sin)->data,
              .pairs = p->dim ? (size_t)p->dim / 2 : width / 2,
              .columns = columns,
              .interleaved = p->interleaved,
              .positions = ids ? ids->data : NULL,
              .position_batch = ids && ids->rank == 2 ? rows : 0,
              .position_row = ids && ids->rank == 2};
  r.table_rows = columns ? cosine->count / columns : SIZE_MAX;
  attend_view from = {x->data, heads * rows * width, rows * width, width};
  if (x->rank == 3) from.head = width, from.row = heads * width;
  attend_view to = from;
  to.at = y->data;
  return rotary_run(c, &r, &from, &to, (size_t)x->dims[0], heads, rows, width,
                    part_named(PART_INPUT, STR("position_ids")));
}

sdx_status rotary_embedding_compute(op_step *c) { return call_widened(c, embed); }

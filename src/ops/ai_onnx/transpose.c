// SPDX-License-Identifier: Apache-2.0
// Transpose: output dimension i is input dimension perm[i]; without perm the order is reversed.
#include "kernels/transpose/transpose.h"
#include "ops/infer.h"
#include "ops/parts/move.h"

typedef struct params {
  const int64_t *perm;  // NULL: reverse
  size_t count;
} params;

static sdx_status transpose_read(op_params_context *c, void *p) {
  params *out = p;
  out->perm = params_ints(c, "perm", &out->count);
  if (!params_has(c, "perm")) return SDX_OK;
  if (out->count > TENSOR_MAX_RANK) return params_fail(c, "perm", "has %zu entries", out->count);
  bool seen[TENSOR_MAX_RANK] = {false};
  for (size_t i = 0; i < out->count; i++) {
    int64_t axis = out->perm[i];
    if (axis < 0 || axis >= (int64_t)out->count || seen[axis])
      return params_fail(c, "perm", "is not a permutation of 0 to %zu: entry %zu is %lld", out->count - 1, i,
                         (long long)axis);
    seen[axis] = true;
  }
  if (!out->perm) out->perm = (const int64_t *)"";  // an empty list: rank 0
  return SDX_OK;
}

static sdx_status transpose_infer(op_step *c) {
  SDX_TRY(infer_need(c, 0));
  const params *p = c->params;
  int rank = infer_rank_of(c, 0);
  if (rank < 0) return infer_output(c, 0, infer_dtype_of(c, 0), -1, NULL);
  if (p->perm && p->count != (size_t)rank)
    return step_fail_at(c, at_attribute("perm"), SDX_INVALID_SHAPE, "has %zu entries, but input 0 has rank %d",
                        p->count, rank);
  int64_t dims[TENSOR_MAX_RANK];
  for (int i = 0; i < rank; i++) dims[i] = c->in_types[0]->dims[p->perm ? p->perm[i] : rank - 1 - i];
  return infer_output(c, 0, infer_dtype_of(c, 0), rank, dims);
}

// One that exporters write between layouts: in channels-last there is nothing to do.
static void transpose_layouts(op_step *c, step_layouts *l) {
  const params *p = c->params;
  size_t rank = p->count;
  bool to_last = p->perm && rank >= 3, to_first = to_last;
  for (size_t i = 0; i < rank && p->perm; i++) {
    to_last &= layout_axis(LAYOUT_CHANNELS_LAST, rank, (size_t)p->perm[i]) == i;
    to_first &= layout_axis(LAYOUT_CHANNELS_LAST, rank, i) == (size_t)p->perm[i];
  }
  tensor t;
  const type_info *out = &c->out_types[0];
  if ((!to_last && !to_first) || dtype_is_packed((sdx_dtype)out->dtype) || out->dtype == SDX_STRING) return;
  if (tensor_init(&t, (sdx_dtype)out->dtype, rank, out->dims, NULL) != SDX_OK) return;
  l->in[0] = to_last ? PORT_CHOSEN : PORT_ONNX;
  l->out[0] = to_last ? PORT_ONNX : PORT_CHOSEN;
  l->gain = (int64_t)t.bytes;
  l->view = true;
}

static void make_plan(const params *p, const tensor *x, transpose_plan *plan) {
  int64_t reversed[TENSOR_MAX_RANK];
  for (size_t i = 0; i < x->rank; i++) reversed[i] = (int64_t)(x->rank - 1 - i);
  transpose_init(plan, x->rank, x->dims, p->perm ? p->perm : reversed, move_width(x));
}

static sdx_status transpose_prepare(op_step *c) {
  transpose_plan *plan = arena_alloc(c->memory, sizeof *plan);
  if (!plan) return error_no_memory(c->err, sizeof *plan);
  make_plan(c->params, step_in(c, 0), plan);
  c->state = plan;
  return SDX_OK;
}

static sdx_status transpose_compute(op_step *c) {
  tensor x, y;
  transpose_plan plan;
  SDX_TRY(move_input(c, 0, &x));
  SDX_TRY(move_output(c, 0, &y));
  if (!c->state) make_plan(c->params, &x, &plan);
  transpose_run(c->state ? c->state : &plan, x.data, y.data, c->threads ? c->threads : 1);
  move_finish(c, 0, &y);
  return SDX_OK;
}

SDX_CASES = {"data=float[2,3,4] perm=0,2,1", "data=float[5,7]", "data=float[1,3,32,32] perm=0,2,3,1", "data=float[]",
             NULL};

SDX_OP(Transpose) = {
    .since = 25,
    .versions = "25 24 23 21 13 1",
    .inputs = "data:T",
    .outputs = "transposed:T",
    .types = "T=any",
    .attrs = "perm:ints",
    .flags = OP_MOVES_DATA,
    .params_size = sizeof(params),
    .params = transpose_read,
    .infer = transpose_infer,
    .layouts = transpose_layouts,
    .prepare = transpose_prepare,
    .compute = transpose_compute,
    .cases = cases,
};

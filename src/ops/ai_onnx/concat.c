// SPDX-License-Identifier: Apache-2.0
// Concat: inputs one behind the other along `axis`. Version 1 had axis 1 by default, 11 allowed
// negative axes.
#include "ops/parts/move.h"

#include "base/size.h"
#include "ops/infer.h"

typedef struct params {
  int64_t axis;
} params;

static sdx_status concat_read(op_params_context *c, void *p) {
  ((params *)p)->axis = params_int(c, "axis");
  return SDX_OK;
}

static sdx_status concat_upgrade(op_upgrade *u) {
  if (u->version >= 4 || node_attr(u->node, "axis")) return SDX_OK;
  return node_set_attr(u->graph, u->node, attr_of_int("axis", 1));
}

static sdx_status concat_infer(op_step *c) {
  int64_t dims[TENSOR_MAX_RANK], axis = ((const params *)c->params)->axis;
  int rank = -1;
  for (size_t i = 0; i < c->input_count; i++)
    if (infer_rank_of(c, i) >= 0) rank = infer_rank_of(c, i);
  if (rank < 0) return infer_output(c, 0, infer_dtype_of(c, 0), -1, NULL);
  SDX_TRY(step_located(c, axis_normalize(&axis, (size_t)rank, at_attribute("axis"), c->err)));
  for (int d = 0; d < rank; d++) dims[d] = DIM_UNKNOWN;
  dims[axis] = 0;
  for (size_t i = 0; i < c->input_count; i++) {
    SDX_TRY(infer_rank(c, i, rank, rank));
    if (infer_rank_of(c, i) < 0) {
      dims[axis] = DIM_UNKNOWN;
      continue;
    }
    const int64_t *in = c->in_types[i]->dims;
    for (int d = 0; d < rank; d++) {
      if (d == axis) {
        if (in[d] < 0 && c->input_count == 1) dims[d] = in[d];
        else if (in[d] < 0 || dims[d] < 0) dims[d] = DIM_UNKNOWN;
        else if (!i64_add(dims[d], in[d], &dims[d]))
          return step_fail(c, SDX_INVALID_SHAPE, "the sizes of axis %lld overflow", (long long)axis);
      } else if (dims[d] >= 0 && in[d] >= 0 && dims[d] != in[d]) {
        return step_fail_at(c, at_input(i), SDX_INVALID_SHAPE,
                            "has %lld in dimension %d, expected %lld: as the inputs before it", (long long)in[d], d,
                            (long long)dims[d]);
      } else if (in[d] >= 0 || dims[d] == DIM_UNKNOWN) {
        dims[d] = in[d];
      }
    }
  }
  return infer_output(c, 0, infer_dtype_of(c, 0), rank, dims);
}

static sdx_status concat_compute(op_step *c) {
  tensor y;
  SDX_TRY(move_output(c, 0, &y));
  int64_t axis = ((const params *)c->params)->axis, offset = 0;
  SDX_TRY(step_located(c, step_axis(c, &axis, y.rank, at_attribute("axis"))));
  int64_t outer = 1, inner = 1;
  for (int64_t d = 0; d < y.rank; d++) *(d < axis ? &outer : &inner) *= d == axis ? 1 : y.dims[d];
  if (y.count == 0) return SDX_OK;
  size_t width = move_width(&y);
  for (size_t i = 0; i < c->input_count; i++) {
    tensor x;
    SDX_TRY(move_input(c, i, &x));
    int64_t n = x.dims[axis] * inner;
    if (x.dtype != y.dtype || offset + n > y.dims[axis] * inner)
      return step_fail_at(c, at_input(i), SDX_INVALID_SHAPE, "does not fit the output's type or size");
    strided box = {.rank = 2, .dims = {outer, n}, .from = {n, 1}, .to = {y.dims[axis] * inner, 1}};
    move_strided(c, &box, width, x.data, (char *)y.data + (size_t)offset * width);
    offset += n;
  }
  move_finish(c, 0, &y);
  return SDX_OK;
}

static const char *const concat_cases[] = {"inputs=float[2,3] inputs=float[2,5] axis=1", "inputs=float[4] axis=0",
                                           "inputs=float[2,3] inputs=float[0,3] inputs=float[5,3] axis=-2", NULL};

SDX_OP(Concat) = {
    .since = 13,
    .versions = "13 11 4 1",
    .inputs = "inputs:T+",
    .outputs = "concat_result:T",
    .types = "T=any",
    .attrs = "axis:int!",
    .flags = OP_MOVES_DATA,
    .params_size = sizeof(params),
    .params = concat_read,
    .upgrade = concat_upgrade,
    .infer = concat_infer,
    .layouts = layouts_follow,
    .compute = concat_compute,
    .cases = concat_cases,
};

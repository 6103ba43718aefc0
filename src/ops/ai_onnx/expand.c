// SPDX-License-Identifier: Apache-2.0
// Expand: broadcasting to a shape (dimensions of 1 in it keep the input's size). Tile: the input
// repeated along every axis; version 1 repeated along one axis given by scalar inputs.
#include "base/size.h"
#include "ops/call.h"
#include "ops/infer.h"
#include "ops/parts/move.h"
#include "tensor/convert.h"

static sdx_status expand_dims(const int64_t *in, size_t rank, const int64_t *shape, size_t count, int64_t *out,
                              error *err) {
  size_t n = rank > count ? rank : count;
  if (count > TENSOR_MAX_RANK)
    return error_at(err, at_input(1), SDX_INVALID_SHAPE, "has %zu entries, expected at most %d", count,
                    TENSOR_MAX_RANK);
  for (size_t i = 0; i < n; i++) {  // from the innermost dimension
    int64_t x = i < rank ? in[rank - 1 - i] : 1, s = i < count ? shape[count - 1 - i] : 1;
    if (s < 0) return error_at(err, at_input(1), SDX_OUT_OF_RANGE, "has %lld at %zu", (long long)s, count - 1 - i);
    if (x >= 0 && x != s && x != 1 && s != 1)
      return error_at(err, at_input(1), SDX_INVALID_SHAPE, "has %lld at %zu, expected 1 or %lld: it does not broadcast",
                      (long long)s, count - 1 - i, (long long)x);
    out[n - 1 - i] = s == 1 ? x : x < 0 ? s : x == 1 ? s : x;
  }
  return SDX_OK;
}

static sdx_status expand_infer(op_step *c) {
  SDX_TRY(infer_need(c, 0));
  int64_t dims[TENSOR_MAX_RANK], known = infer_count(c, 1);
  size_t count;
  int rank = infer_rank_of(c, 0);
  const int64_t *shape = infer_constant_ints(c, 1, &count);
  if (rank < 0 || !shape) {
    for (int i = 0; i < TENSOR_MAX_RANK; i++) dims[i] = DIM_UNKNOWN;
    int n = rank >= 0 && known >= 0 ? (int)i64_min(i64_max(rank, known), TENSOR_MAX_RANK + 1) : -1;
    return infer_output(c, 0, infer_dtype_of(c, 0), n, dims);
  }
  SDX_TRY(step_located(c, expand_dims(c->in_types[0]->dims, (size_t)rank, shape, count, dims, c->err)));
  return infer_output(c, 0, infer_dtype_of(c, 0), rank > (int)count ? rank : (int)count, dims);
}

static sdx_status expand_compute(op_step *c) {
  tensor x, y;
  const tensor *shape = step_in(c, 1);
  int64_t dims[TENSOR_MAX_RANK], strides[TENSOR_MAX_RANK];
  SDX_TRY(move_input(c, 0, &x));
  SDX_TRY(step_located(c, expand_dims(x.dims, x.rank, shape->data, shape->count, dims, c->err)));
  size_t rank = x.rank > shape->count ? x.rank : shape->count;
  SDX_TRY(call_set_shape(c, 0, (sdx_dtype)x.dtype, rank, dims));
  SDX_TRY(move_output(c, 0, &y));
  strided box = {.rank = rank};
  move_strides(x.dims, x.rank, strides);
  move_strides(dims, rank, box.to);
  for (size_t i = 0; i < rank; i++) {
    size_t lead = rank - x.rank;
    box.dims[i] = dims[i];
    box.from[i] = i < lead || x.dims[i - lead] == 1 ? 0 : strides[i - lead];
  }
  move_strided(c, &box, move_width(&x), x.data, y.data);
  move_finish(c, 0, &y);
  return SDX_OK;
}

static const char *const expand_cases[] = {"input=float[3,1] shape=const(2,3,4)", "input=float[] shape=int64(2,2)",
                                           "input=float[2,3] shape=int64[1](1)", "input=float[1,0] shape=const(3,0)",
                                           NULL};

SDX_OP(Expand) = {
    .since = 13,
    .versions = "13 8",
    .inputs = "input:T shape:int64",
    .outputs = "output:T",
    .types = "T=any",
    .flags = OP_MOVES_DATA,
    .infer = expand_infer,
    .compute = expand_compute,
    .cases = expand_cases,
};

// ---- Tile -------------------------------------------------------------------------------------------

typedef struct tile_params {
  bool one_axis;
} tile_params;  // inputs are those of version 1: tiles, axis

static sdx_status tile_read(op_params_context *c, void *params) {
  ((tile_params *)params)->one_axis = params_int(c, "_one_axis") != 0;
  if (((tile_params *)params)->one_axis != (c->node->input_count == 3))
    return params_fail(c, "_one_axis", "does not fit %u inputs", c->node->input_count);
  return SDX_OK;
}

static sdx_status tile_upgrade(op_upgrade *u) {
  return u->version < 6 ? node_set_attr(u->graph, u->node, attr_of_int("_one_axis", 1)) : SDX_OK;
}

static int64_t number_at(const tensor *t) {
  double v = -1;
  return convert_to_doubles((sdx_dtype)t->dtype, t->data, 0, 1, &v) && v >= 0 && v < 0x1p53 ? (int64_t)v : -1;
}

static sdx_status tile_repeats(bool one_axis, const tensor *a, const tensor *b, size_t rank, int64_t *repeats,
                               error *err) {
  if (one_axis) {
    if (a->count != 1 || b->count != 1)
      return error_set(err, SDX_INVALID_SHAPE, "inputs 'tiles' and 'axis' must hold one number each");
    int64_t axis = number_at(b);
    SDX_TRY(axis_normalize(&axis, rank, at_input(2), err));
    for (size_t i = 0; i < rank; i++) repeats[i] = 1;
    repeats[axis] = number_at(a);
  } else {
    if (a->dtype != SDX_INT64 && a->dtype != SDX_INT32)
      return error_at(err, at_input(1), SDX_INVALID_SHAPE, "has element type %s, expected int64",
                      dtype_name((sdx_dtype)a->dtype));
    if (a->count != rank)
      return error_at(err, at_input(1), SDX_INVALID_SHAPE, "has %zu entries for rank %zu", a->count, rank);
    for (size_t i = 0; i < rank; i++) repeats[i] = tensor_index_at(a, i);
  }
  for (size_t i = 0; i < rank; i++)
    if (repeats[i] < 0)
      return error_at(err, at_input(1), SDX_OUT_OF_RANGE, "has %lld for axis %zu", (long long)repeats[i], i);
  return SDX_OK;
}

static sdx_status tile_infer(op_step *c) {
  SDX_TRY(infer_need(c, 0));
  bool one_axis = ((const tile_params *)c->params)->one_axis;
  int64_t dims[TENSOR_MAX_RANK];
  int rank = infer_rank_of(c, 0);
  const tensor *a = c->constants[1], *b = one_axis ? c->constants[2] : NULL;
  if (rank < 0 || !a || (one_axis && !b)) {
    for (int i = 0; i < TENSOR_MAX_RANK; i++) dims[i] = DIM_UNKNOWN;
    return infer_output(c, 0, infer_dtype_of(c, 0), rank, dims);
  }
  SDX_TRY(step_located(c, tile_repeats(one_axis, a, b, (size_t)rank, dims, c->err)));
  for (int i = 0; i < rank; i++) {
    int64_t n = c->in_types[0]->dims[i];
    if (n < 0) dims[i] = dims[i] == 1 ? n : dims[i] == 0 ? 0 : DIM_UNKNOWN;
    else if (!i64_mul(dims[i], n, &dims[i]))
      return step_fail_at(c, at_input(1), SDX_INVALID_SHAPE, "repeats axis %d %lld times, which does not fit 64 bits",
                          i, (long long)dims[i]);
  }
  return infer_output(c, 0, infer_dtype_of(c, 0), rank, dims);
}

static sdx_status tile_compute(op_step *c) {
  tensor x, y;
  int64_t repeats[TENSOR_MAX_RANK], dims[TENSOR_MAX_RANK], from[TENSOR_MAX_RANK], to[TENSOR_MAX_RANK];
  SDX_TRY(move_input(c, 0, &x));
  SDX_TRY(step_located(c, tile_repeats(((const tile_params *)c->params)->one_axis, step_in(c, 1), step_in(c, 2), x.rank,
                                       repeats, c->err)));
  for (size_t i = 0; i < x.rank; i++)
    if (!i64_mul(repeats[i], x.dims[i], &dims[i]))
      return step_fail_at(c, at_input(1), SDX_INVALID_SHAPE, "repeats axis %zu %lld times, which does not fit 64 bits",
                          i, (long long)repeats[i]);
  SDX_TRY(call_set_shape(c, 0, (sdx_dtype)x.dtype, x.rank, dims));
  SDX_TRY(move_output(c, 0, &y));
  if (y.count == 0) return SDX_OK;
  move_strides(x.dims, x.rank, from);
  move_strides(dims, x.rank, to);
  // From the innermost axis: what is there so far is repeated in place, in one box each.
  size_t width = move_width(&x);
  strided box = {.rank = x.rank};
  for (size_t i = 0; i < x.rank; i++) {
    box.dims[i] = x.dims[i];
    box.from[i] = from[i];
    box.to[i] = to[i];
  }
  move_strided(c, &box, width, x.data, y.data);
  for (size_t axis = x.rank; axis-- > 0;) {
    if (repeats[axis] == 1) continue;
    strided again = {.rank = axis + 2};
    for (size_t i = 0; i < axis; i++) {
      again.dims[i] = x.dims[i];
      again.from[i] = again.to[i] = to[i];
    }
    again.dims[axis] = repeats[axis] - 1;
    again.to[axis] = to[axis] * x.dims[axis];
    again.dims[axis + 1] = to[axis] * x.dims[axis];  // dense below, axes inside are complete
    again.from[axis + 1] = again.to[axis + 1] = 1;
    move_strided(c, &again, width, y.data, (char *)y.data + (size_t)(to[axis] * x.dims[axis]) * width);
  }
  move_finish(c, 0, &y);
  return SDX_OK;
}

static const char *const tile_cases[] = {"input=float[2,3] repeats=const(2,1)", "input=float[2,3] repeats=int64(1,3)",
                                         "input=float[4] repeats=const(0)", "input=float[2,1,3] repeats=const(1,4,2)",
                                         NULL};

SDX_OP(Tile) = {
    .since = 13,
    .versions = "13 6 1",
    .inputs = "input:T repeats:T1 axis:T1?",
    .outputs = "output:T",
    .types = "T=any;T1=any",
    .attrs = "_one_axis:int=0",
    .flags = OP_MOVES_DATA,
    .params_size = sizeof(tile_params),
    .params = tile_read,
    .upgrade = tile_upgrade,
    .infer = tile_infer,
    .compute = tile_compute,
    .cases = tile_cases,
};

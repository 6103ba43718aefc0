// SPDX-License-Identifier: Apache-2.0
// Reshape, Flatten, Squeeze, Unsqueeze: the input's bytes under another shape.
// Reshape-5 moved `shape` from attribute to input, -14 added allowzero. Squeeze-13 and Unsqueeze-13
// moved `axes` to an input, version 11 allowed negative ones. Flatten-11 allowed negative axes.
#include "base/size.h"
#include "ops/call.h"
#include "ops/infer.h"
#include "ops/parts/move.h"

// ---- Reshape ----------------------------------------------------------------------------------------

typedef struct reshape_params {
  bool allow_zero;
} reshape_params;

static sdx_status reshape_read(op_params_context *c, void *params) {
  ((reshape_params *)params)->allow_zero = params_int(c, "allowzero") != 0;
  return SDX_OK;
}

static sdx_status reshape_upgrade(op_upgrade *u) {
  return u->version < 5 ? upgrade_ints_to_input(u, "shape", 1) : SDX_OK;
}

// What each entry of `want` says by itself; *wild: where the -1 is, -1 if there is none.
static sdx_status reshape_entries(const int64_t *in, int in_rank, const int64_t *want, size_t rank, bool allow_zero,
                                  int64_t *out, int *wild, error *err) {
  bool zero = false;
  *wild = -1;
  if (rank > TENSOR_MAX_RANK)
    return error_at(err, at_input(1), SDX_INVALID_SHAPE, "has %zu dimensions, expected at most %d", rank,
                    TENSOR_MAX_RANK);
  for (size_t i = 0; i < rank; i++) {
    out[i] = want[i];
    if (want[i] == -1) {
      if (*wild >= 0) return error_at(err, at_input(1), SDX_INVALID_SHAPE, "has -1 at both %d and %zu", *wild, i);
      *wild = (int)i;
    } else if (want[i] < 0) {
      return error_at(err, at_input(1), SDX_OUT_OF_RANGE, "has %lld at %zu, expected at least -1", (long long)want[i],
                      i);
    } else if (want[i] == 0 && allow_zero) {
      zero = true;
    } else if (want[i] == 0) {
      if (in_rank >= 0 && i >= (size_t)in_rank)
        return error_at(err, at_input(1), SDX_INVALID_SHAPE, "has 0 (copy) at %zu, but the input has rank %d only", i,
                        in_rank);
      out[i] = in_rank >= 0 ? in[i] : DIM_UNKNOWN;
    }
  }
  if (zero && *wild >= 0)
    return error_at(err, at_input(1), SDX_INVALID_SHAPE, "has both 0 and -1, which allowzero forbids");
  return SDX_OK;
}

// `in` NULL: the input's rank is not known. Dims that cannot be told become DIM_UNKNOWN.
static sdx_status reshape_dims(const int64_t *in, int in_rank, const int64_t *want, size_t rank, bool allow_zero,
                               int64_t *out, error *err) {
  char text[200];
  int wild;
  bool known = in_rank >= 0;
  SDX_TRY(reshape_entries(in, in_rank, want, rank, allow_zero, out, &wild, err));
  // Free dimensions that were copied cancel on both sides.
  size_t from = 1, to = 1;
  bool fits = true;
  bool cancelled[TENSOR_MAX_RANK] = {false};
  for (size_t i = 0; i < rank; i++)
    if ((int)i != wild && out[i] < 0) {
      int k = 0;
      while (k < in_rank && (cancelled[k] || in[k] != out[i] || in[k] == DIM_UNKNOWN)) k++;
      if (want[i] == 0 && known && in[i] == DIM_UNKNOWN && !cancelled[i]) k = (int)i;
      if (k < in_rank) cancelled[k] = true;
      else known = false;
    }
  for (int i = 0; i < in_rank; i++)
    if (!cancelled[i]) {
      if (in[i] < 0) known = false;
      else fits &= size_mul(from, (size_t)in[i], &from);
    }
  for (size_t i = 0; i < rank; i++)
    if ((int)i != wild && out[i] >= 0 && !size_mul(to, (size_t)out[i], &to)) {
      bool any_zero = false;
      for (size_t k = 0; k < rank; k++) any_zero |= out[k] == 0;
      if (!any_zero)
        return error_at(err, at_input(1), SDX_INVALID_SHAPE, "is %s, which has more elements than can be counted",
                        shape_describe(want, rank, text, sizeof text));
      to = 0;
      break;
    }
  if (!known || !fits) {
    if (wild >= 0) out[wild] = DIM_UNKNOWN;
    return SDX_OK;
  }
  char in_text[200];
  if (wild >= 0) {
    if (to == 0 && from != 0)
      return error_at(err, at_input(1), SDX_INVALID_SHAPE,
                      "is %s, whose -1 cannot be told: the other dimensions have no elements",
                      shape_describe(out, rank, text, sizeof text));
    if (to != 0 && from % to == 0) {
      out[wild] = (int64_t)(from / to);
      return SDX_OK;
    }
    if (to == 0) {
      out[wild] = 0;
      return SDX_OK;
    }
  } else if (from == to) {
    return SDX_OK;
  }
  return error_at(
      err, at_input(1), SDX_INVALID_SHAPE, "is %s, expected a shape for the elements of %s: their number differs",
      shape_describe(want, rank, text, sizeof text), shape_describe(in, (size_t)in_rank, in_text, sizeof in_text));
}

static sdx_status reshape_infer(op_step *c) {
  SDX_TRY(infer_need(c, 0));
  SDX_TRY(infer_rank(c, 1, 1, 1));
  int64_t dims[TENSOR_MAX_RANK];
  size_t rank;
  int in_rank = infer_rank_of(c, 0);
  const int64_t *want = infer_constant_ints(c, 1, &rank);
  if (want) {
    SDX_TRY(step_located(c, reshape_dims(in_rank < 0 ? NULL : c->in_types[0]->dims, in_rank, want, rank,
                                         ((const reshape_params *)c->params)->allow_zero, dims, c->err)));
    return infer_output(c, 0, infer_dtype_of(c, 0), (int)rank, dims);
  }
  int out_rank = infer_rank_of(c, 1) == 1 ? (int)i64_min(c->in_types[1]->dims[0], TENSOR_MAX_RANK + 1) : -1;
  for (int i = 0; i < TENSOR_MAX_RANK; i++) dims[i] = DIM_UNKNOWN;
  return infer_output(c, 0, infer_dtype_of(c, 0), out_rank, dims);
}

// Shapes that depend on data were checked by infer in this very call; the element counts agree.
static sdx_status reshape_compute(op_step *c) {
  const tensor *x = step_in(c, 0), *shape = step_in(c, 1);
  int64_t dims[TENSOR_MAX_RANK];
  SDX_TRY(step_located(c, reshape_dims(x->dims, x->rank, shape->data, shape->count,
                                       ((const reshape_params *)c->params)->allow_zero, dims, c->err)));
  SDX_TRY(call_set_shape(c, 0, (sdx_dtype)x->dtype, shape->count, dims));
  return move_view(c);
}

static const char *const reshape_cases[] = {
    "data=float[2,3,4] shape=const(4,-1)",          "data=float[2,3] shape=const(0,3,1)",
    "data=float[0,3] shape=const(3,0) allowzero=1", "data=float[1] shape=int64[0]",
    "data=float[2,6] shape=int64[1](-1)",           NULL};

SDX_OP(Reshape) = {
    .since = 25,
    .versions = "25 24 23 21 19 14 13 5 1",
    .inputs = "data:T shape:int64",
    .outputs = "reshaped:T",
    .types = "T=any",
    .attrs = "allowzero:int=0",
    .attrs_old = "consumed_inputs:ints<6 shape:ints<5",
    .flags = OP_VIEW | OP_MOVES_DATA,
    .params_size = sizeof(reshape_params),
    .params = reshape_read,
    .upgrade = reshape_upgrade,
    .infer = reshape_infer,
    .compute = reshape_compute,
    .cases = reshape_cases,
};

// ---- Flatten ----------------------------------------------------------------------------------------

typedef struct flatten_params {
  int64_t axis;
} flatten_params;

static sdx_status flatten_read(op_params_context *c, void *params) {
  ((flatten_params *)params)->axis = params_int(c, "axis");
  return SDX_OK;
}

// Product of symbolic dims: the symbol itself where the others are 1.
static sdx_status product(op_step *c, const int64_t *dims, int count, int64_t *out) {
  *out = 1;
  for (int i = 0; i < count; i++)
    if (dims[i] == 0) return *out = 0, SDX_OK;
  for (int i = 0; i < count; i++) {
    if (dims[i] == 1) continue;
    if (*out == 1) *out = dims[i];
    else if (dims[i] < 0 || *out < 0) *out = DIM_UNKNOWN;
    else if (!i64_mul(*out, dims[i], out))
      return step_fail_at(c, at_input(0), SDX_INVALID_SHAPE, "has a flattened size that does not fit 64 bits");
  }
  return SDX_OK;
}

static sdx_status flatten_infer(op_step *c) {
  SDX_TRY(infer_need(c, 0));
  int64_t axis = ((const flatten_params *)c->params)->axis, dims[2] = {DIM_UNKNOWN, DIM_UNKNOWN};
  int rank = infer_rank_of(c, 0);
  if (rank >= 0) {
    if (axis < -rank || axis > rank)
      return step_fail_at(c, at_attribute("axis"), SDX_OUT_OF_RANGE, "is %lld, expected within [-%d, %d]",
                          (long long)axis, rank, rank);
    if (axis < 0) axis += rank;
    SDX_TRY(product(c, c->in_types[0]->dims, (int)axis, &dims[0]));
    SDX_TRY(product(c, c->in_types[0]->dims + axis, rank - (int)axis, &dims[1]));
  }
  return infer_output(c, 0, infer_dtype_of(c, 0), 2, dims);
}

static const char *const flatten_cases[] = {"input=float[2,3,4] axis=1", "input=float[2,3,4] axis=-1",
                                            "input=float[2,3] axis=0",   "input=float[2,3,4] axis=3",
                                            "input=float[0,3] axis=1",   NULL};

SDX_OP(Flatten) = {
    .since = 25,
    .versions = "25 24 23 21 13 11 9 1",
    .inputs = "input:T",
    .outputs = "output:T",
    .types = "T=any",
    .attrs = "axis:int=1",
    .flags = OP_VIEW | OP_MOVES_DATA,
    .params_size = sizeof(flatten_params),
    .params = flatten_read,
    .infer = flatten_infer,
    .compute = move_view,
    .cases = flatten_cases,
};

// ---- Squeeze, Unsqueeze -----------------------------------------------------------------------------

static sdx_status axes_upgrade(op_upgrade *u) { return u->version < 13 ? upgrade_ints_to_input(u, "axes", 1) : SDX_OK; }

// Marks the axes, normalized by `rank`.
static sdx_status mark_axes(const int64_t *axes, size_t count, size_t rank, bool *marked, error *err) {
  memset(marked, 0, TENSOR_MAX_RANK * sizeof *marked);
  for (size_t i = 0; i < count; i++) {
    int64_t axis = axes[i];
    SDX_TRY(axis_normalize(&axis, rank, at_input(1), err));
    if (marked[axis]) return error_at(err, at_input(1), SDX_INVALID_ARGUMENT, "names axis %lld twice", (long long)axis);
    marked[axis] = true;
  }
  return SDX_OK;
}

static sdx_status squeeze_dims(const int64_t *in, size_t rank, const int64_t *axes, size_t count, bool all,
                               int64_t *out, size_t *out_rank, error *err) {
  bool drop[TENSOR_MAX_RANK];
  *out_rank = 0;
  SDX_TRY(mark_axes(axes, all ? 0 : count, rank, drop, err));
  for (size_t i = 0; i < rank; i++) {
    if (all) drop[i] = in[i] == 1;
    else if (drop[i] && in[i] > 1)
      return error_set(err, SDX_INVALID_SHAPE, "axis %zu cannot be squeezed: its size is %lld", i, (long long)in[i]);
    else if (drop[i] && in[i] == 0)
      return error_set(err, SDX_INVALID_SHAPE, "axis %zu cannot be squeezed: its size is 0", i);
    if (!drop[i]) out[(*out_rank)++] = in[i];
  }
  return SDX_OK;
}

static sdx_status squeeze_infer(op_step *c) {
  SDX_TRY(infer_need(c, 0));
  bool all = c->input_count < 2 || !c->in_types[1];
  int64_t dims[TENSOR_MAX_RANK];
  size_t count = 0, out_rank;
  const int64_t *axes = all ? NULL : infer_constant_ints(c, 1, &count);
  int rank = infer_rank_of(c, 0);
  if (rank < 0 || (!all && !axes)) return infer_output(c, 0, infer_dtype_of(c, 0), -1, NULL);
  for (int i = 0; all && i < rank; i++)
    if (c->in_types[0]->dims[i] < 0) return infer_output(c, 0, infer_dtype_of(c, 0), -1, NULL);
  SDX_TRY(step_located(c, squeeze_dims(c->in_types[0]->dims, (size_t)rank, axes, count, all, dims, &out_rank, c->err)));
  return infer_output(c, 0, infer_dtype_of(c, 0), (int)out_rank, dims);
}

static sdx_status unsqueeze_dims(const int64_t *in, size_t rank, const int64_t *axes, size_t count, int64_t *out,
                                 error *err) {
  bool added[TENSOR_MAX_RANK];
  if (rank + count > TENSOR_MAX_RANK)
    return error_set(err, SDX_INVALID_SHAPE, "the output would have rank %zu, over the limit of %d", rank + count,
                     TENSOR_MAX_RANK);
  SDX_TRY(mark_axes(axes, count, rank + count, added, err));
  for (size_t i = 0, k = 0; i < rank + count; i++) out[i] = added[i] ? 1 : in[k++];
  return SDX_OK;
}

static sdx_status unsqueeze_infer(op_step *c) {
  SDX_TRY(infer_need(c, 0));
  int64_t dims[TENSOR_MAX_RANK];
  size_t count = 0;
  const int64_t *axes = infer_constant_ints(c, 1, &count);
  int rank = infer_rank_of(c, 0);
  if (rank < 0 || !axes) {
    for (int i = 0; i < TENSOR_MAX_RANK; i++) dims[i] = DIM_UNKNOWN;
    bool counted = rank >= 0 && infer_rank_of(c, 1) == 1 && c->in_types[1]->dims[0] >= 0;
    return infer_output(c, 0, infer_dtype_of(c, 0),
                        counted ? (int)i64_min(rank + i64_min(c->in_types[1]->dims[0], 1000), TENSOR_MAX_RANK + 1) : -1,
                        dims);
  }
  SDX_TRY(step_located(c, unsqueeze_dims(c->in_types[0]->dims, (size_t)rank, axes, count, dims, c->err)));
  return infer_output(c, 0, infer_dtype_of(c, 0), rank + (int)count, dims);
}

static sdx_status axes_compute(op_step *c, bool squeeze) {
  const tensor *x = step_in(c, 0), *axes = step_in(c, 1);
  int64_t dims[TENSOR_MAX_RANK];
  size_t rank = x->rank, count = axes ? axes->count : 0;
  SDX_TRY(step_located(
      c, squeeze ? squeeze_dims(x->dims, x->rank, axes ? axes->data : NULL, count, !axes, dims, &rank, c->err)
                 : unsqueeze_dims(x->dims, x->rank, axes->data, count, dims, c->err)));
  SDX_TRY(call_set_shape(c, 0, (sdx_dtype)x->dtype, squeeze ? rank : rank + count, dims));
  return move_view(c);
}
static sdx_status squeeze_compute(op_step *c) { return axes_compute(c, true); }
static sdx_status unsqueeze_compute(op_step *c) { return axes_compute(c, false); }

static const char *const squeeze_cases[] = {"data=float[1,3,1] axes=const(0)", "data=float[1,3,1]",
                                            "data=float[2,1,1] axes=int64(-1,1)", "data=float[1] axes=const(0)", NULL};

SDX_OP(Squeeze) = {
    .since = 25,
    .versions = "25 24 23 21 13 11 1",
    .inputs = "data:T axes:int64?",
    .outputs = "squeezed:T",
    .types = "T=any",
    .attrs_old = "axes:ints<13",
    .flags = OP_VIEW | OP_MOVES_DATA,
    .upgrade = axes_upgrade,
    .infer = squeeze_infer,
    .compute = squeeze_compute,
    .cases = squeeze_cases,
};

static const char *const unsqueeze_cases[] = {"data=float[3,4] axes=const(0)", "data=float[3,4] axes=int64(-1,1)",
                                              "data=float[] axes=const(0)", "data=float[0,2] axes=const(1,3)", NULL};

SDX_OP(Unsqueeze) = {
    .since = 25,
    .versions = "25 24 23 21 13 11 1",
    .inputs = "data:T axes:int64",
    .outputs = "expanded:T",
    .types = "T=any",
    .attrs_old = "axes:ints<13",
    .flags = OP_VIEW | OP_MOVES_DATA,
    .upgrade = axes_upgrade,
    .infer = unsqueeze_infer,
    .compute = unsqueeze_compute,
    .cases = unsqueeze_cases,
};

// SPDX-License-Identifier: Apache-2.0
// Pad: a border around the input (negative: cropped): constant, edge, reflect, wrap.
// Version 2 renamed paddings to pads, 11 moved pads and value to inputs, 18 added axes, 19 wrap.
// Crop (retired): cuts a border off.
#include "base/size.h"
#include "ops/call.h"
#include "ops/infer.h"
#include "ops/parts/move.h"

typedef enum pad_mode { CONSTANT, EDGE, REFLECT, WRAP } pad_mode;
typedef struct params {
  pad_mode mode;
} params;

static sdx_status pad_read(op_params_context *c, void *p) {
  static const char *const names[] = {"constant", "edge", "reflect", "wrap"};
  str mode = params_string(c, "mode");
  for (int i = CONSTANT; i <= WRAP; i++)
    if (str_is(mode, names[i])) {
      ((params *)p)->mode = (pad_mode)i;
      return SDX_OK;
    }
  return params_fail(c, "mode", "is '%.*s', expected constant, edge, reflect or wrap", STR_ARG(mode));
}

// The value attribute becomes a constant of the data's type through CastLike: its type is not known yet.
static sdx_status pad_upgrade(op_upgrade *u) {
  if (u->version >= 11) return SDX_OK;
  const char *pads = node_attr(u->node, "paddings") ? "paddings" : "pads";
  if (!node_attr(u->node, pads)) return upgrade_fail_at(u, at_attribute(pads), SDX_INVALID_GRAPH, "is required");
  SDX_TRY(upgrade_ints_to_input(u, pads, 1));
  float value = node_attr_float(u->node, "value", 0);
  if (value == 0) return SDX_OK;
  value_id number = graph_constant_scalar(u->graph, SDX_FLOAT, value);
  if (!number) return error_no_memory(u->err, sizeof(tensor));
  value_id cast = upgrade_insert(u, "CastLike", 2, (value_id[]){number, u->node->inputs[0]}, NULL, 0);
  return cast ? upgrade_set_input(u, 2, cast) : u->err->status;
}

// before[i], after[i] for every axis.
static sdx_status pads_of(op_step *c, size_t rank, const tensor *pads, const tensor *axes, int64_t *before,
                          int64_t *after) {
  bool seen[TENSOR_MAX_RANK] = {false};
  size_t count = axes ? axes->count : rank;
  memset(before, 0, rank * sizeof *before);
  memset(after, 0, rank * sizeof *after);
  if (count > rank || pads->count != 2 * count)
    return error_at(c->err, at_input(1), SDX_INVALID_SHAPE, "has %zu entries, expected two for each of %zu axes",
                    pads->count, count);
  for (size_t i = 0; i < count; i++) {
    int64_t axis = axes ? tensor_index_at(axes, i) : (int64_t)i;
    SDX_TRY(step_axis(c, &axis, rank, at_input(3)));
    if (seen[axis])
      return error_at(c->err, at_input(3), SDX_INVALID_ARGUMENT, "names axis %lld twice", (long long)axis);
    seen[axis] = true;
    before[axis] = tensor_index_at(pads, i);
    after[axis] = tensor_index_at(pads, i + count);
  }
  return SDX_OK;
}

static sdx_status size_of(pad_mode mode, int64_t n, int64_t before, int64_t after, size_t axis, int64_t *out,
                          error *err) {
  if (n < 0) {
    *out = before == 0 && after == 0 ? n : DIM_UNKNOWN;
    return SDX_OK;
  }
  int64_t kept;  // what is cropped goes first
  if (!i64_add(n, i64_min(before, 0), &kept) || !i64_add(kept, i64_min(after, 0), &kept) || kept < 0)
    return error_set(err, SDX_OUT_OF_RANGE, "pads %lld and %lld cut more than axis %zu of size %lld has",
                     (long long)before, (long long)after, axis, (long long)n);
  if (!i64_add(kept, i64_max(before, 0), out) || !i64_add(*out, i64_max(after, 0), out))
    return error_set(err, SDX_INVALID_SHAPE, "pads %lld and %lld of axis %zu overflow", (long long)before,
                     (long long)after, axis);
  if (mode != CONSTANT && kept == 0 && *out > 0)
    return error_set(err, SDX_INVALID_SHAPE, "axis %zu has nothing to pad with", axis);
  return SDX_OK;
}

static sdx_status pad_infer(op_step *c) {
  SDX_TRY(infer_need(c, 0));
  int rank = infer_rank_of(c, 0);
  int64_t before[TENSOR_MAX_RANK], after[TENSOR_MAX_RANK], dims[TENSOR_MAX_RANK];
  const tensor *pads = c->constants[1], *axes = c->input_count > 3 ? c->constants[3] : NULL;
  if (rank < 0 || !pads || (infer_has(c, 3) && !axes)) {
    for (int i = 0; i < TENSOR_MAX_RANK; i++) dims[i] = DIM_UNKNOWN;
    return infer_output(c, 0, infer_dtype_of(c, 0), rank, dims);
  }
  SDX_TRY(step_located(c, pads_of(c, (size_t)rank, pads, axes, before, after)));
  for (int i = 0; i < rank; i++)
    SDX_TRY(step_located(c, size_of(((const params *)c->params)->mode, c->in_types[0]->dims[i], before[i], after[i],
                                    (size_t)i, &dims[i], c->err)));
  return infer_output(c, 0, infer_dtype_of(c, 0), rank, dims);
}

// Source index of an index that lies outside of [0, n). Borders longer than the axis go on repeating, as in numpy.
static int64_t source_of(pad_mode mode, int64_t i, int64_t n) {
  if (mode == EDGE) return i < 0 ? 0 : n - 1;
  int64_t period = mode == WRAP ? n : i64_max(2 * (n - 1), 1), at = (i % period + period) % period;
  return at < n ? at : period - at;
}

// The constant border, a box on each side of every axis; nothing is written twice.
static void fill_border(op_step *c, const tensor *y, const void *element, const int64_t *low, const strided *middle) {
  size_t width = move_width(y);
  int64_t strides[TENSOR_MAX_RANK], offset = 0;
  move_strides(y->dims, y->rank, strides);
  for (size_t axis = 0; axis < y->rank; axis++) {
    strided box = {.rank = y->rank};
    int64_t begin = i64_max(low[axis], 0), end = begin + middle->dims[axis];
    for (size_t d = 0; d < y->rank; d++) {
      box.dims[d] = d < axis ? middle->dims[d] : y->dims[d];
      box.to[d] = strides[d];
    }
    box.dims[axis] = begin;
    move_strided(c, &box, width, element, (char *)y->data + (size_t)offset * width);
    box.dims[axis] = y->dims[axis] - end;
    move_strided(c, &box, width, element, (char *)y->data + (size_t)(offset + end * strides[axis]) * width);
    offset += begin * strides[axis];
  }
}

// Fills the border along one axis: those in front of it hold the bare input still, those behind it
// have their borders already.
static void pad_axis(op_step *c, tensor *y, size_t axis, const int64_t *low, const strided *middle, pad_mode mode) {
  size_t width = move_width(y);
  int64_t strides[TENSOR_MAX_RANK], offset = 0, n = middle->dims[axis], begin = i64_max(low[axis], 0);
  move_strides(y->dims, y->rank, strides);
  strided box = {.rank = y->rank};
  for (size_t d = 0; d < y->rank; d++) {
    box.dims[d] = d < axis ? middle->dims[d] : d == axis ? 1 : y->dims[d];
    box.from[d] = box.to[d] = strides[d];
    if (d < axis) offset += i64_max(low[d], 0) * strides[d];
  }
  size_t done = 0, slice = y->count / (size_t)y->dims[axis];
  for (int64_t i = 0; i < y->dims[axis] && !pool_stopped_after(&done, slice); i++) {
    if (i >= begin && i < begin + n) continue;
    int64_t source = begin + source_of(mode, i - begin, n);
    move_strided(c, &box, width, (char *)y->data + (size_t)(offset + source * strides[axis]) * width,
                 (char *)y->data + (size_t)(offset + i * strides[axis]) * width);
  }
}

static sdx_status pad_compute(op_step *c) {
  pad_mode mode = ((const params *)c->params)->mode;
  const tensor *fill = step_in(c, 2);
  tensor x, y;
  int64_t low[TENSOR_MAX_RANK], after[TENSOR_MAX_RANK], dims[TENSOR_MAX_RANK], strides[TENSOR_MAX_RANK], from = 0,
                                                                                                         to = 0;
  SDX_TRY(move_input(c, 0, &x));
  SDX_TRY(step_located(c, pads_of(c, x.rank, step_in(c, 1), step_in(c, 3), low, after)));
  for (size_t i = 0; i < x.rank; i++)
    SDX_TRY(step_located(c, size_of(mode, x.dims[i], low[i], after[i], i, &dims[i], c->err)));
  SDX_TRY(call_set_shape(c, 0, (sdx_dtype)x.dtype, x.rank, dims));
  SDX_TRY(move_output(c, 0, &y));
  if (y.count == 0) return SDX_OK;
  size_t width = move_width(&x);
  static const uint64_t zero[2];
  tensor one = {.data = (void *)zero};
  if (mode == CONSTANT) {
    if (fill && (fill->count != 1 || fill->dtype != x.dtype))
      return step_fail_at(c, at_input(2), SDX_INVALID_SHAPE, "must hold one %s", dtype_name((sdx_dtype)x.dtype));
    if (fill) SDX_TRY(move_input(c, 2, &one));
  }
  strided middle = {.rank = x.rank};
  move_strides(x.dims, x.rank, strides);
  move_strides(dims, x.rank, middle.to);
  for (size_t i = 0; i < x.rank; i++) {
    middle.dims[i] = x.dims[i] + i64_min(low[i], 0) + i64_min(after[i], 0);
    middle.from[i] = strides[i];
    from += i64_max(-low[i], 0) * strides[i];
    to += i64_max(low[i], 0) * middle.to[i];
  }
  move_strided(c, &middle, width, (const char *)x.data + (size_t)from * width, (char *)y.data + (size_t)to * width);
  if (mode == CONSTANT) fill_border(c, &y, one.data, low, &middle);
  else
    for (size_t axis = x.rank; axis-- > 0;) pad_axis(c, &y, axis, low, &middle, mode);
  move_finish(c, 0, &y);
  return SDX_OK;
}

static const char *const pad_cases[] = {"data=float[2,3] pads=const(1,0,2,1)",
                                        "data=float[4,5] pads=int64(2,1,1,3) mode=reflect",
                                        "data=float[4,5] pads=const(1,2,3,0) mode=edge",
                                        "data=float[4,3] pads=const(5,0,1,4) mode=wrap",
                                        "data=float[2,3,4] pads=const(1,-1) constant_value=float(3) axes=int32[1](-1)",
                                        "data=float[4,5] pads=const(-1,0,0,-2)",
                                        NULL};

SDX_OP(Pad) = {
    .since = 25,
    .versions = "25 24 23 21 19 18 13 11 2 1",
    .inputs = "data:T pads:int64 constant_value:T? axes:Tind?",
    .outputs = "output:T",
    .types = "T=any;Tind=int32,int64",
    .attrs = "mode:string=constant",
    .attrs_old = "pads:ints<11 paddings:ints<2 value:float<11",
    .flags = OP_MOVES_DATA,
    .params_size = sizeof(params),
    .params = pad_read,
    .upgrade = pad_upgrade,
    .infer = pad_infer,
    .layouts = layouts_follow,
    .compute = pad_compute,
    .cases = pad_cases,
};

// ---- Crop -------------------------------------------------------------------------------------------

typedef struct crop_params {
  int64_t left, top, right, bottom, height, width;
} crop_params;  // height < 0: by border

static sdx_status crop_read(op_params_context *c, void *params) {
  size_t count, scales;
  const int64_t *border = params_ints(c, "border", &count), *scale = params_ints(c, "scale", &scales);
  crop_params *p = params;
  if (count != 4 && (count || !scales)) return params_fail(c, "border", "has %zu entries, expected 4", count);
  if (scales && scales != 2) return params_fail(c, "scale", "has %zu entries, expected 2", scales);
  for (size_t i = 0; i < count; i++)
    if (border[i] < 0) return params_fail(c, "border", "has %lld at %zu", (long long)border[i], i);
  *p = (crop_params){.height = -1};
  if (count) p->left = border[0], p->top = border[1], p->right = border[2], p->bottom = border[3];
  if (scales) p->height = scale[0], p->width = scale[1];
  if (scales && (scale[0] < 0 || scale[1] < 0)) return params_fail(c, "scale", "has a negative size");
  return SDX_OK;
}

static sdx_status crop_infer(op_step *c) {
  SDX_TRY(infer_need(c, 0));
  SDX_TRY(infer_rank(c, 0, 4, 4));
  if (infer_rank_of(c, 0) < 0) return infer_output(c, 0, infer_dtype_of(c, 0), -1, NULL);
  const crop_params *p = c->params;
  const int64_t *in = c->in_types[0]->dims;
  int64_t dims[4] = {in[0], in[1], DIM_UNKNOWN, DIM_UNKNOWN};
  for (int i = 2; i < 4; i++) {
    int64_t low = i == 2 ? p->top : p->left, high = i == 2 ? p->bottom : p->right;
    if (in[i] < 0) {
      if (p->height >= 0) dims[i] = i == 2 ? p->height : p->width;
      continue;
    }
    int64_t size = p->height >= 0 ? (i == 2 ? p->height : p->width) : wrap_sub(wrap_sub(in[i], low), high);
    if (low > in[i] || high > in[i] || size < 0 || size > in[i] - low)
      return step_fail_at(c, at_input(0), SDX_OUT_OF_RANGE, "has %lld in dimension %d, which the crop leaves",
                          (long long)in[i], i);
    dims[i] = size;
  }
  return infer_output(c, 0, infer_dtype_of(c, 0), 4, dims);
}

static sdx_status crop_compute(op_step *c) {
  const crop_params *p = c->params;
  tensor x, y;
  SDX_TRY(move_input(c, 0, &x));
  SDX_TRY(move_output(c, 0, &y));
  if (p->top + y.dims[2] > x.dims[2] || p->left + y.dims[3] > x.dims[3])
    return step_fail_at(c, at_input(0), SDX_OUT_OF_RANGE, "is smaller than the crop");
  strided box = {.rank = 4};
  memcpy(box.dims, y.dims, 4 * sizeof *box.dims);
  move_strides(x.dims, 4, box.from);
  move_strides(y.dims, 4, box.to);
  move_strided(c, &box, move_width(&x), (const char *)x.data + (size_t)(p->top * x.dims[3] + p->left) * move_width(&x),
               y.data);
  move_finish(c, 0, &y);
  return SDX_OK;
}

static const char *const crop_cases[] = {"input=float[1,2,5,6] border=1,1,2,1",
                                         "input=float[2,3,8,8] border=0,2,0,0 scale=3,4", NULL};

SDX_OP_OLD(Crop) = {
    .since = 1,
    .versions = "1",
    .inputs = "input:T",
    .outputs = "output:T",
    .types = "T=float16,float,double",
    .attrs = "border:ints scale:ints",
    .flags = OP_MOVES_DATA,
    .params_size = sizeof(crop_params),
    .params = crop_read,
    .infer = crop_infer,
    .compute = crop_compute,
    .cases = crop_cases,
};

// SPDX-License-Identifier: Apache-2.0
// Slice: every step-th element of [start, end) along some axes, numpy style with clamping.
// Version 10 turned the attributes into inputs and added steps, 11 allowed negative axes.
// DynamicSlice (retired): the same with inputs and without steps.
#include "base/size.h"
#include "ops/call.h"
#include "ops/infer.h"
#include "ops/parts/move.h"

static sdx_status slice_upgrade(op_upgrade *u) {
  if (u->version >= 10) return SDX_OK;
  SDX_TRY(upgrade_ints_to_input(u, "starts", 1));
  SDX_TRY(upgrade_ints_to_input(u, "ends", 2));
  return upgrade_ints_to_input(u, "axes", 3);
}

typedef struct cut {
  int64_t start, step, size;
} cut;  // of one axis

static int64_t clamp(int64_t v, int64_t low, int64_t high) { return v < low ? low : v > high ? high : v; }

// starts[i] and so on in whatever integer type they come; NULL axes: the first ones.
static sdx_status cuts_of(op_step *c, const int64_t *dims, size_t rank, const tensor *starts, const tensor *ends,
                          const tensor *axes, const tensor *steps, cut *cuts) {
  bool seen[TENSOR_MAX_RANK] = {false};
  for (size_t i = 0; i < rank; i++) cuts[i] = (cut){0, 1, dims[i]};
  const tensor *lists[] = {starts, ends, axes, steps};
  for (size_t i = 1; i < sizeof lists / sizeof *lists; i++)
    if (lists[i] && lists[i]->count != starts->count)
      return error_at(c->err, at_input(1 + i), SDX_INVALID_SHAPE, "has %zu entries, expected %zu as 'starts'",
                      lists[i]->count, starts->count);
  for (size_t i = 0; i < starts->count; i++) {
    int64_t axis = axes ? tensor_index_at(axes, i) : (int64_t)i, step = steps ? tensor_index_at(steps, i) : 1;
    SDX_TRY(step_axis(c, &axis, rank, at_input(3)));
    if (seen[axis])
      return error_at(c->err, at_input(3), SDX_INVALID_ARGUMENT, "names axis %lld twice", (long long)axis);
    seen[axis] = true;
    if (step == 0) return error_at(c->err, at_input(4), SDX_INVALID_ARGUMENT, "is 0 at %zu", i);
    int64_t n = dims[axis], start = tensor_index_at(starts, i), end = tensor_index_at(ends, i);
    if (n < 0) {  // free: only the whole axis stays what it is
      bool whole = step == 1 && start == 0 && end >= INT32_MAX;
      cuts[axis] = (cut){start, step, whole ? n : DIM_UNKNOWN};
      continue;
    }
    if (start < 0) start = wrap_add(start, n);
    if (end < 0) end = wrap_add(end, n);
    start = clamp(start, 0, step > 0 ? n : n - 1);
    end = clamp(end, step > 0 ? 0 : -1, n);
    int64_t span = step > 0 ? end - start : start - end;
    uint64_t stride = step > 0 ? (uint64_t)step : 0 - (uint64_t)step;
    int64_t size = span <= 0 || n == 0 ? 0 : (int64_t)(((uint64_t)span - 1) / stride) + 1;
    cuts[axis] = (cut){start, size > 1 ? step : 1, size};
  }
  return SDX_OK;
}

static sdx_status slice_infer(op_step *c) {
  SDX_TRY(infer_need(c, 0));
  int rank = infer_rank_of(c, 0);
  if (rank < 0) return infer_output(c, 0, infer_dtype_of(c, 0), -1, NULL);
  const tensor *lists[4] = {NULL};
  bool known = true;
  int64_t dims[TENSOR_MAX_RANK];
  for (size_t i = 1; i < c->input_count && i < 5; i++) {
    if (!c->in_types[i]) continue;
    SDX_TRY(infer_rank(c, i, 1, 1));
    lists[i - 1] = c->constants[i];
    known &= lists[i - 1] != NULL;
  }
  if (known) {
    cut cuts[TENSOR_MAX_RANK];
    SDX_TRY(
        step_located(c, cuts_of(c, c->in_types[0]->dims, (size_t)rank, lists[0], lists[1], lists[2], lists[3], cuts)));
    for (int i = 0; i < rank; i++) dims[i] = cuts[i].size;
  } else {
    for (int i = 0; i < rank; i++) dims[i] = lists[2] ? c->in_types[0]->dims[i] : DIM_UNKNOWN;
    for (size_t i = 0; lists[2] && i < lists[2]->count; i++) {
      int64_t axis = tensor_index_at(lists[2], i);
      SDX_TRY(step_located(c, axis_normalize(&axis, (size_t)rank, at_input(3), c->err)));
      dims[axis] = DIM_UNKNOWN;
    }
  }
  return infer_output(c, 0, infer_dtype_of(c, 0), rank, dims);
}

static sdx_status slice_compute(op_step *c) {
  cut cuts[TENSOR_MAX_RANK];
  int64_t dims[TENSOR_MAX_RANK], strides[TENSOR_MAX_RANK], offset = 0;
  tensor x, y;
  SDX_TRY(move_input(c, 0, &x));
  SDX_TRY(
      step_located(c, cuts_of(c, x.dims, x.rank, step_in(c, 1), step_in(c, 2), step_in(c, 3), step_in(c, 4), cuts)));
  strided box = {.rank = x.rank};
  for (size_t i = 0; i < x.rank; i++) dims[i] = box.dims[i] = cuts[i].size;
  SDX_TRY(call_set_shape(c, 0, (sdx_dtype)x.dtype, x.rank, dims));
  SDX_TRY(move_output(c, 0, &y));
  if (y.count == 0) return SDX_OK;
  move_strides(x.dims, x.rank, strides);
  move_strides(dims, x.rank, box.to);
  for (size_t i = 0; i < x.rank; i++) {
    box.from[i] = strides[i] * cuts[i].step;
    offset += strides[i] * cuts[i].start;
  }
  move_strided(c, &box, move_width(&x), (const char *)x.data + (size_t)offset * move_width(&x), y.data);
  move_finish(c, 0, &y);
  return SDX_OK;
}

static const char *const slice_cases[] = {
    "data=float[4,6] starts=const(1,0) ends=const(3,5)",
    "data=float[4,6] starts=int64[1](-1) ends=int64[1](-9) axes=int64[1](1) steps=int64[1](-2)",
    "data=float[3,4,5] starts=int32(0,1) ends=int32(9,4) axes=int32(2,-2) steps=int32(2,1)",
    "data=float[5] starts=const(3) ends=const(2)", NULL};

SDX_OP(Slice) = {
    .since = 13,
    .versions = "13 11 10 1",
    .inputs = "data:T starts:Tind ends:Tind axes:Tind? steps:Tind?",
    .outputs = "output:T",
    .types = "T=any;Tind=int32,int64",
    .attrs_old = "starts:ints<10 ends:ints<10 axes:ints<10",
    .flags = OP_MOVES_DATA,
    .upgrade = slice_upgrade,
    .infer = slice_infer,
    .layouts = layouts_follow,
    .compute = slice_compute,
    .cases = slice_cases,
};

static const char *const dynamic_slice_cases[] = {"data=float[4,5,6] starts=int64(1,0) ends=int64(3,4)",
                                                  "data=float[4,5] starts=int32(0,-3) ends=int32(2,5) axes=int32(1,0)",
                                                  NULL};

SDX_OP_OLD(DynamicSlice) = {
    .since = 1,
    .versions = "1",
    .inputs = "data:T starts:Tind ends:Tind axes:Tind?",
    .outputs = "output:T",
    .types = "T=any;Tind=int32,int64",
    .flags = OP_MOVES_DATA,
    .infer = slice_infer,
    .compute = slice_compute,
    .cases = dynamic_slice_cases,
};

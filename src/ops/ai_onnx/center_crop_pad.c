// SPDX-License-Identifier: Apache-2.0
// CenterCropPad: each of the given axes cut to its middle, or put into the middle of zeros; an odd element is cut
// off or added behind.
#include "ops/parts/move.h"

#include "base/size.h"
#include "ops/call.h"
#include "ops/infer.h"

typedef struct crop_params {
  const int64_t *axes;  // NULL: all
  size_t count;
} crop_params;

static sdx_status center_crop_pad_read(op_params_context *c, void *params) {
  crop_params *p = params;
  p->axes = params_ints(c, "axes", &p->count);
  return SDX_OK;
}

// Output dims from the input's (which may be unknown) and the shape, NULL while it is not known.
static sdx_status measure(const crop_params *p, const int64_t *in, size_t rank, const int64_t *shape, size_t count,
                          int64_t *out, error *err) {
  bool seen[TENSOR_MAX_RANK] = {false};
  size_t axes = p->axes ? p->count : rank;
  if (axes > rank || (shape && count != axes))
    return error_at(err, at_input(1), SDX_INVALID_SHAPE, "has %zu entries for %zu axes of a tensor of rank %zu", count,
                    axes, rank);
  for (size_t d = 0; d < rank; d++) out[d] = in[d];
  for (size_t i = 0; i < axes; i++) {
    int64_t axis = p->axes ? p->axes[i] : (int64_t)i;
    SDX_TRY(axis_normalize(&axis, rank, at_attribute("axes"), err));
    if (seen[axis])
      return error_at(err, at_attribute("axes"), SDX_INVALID_ARGUMENT, "names axis %lld twice", (long long)axis);
    seen[axis] = true;
    if (shape && shape[i] < 0)
      return error_at(err, at_input(1), SDX_OUT_OF_RANGE, "is %lld at %zu", (long long)shape[i], i);
    out[axis] = shape ? shape[i] : DIM_UNKNOWN;
  }
  return SDX_OK;
}

static sdx_status center_crop_pad_infer(op_step *c) {
  int rank = infer_rank_of(c, 0);
  int64_t dims[TENSOR_MAX_RANK];
  size_t count = 0;
  if (rank < 0) return infer_output(c, 0, infer_dtype_of(c, 0), -1, NULL);
  const int64_t *shape = infer_constant_ints(c, 1, &count);
  SDX_TRY(step_located(c, measure(c->params, c->in_types[0]->dims, (size_t)rank, shape, count, dims, c->err)));
  return infer_output(c, 0, infer_dtype_of(c, 0), rank, dims);
}

static sdx_status center_crop_pad_compute(op_step *c) {
  tensor x, y;
  SDX_TRY(move_input(c, 0, &x));
  SDX_TRY(move_output(c, 0, &y));
  strided box = {.rank = x.rank};
  size_t width = move_width(&x), from = 0, to = 0;
  move_strides(x.dims, x.rank, box.from);
  move_strides(y.dims, y.rank, box.to);
  bool whole = true, any = y.count != 0;
  for (size_t d = 0; d < x.rank; d++) {
    int64_t in = x.dims[d], out = y.dims[d];
    box.dims[d] = i64_min(in, out);
    if (in > out) from += (size_t)((in - out) / 2 * box.from[d]);
    if (out > in) to += (size_t)((out - in) / 2 * box.to[d]), whole = false;
    any = any && box.dims[d] > 0;
  }
  if (!whole && x.dtype == SDX_STRING)
    for (size_t i = 0; i < y.count; i++) ((str *)y.data)[i] = (str){"", 0};
  else if (!whole) SDX_TRY(call_zero(c, y.data, y.count * width));
  if (any) move_strided(c, &box, width, (const char *)x.data + from * width, (char *)y.data + to * width);
  move_finish(c, 0, &y);
  return call_check(c);
}

static const char *const center_crop_pad_cases[] = {"input_data=float[5,8] shape=const(3,9)",
                                                    "input_data=float[4,7,3] shape=int64(5,2) axes=0,1",
                                                    "input_data=float[6,4] shape=int32[1](3) axes=-2", NULL};

SDX_OP(CenterCropPad) = {
    .since = 18,
    .versions = "18",
    .inputs = "input_data:T shape:Tind",
    .outputs = "output_data:T",
    .types = "T=any;Tind=int32,int64",
    .attrs = "axes:ints",
    .params_size = sizeof(crop_params),
    .params = center_crop_pad_read,
    .infer = center_crop_pad_infer,
    .compute = center_crop_pad_compute,
    .cases = center_crop_pad_cases,
};

// SPDX-License-Identifier: Apache-2.0
// OneHot: along a new axis of size `depth`, values[1] at the index and values[0] elsewhere; an index
// outside of [-depth, depth) gives values[0] everywhere. EyeLike: ones on diagonal k of a matrix
// shaped like the input.
#include <math.h>

#include "base/size.h"
#include "ops/call.h"
#include "ops/infer.h"
#include "ops/parts/move.h"
#include "tensor/convert.h"

typedef struct onehot_params {
  int64_t axis;
} onehot_params;

static sdx_status onehot_read(op_params_context *c, void *p) {
  ((onehot_params *)p)->axis = params_int(c, "axis");
  return SDX_OK;
}

static sdx_status depth_of(const tensor *t, int64_t *depth, error *err) {
  if (t->count != 1) return error_at(err, at_input(1), SDX_INVALID_SHAPE, "has %zu elements, expected 1", t->count);
  double d = tensor_number_at(t, 0);
  if (!(d >= 0 && d < 0x1p62)) return error_at(err, at_input(1), SDX_OUT_OF_RANGE, "is %g", d);
  *depth = (int64_t)d;
  return SDX_OK;
}

static sdx_status onehot_dims(const onehot_params *p, const int64_t *in, size_t rank, int64_t depth, int64_t *dims,
                              size_t *axis, error *err) {
  int64_t a = p->axis;
  if (rank + 1 > TENSOR_MAX_RANK) return error_set(err, SDX_INVALID_SHAPE, "the output would have rank %zu", rank + 1);
  SDX_TRY(axis_normalize(&a, rank + 1, at_attribute("axis"), err));
  *axis = (size_t)a;
  for (size_t d = 0; d <= rank; d++) dims[d] = d == *axis ? depth : in[d - (d > *axis)];
  return SDX_OK;
}

static sdx_status onehot_infer(op_step *c) {
  SDX_TRY(infer_need(c, 0));
  int rank = infer_rank_of(c, 0);
  int64_t dims[TENSOR_MAX_RANK], depth = DIM_UNKNOWN;
  size_t axis;
  if (rank < 0) return infer_output(c, 0, infer_dtype_of(c, 2), -1, NULL);
  if (c->constants[1]) SDX_TRY(step_located(c, depth_of(c->constants[1], &depth, c->err)));
  SDX_TRY(step_located(c, onehot_dims(c->params, c->in_types[0]->dims, (size_t)rank, depth, dims, &axis, c->err)));
  return infer_output(c, 0, infer_dtype_of(c, 2), rank + 1, dims);
}

static sdx_status onehot_compute(op_step *c) {
  const tensor *x = step_in(c, 0), *values = step_in(c, 2);
  int64_t depth, dims[TENSOR_MAX_RANK];
  size_t axis, inner = 1;
  SDX_TRY(step_located(c, depth_of(step_in(c, 1), &depth, c->err)));
  SDX_TRY(step_located(c, onehot_dims(c->params, x->dims, x->rank, depth, dims, &axis, c->err)));
  if (values->count != 2)
    return step_fail_at(c, at_input(2), SDX_INVALID_SHAPE, "has %zu elements, expected 2", values->count);
  SDX_TRY(call_set_shape(c, 0, (sdx_dtype)values->dtype, x->rank + 1u, dims));
  tensor *y = step_out(c, 0);
  size_t width = move_width(y);
  move_fill(c, y->data, values->data, width, y->count);
  SDX_TRY(call_check(c));
  for (size_t d = axis; d < x->rank; d++) inner *= (size_t)x->dims[d];
  for (size_t i = 0; i < x->count; i++) {
    SDX_TRY(call_check_in(c, i));
    int64_t index;
    if (dtype_is_int((sdx_dtype)x->dtype)) {
      index = convert_get_int((sdx_dtype)x->dtype, x->data, i);
    } else {
      double k = tensor_number_at(x, i);
      if (!(fabs(k) < 0x1p62)) continue;
      index = (int64_t)k;
    }
    if (index < -depth || index >= depth) continue;
    if (index < 0) index += depth;
    size_t at = (i / inner * (size_t)depth + (size_t)index) * inner + i % inner;
    memcpy((char *)y->data + at * width, (const char *)values->data + width, width);
  }
  return SDX_OK;
}

static const char *const one_hot_cases[] = {"indices=int64[2,3]@-4..4 depth=int64(5) values=float(0,1)",
                                            "indices=int32[4]@0..2 depth=int32(3) values=int8(2,5) axis=0",
                                            "indices=float[2,2](0,3,2,1) depth=float(4) values=double(0.5,1.5) axis=1",
                                            "indices=int64[3]@5..9 depth=int64(3) values=string(off,on)", NULL};

SDX_OP(OneHot) = {
    .since = 28,
    .versions = "28 11 9",
    .inputs = "indices:T1 depth:T2 values:T3",
    .outputs = "output:T3",
    .types =
        "T1=double,float,float16,int16,int32,int64,int8,uint16,uint32,uint64,uint8;"
        "T2=double,float,float16,int16,int32,int64,int8,uint16,uint32,uint64,uint8;"
        "T3=" TYPES_TENSOR,
    .attrs = "axis:int=-1",
    .params_size = sizeof(onehot_params),
    .params = onehot_read,
    .infer = onehot_infer,
    .compute = onehot_compute,
    .cases = one_hot_cases,
};

// ---- EyeLike ----------------------------------------------------------------------------------------

typedef struct eye_params {
  int64_t k;
  sdx_dtype dtype;
} eye_params;

static sdx_status eye_like_read(op_params_context *c, void *p) {
  int64_t dtype = params_has(c, "dtype") ? params_int(c, "dtype") : 0;
  if (dtype < 0 || dtype >= SDX_DTYPE_COUNT || dtype == SDX_STRING)
    return params_fail(c, "dtype", "is %lld, expected a number type", (long long)dtype);
  *(eye_params *)p = (eye_params){params_int(c, "k"), (sdx_dtype)dtype};
  return SDX_OK;
}

static sdx_status eye_like_infer(op_step *c) {
  SDX_TRY(infer_rank(c, 0, 2, 2));
  const eye_params *p = c->params;
  return infer_same_as(c, 0, 0, p->dtype ? p->dtype : infer_dtype_of(c, 0));
}

static sdx_status eye_like_compute(op_step *c) {
  int64_t k = ((const eye_params *)c->params)->k;
  tensor *y = step_out(c, 0);
  SDX_TRY(call_zero(c, y->data, y->bytes));
  int64_t rows = y->dims[0], columns = y->dims[1];
  for (int64_t r = k < 0 ? (k == INT64_MIN ? rows : -k) : 0; r < rows && k < columns - r; r++) {
    convert_from_doubles((sdx_dtype)y->dtype, y->data, (size_t)(r * columns + r + k), 1, &(double){1});
    SDX_TRY(call_check_in(c, (size_t)r));
  }
  return SDX_OK;
}

static const char *const eye_like_cases[] = {"input=int64[3,4]",
                                             "input=float[4,3] k=1 dtype=10",
                                             "input=float[5,5] k=-2 dtype=9",
                                             "input=uint8[2,2] dtype=11",
                                             "input=float[0,3]",
                                             NULL};

SDX_OP(EyeLike) = {
    .since = 22,
    .versions = "22 9",
    .inputs = "input:T1",
    .outputs = "output:T2",
    .types =
        "T1=uint8,uint16,uint32,uint64,int8,int16,int32,int64,bfloat16,float16,float,double,bool;T2=uint8,uint16,"
        "uint32,uint64,int8,int16,int32,int64,bfloat16,float16,float,double,bool",
    .attrs = "dtype:int k:int=0",
    .flags = OP_READS_SHAPE,
    .params_size = sizeof(eye_params),
    .params = eye_like_read,
    .infer = eye_like_infer,
    .compute = eye_like_compute,
    .cases = eye_like_cases,
};

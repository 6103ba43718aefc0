// SPDX-License-Identifier: Apache-2.0
// ScatterElements, ScatterND: a copy of `data` with `updates` written (or combined: add, mul, min,
// max) at indices. Updates are applied in their order, so duplicates give one defined result.
// Reductions came with version 16, min and max with 18. Scatter (9, deprecated) is ScatterElements.
#include "base/half.h"
#include "base/size.h"
#include "ops/call.h"
#include "ops/infer.h"
#include "ops/parts/move.h"
#include "ops/parts/widen.h"

typedef enum reduction { NONE, ADD, MUL, MIN, MAX } reduction;
typedef struct params {
  int64_t axis;
  reduction reduction;
} params;

static sdx_status scatter_read(op_params_context *c, void *p) {
  static const char *const names[] = {"none", "add", "mul", "min", "max"};
  params *out = p;
  str name = params_string(c, "reduction");
  out->axis = params_int(c, "axis");  // ScatterND has none
  for (int i = NONE; i <= MAX; i++)
    if (str_is(name, names[i])) {
      out->reduction = (reduction)i;
      return SDX_OK;
    }
  return params_fail(c, "reduction", "is '%.*s', expected none, add, mul, min or max", STR_ARG(name));
}

static sdx_status upgrade_scatter(op_upgrade *u) {
  upgrade_rename(u, "ScatterElements");
  return SDX_OK;
}

// to[i] = to[i] op from[i]
typedef void (*combine)(void *to, const void *from, size_t count);

#define EACH(name, T, expression)                              \
  static void name(void *to, const void *from, size_t count) { \
    T *x = to;                                                 \
    const T *y = from;                                         \
    for (size_t i = 0; i < count; i++) x[i] = (T)(expression); \
  }
// Integers wrap; the unsigned type of the same width makes that defined.
#define INTEGER(N, T, U)                            \
  EACH(add_##N, U, x[i] + y[i])                     \
  EACH(mul_##N, U, (uint64_t)x[i] * (uint64_t)y[i]) \
  EACH(min_##N, T, y[i] < x[i] ? y[i] : x[i])       \
  EACH(max_##N, T, y[i] > x[i] ? y[i] : x[i])
// NaN wins in min and max.
#define REAL(N, T)                                            \
  EACH(add_##N, T, x[i] + y[i])                               \
  EACH(mul_##N, T, x[i] * y[i])                               \
  EACH(min_##N, T, y[i] < x[i] || y[i] != y[i] ? y[i] : x[i]) \
  EACH(max_##N, T, y[i] > x[i] || y[i] != y[i] ? y[i] : x[i])
INTEGER(int8, int8_t, uint8_t)
INTEGER(uint8, uint8_t, uint8_t)
INTEGER(int16, int16_t, uint16_t)
INTEGER(uint16, uint16_t, uint16_t)
INTEGER(int32, int32_t, uint32_t)
INTEGER(uint32, uint32_t, uint32_t)
INTEGER(int64, int64_t, uint64_t)
INTEGER(uint64, uint64_t, uint64_t)
REAL(float, float)
REAL(double, double)
EACH(or_bool, uint8_t, x[i] | y[i])
EACH(and_bool, uint8_t, x[i] & y[i])

#define ROW(N) \
  { add_##N, mul_##N, min_##N, max_##N }
static const combine combines[SDX_DTYPE_COUNT][4] = {
    [SDX_INT8] = ROW(int8),
    [SDX_UINT8] = ROW(uint8),
    [SDX_INT16] = ROW(int16),
    [SDX_UINT16] = ROW(uint16),
    [SDX_INT32] = ROW(int32),
    [SDX_UINT32] = ROW(uint32),
    [SDX_INT64] = ROW(int64),
    [SDX_UINT64] = ROW(uint64),
    [SDX_FLOAT] = ROW(float),
    [SDX_DOUBLE] = ROW(double),
    [SDX_BOOL] = {or_bool, and_bool, and_bool, or_bool},
};

// Types without a row of their own go through float, block by block.
static void combine_floats(sdx_dtype dtype, reduction r, void *to, size_t at, const void *from, size_t from_at,
                           size_t count) {
  float x[64], y[64];
  for (size_t i = 0; i < count; i += 64) {
    size_t n = count - i < 64 ? count - i : 64;
    widen_read(dtype, to, at + i, n, x);
    widen_read(dtype, from, from_at + i, n, y);
    combines[SDX_FLOAT][r - 1](x, y, n);
    widen_write(dtype, to, at + i, n, x);
  }
}

// Elements at+.. of y by those of the updates.
static void apply(const tensor *y, reduction r, size_t at, const tensor *updates, size_t from, size_t count) {
  size_t width = move_width(y);
  char *to = (char *)y->data + at * width;
  const char *source = (const char *)updates->data + from * width;
  if (r == NONE) memcpy(to, source, count * width);
  else if (combines[y->dtype][0]) combines[y->dtype][r - 1](to, source, count);
  else if (y->dtype == SDX_COMPLEX64) combines[SDX_FLOAT][0](to, source, count * 2);
  else if (y->dtype == SDX_COMPLEX128) combines[SDX_DOUBLE][0](to, source, count * 2);
  else combine_floats((sdx_dtype)y->dtype, r, y->data, at, updates->data, from, count);
}

static bool can_reduce(sdx_dtype d, reduction r) {
  if (r == NONE) return true;
  if (dtype_is_complex(d)) return r == ADD;
  return combines[d][0] || (dtype_is_float(d) && !dtype_is_packed(d));
}

static sdx_status scatter_infer(op_step *c) {
  SDX_TRY(infer_need(c, 0));
  const params *p = c->params;
  sdx_dtype dtype = infer_dtype_of(c, 0);
  if (dtype != SDX_UNDEFINED && !can_reduce(dtype, p->reduction))
    return step_fail_at(c, at_attribute("reduction"), SDX_NOT_SUPPORTED, "is not defined for %s", dtype_name(dtype));
  return infer_same(c, 0, 0);
}

static sdx_status start(op_step *c) {  // the copy of data
  const tensor *x = step_in(c, 0);
  tensor *y = step_out(c, 0);
  if (x->dtype != step_in(c, 2)->dtype)
    return step_fail_at(c, at_input(2), SDX_INVALID_SHAPE, "is %s, expected %s: like the data",
                        dtype_name((sdx_dtype)step_in(c, 2)->dtype), dtype_name((sdx_dtype)x->dtype));
  move_bytes(c, y->data, x->data, x->bytes);
  return SDX_OK;
}

static sdx_status bad_index(op_step *c, int64_t k, size_t i, int64_t n) {
  return step_fail_at(c, at_input(1), SDX_OUT_OF_RANGE, "is %lld at %zu, expected within [-%lld, %lld)", (long long)k,
                      i, (long long)n, (long long)n);
}

static sdx_status scatter_elements_infer(op_step *c) {
  SDX_TRY(infer_rank(c, 0, 1, -1));
  int rank = infer_rank_of(c, 0);
  int64_t axis = ((const params *)c->params)->axis;
  if (rank > 0) SDX_TRY(step_located(c, axis_normalize(&axis, (size_t)rank, at_attribute("axis"), c->err)));
  return scatter_infer(c);
}

static sdx_status scatter_elements_compute(op_step *c) {
  const params *p = c->params;
  const tensor *indices = step_in(c, 1), *updates = step_in(c, 2);
  tensor *y = step_out(c, 0);
  int64_t axis = p->axis, strides[TENSOR_MAX_RANK], at[TENSOR_MAX_RANK] = {0}, base = 0;
  char a[200], b[200];
  SDX_TRY(start(c));
  if (y->rank == 0) return step_fail_at(c, at_input(0), SDX_INVALID_SHAPE, "has rank 0, expected at least 1");
  SDX_TRY(step_located(c, axis_normalize(&axis, y->rank, at_attribute("axis"), c->err)));
  bool fits = indices->rank == y->rank && tensor_same_shape(indices, updates);
  for (size_t d = 0; fits && d < y->rank; d++) fits = (int64_t)d == axis || indices->dims[d] <= y->dims[d];
  if (!fits)
    return step_fail_at(c, at_input(1), SDX_INVALID_SHAPE,
                        "is %s, expected the shape of input 2 ('updates') and to fit %s",
                        tensor_describe(indices, a, sizeof a), tensor_describe(y, b, sizeof b));
  move_strides(y->dims, y->rank, strides);
  int64_t n = y->dims[axis];
  for (size_t i = 0; i < indices->count; i++) {
    int64_t k = tensor_index_at(indices, i);
    if (k < -n || k >= n) return bad_index(c, k, i, n);
    apply(y, p->reduction, (size_t)(base + (k < 0 ? k + n : k) * strides[axis]), updates, i, 1);
    for (size_t d = y->rank; d-- > 0;) {
      if ((int64_t)d != axis) base += strides[d];
      if (++at[d] < indices->dims[d]) break;
      if ((int64_t)d != axis) base -= strides[d] * at[d];
      at[d] = 0;
    }
    if ((i & 0xffff) == 0xffff) SDX_TRY(call_check(c));
  }
  return SDX_OK;
}

static const char *const scatter_elements_cases[] = {
    "data=float[3,4] indices=int64[1,4](0,2,-1,0) updates=float[1,4]",
    "data=float[1,5] indices=int32[1,2](1,-1) updates=float[1,2] axis=1",
    "data=float[1,5] indices=int64[1,4](1,1,0,1) updates=float[1,4] axis=1 reduction=add "
    "not=string,bool,complex64,complex128",
    "data=float[1,5] indices=int64[1,3](1,3,1) updates=float[1,3] axis=-1 reduction=mul "
    "not=string,bool,complex64,complex128",
    "data=float[1,5] indices=int64[1,3](1,3,1) updates=float[1,3] axis=1 reduction=max "
    "not=string,bool,complex64,complex128",
    "data=float[1,5] indices=int64[1,3](1,3,1) updates=float[1,3] axis=1 reduction=min "
    "not=string,bool,complex64,complex128",
    NULL};

SDX_OP(ScatterElements) = {
    .since = 18,
    .versions = "18 16 13 11",
    .inputs = "data:T indices:Tind updates:T",
    .outputs = "output:T",
    .types =
        "T=float,double,float16,bfloat16,int8,int16,int32,int64,uint8,uint16,uint32,uint64,bool,string,"
        "complex64,complex128;Tind=int32,int64",
    .attrs = "axis:int=0 reduction:string=none",
    .flags = OP_INPLACE,
    .params_size = sizeof(params),
    .params = scatter_read,
    .infer = scatter_elements_infer,
    .compute = scatter_elements_compute,
    .cases = scatter_elements_cases,
};

static const char *const scatter_cases[] = {"data=float[3,4] indices=int64[1,4](0,2,1,0) updates=float[1,4]",
                                            "data=float[1,5] indices=int32[1,2](1,-1) updates=float[1,2] axis=1", NULL};

SDX_OP(Scatter) = {
    .since = 11,
    .versions = "11 9",
    .inputs = "data:T indices:Tind updates:T",
    .outputs = "output:T",
    .types =
        "T=float,double,float16,int8,int16,int32,int64,uint8,uint16,uint32,uint64,bool,string,complex64,"
        "complex128;Tind=int32,int64",
    .attrs = "axis:int=0 reduction:string=none",
    .flags = OP_INPLACE,
    .params_size = sizeof(params),
    .params = scatter_read,
    .upgrade = upgrade_scatter,
    .infer = scatter_elements_infer,
    .compute = scatter_elements_compute,
    .cases = scatter_cases,
};

static sdx_status scatter_nd_compute(op_step *c) {
  const params *p = c->params;
  const tensor *indices = step_in(c, 1), *updates = step_in(c, 2);
  tensor *y = step_out(c, 0);
  int64_t strides[TENSOR_MAX_RANK];
  char a[200], b[200];
  SDX_TRY(start(c));
  int64_t tuple = indices->rank ? indices->dims[indices->rank - 1] : 0;
  if (tuple < 1 || tuple > y->rank)
    return step_fail_at(c, at_input(1), SDX_INVALID_SHAPE, "is %s with tuples of %lld, expected 1 to %d",
                        tensor_describe(indices, a, sizeof a), (long long)tuple, y->rank);
  size_t slice = 1, tuples = indices->count / (size_t)tuple, head = indices->rank - 1u;
  for (size_t d = (size_t)tuple; d < y->rank; d++) slice *= (size_t)y->dims[d];
  bool fits = updates->rank == head + y->rank - (size_t)tuple && updates->count == tuples * slice;
  for (size_t d = 0; fits && d < updates->rank; d++)
    fits = updates->dims[d] == (d < head ? indices->dims[d] : y->dims[d - head + (size_t)tuple]);
  if (!fits)
    return step_fail_at(c, at_input(2), SDX_INVALID_SHAPE, "is %s, which does not fit indices %s",
                        tensor_describe(updates, a, sizeof a), tensor_describe(indices, b, sizeof b));
  move_strides(y->dims, y->rank, strides);
  const int64_t *k = indices->data;
  for (size_t i = 0; i < tuples; i++) {
    int64_t offset = 0;
    for (int64_t d = 0; d < tuple; d++, k++) {
      int64_t n = y->dims[d];
      if (*k < -n || *k >= n) return bad_index(c, *k, i * (size_t)tuple + (size_t)d, n);
      offset += (*k < 0 ? *k + n : *k) * strides[d];
    }
    apply(y, p->reduction, (size_t)offset, updates, i * slice, slice);
    if ((i & 0xfff) == 0xfff) SDX_TRY(call_check(c));
  }
  return SDX_OK;
}

static sdx_status scatter_nd_infer(op_step *c) {
  SDX_TRY(infer_rank(c, 0, 1, -1));
  SDX_TRY(infer_rank(c, 1, 1, -1));
  return scatter_infer(c);
}

static const char *const scatter_nd_cases[] = {
    "data=float[4,3] indices=int64[2,1](1,-1) updates=float[2,3]",
    "data=float[4,3] indices=int64[3,2](0,0,3,2,1,1) updates=float[3]",
    "data=float[4,3] indices=int64[2,1](1,1) updates=float[2,3] reduction=add not=string,bool,complex64,complex128",
    "data=float[4,3] indices=int64[2,1](2,2) updates=float[2,3] reduction=mul not=string,bool,complex64,complex128",
    "data=float[4,3] indices=int64[2,1](0,0) updates=float[2,3] reduction=max not=string,bool,complex64,complex128",
    "data=float[4,3] indices=int64[2,1](0,0) updates=float[2,3] reduction=min not=string,bool,complex64,complex128",
    NULL};

SDX_OP(ScatterND) = {
    .since = 18,
    .versions = "18 16 13 11",
    .inputs = "data:T indices:int64 updates:T",
    .outputs = "output:T",
    .types = "T=" TYPES_TENSOR,
    .attrs = "reduction:string=none",
    .flags = OP_INPLACE,
    .params_size = sizeof(params),
    .params = scatter_read,
    .infer = scatter_nd_infer,
    .compute = scatter_nd_compute,
    .cases = scatter_nd_cases,
};

// SPDX-License-Identifier: Apache-2.0
// ArgMax ArgMin: place of the largest or smallest element along `axis`, the first one or, with
// select_last_index, the last. A NaN counts as found, as in numpy.
// History: 11 negative axes, 12 select_last_index, 13 bfloat16.
#include "ops/parts/row.h"

typedef struct arg_params {
  int64_t axis;
  bool keepdims, last, max;
} arg_params;

static sdx_status max_read(op_params_context *c, void *params) {
  *(arg_params *)params = (arg_params){params_int(c, "axis"), params_int(c, "keepdims") != 0,
                                       params_int(c, "select_last_index") != 0, true};
  return SDX_OK;
}
static sdx_status min_read(op_params_context *c, void *params) {
  SDX_TRY(max_read(c, params));
  ((arg_params *)params)->max = false;
  return SDX_OK;
}

static sdx_status arg_max_infer(op_step *c) {
  const arg_params *p = c->params;
  int rank = infer_rank_of(c, 0), kept = 0;
  int64_t axis = p->axis, dims[TENSOR_MAX_RANK];
  if (rank < 0) return infer_output(c, 0, SDX_INT64, -1, NULL);
  size_t axes = rank ? (size_t)rank : 1;  // a scalar is chosen from as if it were [1]
  if (axis_normalize(&axis, axes, (error_part){0}, NULL) != SDX_OK)
    return step_fail_at(c, at_attribute("axis"), SDX_OUT_OF_RANGE, "is %lld, expected within [-%zu, %zu)",
                        (long long)p->axis, axes, axes);
  for (int i = 0; i < rank; i++)
    if (i != axis) dims[kept++] = c->in_types[0]->dims[i];
    else if (p->keepdims) dims[kept++] = 1;
  return infer_output(c, 0, SDX_INT64, kept, dims);
}

typedef struct arg_job {
  const void *in;
  int64_t *out;
  size_t axis, inner;
  bool max, last;
} arg_job;

enum { BLOCK = 1 << 18 };       // elements between two looks at the clock
#define IS_NAN(v) ((v) != (v))  // of integers: never
#define LOOPS "ops/ai_onnx/arg_max.inl"
#include "ops/call.h"
#include "ops/infer.h"
#include "ops/parts/each_float.inl"
#include "ops/parts/each_integer.inl"

static sdx_status arg_max_prepare(op_step *c) { return prepare_widened(c, 0); }

static sdx_status find(op_step *c) {
  static void (*const ranges[SDX_DTYPE_COUNT])(void *, size_t, size_t, size_t) = {
      ROWS_INTEGER(arg), [SDX_FLOAT] = arg_float, [SDX_DOUBLE] = arg_double};
  const arg_params *p = c->params;
  const tensor *in = step_in(c, 0);
  tensor *out = step_out(c, 0);
  int64_t axis = p->axis;
  if (axis < 0) axis += in->rank;  // infer has checked it
  arg_job j = {in->data, out->data, in->rank ? (size_t)in->dims[axis] : 1, 1, p->max, p->last};
  for (int64_t i = axis + 1; i < in->rank; i++) j.inner *= (size_t)in->dims[i];
  if (out->count == 0) return SDX_OK;
  if (j.axis == 0)
    return step_fail_at(c, at_input(0), SDX_INVALID_SHAPE, "has no elements to choose from along axis %lld",
                        (long long)axis);
  if (!ranges[in->dtype]) return step_fail_dtype(c, in);
  call_parallel(c, out->count, j.axis >= GRAIN_CHEAP ? 1 : GRAIN_CHEAP / j.axis, ranges[in->dtype], &j);
  return SDX_OK;
}
static sdx_status arg_max_compute(op_step *c) { return step_out(c, 0) ? call_widened(c, find) : SDX_OK; }

SDX_CASES = {"data=float[2,3,4] axis=1", "data=float[5] keepdims=0", "data=int8[3,4] axis=-1 select_last_index=1",
             "data=float16[2,3] axis=1", "data=double[0,3] axis=1",  NULL};

// clang-format off
#define RECORD(lower)                                                                                            \
  {.since = 13, .versions = "13 12 11 1", .inputs = "data:T", .outputs = "reduced:int64",                        \
   .types = "T=" TYPES_NUMBER, .attrs = "axis:int=0 keepdims:int=1 select_last_index:int=0",                     \
   .params_size = sizeof(arg_params), .params = lower##_read, .infer = arg_max_infer, .prepare = arg_max_prepare,      \
   .compute = arg_max_compute, .cases = cases}
SDX_OP(ArgMax) = RECORD(max);
SDX_OP(ArgMin) = RECORD(min);
// clang-format on

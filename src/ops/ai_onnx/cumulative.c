// SPDX-License-Identifier: Apache-2.0
// CumSum CumProd: running sum or product along the axis that input 1 names; `exclusive` leaves the element
// itself out, `reverse` starts at the end. Floats collect in double, integers wrap.
// History: CumSum 14 bfloat16; CumProd is new in 26.
#include "ops/call.h"
#include "ops/infer.h"
#include "ops/parts/row.h"

typedef struct cumulative_params {
  bool product, exclusive, reverse;
} cumulative_params;

static sdx_status sum_read(op_params_context *c, void *params) {
  *(cumulative_params *)params =
      (cumulative_params){false, params_int(c, "exclusive") != 0, params_int(c, "reverse") != 0};
  return SDX_OK;
}
static sdx_status product_read(op_params_context *c, void *params) {
  SDX_TRY(sum_read(c, params));
  ((cumulative_params *)params)->product = true;
  return SDX_OK;
}

static sdx_status cumulative_infer(op_step *c) {
  SDX_TRY(infer_rank(c, 1, 0, 1));
  return infer_same(c, 0, 0);
}

typedef struct cumulative_job {
  const void *in;
  void *out;
  size_t axis, inner;
  bool product, exclusive, reverse;
} cumulative_job;

#define T int32_t
#define SUFFIX int32
#define WIDE uint32_t
#include "ops/ai_onnx/cumulative.inl"
#define T uint32_t
#define SUFFIX uint32
#define WIDE uint32_t
#include "ops/ai_onnx/cumulative.inl"
#define T int64_t
#define SUFFIX int64
#define WIDE uint64_t
#include "ops/ai_onnx/cumulative.inl"
#define T uint64_t
#define SUFFIX uint64
#define WIDE uint64_t
#include "ops/ai_onnx/cumulative.inl"
#define T float
#define SUFFIX float
#define WIDE float
#include "ops/ai_onnx/cumulative.inl"
#define T double
#define SUFFIX double
#define WIDE double
#include "ops/ai_onnx/cumulative.inl"

static sdx_status cumulative_prepare(op_step *c) { return prepare_widened(c, 0); }

static sdx_status cumulate(op_step *c) {
  static void (*const ranges[SDX_DTYPE_COUNT])(void *, size_t, size_t, size_t) = {
      [SDX_INT32] = cumulate_int32,   [SDX_UINT32] = cumulate_uint32, [SDX_INT64] = cumulate_int64,
      [SDX_UINT64] = cumulate_uint64, [SDX_FLOAT] = cumulate_float,   [SDX_DOUBLE] = cumulate_double};
  const cumulative_params *p = c->params;
  const tensor *in = step_in(c, 0), *which = step_in(c, 1);
  tensor *out = step_out(c, 0);
  if (which->count != 1)
    return step_fail_at(c, at_input(1), SDX_INVALID_SHAPE, "has %zu elements, expected one", which->count);
  int64_t axis = tensor_index_at(which, 0), rank = in->rank;
  if (axis < -rank || axis >= rank)
    return step_fail_at(c, at_attribute("axis"), SDX_OUT_OF_RANGE, "is %lld, expected within [-%lld, %lld)",
                        (long long)axis, (long long)rank, (long long)rank);
  if (axis < 0) axis += rank;
  if (out->count == 0) return SDX_OK;
  if (!ranges[in->dtype]) return step_fail_dtype(c, in);
  cumulative_job j = {in->data, out->data, (size_t)in->dims[axis], 1, p->product, p->exclusive, p->reverse};
  for (size_t i = (size_t)axis + 1; i < in->rank; i++) j.inner *= (size_t)in->dims[i];
  call_parallel(c, out->count / j.axis, j.axis >= GRAIN_CHEAP ? 1 : GRAIN_CHEAP / j.axis, ranges[in->dtype], &j);
  return SDX_OK;
}
static sdx_status cumulative_compute(op_step *c) { return step_out(c, 0) ? call_widened(c, cumulate) : SDX_OK; }

SDX_CASES = {"x=float[2,3,4] axis=const(1)", "x=int32[5] axis=const(0) exclusive=1",
             "x=float16[2,3] axis=const(-1) reverse=1", "x=uint64[3,2] axis=const(0) exclusive=1 reverse=1", NULL};

// clang-format off
#define RECORD(lower, Since, Versions)                                                                              \
  {.since = Since, .versions = Versions, .inputs = "x:T axis:T2", .outputs = "y:T",                              \
   .types = "T=int32,int64,uint32,uint64," TYPES_FLOAT ";T2=int32,int64",                                        \
   .attrs = "exclusive:int=0 reverse:int=0", .flags = OP_INPLACE, .params_size = sizeof(cumulative_params),      \
   .params = lower##_read, .infer = cumulative_infer, .prepare = cumulative_prepare, .compute = cumulative_compute, \
   .cases = cases}
SDX_OP(CumSum) = RECORD(sum, 14, "14 11");
SDX_OP(CumProd) = RECORD(product, 26, "26");
// clang-format on

// SPDX-License-Identifier: Apache-2.0
// CumSum, CumProd: running sums (products) along an axis given as input; exclusive leaves the element
// itself out, reverse runs from the back. Float kinds narrower than double accumulate in float,
// integers wrap.
#include "base/size.h"
#include "ops/ai_onnx/move.h"
#include "tensor/convert.h"

typedef struct params {
  bool exclusive, reverse, product;
} params;

static sdx_status read_params(op_params_context *c, void *p) {
  *(params *)p =
      (params){params_int(c, "exclusive") != 0, params_int(c, "reverse") != 0, str_is(c->node->op_type, "CumProd")};
  return SDX_OK;
}

static sdx_status infer(op_infer *c) {
  SDX_TRY(infer_need(c, 0));
  int rank = infer_rank_of(c, 0);
  SDX_TRY(infer_rank(c, 1, 0, 1));
  if (rank >= 0 && c->constants[1] && c->constants[1]->count == 1) {
    int64_t axis = tensor_index_at(c->constants[1], 0);
    SDX_TRY(infer_located(c, axis_normalize(&axis, (size_t)rank, "input 1 ('axis')", c->err)));
  }
  return infer_same(c, 0, 0);
}

typedef struct job {
  const params *p;
  const tensor *x;
  tensor *y;
  size_t n, inner;
} job;

#define LINE(T, ONE, LOAD, STORE, COMBINE)          \
  {                                                 \
    T sum = ONE;                                    \
    for (size_t i = 0; i < j->n; i++, at += step) { \
      T v = LOAD;                                   \
      if (j->p->exclusive) STORE(sum);              \
      sum = COMBINE;                                \
      if (!j->p->exclusive) STORE(sum);             \
    }                                               \
  }
#define PUT(v) y[at] = (v)
#define PUT_FLOAT(v) convert_from_floats(dtype, j->y->data, (size_t)at, 1, &(float){v})
#define TYPED(T, U)                                                                              \
  {                                                                                              \
    const T *x = j->x->data;                                                                     \
    T *y = j->y->data;                                                                           \
    if (j->p->product) LINE(U, 1, (U)x[at], PUT, sum *v) else LINE(U, 0, (U)x[at], PUT, sum + v) \
  }                                                                                              \
  break

static void lines(void *context, size_t begin, size_t end, size_t worker) {
  const job *j = context;
  sdx_dtype dtype = (sdx_dtype)j->x->dtype;
  for (size_t line = begin; line < end; line++) {
    int64_t at = (int64_t)(line / j->inner * j->n * j->inner + line % j->inner), step = (int64_t)j->inner;
    if (j->p->reverse) {
      at += (int64_t)(j->n - 1) * step;
      step = -step;
    }
    switch (dtype) {
      case SDX_FLOAT:
        TYPED(float, float);
      case SDX_DOUBLE:
        TYPED(double, double);
      case SDX_INT32:
        TYPED(int32_t, uint32_t);
      case SDX_UINT32:
        TYPED(uint32_t, uint32_t);
      case SDX_INT64:
        TYPED(int64_t, uint64_t);
      case SDX_UINT64:
        TYPED(uint64_t, uint64_t);
      default: {
#define GET                                                  \
  ({                                                         \
    float f = 0;                                             \
    convert_to_floats(dtype, j->x->data, (size_t)at, 1, &f); \
    f;                                                       \
  })
        if (j->p->product) LINE(float, 1, GET, PUT_FLOAT, sum *v) else LINE(float, 0, GET, PUT_FLOAT, sum + v)
      }
    }
  }
}

static sdx_status compute(op_call *c) {
  const tensor *x = call_in(c, 0), *at = call_in(c, 1);
  if (at->count != 1)
    return call_fail(c, SDX_INVALID_SHAPE, "input 1 ('axis') has %zu elements, expected 1", at->count);
  int64_t axis = tensor_index_at(at, 0);
  SDX_TRY(call_located(c, axis_normalize(&axis, x->rank, "input 1 ('axis')", c->err)));
  if (x->count == 0) return SDX_OK;
  job j = {c->params, x, call_out(c, 0), (size_t)x->dims[axis], 1};
  for (size_t d = (size_t)axis + 1; d < x->rank; d++) j.inner *= (size_t)x->dims[d];
  call_parallel(c, x->count / j.n, j.n >= 16384 ? 1 : 16384 / j.n + 1, lines, &j);
  return SDX_OK;
}

SDX_OP(CumSum) = {
    .since = 14,
    .versions = "14 11",
    .inputs = "x:T axis:T2",
    .outputs = "y:T",
    .types = "T=bfloat16,double,float,float16,int32,int64,uint32,uint64;T2=int32,int64",
    .attrs = "exclusive:int=0 reverse:int=0",
    .params_size = sizeof(params),
    .params = read_params,
    .infer = infer,
    .compute = compute,
};

SDX_OP(CumProd) = {
    .since = 26,
    .versions = "26",
    .inputs = "x:T axis:T2",
    .outputs = "y:T",
    .types = "T=bfloat16,double,float,float16,int32,int64,uint32,uint64;T2=int32,int64",
    .attrs = "exclusive:int=0 reverse:int=0",
    .params_size = sizeof(params),
    .params = read_params,
    .infer = infer,
    .compute = compute,
};

// SPDX-License-Identifier: Apache-2.0
// Softmax: exp(x - max) / sum along one axis; LogSoftmax: its logarithm; Hardmax: 1 at the first maximum, else 0.
// History: up to 12 the input was seen as a matrix, everything from `axis` on (default 1) being one row; since
// 13 the axis stands alone and defaults to -1. The upgrade marks old nodes with _flatten.
#include <math.h>

#include "base/size.h"
#include "kernels/softmax_f32/softmax_f32.h"
#include "ops/parts/row.h"
#include "tensor/convert.h"

typedef enum softmax_kind { SOFTMAX, LOG_SOFTMAX, HARDMAX } softmax_kind;

typedef struct axis_params {
  softmax_kind kind;
  int64_t axis;
  bool flatten;
} axis_params;

#define PARAMS(lower, Kind)                                                                              \
  static sdx_status lower##_read(op_params_context *c, void *params) {                                   \
    *(axis_params *)params = (axis_params){Kind, params_int(c, "axis"), params_int(c, "_flatten") != 0}; \
    return SDX_OK;                                                                                       \
  }
PARAMS(softmax, SOFTMAX)
PARAMS(log_softmax, LOG_SOFTMAX)
PARAMS(hardmax, HARDMAX)

static sdx_status softmax_upgrade(op_upgrade *u) {
  if (!node_attr(u->node, "axis")) SDX_TRY(node_set_attr(u->graph, u->node, attr_of_int("axis", 1)));
  return node_set_attr(u->graph, u->node, attr_of_int("_flatten", 1));
}

// A flattened axis may also stand behind the last dimension: rows of one element.
static bool axis_fits(const axis_params *p, int64_t rank) {
  return p->axis >= -rank && (p->axis < rank || (p->flatten && p->axis == rank));
}

static sdx_status softmax_infer(op_step *c) {
  const axis_params *p = c->params;
  int rank = infer_rank_of(c, 0);
  if (rank >= 0 && !axis_fits(p, rank))
    return step_fail_at(c, at_attribute("axis"), SDX_OUT_OF_RANGE, "is %lld, expected within [-%d, %d)",
                        (long long)p->axis, rank, rank);
  return infer_same(c, 0, 0);
}

static void softmax_layouts(op_step *c, step_layouts *l) {
  if (!((const axis_params *)c->params)->flatten) layouts_follow(c, l);
}

// The tensor as [outer, axis, inner].
typedef struct softmax_job {
  const softmax_f32_kernel *kernel;
  softmax_kind kind;
  const void *in;
  void *out;
  size_t axis, inner;
  size_t strips;  // of STRIP columns, where inner > 1
} softmax_job;

enum { STRIP = 128 };

static void float_range(void *context, size_t begin, size_t end, size_t worker) {
  const softmax_job *j = context;
  const float *in = j->in;
  float *out = j->out;
  if (j->inner == 1) {
    j->kernel->rows(in + begin * j->axis, out + begin * j->axis, end - begin, j->axis, j->kind == LOG_SOFTMAX);
    return;
  }
  for (size_t unit = begin; unit < end; unit++) {
    size_t c = unit % j->strips * STRIP, offset = unit / j->strips * j->axis * j->inner + c;
    j->kernel->columns(in + offset, out + offset, j->axis, j->inner, j->inner - c < STRIP ? j->inner - c : STRIP,
                       j->kind == LOG_SOFTMAX);
  }
}

#define LOOPS "ops/ai_onnx/softmax.inl"
#include "ops/call.h"
#include "ops/infer.h"
#include "ops/parts/each_float.inl"

static sdx_status softmax_prepare(op_step *c) {
  c->state = (void *)KERNEL_BEST(softmax_f32);
  return prepare_widened(c, 0);
}

static sdx_status softmax(op_step *c) {
  const axis_params *p = c->params;
  const tensor *in = step_in(c, 0);
  tensor *out = step_out(c, 0);
  size_t outer = 1;
  softmax_job j = {.kernel = c->state ? c->state : KERNEL_BEST(softmax_f32),
                   .kind = p->kind,
                   .in = in->data,
                   .out = out->data,
                   .axis = 1,
                   .inner = 1};
  if (out->count == 0) return SDX_OK;
  size_t at = layout_axis((layout)c->layout, in->rank, (size_t)(p->axis < 0 ? p->axis + in->rank : p->axis));
  for (size_t i = 0; i < in->rank; i++) {
    size_t n = (size_t)in->dims[i];
    if (i < at) outer *= n;
    else if (i == at || p->flatten) j.axis *= n;
    else j.inner *= n;
  }
  bool kernel = in->dtype == SDX_FLOAT && p->kind != HARDMAX;
  j.strips = kernel && j.inner > 1 ? (j.inner + STRIP - 1) / STRIP : j.inner;
  size_t work = j.axis * (kernel && j.inner > 1 ? STRIP : 1);
  call_parallel(c, outer * j.strips, work >= GRAIN_COSTLY ? 1 : GRAIN_COSTLY / work,
                kernel                   ? float_range
                : in->dtype == SDX_FLOAT ? columns_float
                                         : columns_double,
                &j);
  return SDX_OK;
}

static sdx_status softmax_compute(op_step *c) {
  const axis_params *p = c->params;
  int64_t rank = step_in(c, 0)->rank;
  if (!step_out(c, 0)) return SDX_OK;
  if (!axis_fits(p, rank))
    return step_fail_at(c, at_attribute("axis"), SDX_OUT_OF_RANGE, "is %lld, expected within [-%lld, %lld)",
                        (long long)p->axis, (long long)rank, (long long)rank);
  return call_widened(c, softmax);
}

SDX_CASES = {
    "input=float[2,3,4]",       "input=float[2,3,4] axis=1", "input=float[2,3,200] axis=0",  "input=float16[3,5]",
    "input=double[2,3] axis=0", "input=float[0,3]",          "input=bfloat16[2,3,4] axis=1", NULL};

// clang-format off
#define RECORD(lower)                                                                                           \
  {.since = 13, .versions = "13 11 1", .inputs = "input:T", .outputs = "output:T", .types = "T=" TYPES_FLOAT,   \
   .attrs = "axis:int=-1 _flatten:int=0", .flags = OP_INPLACE, .params_size = sizeof(axis_params),           \
   .params = lower##_read, .upgrade = softmax_upgrade, .infer = softmax_infer, .layouts = softmax_layouts,      \
   .prepare = softmax_prepare, .compute = softmax_compute,                                                      \
   .cases = cases}
SDX_OP(Softmax) = RECORD(softmax);
SDX_OP(LogSoftmax) = RECORD(log_softmax);
SDX_OP(Hardmax) = RECORD(hardmax);
// clang-format on

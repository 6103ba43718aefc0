// SPDX-License-Identifier: Apache-2.0
// LayerNormalization (17): (x - mean) / sqrt(variance + epsilon) * Scale + B over the axes from `axis` on. ONNX
// Runtime fuses it into files of any opset: hence version 1.
// RMSNormalization (23): x / sqrt(mean of squares + epsilon) * scale. SimplifiedLayerNormalization is its
// older name in files of ONNX Runtime, in both domains. com.microsoft SkipLayerNormalization and
// SkipSimplifiedLayerNormalization normalise input + skip + bias over the last axis and can return that sum.
//
// float and half run the rows of norm_f32; double, mixed types and a Scale that is not simply the shape of
// the normalised axes take normalize.c. Statistics never have less precision than float (stash_type).
#include "kernels/norm_f32/norm_f32.h"
#include "ops/ai_onnx/arithmetic.h"
#include "ops/call.h"
#include "ops/infer.h"
#include "ops/parts/normalize.h"
#include "ops/parts/row.h"

typedef struct layer_params {
  float epsilon;
  int64_t axis;
  sdx_dtype stash;
  bool rms, skip;
} layer_params;

static sdx_status read_params(op_params_context *c, layer_params *p, bool rms, bool skip) {
  *p = (layer_params){.rms = rms, .skip = skip, .axis = -1, .stash = SDX_FLOAT};
  SDX_TRY(normalize_epsilon(c, &p->epsilon));
  if (skip) return SDX_OK;
  p->axis = params_int(c, "axis");
  p->stash = (sdx_dtype)params_int(c, "stash_type");
  if (p->stash != SDX_FLOAT && p->stash != SDX_BFLOAT16 && p->stash != SDX_DOUBLE)
    return params_fail(c, "stash_type", "is %d, expected 1 (float), 11 (double) or 16 (bfloat16)", (int)p->stash);
  return SDX_OK;
}
static sdx_status layer_params_read(op_params_context *c, void *p) { return read_params(c, p, false, false); }
static sdx_status rms_params_read(op_params_context *c, void *p) { return read_params(c, p, true, false); }
static sdx_status skip_params_read(op_params_context *c, void *p) { return read_params(c, p, false, true); }
static sdx_status skip_rms_params_read(op_params_context *c, void *p) { return read_params(c, p, true, true); }

// ---- infer ------------------------------------------------------------------------------------

// Type of a statistic: the shape of X with ones from the axis on.
static sdx_status infer_statistic(op_step *c, size_t output, int64_t axis) {
  int64_t dims[TENSOR_MAX_RANK];
  int rank = infer_rank_of(c, 0);
  for (int i = 0; i < rank; i++) dims[i] = i < axis ? c->in_types[0]->dims[i] : 1;
  return infer_output(c, output, ((const layer_params *)c->params)->stash, rank, dims);
}

static sdx_status infer(op_step *c) {
  const layer_params *p = c->params;
  int rank = infer_rank_of(c, 0);
  int64_t axis = p->axis;
  if (rank >= 0 && axis_normalize(&axis, (size_t)rank, "", NULL) != SDX_OK)
    return step_fail(c, SDX_OUT_OF_RANGE, "axis %lld is outside of [-%d, %d)", (long long)p->axis, rank, rank);
  sdx_dtype y = infer_dtype_of(c, 1);  // RMSNormalization: Y has the type of scale
  SDX_TRY(infer_same_as(c, 0, 0, y != SDX_UNDEFINED ? y : infer_dtype_of(c, 0)));
  SDX_TRY(infer_statistic(c, 1, axis));
  return p->rms ? SDX_OK : infer_statistic(c, 2, axis);
}

static sdx_status skip_infer(op_step *c) {
  int rank = infer_rank_of(c, 0);
  SDX_TRY(infer_rank(c, 0, 1, -1));
  SDX_TRY(infer_same(c, 0, 0));
  SDX_TRY(infer_statistic(c, 1, rank - 1));
  SDX_TRY(infer_statistic(c, 2, rank - 1));
  return infer_same(c, 3, 0);
}

// ---- compute ----------------------------------------------------------------------------------

static sdx_status prepare(op_step *c) {
  c->state = (void *)KERNEL_BEST(norm_f32);
  return prepare_widened(c, 0);
}

// The shape of `t` is that of x from `axis` on, ones in front aside.
static bool is_trailing(const tensor *t, const tensor *x, size_t axis) {
  if (!t) return true;
  if (t->rank > x->rank) return false;
  for (size_t i = 0; i < x->rank; i++) {
    size_t behind = x->rank - i;
    int64_t n = behind <= t->rank ? t->dims[t->rank - behind] : 1;
    if (n != (i < axis ? 1 : x->dims[i])) return false;
  }
  return true;
}

typedef struct layer_job {
  const norm_f32_kernel *kernel;
  const float *x, *scale, *bias;
  float *y, *mean, *inverse;
  size_t cols;
  float epsilon;
  bool rms;
} layer_job;

static void range(void *context, size_t begin, size_t end, size_t worker) {
  const layer_job *j = context;
  const float *x = j->x + begin * j->cols;
  float *y = j->y + begin * j->cols, *inverse = j->inverse ? j->inverse + begin : NULL;
  if (j->rms) j->kernel->rms(x, j->scale, j->bias, y, inverse, end - begin, j->cols, j->epsilon);
  else
    j->kernel->layer(x, j->scale, j->bias, y, j->mean ? j->mean + begin : NULL, inverse, end - begin, j->cols,
                     j->epsilon);
}

static sdx_status normalize(op_step *c, const tensor *x, const tensor *scale, const tensor *bias, tensor *y,
                            tensor *mean, tensor *inverse) {
  const layer_params *p = c->params;
  size_t axis = (size_t)(p->axis < 0 ? p->axis + x->rank : p->axis), cols = 1;
  for (size_t i = axis; i < x->rank; i++) cols *= (size_t)x->dims[i];
  if (y->count == 0) return SDX_OK;
  size_t rows = x->count / cols;
  bool plain = is_trailing(scale, x, axis) && is_trailing(bias, x, axis);
  if (!plain || !normalize_in_float(6, (const tensor *[]){x, y, scale, bias, mean, inverse})) {
    normalize_rows(c, x, y, mean, inverse, rows, cols, p->epsilon, p->rms);
    return normalize_affine(c, y, scale, bias);
  }
  layer_job j = {c->state ? c->state : KERNEL_BEST(norm_f32),
                 x->data,
                 scale->data,
                 bias ? bias->data : NULL,
                 y->data,
                 mean ? mean->data : NULL,
                 inverse ? inverse->data : NULL,
                 cols,
                 p->epsilon,
                 p->rms};
  call_parallel(c, rows, cols >= GRAIN_CHEAP ? 1 : GRAIN_CHEAP / cols, range, &j);
  return SDX_OK;
}

static sdx_status layer(op_step *c) {
  bool rms = ((const layer_params *)c->params)->rms;
  return normalize(c, step_in(c, 0), step_in(c, 1), step_in(c, 2), step_out(c, 0), rms ? NULL : step_out(c, 1),
                   step_out(c, rms ? 1 : 2));
}
static sdx_status skip(op_step *c) {
  bool rms = ((const layer_params *)c->params)->rms;  // has no beta: bias stands one place earlier
  const tensor *beta = rms ? NULL : step_in(c, 3), *bias = step_in(c, rms ? 3 : 4);
  tensor *sum = step_out(c, 3) ? step_out(c, 3) : step_out(c, 0);
  SDX_TRY(arithmetic_add(c, sum, step_in(c, 0), step_in(c, 1)));
  if (bias) SDX_TRY(arithmetic_add(c, sum, sum, bias));
  return normalize(c, sum, step_in(c, 2), beta, step_out(c, 0), step_out(c, 1), step_out(c, 2));
}
static sdx_status layer_compute(op_step *c) { return step_out(c, 0) ? call_widened(c, layer) : SDX_OK; }
static sdx_status skip_compute(op_step *c) { return step_out(c, 0) ? call_widened(c, skip) : SDX_OK; }

// ---- records ----------------------------------------------------------------------------------

SDX_CASES = {"X=float[2,3,4] Scale=float[4] B=float[4]",
             "X=float[2,3,4] Scale=float[3,4] axis=1",
             "X=float16[2,5] Scale=float16[5] B=float16[5]",
             "X=double[2,3] Scale=double[3]",
             "X=float[2,3,4] Scale=float[1] axis=-2",
             "X=float[0,4] Scale=float[4]",
             NULL};
static const char *const rms_cases[] = {"X=float[2,3,4] scale=float[4]", "X=float16[2,5] scale=float16[5]",
                                        "X=float[2,3,4] scale=float[3,4] axis=1", "X=double[2,3] scale=double[3]",
                                        NULL};
static const char *const skip_cases[] = {"input=float[2,3,4] skip=float[2,3,4] gamma=float[4]",
                                         "input=float16[2,3,4] skip=float16[3,4] gamma=float16[4]", NULL};

// clang-format off
SDX_OP(LayerNormalization) = {
    .since = 17, .versions = "17 1", .inputs = "X:T Scale:T B:T?", .outputs = "Y:T Mean:U? InvStdDev:U?",
    .types = "T=" TYPES_FLOAT ";U=float,bfloat16,double", .attrs = "axis:int=-1 epsilon:float=1e-5 stash_type:int=1",
    .flags = OP_INPLACE, .params_size = sizeof(layer_params), .params = layer_params_read, .infer = infer,
    .prepare = prepare, .compute = layer_compute, .cases = cases};
#define RMS(Since, Versions, Outputs)                                                                            \
  {.since = Since, .versions = Versions, .inputs = "X:T scale:V", .outputs = Outputs,                            \
   .types = "T=" TYPES_FLOAT ";V=" TYPES_FLOAT ";U=float,bfloat16,double",                                       \
   .attrs = "axis:int=-1 epsilon:float=1e-5 stash_type:int=1", .flags = OP_INPLACE,                              \
   .params_size = sizeof(layer_params), .params = rms_params_read, .infer = infer, .prepare = prepare,           \
   .compute = layer_compute, .cases = rms_cases}
SDX_OP(RMSNormalization) = RMS(23, "23", "Y:V");
SDX_OP(SimplifiedLayerNormalization) = RMS(1, "1", "Y:V inv_std_var:U?");
SDX_OP_MS(SimplifiedLayerNormalization) = RMS(1, "1", "Y:V inv_std_var:U?");
#define SKIP(lower, Inputs)                                                                                      \
  {.since = 1, .versions = "1", .inputs = Inputs,                                                                \
   .outputs = "output:T mean:float? inv_std_var:float? input_skip_bias_sum:T?",                                  \
   .types = "T=" TYPES_FLOAT, .attrs = "epsilon:float=1e-12", .params_size = sizeof(layer_params),               \
   .params = lower##_params_read, .infer = skip_infer, .prepare = prepare, .compute = skip_compute,              \
   .cases = skip_cases}
SDX_OP_MS(SkipLayerNormalization) = SKIP(skip, "input:T skip:T gamma:T beta:T? bias:T?");
SDX_OP_MS(SkipSimplifiedLayerNormalization) = SKIP(skip_rms, "input:T skip:T gamma:T bias:T?");
// clang-format on

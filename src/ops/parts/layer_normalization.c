// SPDX-License-Identifier: Apache-2.0
// See layer_normalization.h. float and half run the rows of norm_f32; double, mixed types and a Scale that is not
// simply the shape of the normalised axes take normalize.c. Statistics never have less precision than float
// (stash_type).
#include "ops/parts/layer_normalization.h"

#include "kernels/norm_f32/norm_f32.h"
#include "ops/call.h"
#include "ops/infer.h"
#include "ops/parts/normalize.h"
#include "ops/parts/row.h"

sdx_status layer_normalization_read(op_params_context *c, void *params) {
  layer_normalization_params *p = params;
  SDX_TRY(normalize_epsilon(c, &p->epsilon));
  p->axis = params_int(c, "axis");
  p->stash = (sdx_dtype)params_int(c, "stash_type");
  if (p->stash != SDX_FLOAT && p->stash != SDX_BFLOAT16 && p->stash != SDX_DOUBLE)
    return params_fail(c, "stash_type", "is %d, expected 1 (float), 11 (double) or 16 (bfloat16)", (int)p->stash);
  return SDX_OK;
}
sdx_status layer_normalization_read_rms(op_params_context *c, void *params) {
  ((layer_normalization_params *)params)->rms = true;
  return layer_normalization_read(c, params);
}

// ---- infer ------------------------------------------------------------------------------------

sdx_status layer_normalization_infer_statistic(op_step *c, size_t output, int64_t axis) {
  int64_t dims[TENSOR_MAX_RANK];
  int rank = infer_rank_of(c, 0);
  for (int i = 0; i < rank; i++) dims[i] = i < axis ? c->in_types[0]->dims[i] : 1;
  return infer_output(c, output, ((const layer_normalization_params *)c->params)->stash, rank, dims);
}

sdx_status layer_normalization_infer(op_step *c) {
  const layer_normalization_params *p = c->params;
  int rank = infer_rank_of(c, 0);
  int64_t axis = p->axis;
  if (rank >= 0 && axis_normalize(&axis, (size_t)rank, (error_part){0}, NULL) != SDX_OK)
    return step_fail_at(c, at_attribute("axis"), SDX_OUT_OF_RANGE, "is %lld, expected within [-%d, %d)",
                        (long long)p->axis, rank, rank);
  sdx_dtype y = infer_dtype_of(c, 1);  // RMSNormalization: Y has the type of scale
  SDX_TRY(infer_same_as(c, 0, 0, y != SDX_UNDEFINED ? y : infer_dtype_of(c, 0)));
  SDX_TRY(layer_normalization_infer_statistic(c, 1, axis));
  return p->rms ? SDX_OK : layer_normalization_infer_statistic(c, 2, axis);
}

// ---- compute ----------------------------------------------------------------------------------

sdx_status layer_normalization_prepare(op_step *c) {
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

sdx_status layer_normalization_run(op_step *c, const tensor *x, const tensor *scale, const tensor *bias, tensor *y,
                                   tensor *mean, tensor *inverse) {
  const layer_normalization_params *p = c->params;
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
  bool rms = ((const layer_normalization_params *)c->params)->rms;
  return layer_normalization_run(c, step_in(c, 0), step_in(c, 1), step_in(c, 2), step_out(c, 0),
                                 rms ? NULL : step_out(c, 1), step_out(c, rms ? 1 : 2));
}
sdx_status layer_normalization_compute(op_step *c) { return step_out(c, 0) ? call_widened(c, layer) : SDX_OK; }

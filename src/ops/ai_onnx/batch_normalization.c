// SPDX-License-Identifier: Apache-2.0
// BatchNormalization: (X - mean) / sqrt(var + epsilon) * scale + B along axis 1, computed as x * k + s with
// k and s made in double once a call. training_mode=1 takes mean and variance from the batch and returns
// the running ones: running = input * momentum + batch * (1 - momentum).
//
// History: 1 and 6 had `is_test` and `spatial`, 7 `spatial` (0: one statistic an activation instead of a
// channel; kept as _spatial), 9 neither; up to 13 five outputs instead of one ask for training, of which the last
// two (saved_mean and saved_var) are not computed. 14 brought training_mode, 15 types of their own for the
// parameters.
#include <math.h>

#include "base/size.h"
#include "kernels/norm_f32/norm_f32.h"
#include "ops/call.h"
#include "ops/infer.h"
#include "ops/parts/normalize.h"
#include "ops/parts/row.h"
#include "tensor/convert.h"

typedef struct batch_params {
  float epsilon, momentum;
  bool training, per_activation;
} batch_params;

static sdx_status batch_normalization_read(op_params_context *c, void *params) {
  batch_params *p = params;
  p->momentum = params_float(c, "momentum");
  p->training = params_int(c, "training_mode") != 0;
  p->per_activation = params_int(c, "_spatial") == 0;
  return normalize_epsilon(c, &p->epsilon);
}

static sdx_status batch_normalization_upgrade(op_upgrade *u) {
  node *n = u->node;
  bool test = u->version < 7 && node_attr_int(n, "is_test", 0) != 0;
  if (u->version < 9 && !node_attr_int(n, "spatial", 1)) return node_set_attr(u->graph, n, attr_of_int("_spatial", 0));
  if (u->version >= 14 || n->output_count < 2 || test) return SDX_OK;
  return node_set_attr(u->graph, n, attr_of_int("training_mode", 1));
}

static sdx_status batch_normalization_infer(op_step *c) {
  const batch_params *p = c->params;
  int rank = infer_rank_of(c, 0);
  SDX_TRY(infer_rank(c, 0, 1, -1));
  int64_t channels = rank < 1 ? DIM_UNKNOWN : rank == 1 ? 1 : c->in_types[0]->dims[1];
  for (size_t i = 1; i < 5 && !p->per_activation; i++) {
    SDX_TRY(infer_rank(c, i, 1, 1));
    if (infer_rank_of(c, i) == 1 && channels >= 0 && c->in_types[i]->dims[0] >= 0 &&
        c->in_types[i]->dims[0] != channels)
      return step_fail_at(c, at_input(i), SDX_INVALID_SHAPE, "has %lld elements for %lld channels",
                          (long long)c->in_types[i]->dims[0], (long long)channels);
  }
  SDX_TRY(infer_same(c, 0, 0));
  if (!p->training) return SDX_OK;
  SDX_TRY(infer_output(c, 1, infer_dtype_of(c, 3), 1, &channels));
  return infer_output(c, 2, infer_dtype_of(c, 3), 1, &channels);
}

// Where channels lie last, each pixel is a batch entry without spatial dimensions.
static void batch_normalization_layouts(op_step *c, step_layouts *l) {
  const batch_params *p = c->params;
  if (!p->training && !p->per_activation && c->in_types[0]->dtype == SDX_FLOAT) layouts_follow(c, l);
}

// ---- compute ----------------------------------------------------------------------------------

typedef struct batch_job {
  const norm_f32_kernel *kernel;
  const tensor *x;
  tensor *y;
  size_t batch, channels, spatial;
  double *mean, *variance, *k, *s;  // one a channel
  float *float_k, *float_s;
} batch_job;

enum { BLOCK = 256 };

// Units are planes of one image and channel; planes of neighbouring channels go to the kernel together.
static void float_range(void *context, size_t begin, size_t end, size_t worker) {
  const batch_job *j = context;
  for (size_t unit = begin; unit < end;) {
    size_t channel = unit % j->channels, n = j->channels - channel < end - unit ? j->channels - channel : end - unit;
    j->kernel->channels((const float *)j->x->data + unit * j->spatial, j->float_k + channel, j->float_s + channel,
                        (float *)j->y->data + unit * j->spatial, n, j->spatial);
    unit += n;
  }
}
static void any_range(void *context, size_t begin, size_t end, size_t worker) {
  const batch_job *j = context;
  double block[BLOCK];
  for (size_t unit = begin; unit < end; unit++) {
    size_t channel = unit % j->channels;
    for (size_t i = 0; i < j->spatial; i += BLOCK) {
      size_t n = j->spatial - i < BLOCK ? j->spatial - i : BLOCK, first = unit * j->spatial + i;
      convert_to_doubles((sdx_dtype)j->x->dtype, j->x->data, first, n, block);
      for (size_t e = 0; e < n; e++) block[e] = block[e] * j->k[channel] + j->s[channel];
      convert_from_doubles((sdx_dtype)j->y->dtype, j->y->data, first, n, block);
    }
  }
}

// Sum of (x - center)^power over a channel of the batch.
static double channel_sum(const batch_job *j, size_t channel, double center, int power) {
  double total = 0, block[BLOCK];
  for (size_t b = 0; b < j->batch; b++)
    for (size_t i = 0; i < j->spatial; i += BLOCK) {
      size_t n = j->spatial - i < BLOCK ? j->spatial - i : BLOCK;
      convert_to_doubles((sdx_dtype)j->x->dtype, j->x->data, (b * j->channels + channel) * j->spatial + i, n, block);
      for (size_t e = 0; e < n; e++) total += power == 1 ? block[e] : (block[e] - center) * (block[e] - center);
    }
  return total;
}
static void statistics_range(void *context, size_t begin, size_t end, size_t worker) {
  const batch_job *j = context;
  double count = (double)(j->batch * j->spatial);
  for (size_t channel = begin; channel < end; channel++) {
    j->mean[channel] = channel_sum(j, channel, 0, 1) / count;
    j->variance[channel] = channel_sum(j, channel, j->mean[channel], 2) / count;
  }
}

static void write_running(tensor *out, const tensor *before, const double *now, double momentum) {
  for (size_t i = 0; out && i < out->count; i++) {
    double v = tensor_number_at(before, i) * momentum + now[i] * (1 - momentum);
    convert_from_doubles((sdx_dtype)out->dtype, out->data, i, 1, &v);
  }
}

static sdx_status normalize(op_step *c) {
  const batch_params *p = c->params;
  const tensor *x = step_in(c, 0);
  batch_job j = {.kernel = c->state ? c->state : KERNEL_BEST(norm_f32),
                 .x = x,
                 .y = step_out(c, 0),
                 .batch = 1,
                 .channels = 1,
                 .spatial = 1};
  size_t axis = layout_axis((layout)c->layout, x->rank, 1);
  for (size_t i = 0; i < x->rank; i++)
    *(i < axis ? &j.batch : i == axis ? &j.channels : &j.spatial) *= (size_t)x->dims[i];
  if (p->per_activation) j.channels *= j.spatial, j.spatial = 1;
  for (size_t i = 1; i < 5; i++)
    if (step_in(c, i)->count != j.channels)
      return step_fail_at(c, at_input(i), SDX_INVALID_SHAPE, "has %zu elements, expected %zu", step_in(c, i)->count,
                          j.channels);
  size_t bytes;
  if (!size_mul(j.channels, 4 * sizeof(double) + 2 * sizeof(float), &bytes)) return call_no_memory(c, SIZE_MAX);
  j.mean = call_scratch(c, bytes);
  if (!j.mean) return c->err->status;
  j.variance = j.mean + j.channels, j.k = j.variance + j.channels, j.s = j.k + j.channels;
  j.float_k = (float *)(j.s + j.channels), j.float_s = j.float_k + j.channels;
  const tensor *scale = step_in(c, 1), *bias = step_in(c, 2);
  if (p->training) {
    call_parallel(c, j.channels, 1, statistics_range, &j);
    write_running(step_out(c, 1), step_in(c, 3), j.mean, p->momentum);
    write_running(step_out(c, 2), step_in(c, 4), j.variance, p->momentum);
  } else {
    convert_to_doubles((sdx_dtype)step_in(c, 3)->dtype, step_in(c, 3)->data, 0, j.channels, j.mean);
    convert_to_doubles((sdx_dtype)step_in(c, 4)->dtype, step_in(c, 4)->data, 0, j.channels, j.variance);
  }
  convert_to_doubles((sdx_dtype)scale->dtype, scale->data, 0, j.channels, j.k);
  convert_to_doubles((sdx_dtype)bias->dtype, bias->data, 0, j.channels, j.s);
  for (size_t i = 0; i < j.channels; i++) {
    j.k[i] /= sqrt(j.variance[i] + p->epsilon);
    j.s[i] -= j.mean[i] * j.k[i];
    j.float_k[i] = (float)j.k[i], j.float_s[i] = (float)j.s[i];
  }
  if (x->count == 0) return SDX_OK;
  call_parallel(c, x->count / j.spatial, j.spatial >= GRAIN_CHEAP ? 1 : GRAIN_CHEAP / j.spatial,
                x->dtype == SDX_FLOAT ? float_range : any_range, &j);
  return SDX_OK;
}
static sdx_status batch_normalization_compute(op_step *c) {
  return step_out(c, 0) ? call_widened(c, normalize) : SDX_OK;
}

static sdx_status batch_normalization_prepare(op_step *c) {
  c->state = (void *)KERNEL_BEST(norm_f32);
  size_t bytes, channels = step_in(c, 1)->count;
  if (!size_mul(channels, 4 * sizeof(double) + 2 * sizeof(float), &bytes)) return error_no_memory(c->err, SIZE_MAX);
  return prepare_widened(c, bytes);
}

SDX_CASES = {"X=float[2,3,4,5] scale=float[3] B=float[3] input_mean=float[3] input_var=float[3]",
             "X=float16[2,3,7] scale=float[3] B=float[3] input_mean=float[3] input_var=float[3]",
             "X=double[4,3] scale=double[3] B=double[3] input_mean=double[3] input_var=double[3]", NULL};

// clang-format off
SDX_OP(BatchNormalization) = {
    .since = 15, .versions = "15 14 9 7 6 1", .inputs = "X:T scale:T1 B:T1 input_mean:T2 input_var:T2",
    .outputs = "Y:T running_mean:T2? running_var:T2?",
    .types = "T=" TYPES_FLOAT ";T1=" TYPES_FLOAT ";T2=" TYPES_FLOAT,
    .attrs = "epsilon:float=1e-5 momentum:float=0.9 training_mode:int=0 _spatial:int=1",
    .attrs_old = "consumed_inputs:ints<6 is_test:int<7 spatial:int<9", .flags = OP_INPLACE | OP_TRAILING_EXTRA,
    .params_size = sizeof(batch_params), .params = batch_normalization_read, .upgrade = batch_normalization_upgrade,
    .infer = batch_normalization_infer, .layouts = batch_normalization_layouts, .prepare = batch_normalization_prepare,
    .compute = batch_normalization_compute, .cases = cases};
// clang-format on

// SPDX-License-Identifier: Apache-2.0
// GroupNormalization: every group of C / num_groups channels of an image is normalised as a whole, then
// scale[c] and bias[c] are applied. InstanceNormalization is the same with one channel a group.
// History: GroupNormalization 18 had one scale and bias a group (the upgrade marks it _per_group), 21 has one a
// channel. InstanceNormalization 6 and 22 changed types only.
#include "kernels/norm_f32/norm_f32.h"
#include "ops/call.h"
#include "ops/infer.h"
#include "ops/parts/normalize.h"
#include "ops/parts/row.h"
#include "tensor/convert.h"

typedef struct group_params {
  float epsilon;
  int64_t groups;  // 0: one a channel
  bool per_group;
} group_params;

static sdx_status instance_normalization_read(op_params_context *c, void *params) {
  return normalize_epsilon(c, &((group_params *)params)->epsilon);
}
static sdx_status group_normalization_read(op_params_context *c, void *params) {
  group_params *p = params;
  p->groups = params_int(c, "num_groups");
  p->per_group = params_int(c, "_per_group") != 0;
  if (p->groups <= 0) return params_fail(c, "num_groups", "is %lld, expected at least 1", (long long)p->groups);
  return normalize_epsilon(c, &p->epsilon);
}
static sdx_status group_normalization_upgrade(op_upgrade *u) {
  return u->version < 21 ? node_set_attr(u->graph, u->node, attr_of_int("_per_group", 1)) : SDX_OK;
}

static sdx_status group_normalization_infer(op_step *c) {
  const group_params *p = c->params;
  SDX_TRY(infer_rank(c, 0, 2, -1));
  if (infer_rank_of(c, 0) >= 2 && c->in_types[0]->dims[1] >= 0) {
    int64_t channels = c->in_types[0]->dims[1], expected = p->per_group ? p->groups : channels;
    if (p->groups && channels % p->groups)
      return step_fail_at(c, at_input(0), SDX_INVALID_SHAPE,
                          "has %lld channels, which cannot be split into %lld groups", (long long)channels,
                          (long long)p->groups);
    for (size_t i = 1; i < 3; i++) {
      int64_t count = infer_count(c, i);
      if (count >= 0 && count != 1 && count != expected)
        return step_fail_at(c, at_input(i), SDX_INVALID_SHAPE, "has %lld elements, expected 1 or %lld",
                            (long long)count, (long long)expected);
    }
  }
  return infer_same(c, 0, 0);
}

static sdx_status group_normalization_prepare(op_step *c) {
  c->state = (void *)KERNEL_BEST(norm_f32);
  return prepare_widened(c, 0);
}

typedef struct group_job {
  const norm_f32_kernel *kernel;
  const float *x, *scale, *bias;
  float *y;
  size_t groups, channels, spatial;  // channels of a group
  float epsilon;
} group_job;

static void range(void *context, size_t begin, size_t end, size_t worker) {
  const group_job *j = context;
  for (size_t unit = begin; unit < end; unit++) {
    size_t offset = unit * j->channels * j->spatial, first = unit % j->groups * j->channels;
    j->kernel->group(j->x + offset, j->scale + first, j->bias + first, j->y + offset, j->channels, j->spatial,
                     j->epsilon);
  }
}

// One value a group, or one for all, to one a channel.
static sdx_status spread(op_step *c, tensor *t, size_t channels) {
  size_t each = channels / t->count;
  if (each == 1) return SDX_OK;
  size_t width = (size_t)dtype_bits((sdx_dtype)t->dtype) / 8;
  char *to = call_alloc(c, channels * width);
  if (!to) return call_no_memory(c, channels * width);
  for (size_t i = 0; i < channels; i++) memcpy(to + i * width, (const char *)t->data + i / each * width, width);
  t->data = to;
  t->count = channels;
  t->bytes = channels * width;
  return SDX_OK;
}

static sdx_status normalize(op_step *c) {
  const group_params *p = c->params;
  const tensor *x = step_in(c, 0);
  tensor *y = step_out(c, 0), scale = *step_in(c, 1), bias = *step_in(c, 2);
  size_t channels = (size_t)x->dims[1], groups = p->groups ? (size_t)p->groups : channels;
  if (y->count == 0) return SDX_OK;
  size_t each = channels / groups, spatial = x->count / (size_t)x->dims[0] / channels;
  size_t units = (size_t)x->dims[0] * groups;
  SDX_TRY(spread(c, &scale, channels));
  SDX_TRY(spread(c, &bias, channels));
  if (!normalize_in_float(3, (const tensor *[]){x, &scale, &bias})) {
    int64_t scale_dims[TENSOR_MAX_RANK], bias_dims[TENSOR_MAX_RANK];
    tensor scale_view = normalize_channel_view(&scale, x->rank, scale_dims);
    tensor bias_view = normalize_channel_view(&bias, x->rank, bias_dims);
    normalize_rows(c, x, y, NULL, NULL, units, each * spatial, p->epsilon, false);
    return normalize_affine(c, y, &scale_view, &bias_view);
  }
  group_job j = {c->state ? c->state : KERNEL_BEST(norm_f32),
                 x->data,
                 scale.data,
                 bias.data,
                 y->data,
                 groups,
                 each,
                 spatial,
                 p->epsilon};
  size_t work = each * spatial;
  call_parallel(c, units, work >= GRAIN_CHEAP ? 1 : GRAIN_CHEAP / work, range, &j);
  return SDX_OK;
}
static sdx_status group_normalization_compute(op_step *c) {
  return step_out(c, 0) ? call_widened(c, normalize) : SDX_OK;
}

SDX_CASES = {"X=float[2,6,4,5] scale=float[6] bias=float[6] num_groups=3",
             "X=float16[1,4,7] scale=float16[4] bias=float16[4] num_groups=2",
             "X=double[2,4,3] scale=double[4] bias=double[4] num_groups=1", NULL};
static const char *const instance_cases[] = {"input=float[2,3,4,5] scale=float[3] B=float[3]",
                                             "input=float16[1,2,9] scale=float16[2] B=float16[2]",
                                             "input=double[2,3,4] scale=double[3] B=double[3]", NULL};

// clang-format off
SDX_OP(InstanceNormalization) = {
    .since = 22, .versions = "22 6 1", .inputs = "input:T scale:T B:T", .outputs = "output:T",
    .types = "T=" TYPES_FLOAT, .attrs = "epsilon:float=1e-5", .attrs_old = "consumed_inputs:ints<6",
    .flags = OP_INPLACE,
    .params_size = sizeof(group_params), .params = instance_normalization_read, .infer = group_normalization_infer,
    .prepare = group_normalization_prepare,
    .compute = group_normalization_compute, .cases = instance_cases};
SDX_OP(GroupNormalization) = {
    .since = 21, .versions = "21 18", .inputs = "X:T scale:T bias:T", .outputs = "Y:T", .types = "T=" TYPES_FLOAT,
    .attrs = "epsilon:float=1e-5 num_groups:int! stash_type:int=1 _per_group:int=0", .flags = OP_INPLACE,
    .params_size = sizeof(group_params), .params = group_normalization_read, .upgrade = group_normalization_upgrade,
    .infer = group_normalization_infer,
    .prepare = group_normalization_prepare, .compute = group_normalization_compute, .cases = cases};
// clang-format on

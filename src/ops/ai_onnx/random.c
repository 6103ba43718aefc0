// SPDX-License-Identifier: Apache-2.0
// RandomNormal RandomUniform (and ...Like), Bernoulli, Multinomial. With `seed` each run of a node
// gives the same numbers; without it each run draws a new seed. History: 22 bfloat16.
#include "ops/parts/random.h"
#include "ops/call.h"
#include "ops/infer.h"
#include "ops/parts/row.h"
#include "tensor/convert.h"

typedef enum random_kind { UNIFORM, NORMAL } random_kind;

typedef struct random_params {
  random_kind kind;
  double a, b;  // low and high, or mean and scale
  bool seeded;
  float seed;
  sdx_dtype dtype;  // SDX_UNDEFINED: that of the input
  const int64_t *shape;
  size_t rank;
  int64_t samples;
} random_params;

// ---- params -----------------------------------------------------------------------------------

static sdx_status read_common(op_params_context *c, random_params *p) {
  p->seeded = params_has(c, "seed");
  if (p->seeded) p->seed = params_float(c, "seed");
  int64_t dtype = params_int(c, "dtype");
  if (dtype < 0 || dtype >= SDX_DTYPE_COUNT)
    return params_fail(c, "dtype", "is %lld, expected an element type", (long long)dtype);
  p->dtype = (sdx_dtype)dtype;
  return SDX_OK;
}
static sdx_status read_float(op_params_context *c, random_params *p) {
  SDX_TRY(read_common(c, p));
  if (p->dtype != SDX_UNDEFINED && p->dtype != SDX_FLOAT && p->dtype != SDX_DOUBLE && !dtype_is_half(p->dtype))
    return params_fail(c, "dtype", "is %s, expected a float type", dtype_name(p->dtype));
  p->shape = params_ints(c, "shape", &p->rank);
  for (size_t i = 0; i < p->rank; i++)
    if (p->shape[i] < 0) return params_fail(c, "shape", "has dimension %lld", (long long)p->shape[i]);
  return SDX_OK;
}
static sdx_status random_uniform_read(op_params_context *c, void *params) {
  random_params *p = params;
  p->kind = UNIFORM, p->a = params_float(c, "low"), p->b = params_float(c, "high");
  return read_float(c, p);
}
static sdx_status random_normal_read(op_params_context *c, void *params) {
  random_params *p = params;
  p->kind = NORMAL, p->a = params_float(c, "mean"), p->b = params_float(c, "scale");
  return read_float(c, p);
}
static sdx_status bernoulli_read(op_params_context *c, void *params) { return read_common(c, params); }
static sdx_status multinomial_read(op_params_context *c, void *params) {
  random_params *p = params;
  p->samples = params_int(c, "sample_size");
  if (p->samples < 0) return params_fail(c, "sample_size", "is %lld, expected at least 0", (long long)p->samples);
  SDX_TRY(read_common(c, p));
  if (p->dtype != SDX_INT32 && p->dtype != SDX_INT64)
    return params_fail(c, "dtype", "is %s, expected int32 or int64", dtype_name(p->dtype));
  return SDX_OK;
}

// ---- infer ------------------------------------------------------------------------------------

static sdx_status random_infer(op_step *c) {
  const random_params *p = c->params;
  if (p->rank > TENSOR_MAX_RANK)
    return step_fail_at(c, at_attribute("shape"), SDX_INVALID_SHAPE, "has %zu dimensions, at most %d are possible",
                        p->rank, TENSOR_MAX_RANK);
  return infer_output(c, 0, p->dtype, (int)p->rank, p->shape);
}
static sdx_status random_like_infer(op_step *c) {
  const random_params *p = c->params;
  return infer_same_as(c, 0, 0, p->dtype != SDX_UNDEFINED ? p->dtype : infer_dtype_of(c, 0));
}
static sdx_status multinomial_infer(op_step *c) {
  const random_params *p = c->params;
  SDX_TRY(infer_rank(c, 0, 2, 2));
  int64_t dims[] = {infer_rank_of(c, 0) == 2 ? c->in_types[0]->dims[0] : DIM_UNKNOWN, p->samples};
  return infer_output(c, 0, p->dtype, 2, dims);
}

// ---- compute ----------------------------------------------------------------------------------

static uint64_t seed_of(const random_params *p) {
  double seed = p->seed;
  uint64_t bits;
  if (!p->seeded) return random_new_seed();
  memcpy(&bits, &seed, sizeof bits);
  return random_mix(bits);
}

typedef struct random_job {
  const random_params *params;
  const tensor *in;
  tensor *out;
  uint64_t seed;
} random_job;

enum { BLOCK = 256 };

static void number_range(void *context, size_t begin, size_t end, size_t worker) {
  const random_job *j = context;
  const random_params *p = j->params;
  double block[BLOCK];
  for (size_t i = begin; i < end; i += BLOCK) {
    size_t n = end - i < BLOCK ? end - i : BLOCK;
    for (size_t k = 0; k < n; k++)
      block[k] = p->kind == UNIFORM ? p->a + (p->b - p->a) * random_uniform(j->seed, i + k)
                                    : p->a + p->b * random_normal(j->seed, i + k);
    convert_from_doubles((sdx_dtype)j->out->dtype, j->out->data, i, n, block);
  }
}
static void bernoulli_range(void *context, size_t begin, size_t end, size_t worker) {
  const random_job *j = context;
  double block[BLOCK];
  for (size_t i = begin; i < end; i += BLOCK) {
    size_t n = end - i < BLOCK ? end - i : BLOCK;
    convert_to_doubles((sdx_dtype)j->in->dtype, j->in->data, i, n, block);
    for (size_t k = 0; k < n; k++) block[k] = random_uniform(j->seed, i + k) < block[k];
    convert_from_doubles((sdx_dtype)j->out->dtype, j->out->data, i, n, block);
  }
}
// Rows of unnormalised log-probabilities: the class where the running sum passes u * total.
static void multinomial_range(void *context, size_t begin, size_t end, size_t worker) {
  const random_job *j = context;
  size_t classes = (size_t)j->in->dims[1], samples = (size_t)j->params->samples, done = 0;
  double max = 0, total = 0;
  for (size_t i = begin; i < end; i++) {
    if (i == begin || i % samples == 0) {
      max = -INFINITY, total = 0;
      for (size_t k = 0; k < classes && !pool_stopped_after(&done, 1); k++)
        max = fmax(max, tensor_number_at(j->in, i / samples * classes + k));
      for (size_t k = 0; k < classes && !pool_stopped_after(&done, 1); k++)
        total += exp(tensor_number_at(j->in, i / samples * classes + k) - max);
    }
    size_t chosen = 0;
    double limit = random_uniform(j->seed, i) * total, running = 0;
    for (size_t k = 0; k < classes && !pool_stopped_after(&done, 1); k++) {
      running += exp(tensor_number_at(j->in, i / samples * classes + k) - max);
      chosen = k;
      if (running > limit) break;
    }
    convert_set_int((sdx_dtype)j->out->dtype, j->out->data, i, (int64_t)chosen);
  }
}

static sdx_status draw(op_step *c, void (*range)(void *, size_t, size_t, size_t)) {
  random_job j = {c->params, step_in(c, 0), step_out(c, 0), seed_of(c->params)};
  if (j.out) call_parallel(c, j.out->count, GRAIN_COSTLY, range, &j);
  return SDX_OK;
}
static sdx_status random_compute(op_step *c) { return draw(c, number_range); }
static sdx_status bernoulli_compute(op_step *c) { return draw(c, bernoulli_range); }
static sdx_status multinomial_compute(op_step *c) {
  const tensor *in = step_in(c, 0);
  if (step_out(c, 0) && step_out(c, 0)->count && in->dims[1] == 0)
    return step_fail_at(c, at_input(0), SDX_INVALID_SHAPE, "has no classes to choose from");
  return draw(c, multinomial_range);
}

// ---- records ----------------------------------------------------------------------------------

// clang-format off
#define COMMON .params_size = sizeof(random_params), .flags = OP_NONDETERMINISTIC
#define ANY_TYPE "T1=any;T2=" TYPES_FLOAT
SDX_OP(RandomNormal) = {.since = 22, .versions = "22 1", .inputs = "", .outputs = "output:T", .types = "T=" TYPES_FLOAT,
    .attrs = "dtype:int=1 mean:float=0 scale:float=1 seed:float shape:ints!", COMMON, .params = random_normal_read,
    .infer = random_infer, .compute = random_compute};
SDX_OP(RandomUniform) = {.since = 22, .versions = "22 1", .inputs = "", .outputs = "output:T",
                         .types = "T=" TYPES_FLOAT,
    .attrs = "dtype:int=1 low:float=0 high:float=1 seed:float shape:ints!", COMMON, .params = random_uniform_read,
    .infer = random_infer, .compute = random_compute};
SDX_OP(RandomNormalLike) = {.since = 22, .versions = "22 1", .inputs = "input:T1", .outputs = "output:T2",
    .types = ANY_TYPE, .attrs = "dtype:int mean:float=0 scale:float=1 seed:float", COMMON, .params = random_normal_read,
    .infer = random_like_infer, .compute = random_compute};
SDX_OP(RandomUniformLike) = {.since = 22, .versions = "22 1", .inputs = "input:T1", .outputs = "output:T2",
    .types = ANY_TYPE, .attrs = "dtype:int low:float=0 high:float=1 seed:float", COMMON, .params = random_uniform_read,
    .infer = random_like_infer, .compute = random_compute};
SDX_OP(Bernoulli) = {.since = 22, .versions = "22 15", .inputs = "input:T1", .outputs = "output:T2",
    .types = "T1=" TYPES_FLOAT ";T2=bool," TYPES_NUMBER, .attrs = "dtype:int seed:float", COMMON,
    .params = bernoulli_read, .infer = random_like_infer, .compute = bernoulli_compute};
SDX_OP(Multinomial) = {.since = 22, .versions = "22 7", .inputs = "input:T1", .outputs = "output:T2",
    .types = "T1=" TYPES_FLOAT ";T2=int32,int64", .attrs = "dtype:int=6 sample_size:int=1 seed:float", COMMON,
    .params = multinomial_read, .infer = multinomial_infer, .compute = multinomial_compute};
// clang-format on

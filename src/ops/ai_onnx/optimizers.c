// SPDX-License-Identifier: Apache-2.0
// Adagrad, Adam, Momentum of ai.onnx.preview.training: one step of an optimiser for any number of tensors. Inputs are
// the learning rate R, the update count T, then all tensors X, all their gradients G and their states (one or two of
// each); outputs are the new X and the new states in the same order.
#include <math.h>

#include "base/size.h"
#include "ops/call.h"
#include "ops/infer.h"
#include "ops/schema.h"
#include "tensor/convert.h"

typedef enum optimizer { ADAGRAD, ADAM, MOMENTUM, NESTEROV } optimizer;

typedef struct optimizer_params {
  optimizer kind;
  size_t states;  // of each tensor
  double norm, norm_post, epsilon, decay, alpha, beta;
} optimizer_params;

// R, T and a multiple of X, G and the states.
static sdx_status check_inputs(op_params_context *c, const optimizer_params *p) {
  size_t given = c->node->input_count, each = 2 + p->states;
  if (given >= 2 + each && (given - 2) % each == 0) return SDX_OK;
  return node_fail(c->node, c->err, (error_part){0}, SDX_INVALID_GRAPH,
                   "has %zu inputs, expected 2 and then %zu for each tensor", given, each);
}

static sdx_status adagrad_read(op_params_context *c, void *params) {
  optimizer_params *p = params;
  *p = (optimizer_params){.kind = ADAGRAD,
                          .states = 1,
                          .norm = (double)params_float(c, "norm_coefficient"),
                          .decay = (double)params_float(c, "decay_factor"),
                          .epsilon = (double)params_float(c, "epsilon")};
  return check_inputs(c, p);
}
static sdx_status adam_read(op_params_context *c, void *params) {
  optimizer_params *p = params;
  *p = (optimizer_params){.kind = ADAM,
                          .states = 2,
                          .norm = (double)params_float(c, "norm_coefficient"),
                          .norm_post = (double)params_float(c, "norm_coefficient_post"),
                          .epsilon = (double)params_float(c, "epsilon"),
                          .alpha = (double)params_float(c, "alpha"),
                          .beta = (double)params_float(c, "beta")};
  return check_inputs(c, p);
}
static sdx_status momentum_read(op_params_context *c, void *params) {
  optimizer_params *p = params;
  str mode = params_string(c, "mode");
  *p = (optimizer_params){.kind = str_is(mode, "nesterov") ? NESTEROV : MOMENTUM,
                          .states = 1,
                          .norm = (double)params_float(c, "norm_coefficient"),
                          .alpha = (double)params_float(c, "alpha"),
                          .beta = (double)params_float(c, "beta")};
  if (p->kind == MOMENTUM && !str_is(mode, "standard"))
    return params_fail(c, "mode", "is '%.*s', expected standard or nesterov", STR_ARG(mode));
  return check_inputs(c, p);
}

static size_t tensors_of(const optimizer_params *p, size_t input_count) { return (input_count - 2) / (2 + p->states); }

static sdx_status optimizers_infer(op_step *c) {
  const optimizer_params *p = c->params;
  size_t n = tensors_of(p, c->input_count);
  if (c->output_count > n * (1 + p->states))
    return step_fail(c, SDX_INVALID_GRAPH, "has %u outputs, but %zu tensors are updated", c->output_count, n);
  for (size_t i = 0; i < n; i++) {
    int rank = infer_rank_of(c, 2 + i);
    for (size_t k = 1; rank >= 0 && k < 2 + p->states; k++) {
      size_t input = 2 + k * n + i;
      SDX_TRY(infer_rank(c, input, rank, rank));
      if (infer_dtype_of(c, input) != infer_dtype_of(c, 2 + i))
        return step_fail_at(c, at_input(input), SDX_INVALID_SHAPE, "has another type than the tensor it belongs to");
      for (int d = 0; d < rank; d++) {
        int64_t dim = infer_dim(c, 2 + i, d);
        SDX_TRY(infer_agree(c, input, d, "as in the tensor", &dim));
      }
    }
    SDX_TRY(infer_same(c, i, 2 + i));
    for (size_t k = 0; k < p->states; k++) SDX_TRY(infer_same(c, (1 + k) * n + i, 2 + (2 + k) * n + i));
  }
  return SDX_OK;
}

// One number of one tensor; s: its states. Returns the new x.
static double update(const optimizer_params *p, double rate, bool first, double x, double g, double *s) {
  g += p->norm * x;
  if (p->kind == ADAGRAD) {
    s[0] += g * g;
    return x - rate * g / (sqrt(s[0]) + p->epsilon);
  }
  if (p->kind == ADAM) {
    s[0] = p->alpha * s[0] + (1 - p->alpha) * g;
    s[1] = p->beta * s[1] + (1 - p->beta) * g * g;
    return (1 - p->norm_post) * (x - rate * s[0] / (sqrt(s[1]) + p->epsilon));
  }
  s[0] = p->alpha * s[0] + (first ? 1 : p->beta) * g;
  return x - rate * (p->kind == NESTEROV ? g + p->alpha * s[0] : s[0]);
}

static sdx_status read_rate(op_step *c, const optimizer_params *p, double *rate, int64_t *count) {
  const tensor *r = step_in(c, 0), *t = step_in(c, 1);
  for (size_t i = 0; i < 2; i++)
    if (step_in(c, i)->count != 1)
      return step_fail_at(c, at_input(i), SDX_INVALID_SHAPE, "has %zu elements, expected 1", step_in(c, i)->count);
  convert_to_doubles((sdx_dtype)r->dtype, r->data, 0, 1, rate);
  *count = tensor_index_at(t, 0);
  if (p->kind == ADAGRAD) *rate /= 1 + (double)*count * p->decay;
  if (p->kind == ADAM && *count > 0)
    *rate *= sqrt(1 - pow(p->beta, (double)*count)) / (1 - pow(p->alpha, (double)*count));
  return SDX_OK;
}

static void store(tensor *t, size_t i, double value) {
  if (t) convert_from_doubles((sdx_dtype)t->dtype, t->data, i, 1, &value);
}

static sdx_status optimizers_compute(op_step *c) {
  const optimizer_params *p = c->params;
  size_t n = tensors_of(p, c->input_count);
  double rate;
  int64_t count = 0;
  SDX_TRY(read_rate(c, p, &rate, &count));
  for (size_t k = 0; k < n; k++) {
    const tensor *x = step_in(c, 2 + k), *g = step_in(c, 2 + n + k);
    for (size_t i = 0; i < x->count; i++) {
      double states[2];
      for (size_t s = 0; s < p->states; s++) states[s] = tensor_number_at(step_in(c, 2 + (2 + s) * n + k), i);
      store(step_out(c, k), i, update(p, rate, count <= 0, tensor_number_at(x, i), tensor_number_at(g, i), states));
      for (size_t s = 0; s < p->states; s++) store(step_out(c, (1 + s) * n + k), i, states[s]);
      if ((i & 0xffff) == 0xffff) SDX_TRY(call_check(c));
    }
  }
  return SDX_OK;
}

static const char *const adagrad_cases[] = {
    "R=float(0.1) T=int64(2) inputs=float[3] inputs=float[3] inputs=float[3]@0.1..2 outputs=2 decay_factor=0.1 "
    "norm_coefficient=0.01",
    NULL};
static const char *const adam_cases[] = {
    "R=float(0.1) T=int64(2) inputs=float[3] inputs=float[3] inputs=float[3] inputs=float[3]@0.1..2 outputs=3 "
    "norm_coefficient=0.01",
    "R=float(0.1) T=int64(0) inputs=float[3] inputs=float[3] inputs=float[3] inputs=float[3]@0.1..2 outputs=3 "
    "alpha=0.5 beta=0.9",
    NULL};
static const char *const momentum_cases[] = {
    "R=float(0.1) T=int64(2) inputs=float[3] inputs=float[3] inputs=float[3] outputs=2 alpha=0.9 beta=0.5 "
    "mode=standard norm_coefficient=0.01",
    "R=float(0.1) T=int64(0) inputs=float[3] inputs=float[3] inputs=float[3] outputs=2 alpha=0.9 beta=0.5 "
    "mode=nesterov norm_coefficient=0",
    NULL};

// clang-format off
#define RECORD(lower, Attrs)                                                                                   \
  {.since = 1, .versions = "1", .inputs = "R:T1 T:T2 inputs:T3+", .outputs = "outputs:T3+",                     \
   .types = "T1=float,double;T2=int64;T3=float,double", .attrs = Attrs, .flags = OP_MIXED,                       \
   .params_size = sizeof(optimizer_params), .params = lower##_read, .infer = optimizers_infer,                         \
   .compute = optimizers_compute,                                                                                      \
   .cases = lower##_cases}
SDX_OP_TRAINING(Adagrad) = RECORD(adagrad, "decay_factor:float=0 epsilon:float=0.000001 norm_coefficient:float=0");
SDX_OP_TRAINING(Adam) = RECORD(adam, "alpha:float=0.9 beta:float=0.999 epsilon:float=0.000001 "
                                     "norm_coefficient:float=0 norm_coefficient_post:float=0");
SDX_OP_TRAINING(Momentum) = RECORD(momentum, "alpha:float! beta:float! mode:string! norm_coefficient:float!");
// clang-format on

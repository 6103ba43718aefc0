// SPDX-License-Identifier: Apache-2.0
// Conv/Gemm (+ Add or Sum of a residual) + activation become com.microsoft FusedConv/FusedGemm, whose
// kernels add and activate while the tile is in registers. The arithmetic per element is the same.
#include <math.h>

#include "ops/parts/activations.h"
#include "passes/match.h"

typedef struct fused {
  const activation_def *activation;
  float numbers[2];
} fused;

// The activation a node computes of its first input, if a fused operator can take it.
static bool activation_of(const graph *g, const node *n, fused *f) {
  f->activation = activation_named(n->op_type);
  if (!f->activation || !match_is(n, f->activation->name)) return false;
  const attr *approximate = node_attr(n, "approximate");
  if (match_is(n, "Gelu") && approximate && str_is(approximate->s, "tanh"))
    f->activation = activation_named(STR("GeluTanh"));
  if (match_is(n, "Clip"))
    return match_scalar(g, n, 1, -INFINITY, &f->numbers[0]) && match_scalar(g, n, 2, INFINITY, &f->numbers[1]);
  f->numbers[0] = node_attr_float(n, "alpha", f->activation->usual.a);
  f->numbers[1] = node_attr_float(n, "beta", f->activation->usual.b);
  return true;
}

static bool is_float(const graph *g, value_id v) { return g->values[v].type.dtype == SDX_FLOAT; }

static sdx_status become(pass_context *c, node *n, const char *op_type) {
  n->domain = STR("com.microsoft");
  n->op_type = str_from(op_type);
  return op_bind(c->graph, n, 0, c->err);
}

static sdx_status set_conv_activation(pass_context *c, node *n, const fused *f) {
  SDX_TRY(node_set_attr(c->graph, n, attr_of_string("activation", f->activation->name)));
  size_t count = f->activation->numbers;
  if (count == 0) return SDX_OK;
  float *numbers = arena_copy(c->graph->memory, f->numbers, count * sizeof *numbers);
  if (!numbers) return error_no_memory(c->err, count * sizeof *numbers);
  attr a = {.name = STR("activation_params"), .kind = ATTR_FLOATS, .floats = {numbers, count}};
  return node_set_attr(c->graph, n, a);
}

static sdx_status set_gemm_activation(pass_context *c, node *n, const fused *f) {
  static const char *const names[] = {"activation_alpha", "activation_beta"};
  SDX_TRY(node_set_attr(c->graph, n, attr_of_string("activation", f->activation->name)));
  for (size_t i = 0; i < f->activation->numbers; i++)
    SDX_TRY(node_set_attr(c->graph, n, attr_of_float(names[i], f->numbers[i])));
  return SDX_OK;
}

// The other operand of `add` if it is a full-size tensor made before the convolution's result is read.
static value_id residual_of(const graph *g, const node *add, value_id conv_output) {
  bool adds = match_is(add, "Add") || (match_is(add, "Sum") && add->input_count == 2);
  if (!adds || add->inputs[0] == add->inputs[1]) return VALUE_ABSENT;
  value_id other = add->inputs[0] == conv_output ? add->inputs[1] : add->inputs[0];
  return match_same_shape(&g->values[other].type, &g->values[conv_output].type) ? other : VALUE_ABSENT;
}

static sdx_status fuse_conv(pass_context *c, node *conv, node **reader) {
  graph *g = c->graph;
  value_id last = conv->outputs[0], residual = VALUE_ABSENT;
  if (!is_float(g, last)) return SDX_OK;
  node *add = reader[last], *act;
  residual = add ? residual_of(g, add, last) : VALUE_ABSENT;
  if (residual) last = add->outputs[0];
  fused f = {0};
  act = reader[last];
  bool has_activation = act && act->inputs[0] == last && activation_of(g, act, &f);
  if (!residual && !has_activation) return SDX_OK;
  value_id *inputs = arena_array(g->memory, 4, sizeof *inputs);
  if (!inputs) return error_no_memory(c->err, 4 * sizeof *inputs);
  for (uint32_t i = 0; i < conv->input_count && i < 3; i++) inputs[i] = conv->inputs[i];
  inputs[3] = residual;
  conv->inputs = inputs;
  conv->input_count = residual ? 4 : conv->input_count;
  if (has_activation) {
    SDX_TRY(set_conv_activation(c, conv, &f));
    last = act->outputs[0];
    act->dead = true;
  }
  if (residual) add->dead = true;
  conv->outputs[0] = last;
  c->changed = true;
  return become(c, conv, "FusedConv");
}

static sdx_status fuse_gemm(pass_context *c, node *gemm, node **reader) {
  graph *g = c->graph;
  fused f = {0};
  node *act = reader[gemm->outputs[0]];
  if (!is_float(g, gemm->outputs[0]) || !act || act->inputs[0] != gemm->outputs[0] || !activation_of(g, act, &f))
    return SDX_OK;
  SDX_TRY(set_gemm_activation(c, gemm, &f));
  gemm->outputs[0] = act->outputs[0];
  act->dead = c->changed = true;
  return become(c, gemm, "FusedGemm");
}

static sdx_status run(pass_context *c) {
  graph *g = c->graph;
  node **reader = match_sole_readers(g, c->scratch);
  if (!reader) return error_no_memory(c->err, g->value_count * sizeof *reader);
  for (uint32_t i = 0; i < g->node_count; i++) {
    node *n = g->nodes[i];
    if (match_is(n, "Conv")) SDX_TRY(fuse_conv(c, n, reader));
    else if (match_is(n, "Gemm")) SDX_TRY(fuse_gemm(c, n, reader));
  }
  return SDX_OK;
}

const pass_def pass_fuse_activation = {.name = "fuse_activation",
                                       .help = "lets convolutions and products add and activate their own results",
                                       .level = 2,
                                       .run = run};

// SPDX-License-Identifier: Apache-2.0
// Conv followed by what scales and shifts its channels by constants: BatchNormalization, or Add, Sub, Mul, Div of one
// number a channel (or one in all). Both move into the weights and the bias. Early converters wrote the bias of a
// convolution as such an Add.
#include <math.h>

#include "passes/match.h"

// The constant operand of `n` if it has one number in all or one a channel of `data`, whose channels are axis 1.
static const tensor *per_channel(const graph *g, const node *n, uint32_t data_index, size_t channels) {
  value_id data = n->inputs[data_index], other = n->inputs[!data_index];
  const tensor *t = g->values[other].constant;
  int rank = g->values[data].type.rank;
  if (!t || data == other || t->dtype != SDX_FLOAT || rank < 3 || t->rank > rank) return NULL;
  if (t->count == 1) return t;
  int axis = t->rank - (rank - 1);  // where axis 1 of the data falls
  return axis >= 0 && t->count == channels && (size_t)t->dims[axis] == channels ? t : NULL;
}

static const float *floats(const graph *g, value_id v, size_t count) {
  const tensor *t = v ? g->values[v].constant : NULL;
  return t && t->dtype == SDX_FLOAT && t->count == count ? t->data : NULL;
}

// y = scale * x + shift for each channel, in the arrays. false: `n` is nothing of the kind.
static bool read_norm(const graph *g, const node *n, value_id data, size_t channels, double *scale, double *shift) {
  if (!match_is(n, "BatchNormalization") || n->input_count < 5 || n->inputs[0] != data) return false;
  for (uint32_t i = 1; i < n->output_count; i++)
    if (n->outputs[i]) return false;
  const float *factor = floats(g, n->inputs[1], channels), *offset = floats(g, n->inputs[2], channels);
  const float *mean = floats(g, n->inputs[3], channels), *variance = floats(g, n->inputs[4], channels);
  if (node_attr_int(n, "training_mode", 0) || !factor || !offset || !mean || !variance) return false;
  double epsilon = node_attr_float(n, "epsilon", 1e-5f);
  for (size_t k = 0; k < channels; k++) {
    scale[k] = factor[k] / sqrt(variance[k] + epsilon);
    shift[k] = offset[k] - mean[k] * scale[k];
  }
  return true;
}

static bool read_arithmetic(const graph *g, const node *n, value_id data, size_t channels, double *scale,
                            double *shift) {
  bool add = match_is(n, "Add"), sub = match_is(n, "Sub"), mul = match_is(n, "Mul"), div = match_is(n, "Div");
  if (!(add || sub || mul || div)) return false;
  uint32_t data_index = n->inputs[0] == data ? 0 : 1;
  const tensor *t = data_index == 1 && (sub || div) ? NULL : per_channel(g, n, data_index, channels);
  if (!t) return false;
  for (size_t k = 0; k < channels; k++) {
    double v = ((const float *)t->data)[t->count == 1 ? 0 : k];
    scale[k] = mul ? v : div ? 1 / v : 1;
    shift[k] = add ? v : sub ? -v : 0;
    if (!isfinite(scale[k])) return false;
  }
  return true;
}

// Gives a Conv with constant weights y' = y * scale[k] + shift[k] per output channel k (scale NULL: 1, and the
// weights stay as they are) in place of the node `last` that computed it. Nothing happens where weights or bias do not
// fit.
static sdx_status scale_conv(pass_context *c, node *conv, node *last, size_t channels, const double *scale,
                             const double *shift) {
  graph *g = c->graph;
  const tensor *w = g->values[conv->inputs[1]].constant;
  const tensor *bias = conv->input_count > 2 && conv->inputs[2] ? g->values[conv->inputs[2]].constant : NULL;
  if (!w || w->dtype != SDX_FLOAT || w->rank < 3 || w->count == 0 || (size_t)w->dims[0] != channels) return SDX_OK;
  if (conv->input_count > 2 && conv->inputs[2] && (!bias || bias->dtype != SDX_FLOAT || bias->count != channels))
    return SDX_OK;
  size_t per_channel = w->count / channels;
  value_id new_w = conv->inputs[1], new_bias;
  void *data = NULL;
  if (scale) SDX_TRY(match_new_constant(c, SDX_FLOAT, w->rank, w->dims, &new_w, &data));
  float *to_w = data;
  SDX_TRY(match_new_constant(c, SDX_FLOAT, 1, w->dims, &new_bias, &data));
  float *to_bias = data;
  for (size_t k = 0; k < channels; k++) {
    double s = scale ? scale[k] : 1;
    for (size_t i = 0; scale && i < per_channel; i++)
      to_w[k * per_channel + i] = (float)(((const float *)w->data)[k * per_channel + i] * s);
    to_bias[k] = (float)((bias ? ((const float *)bias->data)[k] : 0.0) * s + shift[k]);
  }
  value_id *inputs = arena_array(g->memory, 3, sizeof *inputs);
  if (!inputs) return error_no_memory(c->err, 3 * sizeof *inputs);
  inputs[0] = conv->inputs[0];
  inputs[1] = new_w;
  inputs[2] = new_bias;
  conv->inputs = inputs;
  conv->input_count = 3;
  conv->outputs[0] = last->outputs[0];
  last->dead = c->changed = true;
  return SDX_OK;
}

static sdx_status fuse(pass_context *c, node *conv, node *n) {
  const graph *g = c->graph;
  const tensor *w = g->values[conv->inputs[1]].constant;
  if (!w || w->rank < 3 || w->dims[0] <= 0) return SDX_OK;
  value_id data = conv->outputs[0];
  size_t channels = (size_t)w->dims[0];
  double *scale = arena_array(c->scratch, channels, sizeof *scale),
         *shift = arena_array(c->scratch, channels, sizeof *shift);
  if (!scale || !shift) return error_no_memory(c->err, channels * sizeof *scale);
  if (!read_norm(g, n, data, channels, scale, shift) && !read_arithmetic(g, n, data, channels, scale, shift))
    return SDX_OK;
  bool sum = match_is(n, "Add") || match_is(n, "Sub");
  return scale_conv(c, conv, n, channels, sum ? NULL : scale, shift);
}

static sdx_status run(pass_context *c) {
  graph *g = c->graph;
  node **reader = match_sole_readers(g, c->scratch);
  if (!reader) return error_no_memory(c->err, g->value_count * sizeof *reader);
  for (uint32_t i = 0; i < g->node_count; i++) {
    node *conv = g->nodes[i];
    if (!match_is(conv, "Conv") || conv->input_count < 2) continue;
    for (node *n = reader[conv->outputs[0]]; n && !n->dead;) {
      SDX_TRY(fuse(c, conv, n));
      passes_sweep(c);
      n = n->dead ? reader[conv->outputs[0]] : NULL;
    }
  }
  return SDX_OK;
}

const pass_def pass_fuse_conv_channels = {
    .name = "fuse_conv_channels",
    .help = "moves normalisation, factors and sums per channel into convolution weights",
    .level = 2,
    .reassociates = true,
    .run = run};

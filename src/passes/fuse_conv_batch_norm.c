// SPDX-License-Identifier: Apache-2.0
// Conv followed by BatchNormalization with constant statistics: scale and shift move into the
// weights and the bias. y = (conv(x, W) + b - mean) * s + shift with s = scale / sqrt(var + epsilon).
#include <math.h>

#include "passes/match.h"

static const float *floats(const graph *g, value_id v, size_t count) {
  const tensor *t = v ? g->values[v].constant : NULL;
  return t && t->dtype == SDX_FLOAT && t->count == count ? t->data : NULL;
}

static sdx_status fuse(pass_context *c, node *conv, node *norm) {
  graph *g = c->graph;
  const tensor *w = g->values[conv->inputs[1]].constant;
  if (!w || w->dtype != SDX_FLOAT || w->rank < 3 || w->count == 0) return SDX_OK;
  bool has_bias = conv->input_count > 2 && conv->inputs[2];
  size_t channels = (size_t)w->dims[0], per_channel = w->count / channels;
  const float *scale = floats(g, norm->inputs[1], channels), *shift = floats(g, norm->inputs[2], channels);
  const float *mean = floats(g, norm->inputs[3], channels), *variance = floats(g, norm->inputs[4], channels);
  const float *bias = has_bias ? floats(g, conv->inputs[2], channels) : NULL;
  if (!scale || !shift || !mean || !variance || (has_bias && !bias)) return SDX_OK;
  double epsilon = node_attr_float(norm, "epsilon", 1e-5f);
  value_id new_w, new_bias;
  float *to_w, *to_bias;
  SDX_TRY(match_new_constant(c, w->rank, w->dims, &new_w, &to_w));
  SDX_TRY(match_new_constant(c, 1, w->dims, &new_bias, &to_bias));
  for (size_t k = 0; k < channels; k++) {
    double s = scale[k] / sqrt(variance[k] + epsilon);
    for (size_t i = 0; i < per_channel; i++)
      to_w[k * per_channel + i] = (float)(((const float *)w->data)[k * per_channel + i] * s);
    to_bias[k] = (float)(((bias ? bias[k] : 0.0) - mean[k]) * s + shift[k]);
  }
  value_id *inputs = arena_array(g->memory, 3, sizeof *inputs);
  if (!inputs) return error_no_memory(c->err, 3 * sizeof *inputs);
  inputs[0] = conv->inputs[0];
  inputs[1] = new_w;
  inputs[2] = new_bias;
  conv->inputs = inputs;
  conv->input_count = 3;
  conv->outputs[0] = norm->outputs[0];
  norm->dead = c->changed = true;
  return SDX_OK;
}

static sdx_status run(pass_context *c) {
  graph *g = c->graph;
  node **reader = match_sole_readers(g, c->scratch);
  if (!reader) return error_no_memory(c->err, g->value_count * sizeof *reader);
  for (uint32_t i = 0; i < g->node_count; i++) {
    node *conv = g->nodes[i];
    if (!match_is(conv, "Conv") || conv->input_count < 2) continue;
    node *norm = reader[conv->outputs[0]];
    if (!match_is(norm, "BatchNormalization") || norm->inputs[0] != conv->outputs[0] || norm->input_count < 5) continue;
    bool one_output = true;
    for (uint32_t k = 1; k < norm->output_count; k++) one_output &= !norm->outputs[k];
    if (one_output && !node_attr_int(norm, "training_mode", 0)) SDX_TRY(fuse(c, conv, norm));
  }
  return SDX_OK;
}

const pass_def pass_fuse_conv_batch_norm = {.name = "fuse_conv_batch_norm",
                                            .help = "moves batch normalisation into convolution weights",
                                            .level = 2,
                                            .reassociates = true,
                                            .run = run};

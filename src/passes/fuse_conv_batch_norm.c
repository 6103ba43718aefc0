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
  if (!w || w->rank < 3 || w->dims[0] <= 0) return SDX_OK;
  size_t channels = (size_t)w->dims[0];
  const float *scale = floats(g, norm->inputs[1], channels), *shift = floats(g, norm->inputs[2], channels);
  const float *mean = floats(g, norm->inputs[3], channels), *variance = floats(g, norm->inputs[4], channels);
  double *s = arena_array(c->scratch, channels, sizeof *s), *t = arena_array(c->scratch, channels, sizeof *t);
  if (!s || !t) return error_no_memory(c->err, channels * sizeof *s);
  if (!scale || !shift || !mean || !variance) return SDX_OK;
  double epsilon = node_attr_float(norm, "epsilon", 1e-5f);
  for (size_t k = 0; k < channels; k++) {
    s[k] = scale[k] / sqrt(variance[k] + epsilon);
    t[k] = shift[k] - mean[k] * s[k];
  }
  return match_scale_conv(c, conv, norm, channels, s, t);
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

// SPDX-License-Identifier: Apache-2.0
// Conv followed by Add, Sub, Mul or Div of a constant with one number a channel (or one in all): moves
// into the bias or the weights. Early converters wrote the bias of a convolution as such an Add.
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

static sdx_status fuse(pass_context *c, node *conv, node *n) {
  graph *g = c->graph;
  const tensor *w = g->values[conv->inputs[1]].constant;
  bool add = match_is(n, "Add"), sub = match_is(n, "Sub"), mul = match_is(n, "Mul"), div = match_is(n, "Div");
  if (!(add || sub || mul || div) || !w || w->rank < 3 || w->dims[0] <= 0) return SDX_OK;
  uint32_t data_index = n->inputs[0] == conv->outputs[0] ? 0 : 1;
  if (data_index == 1 && (sub || div)) return SDX_OK;
  size_t channels = (size_t)w->dims[0];
  const tensor *t = per_channel(g, n, data_index, channels);
  if (!t) return SDX_OK;
  double *scale = arena_array(c->scratch, channels, sizeof *scale),
         *shift = arena_array(c->scratch, channels, sizeof *shift);
  if (!scale || !shift) return error_no_memory(c->err, channels * sizeof *scale);
  for (size_t k = 0; k < channels; k++) {
    double v = ((const float *)t->data)[t->count == 1 ? 0 : k];
    scale[k] = mul ? v : div ? 1 / v : 1;
    shift[k] = add ? v : sub ? -v : 0;
    if (!isfinite(scale[k])) return SDX_OK;
  }
  return match_scale_conv(c, conv, n, channels, mul || div ? scale : NULL, shift);
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
      n = n->dead ? reader[conv->outputs[0]] : NULL;
    }
  }
  return SDX_OK;
}

const pass_def pass_fuse_conv_channels = {.name = "fuse_conv_channels",
                                          .help = "moves sums and factors per channel into convolution weights",
                                          .level = 2,
                                          .reassociates = true,
                                          .run = run};

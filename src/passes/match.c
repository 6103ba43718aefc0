// SPDX-License-Identifier: Apache-2.0
// See match.h.
#include "passes/match.h"

node **match_sole_readers(const graph *g, arena *scratch) {
  uint32_t *uses = graph_count_uses(g, scratch);
  node **reader = arena_array(scratch, g->value_count, sizeof *reader);
  if (!uses || !reader) return NULL;
  for (uint32_t i = 0; i < g->node_count; i++) {
    node *n = g->nodes[i];
    for (uint32_t k = 0; k < n->input_count && !n->dead; k++)
      if (uses[n->inputs[k]] == 1) reader[n->inputs[k]] = n;
  }
  return reader;
}

bool match_is(const node *n, const char *op_type) {
  return n && !n->dead && n->op && !*n->op->domain && str_is(n->op_type, op_type);
}

node *match_producer(const graph *g, value_id v) {
  uint32_t p = g->values[v].producer;
  return p ? g->nodes[p - 1] : NULL;
}

bool match_scalar(const graph *g, const node *n, size_t i, float otherwise, float *out) {
  *out = otherwise;
  if (i >= n->input_count || !n->inputs[i]) return true;
  const tensor *t = g->values[n->inputs[i]].constant;
  if (!t || t->dtype != SDX_FLOAT || t->count != 1) return false;
  *out = *(const float *)t->data;
  return true;
}

bool match_same_shape(const type_info *a, const type_info *b) {
  if (a->kind != TYPE_TENSOR || b->kind != TYPE_TENSOR || a->rank < 0 || a->rank != b->rank) return false;
  for (int i = 0; i < a->rank; i++)
    if (a->dims[i] != b->dims[i] || a->dims[i] == DIM_UNKNOWN) return false;
  return true;
}

// A new float constant, to be filled by the caller.
static sdx_status new_constant(pass_context *c, size_t rank, const int64_t *dims, value_id *id, float **data) {
  sdx_value *made;
  SDX_TRY(value_create(c->account, SDX_FLOAT, rank, dims, NULL, NULL, NULL, &made, c->err));
  sdx_status status = c->keep(c->context, made);
  if (status != SDX_OK) {
    value_release(made);
    return status;
  }
  *id = graph_add_constant(c->graph, (str){0}, &made->value.tensor);
  *data = made->value.tensor.data;
  return *id ? SDX_OK : error_no_memory(c->err, sizeof(graph_value));
}

sdx_status match_scale_conv(pass_context *c, node *conv, node *last, size_t channels, const double *scale,
                            const double *shift) {
  graph *g = c->graph;
  const tensor *w = g->values[conv->inputs[1]].constant;
  const tensor *bias = conv->input_count > 2 && conv->inputs[2] ? g->values[conv->inputs[2]].constant : NULL;
  if (!w || w->dtype != SDX_FLOAT || w->rank < 3 || w->count == 0 || (size_t)w->dims[0] != channels) return SDX_OK;
  if (conv->input_count > 2 && conv->inputs[2] && (!bias || bias->dtype != SDX_FLOAT || bias->count != channels))
    return SDX_OK;
  size_t per_channel = w->count / channels;
  value_id new_w = conv->inputs[1], new_bias;
  float *to_w = NULL, *to_bias;
  if (scale) SDX_TRY(new_constant(c, w->rank, w->dims, &new_w, &to_w));
  SDX_TRY(new_constant(c, 1, w->dims, &new_bias, &to_bias));
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

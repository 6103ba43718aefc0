// SPDX-License-Identifier: Apache-2.0
// Writes what a plan decided: values become bytes and float again (QuantizeLinear, DequantizeLinear), constants of
// products become bytes that are dequantised, a bias becomes int32 in units of both scales. Read next: operators.c.
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "quantize/plan.h"
#include "quantize/tensors.h"

// What stands for a value as bytes.
typedef struct scaled {
  sdx_ref bytes, scale, zero;
  float scale_at;            // of a value
  sdx_value *weight_scales;  // of a constant
  int64_t axis;              // -1: one scale
} scaled;

typedef struct emitter {
  quantize_plan *plan;
  sdx_builder *builder;
  sdx_graph *graph;
  const quantize_options *o;
  scaled *of;         // by sdx_ref: scales and zero points of quantised values and constants
  sdx_ref *float_of;  // by sdx_ref: what DequantizeLinear gives back
} emitter;

static const char *named(char *room, size_t size, sdx_graph *g, sdx_ref v, const char *suffix) {
  snprintf(room, size, "%.1900s%s", sdx_graph_name(g, v), suffix);
  return room;
}

// Zero is exact; a range that is a point is as wide as its distance from zero.
static void scale_of_range(range r, sdx_dtype type, float *scale, int32_t *zero) {
  byte_type t = byte_type_of(type);
  float low = r.low < 0 ? r.low : 0, high = r.high > 0 ? r.high : 0;
  *scale = high > low ? (float)(((double)high - (double)low) / (t.high - t.low)) : 1;
  if (!(*scale >= 1e-30f)) *scale = 1;
  *zero = round_within((float)t.low - low / *scale, t);
}

static sdx_ref dequantise(emitter *e, sdx_ref bytes, const scaled *s, const char *name) {
  sdx_ref y = sdx_graph_add_node(e->graph, "DequantizeLinear", name, SDX_REFS(bytes, s->scale, s->zero));
  if (s->axis >= 0) sdx_graph_set_int(e->graph, "axis", s->axis);
  return y;
}

static void make_scale(emitter *e, sdx_ref v, range r) {
  char name[2000];
  scaled *s = &e->of[v];
  int32_t zero;
  scale_of_range(r, e->o->activations, &s->scale_at, &zero);
  s->axis = -1;
  s->scale =
      sdx_graph_add_initializer(e->graph, named(name, sizeof name, e->graph, v, "_scale"), scalar_float(s->scale_at));
  s->zero = sdx_graph_add_initializer(e->graph, named(name, sizeof name, e->graph, v, "_zero_point"),
                                      scalar_byte(e->o->activations, zero));
}

static void quantise_value(emitter *e, sdx_ref v) {
  char name[2000];
  const quantize_plan *p = e->plan;
  scaled *s = &e->of[v];
  sdx_ref from = plan_scale_of(p, v);
  if (from != v) {
    s->scale = e->of[from].scale, s->zero = e->of[from].zero;
    s->scale_at = e->of[from].scale_at, s->axis = -1;
  }
  s->bytes = sdx_graph_add_node(e->graph, "QuantizeLinear", named(name, sizeof name, e->graph, v, "_quantized"),
                                SDX_REFS(v, s->scale, s->zero));
  e->float_of[v] = dequantise(e, s->bytes, s, named(name, sizeof name, e->graph, v, "_dequantized"));
}

// Whether what makes a value reads bytes, perhaps behind a Relu or Clip.
static bool made_of_bytes(const emitter *e, sdx_ref v) {
  const quantize_plan *p = e->plan;
  for (int64_t n = sdx_graph_producer(e->graph, v); n >= 0 && (size_t)n < p->node_count;) {
    const char *op = sdx_graph_node_op(e->graph, (size_t)n);
    if (p->on_bytes[n]) return true;
    if (strcmp(op, "Relu") != 0 && strcmp(op, "Clip") != 0) return false;
    n = sdx_graph_producer(e->graph, sdx_graph_node_input(e->graph, (size_t)n, 0));
  }
  return false;
}

// Readers that stay in float read the value itself if nothing on bytes made it: rounding is for products alone.
static void connect_readers(emitter *e) {
  const quantize_plan *p = e->plan;
  bool *made = calloc(p->ref_count, sizeof *made);
  if (!made) {
    sdx_builder_fail(e->builder, SDX_NO_MEMORY, "memory is exhausted");
    return;
  }
  for (sdx_ref v = 1; v < p->ref_count; v++) made[v] = p->quantised[v] && made_of_bytes(e, v);
  for (size_t i = 0; i < p->node_count; i++)
    for (size_t k = 0; k < sdx_graph_node_input_count(e->graph, i); k++) {
      sdx_ref v = sdx_graph_node_input(e->graph, i, k);
      if (v && v < p->ref_count && p->quantised[v] && (made[v] || p->on_bytes[i]))
        sdx_graph_node_set_input(e->graph, i, k, e->float_of[v]);
    }
  free(made);
}

// ---- constants --------------------------------------------------------------------------------------

// Channels are those of the result, so that the left side of a product has none.
static int64_t channel_axis(const emitter *e, size_t node, size_t k, const sdx_value *w) {
  const char *op = sdx_graph_node_op(e->graph, node);
  if (!e->o->per_channel || k == 0) return -1;
  if (!strcmp(op, "Conv")) return 0;
  if (!strcmp(op, "Gemm")) return sdx_graph_node_int(e->graph, node, "transB", 0) ? 0 : 1;
  return sdx_tensor_rank(w) == 2 ? 1 : -1;
}

static void quantise_weights(emitter *e, size_t node, size_t k) {
  char name[2000];
  sdx_ref v = sdx_graph_node_input(e->graph, node, k);
  sdx_value *w = sdx_graph_constant(e->graph, v);
  if (!w) return;
  if (!e->float_of[v]) {
    quantised_weights q;
    scaled *s = &e->of[v];
    // On the left of a product engines want the type of values there.
    if (!weights_quantise(w, channel_axis(e, node, k, w), k ? e->o->weights : e->o->activations, &q)) {
      sdx_builder_fail(e->builder, SDX_NO_MEMORY, "memory is exhausted");
      sdx_value_release(w);
      return;
    }
    s->axis = q.axis;
    s->weight_scales = sdx_value_retain(q.scale);
    s->bytes = sdx_graph_add_initializer(e->graph, named(name, sizeof name, e->graph, v, "_quantized"), q.bytes);
    s->scale = sdx_graph_add_initializer(e->graph, named(name, sizeof name, e->graph, v, "_scale"), q.scale);
    s->zero = sdx_graph_add_initializer(e->graph, named(name, sizeof name, e->graph, v, "_zero_point"), q.zero);
    e->float_of[v] = dequantise(e, s->bytes, s, named(name, sizeof name, e->graph, v, "_dequantized"));
  }
  sdx_graph_node_set_input(e->graph, node, k, e->float_of[v]);
  sdx_value_release(w);
}

// Bias in units of both scales; it stays in float where it does not fit into int32.
static void quantise_bias(emitter *e, size_t node, const scaled *x, const scaled *w) {
  char name[2000];
  sdx_ref v = sdx_graph_node_input(e->graph, node, 2);
  sdx_value *bias = v ? sdx_graph_constant(e->graph, v) : NULL;
  size_t count = bias ? sdx_tensor_count(bias) : 0, scales = w->weight_scales ? sdx_tensor_count(w->weight_scales) : 0;
  if (!bias || sdx_tensor_rank(bias) != 1 || !scales || (scales != 1 && scales != count)) {
    sdx_value_release(bias);
    return;
  }
  int64_t n = (int64_t)count;
  sdx_value *at = sdx_tensor_create(SDX_INT32, 1, &n), *scale = sdx_tensor_create(SDX_FLOAT, scales != 1, &n),
            *zero = sdx_tensor_create(SDX_INT32, scales != 1, &n);
  bool fits = at && scale && zero;
  for (size_t i = 0; fits && i < count; i++) {
    float unit = x->scale_at * ((const float *)sdx_tensor_data(w->weight_scales))[scales == 1 ? 0 : i];
    double r = rint((double)((const float *)sdx_tensor_data(bias))[i] / (double)unit);
    fits = fabs(r) < 2147483647.0;
    ((float *)sdx_tensor_data(scale))[scales == 1 ? 0 : i] = unit;
    if (fits) ((int32_t *)sdx_tensor_data(at))[i] = (int32_t)r;
  }
  sdx_value_release(bias);
  if (!fits) {
    sdx_value_release(at);
    sdx_value_release(scale);
    sdx_value_release(zero);
    return;
  }
  scaled s = {.axis = scales == 1 ? -1 : 0};
  s.bytes = sdx_graph_add_initializer(e->graph, named(name, sizeof name, e->graph, v, "_quantized"), at);
  s.scale = sdx_graph_add_initializer(e->graph, named(name, sizeof name, e->graph, v, "_scale"), scale);
  s.zero = sdx_graph_add_initializer(e->graph, named(name, sizeof name, e->graph, v, "_zero_point"), zero);
  sdx_ref y = dequantise(e, s.bytes, &s, named(name, sizeof name, e->graph, v, "_dequantized"));
  sdx_graph_node_set_input(e->graph, node, 2, y);
}

static void quantise_constants(emitter *e, size_t node) {
  const char *op = sdx_graph_node_op(e->graph, node);
  if (strcmp(op, "Conv") != 0 && strcmp(op, "MatMul") != 0 && strcmp(op, "Gemm") != 0) return;
  sdx_ref x = sdx_graph_node_input(e->graph, node, 0), w = sdx_graph_node_input(e->graph, node, 1);
  for (size_t k = 0; k < 2; k++) quantise_weights(e, node, k);
  if (sdx_graph_node_input_count(e->graph, node) > 2) quantise_bias(e, node, &e->of[x], &e->of[w]);
}

// ---- the whole --------------------------------------------------------------------------------------

sdx_status quantize_static(sdx_builder *b, quantize_plan *p, const range *ranges, const quantize_options *o) {
  emitter e = {.plan = p, .builder = b, .graph = p->graph, .o = o};
  e.of = calloc(p->ref_count, sizeof *e.of);
  e.float_of = calloc(p->ref_count, sizeof *e.float_of);
  if (!e.of || !e.float_of) sdx_builder_fail(b, SDX_NO_MEMORY, "memory is exhausted");
  for (size_t i = 0; i < p->value_count && !sdx_builder_status(b); i++) make_scale(&e, p->values[i], ranges[i]);
  for (sdx_ref v = 1; v < p->ref_count && !sdx_builder_status(b); v++)
    if (p->quantised[v]) quantise_value(&e, v);
  for (size_t i = 0; i < p->node_count && !sdx_builder_status(b); i++)
    if (p->on_bytes[i]) quantise_constants(&e, i);
  if (!sdx_builder_status(b)) connect_readers(&e);
  for (size_t i = 0; i < p->layer_count && !sdx_builder_status(b); i++) {
    sdx_ref v = sdx_graph_find(p->graph, p->layers[i].output);
    if (v && v < p->ref_count && e.float_of[v]) p->layers[i].result = sdx_graph_name(p->graph, e.float_of[v]);
  }
  for (sdx_ref v = 1; e.of && v < p->ref_count; v++) sdx_value_release(e.of[v].weight_scales);
  free(e.of);
  free(e.float_of);
  return sdx_builder_status(b) ? sdx_builder_status(b) : sdx_builder_sweep(b);
}

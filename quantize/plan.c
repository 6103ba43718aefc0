// SPDX-License-Identifier: Apache-2.0
// Which values become bytes. Products (Conv, MatMul, Gemm) read bytes; a Conv also gives them, behind its Relu or Clip,
// so that the next one finds what it reads. Sums and pools of what is bytes already stay in bytes; what depends on one
// of these element by element is a table to the engine and is left in float here; what only moves elements has the
// scale of what it moves. Everything else stays as it is: a value is rounded where that lets a product run on integers,
// and nowhere else. Results of the model are not rounded. Read next: ranges.c, emit.c.
#include "quantize/plan.h"

#include <stdlib.h>
#include <string.h>

#include "quantize/nodes.h"
#include "quantize/tensors.h"

static bool is_float(const quantize_plan *p, sdx_ref v) {
  return v && sdx_graph_describe(p->graph, v).dtype == SDX_FLOAT;
}

static bool is_constant(const quantize_plan *p, sdx_ref v) {
  sdx_value *t = sdx_graph_constant(p->graph, v);
  sdx_value_release(t);
  return t != NULL;
}

static bool can_be_bytes(const quantize_plan *p, sdx_ref v) {
  sdx_value *t = sdx_graph_constant(p->graph, v);
  bool can = !t || weights_are_finite(t);
  sdx_value_release(t);
  return can;
}

sdx_ref plan_scale_of(const quantize_plan *p, sdx_ref v) {
  while (p->alias[v]) v = p->alias[v];
  return v;
}

static void quantise(quantize_plan *p, sdx_ref v) {
  if (!v || p->quantised[v]) return;
  p->quantised[v] = true;
  p->values[p->value_count++] = v;
  if (!p->source[v]) p->source[v] = v;
}

// ---- readers ----------------------------------------------------------------------------------------

static void find_readers(quantize_plan *p) {
  for (size_t i = 0; i < p->node_count; i++)
    for (size_t k = 0; k < sdx_graph_node_input_count(p->graph, i); k++) {
      struct readers *r = &p->readers[sdx_graph_node_input(p->graph, i, k)];
      r->nodes++, r->last = i;
    }
  for (size_t i = 0; i < sdx_graph_output_count(p->graph); i++) p->readers[sdx_graph_output(p->graph, i)].outputs++;
}

// The value behind a Relu or Clip that alone reads this one; 0 where only the model's outputs do.
static sdx_ref ending(const quantize_plan *p, sdx_ref v) {
  const struct readers *r = &p->readers[v];
  while (r->nodes == 1 && !r->outputs && op_is_one_of(sdx_graph_node_op(p->graph, r->last), "Relu Clip ")) {
    v = sdx_graph_node_output(p->graph, r->last, 0);
    r = &p->readers[v];
  }
  return r->nodes ? v : 0;
}

// ---- operators --------------------------------------------------------------------------------------

static bool is_product(const quantize_plan *p, size_t i) {
  const char *op = sdx_graph_node_op(p->graph, i);
  sdx_ref a = sdx_graph_node_input(p->graph, i, 0), b = sdx_graph_node_input(p->graph, i, 1);
  if (!op_is_one_of(op, "Conv MatMul Gemm ") || !is_float(p, a) || !is_float(p, b)) return false;
  if (!can_be_bytes(p, a) || !can_be_bytes(p, b)) return false;
  if (!strcmp(op, "Gemm")) return gemm_is_plain(p->graph, i) && is_constant(p, b);
  return strcmp(op, "Conv") != 0 || is_constant(p, b);
}

static void add_layer(quantize_plan *p, size_t i, sdx_ref output) {
  p->layers[p->layer_count++] = (quantize_layer){.node = sdx_graph_node_name(p->graph, i),
                                                 .op = sdx_graph_node_op(p->graph, i),
                                                 .output = sdx_graph_name(p->graph, output),
                                                 .result = sdx_graph_name(p->graph, output)};
}

static void plan_product(quantize_plan *p, size_t i, bool results) {
  p->on_bytes[i] = true;
  for (size_t k = 0; k < 2; k++) {
    sdx_ref in = sdx_graph_node_input(p->graph, i, k);
    if (!is_constant(p, in)) quantise(p, in);
  }
  sdx_ref out = sdx_graph_node_output(p->graph, i, 0), end = ending(p, out);
  bool gives_bytes = end && (results || !strcmp(sdx_graph_node_op(p->graph, i), "Conv"));
  if (gives_bytes) quantise(p, end);
  add_layer(p, i, gives_bytes ? end : out);
}

// Two different ones: the operator is one of bytes. The same: a function of its bytes.
static void plan_sum(quantize_plan *p, size_t i, bool always) {
  sdx_graph *g = p->graph;
  sdx_ref first = 0, out = sdx_graph_node_output(g, i, 0);
  bool differ = always;
  for (size_t k = 0; k < sdx_graph_node_input_count(g, i); k++) {
    sdx_ref in = sdx_graph_node_input(g, i, k);
    if (!is_float(p, in) || (is_constant(p, in) && !always)) continue;  // a constant, a size
    if (!p->source[in]) return;
    differ |= first && p->source[in] != first;
    first = p->source[in];
  }
  if (!first) return;
  if (!differ) {
    p->source[out] = first;
    return;
  }
  p->on_bytes[i] = true;
  for (size_t k = 0; k < sdx_graph_node_input_count(g, i); k++) {
    sdx_ref in = sdx_graph_node_input(g, i, k);
    if (is_float(p, in) && !is_constant(p, in)) quantise(p, in);
  }
  if ((out = ending(p, out))) quantise(p, out);
}

static void plan_move(quantize_plan *p, size_t i) {
  sdx_ref in = sdx_graph_node_input(p->graph, i, 0);
  if (!p->quantised[in]) return;
  p->on_bytes[i] = true;
  for (size_t k = 0; k < sdx_graph_node_output_count(p->graph, i); k++) {
    sdx_ref out = sdx_graph_node_output(p->graph, i, k);
    if (!out || !ending(p, out) || !is_float(p, out)) continue;
    p->alias[out] = in;
    p->quantised[out] = true;
    p->source[out] = out;
  }
}

static const char moves[] =
    "Reshape Flatten Transpose Squeeze Unsqueeze MaxPool Slice Split DepthToSpace SpaceToDepth ";
static const char pools[] = "AveragePool GlobalAveragePool Concat Resize ";
static const char functions[] =
    "Relu Clip LeakyRelu Sigmoid HardSigmoid HardSwish Tanh Elu Erf Gelu Swish Softplus Sqrt Neg Abs PRelu Identity ";

static void plan_node(quantize_plan *p, size_t i, const quantize_options *o) {
  const char *op = sdx_graph_node_op(p->graph, i);
  if (!*op || (o->keep && o->keep(o->context, op, sdx_graph_node_name(p->graph, i)))) return;
  if (is_product(p, i)) plan_product(p, i, o->results);
  else if (op_is_one_of(op, "Add Mul Sub Div ")) plan_sum(p, i, false);
  else if (op_is_one_of(op, pools)) plan_sum(p, i, true);
  else if (op_is_one_of(op, moves)) plan_move(p, i);
  else if (op_is_one_of(op, functions)) plan_sum(p, i, false);
}

quantize_plan *quantize_plan_make(sdx_builder *b, const quantize_options *o) {
  quantize_plan *p = calloc(1, sizeof *p);
  sdx_graph *g = sdx_builder_graph(b);
  if (!p) return NULL;
  p->builder = b, p->graph = g, p->ref_count = refs_end(g), p->node_count = sdx_graph_node_count(g);
  p->quantised = calloc(p->ref_count, sizeof *p->quantised);
  p->alias = calloc(p->ref_count, sizeof *p->alias);
  p->source = calloc(p->ref_count, sizeof *p->source);
  p->values = calloc(p->ref_count, sizeof *p->values);
  p->readers = calloc(p->ref_count, sizeof *p->readers);
  p->on_bytes = calloc(p->node_count + 1, sizeof *p->on_bytes);
  p->layers = calloc(p->node_count + 1, sizeof *p->layers);
  if (!p->quantised || !p->alias || !p->source || !p->values || !p->readers || !p->on_bytes || !p->layers) {
    quantize_plan_free(p);
    return NULL;
  }
  find_readers(p);
  for (size_t i = 0; i < p->node_count; i++) plan_node(p, i, o);
  return p;
}

void quantize_plan_free(quantize_plan *p) {
  if (!p) return;
  free(p->quantised);
  free(p->alias);
  free(p->source);
  free(p->values);
  free(p->readers);
  free(p->on_bytes);
  free(p->layers);
  free(p);
}

size_t quantize_plan_value_count(const quantize_plan *p) { return p->value_count; }
const char *quantize_plan_value(const quantize_plan *p, size_t i) { return sdx_graph_name(p->graph, p->values[i]); }
size_t quantize_plan_layer_count(const quantize_plan *p) { return p->layer_count; }
const quantize_layer *quantize_plan_layer(const quantize_plan *p, size_t i) { return &p->layers[i]; }

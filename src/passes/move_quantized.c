// SPDX-License-Identifier: Apache-2.0
// Where elements are moved, bytes are moved instead of floats: DequantizeLinear goes behind operators that only move
// elements, QuantizeLinear before those that keep or add elements, until the two meet producers and consumers that
// fuse_quantized and look_up know. A maximum moves elements too, since scales are positive.
//
//   Reshape(DequantizeLinear(x))           DequantizeLinear(Reshape(x))
//   QuantizeLinear(Concat(a, b))           Concat(QuantizeLinear(a), QuantizeLinear(b))
#include <math.h>

#include "passes/quantized.h"

typedef enum motion { STAYS, MOVES, GROWS } motion;  // GROWS: no element is left out

typedef struct mover {
  const char *op_type;
  motion motion;
} mover;

static const mover movers[] = {
    {"Reshape", GROWS},  {"Flatten", GROWS},        {"Squeeze", GROWS},      {"Unsqueeze", GROWS}, {"Transpose", GROWS},
    {"Concat", GROWS},   {"DepthToSpace", GROWS},   {"SpaceToDepth", GROWS}, {"Expand", GROWS},    {"Tile", GROWS},
    {"Pad", GROWS},      {"Slice", MOVES},          {"Split", MOVES},        {"Gather", MOVES},    {"Resize", MOVES},
    {"GatherND", MOVES}, {"GatherElements", MOVES}, {"MaxPool", MOVES},
};

// Every window has an element: what a window of padding alone gives depends on the type.
static bool pools_elements(const node *n) {
  const attr *pads = node_attr(n, "pads"), *kernel = node_attr(n, "kernel_shape");
  if (n->output_count > 1 || !kernel || !match_all_ones(node_attr(n, "dilations"))) return false;
  for (size_t i = 0; pads && i < pads->ints.count; i++)
    if (pads->ints.at[i] < 0 || pads->ints.at[i] >= kernel->ints.at[i % kernel->ints.count]) return false;
  return true;
}

static bool picks_elements(const node *n) {
  const attr *mode = node_attr(n, "mode"), *places = node_attr(n, "coordinate_transformation_mode");
  return (!mode || str_is(mode->s, "nearest")) && !(places && str_is(places->s, "tf_crop_and_resize"));
}

static motion motion_of(const node *n) {
  for (size_t i = 0; i < sizeof movers / sizeof *movers; i++)
    if (match_is(n, movers[i].op_type)) {
      if (match_is(n, "MaxPool") && !pools_elements(n)) return STAYS;
      if (match_is(n, "Resize") && !picks_elements(n)) return STAYS;
      return movers[i].motion;
    }
  return STAYS;
}

static uint32_t data_inputs(const node *n) { return match_is(n, "Concat") ? n->input_count : 1; }

static bool pads_constant(const node *n) {
  const attr *mode = node_attr(n, "mode");
  return match_is(n, "Pad") && (!mode || str_is(mode->s, "constant"));
}

// What a Pad in floats pads with, as a byte. `exact`: dequantised, it must be the same number.
static bool pad_byte(const graph *g, const node *n, const quantized *q, bool exact, int32_t *byte) {
  float number;
  if (!match_scalar(g, n, 2, 0, &number)) return false;
  *byte = quantized_round(g, q, number);
  return !exact || (float)(*byte - quantized_zero(g, q, 0)) * quantized_scale(g, q, 0) == number;
}

static sdx_status set_pad_byte(pass_context *c, node *n, sdx_dtype dtype, int32_t byte) {
  size_t count = n->input_count > 3 ? n->input_count : 3;
  value_id *inputs = arena_array(c->graph->memory, count, sizeof *inputs);
  value_id number = graph_constant_scalar(c->graph, dtype, byte);
  if (!inputs || !number) return error_no_memory(c->err, count * sizeof *inputs);
  memcpy(inputs, n->inputs, n->input_count * sizeof *inputs);
  inputs[2] = number;
  n->inputs = inputs, n->input_count = (uint32_t)count;
  return SDX_OK;
}

// A value like `v`, of another element type.
static value_id value_like(pass_context *c, value_id v, sdx_dtype dtype) {
  value_id id = graph_add_value(c->graph, (str){0});
  if (!id) {
    error_no_memory(c->err, sizeof(graph_value));
    return VALUE_ABSENT;
  }
  c->graph->values[id].type = c->graph->values[v].type;
  c->graph->values[id].type.dtype = (uint8_t)dtype;
  return id;
}

// `from` anew, with other data and result.
static sdx_status add_linear(pass_context *c, const node *from, value_id in, value_id out, int64_t axis) {
  value_id inputs[3] = {in};
  for (uint32_t i = 1; i < from->input_count && i < 3; i++) inputs[i] = from->inputs[i];
  node *n = graph_add_node(c->graph, from->domain, from->op_type, from->input_count, inputs, 1, &out, c->err);
  if (!n) return c->err->status;
  for (uint32_t i = 0; i < from->attr_count; i++) SDX_TRY(node_set_attr(c->graph, n, from->attrs[i]));
  if (axis >= 0) SDX_TRY(node_set_attr(c->graph, n, attr_of_int("axis", axis)));
  n->name = from->name;
  return op_bind(c->graph, n, 0, c->err);
}

// ---- behind -----------------------------------------------------------------------------------------

// Where axis `axis` of the input is in the output; -1: nowhere for sure.
static int64_t axis_behind(const graph *g, const node *n, int64_t axis) {
  const type_info *in = &g->values[n->inputs[0]].type, *out = &g->values[n->outputs[0]].type;
  const attr *perm = node_attr(n, "perm");
  if (match_is(n, "Transpose")) {
    for (int64_t i = 0; i < in->rank; i++)
      if ((perm ? perm->ints.at[i] : in->rank - 1 - i) == axis) return i;
    return -1;
  }
  if (!(n->op->flags & OP_VIEW) || !type_is_fixed(in) || !type_is_fixed(out)) return -1;
  int64_t before = 1, sum = 1;
  for (int64_t i = 0; i < axis; i++) before *= in->dims[i];
  for (int i = 0; i < out->rank; sum *= out->dims[i++])
    if (sum == before && out->dims[i] == in->dims[axis]) return i;
  return -1;
}

static sdx_status move_behind(pass_context *c, node *n) {
  graph *g = c->graph;
  quantized first, next;
  int64_t axis = ONE_FOR_ALL;
  int32_t pad = 0;
  if (!quantized_source(g, n->inputs[0], &first)) return SDX_OK;
  if (first.axis >= 0 && (axis = axis_behind(g, n, first.axis)) < 0) return SDX_OK;
  if (pads_constant(n) && !pad_byte(g, n, &first, true, &pad)) return SDX_OK;
  for (uint32_t i = 1; i < data_inputs(n); i++)
    if (!quantized_source(g, n->inputs[i], &next) || !quantized_alike(g, &first, &next)) return SDX_OK;
  const node *dequantize = match_producer(g, n->inputs[0]);
  if (pads_constant(n)) SDX_TRY(set_pad_byte(c, n, first.dtype, pad));
  for (uint32_t i = data_inputs(n); i-- > 0;) n->inputs[i] = match_producer(g, n->inputs[i])->inputs[0];
  for (uint32_t i = 0; i < n->output_count; i++) {
    value_id floats = n->outputs[i];
    if (!floats) continue;
    if (!(n->outputs[i] = value_like(c, floats, first.dtype))) return c->err->status;
    g->values[n->outputs[i]].producer = g->values[floats].producer;
    SDX_TRY(add_linear(c, dequantize, n->outputs[i], floats, axis));
  }
  c->changed = true;
  return SDX_OK;
}

// ---- before -----------------------------------------------------------------------------------------

static sdx_status move_before(pass_context *c, node *quantize, node *n) {
  graph *g = c->graph;
  quantized q;
  int32_t pad = 0;
  if (!quantized_from(g, quantize, &q) || q.axis != ONE_FOR_ALL || motion_of(n) != GROWS || n->output_count != 1)
    return SDX_OK;
  if (pads_constant(n) && !pad_byte(g, n, &q, false, &pad)) return SDX_OK;
  if (pads_constant(n)) SDX_TRY(set_pad_byte(c, n, q.dtype, pad));
  value_id *inputs = arena_copy(g->memory, n->inputs, n->input_count * sizeof *inputs);
  if (!inputs) return error_no_memory(c->err, n->input_count * sizeof *inputs);
  for (uint32_t i = 0; i < data_inputs(n); i++) {
    if (!(inputs[i] = value_like(c, n->inputs[i], q.dtype))) return c->err->status;
    SDX_TRY(add_linear(c, quantize, n->inputs[i], inputs[i], ONE_FOR_ALL));
  }
  n->inputs = inputs;
  n->outputs[0] = quantize->outputs[0];
  g->values[n->outputs[0]].producer = g->values[quantize->inputs[0]].producer;
  quantize->dead = c->changed = true;
  return SDX_OK;
}

// A QuantizeLinear that was moved is looked at again: it stands at the end of the list.
static sdx_status move_all_before(pass_context *c) {
  graph *g = c->graph;
  uint32_t *uses = graph_count_uses(g, c->scratch), count = g->value_count;
  if (!uses) return error_no_memory(c->err, g->value_count * sizeof *uses);
  for (uint32_t i = 0; i < g->node_count; i++) {
    node *quantize = g->nodes[i];
    if (!match_is(quantize, "QuantizeLinear")) continue;
    value_id v = quantize->inputs[0];
    node *n = v < count && uses[v] == 1 ? match_producer(g, v) : NULL;
    if (n && !n->dead) SDX_TRY(move_before(c, quantize, n));
  }
  return SDX_OK;
}

static sdx_status run(pass_context *c) {
  graph *g = c->graph;
  for (uint32_t i = 0, count = g->node_count; i < count; i++)
    if (motion_of(g->nodes[i]) != STAYS) SDX_TRY(move_behind(c, g->nodes[i]));
  return move_all_before(c);
}

const pass_def pass_move_quantized = {
    .name = "move_quantized", .help = "moves bytes instead of the floats that they stand for", .level = 2, .run = run};

// SPDX-License-Identifier: Apache-2.0
// Between the layouts that were chosen: where a step wants an input in another layout than it is written in, a Reorder
// step makes it once for all who want it so; what lies alike in both layouts is shown instead; constants are reordered
// while planning. Steps that are views vanish here: their output is a name for the bytes of their input.
#include <string.h>

#include "ops/reorder.h"
#include "plan/build.h"
#include "plan/frame.h"

typedef struct converter {
  builder *b;
  plan_step *steps;  // the new list
  uint32_t step_count;
  value_id *other;  // by value: itself in the other layout; 0: not made yet
} converter;

static sdx_status order_dims(builder *b, value_id v, layout l, size_t rank, const int64_t *shape) {
  int64_t *dims = arena_array(&b->p->memory, rank, sizeof *dims);
  if (!dims) return error_no_memory(b->err, rank * sizeof *dims);
  layout_dims(l, rank, shape, dims);
  tensor *t = &b->p->values[v].value.tensor;
  t->dims = dims;
  t->rank = (uint8_t)rank;
  return SDX_OK;
}

// A step that reorders v into `to`.
static sdx_status make_reorder(builder *b, value_id v, value_id to, plan_step *out) {
  reorder_params params = {(layout)b->p->values[v].layout, (layout)b->p->values[to].layout};
  char *name = arena_format(&b->p->memory, "%.*s to %s", STR_ARG(builder_name(b, v)), layout_name(params.to));
  return builder_make_step(b, &op_reorder, name, &params, 1, 1, (value_id[]){v, to}, out);
}

static sdx_status reorder_constant(builder *b, const plan_step *s) {
  plan *p = b->p;
  plan_value *to = &p->values[s->outputs[0]];
  const plan_value *from = &p->values[s->inputs[0]];
  SDX_TRY(builder_read_constant(b, s->inputs[0]));
  to->value.tensor.data = arena_alloc(&p->memory, to->value.tensor.bytes);
  if (!to->value.tensor.data) return error_no_memory(b->err, to->value.tensor.bytes);
  value source = {.tensor = from->value.tensor}, *in = &source, *out = &to->value;
  op_step c = s->step;
  c.in = &in, c.out = &out, c.err = b->err;
  SDX_TRY(step_evaluate(&c, p->account));
  to->storage = STORE_CONST;
  to->local = true;
  return SDX_OK;
}

// v in layout `l`.
static sdx_status in_layout(converter *c, value_id v, layout l, value_id *out) {
  builder *b = c->b;
  plan *p = b->p;
  *out = v;
  if (!v || p->values[v].layout == l || !p->values[v].known || p->values[v].type.rank < 3) return SDX_OK;
  size_t rank = (size_t)p->values[v].type.rank;
  const int64_t *shape = p->values[v].type.dims;
  if (c->other[v]) {
    *out = c->other[v];
    return SDX_OK;
  }
  value_id made = *out = c->other[v] = builder_add_value(b, v);
  p->values[made].layout = (uint8_t)l;
  SDX_TRY(order_dims(b, made, l, rank, shape));
  if (layout_is_moot(rank, shape)) {
    builder_show(b, made, v);
    return SDX_OK;
  }
  plan_step s;
  SDX_TRY(make_reorder(b, v, made, &s));
  if (p->values[v].storage == STORE_CONST) return reorder_constant(b, &s);
  p->values[made].storage = STORE_SLAB;
  c->steps[c->step_count++] = s;
  return SDX_OK;
}

// An operand of a lower rank, whose elements lie alike in both layouts, among operands of rank `rank`.
static sdx_status aligned(builder *b, value_id v, size_t rank, value_id *out) {
  plan *p = b->p;
  int64_t shape[TENSOR_MAX_RANK];
  size_t own = (size_t)p->values[v].type.rank;
  for (size_t i = 0; i < rank; i++) shape[i] = i < rank - own ? 1 : p->values[v].type.dims[i - (rank - own)];
  value_id made = *out = builder_add_value(b, v);
  p->values[made].layout = LAYOUT_CHANNELS_LAST;
  builder_show(b, made, v);
  return order_dims(b, made, LAYOUT_CHANNELS_LAST, rank, shape);
}

static layout wanted(const builder *b, uint32_t s, uint32_t input) {
  const plan *p = b->p;
  const plan_step *step = &p->steps[s];
  uint8_t port = builder_has_port(b, s) ? b->ports[s].in[input] : PORT_ONNX;
  if (port == PORT_ANY) return (layout)p->values[step->inputs[input]].layout;
  if (port == PORT_CHOSEN) return (layout)step->step.layout;
  return port == PORT_CHANNELS_LAST ? LAYOUT_CHANNELS_LAST : LAYOUT_ONNX;
}

static bool is_aligned(const builder *b, uint32_t s, uint32_t input) {
  return builder_has_port(b, s) && b->ports[s].in[input] == PORT_BROADCAST &&
         b->p->steps[s].step.layout == LAYOUT_CHANNELS_LAST;
}

// The list with `with` in place of entry i; it is the plan's own from the first change on.
static sdx_status replace(builder *b, const value_id **list, const value_id *original, uint32_t count, uint32_t i,
                          value_id with) {
  if ((*list)[i] == with) return SDX_OK;
  if (*list == original) {
    *list = arena_copy(&b->p->memory, original, count * sizeof **list);
    if (!*list) return error_no_memory(b->err, count * sizeof **list);
  }
  ((value_id *)*list)[i] = with;
  return SDX_OK;
}

static sdx_status convert_step(converter *c, uint32_t s) {
  builder *b = c->b;
  plan *p = b->p;
  plan_step step = p->steps[s];
  const node *n = step.step.node;
  for (uint32_t i = 0; i < n->input_count; i++) {
    value_id v = step.inputs[i];
    if (!v) continue;
    if (is_aligned(b, s, i)) SDX_TRY(aligned(b, v, (size_t)step.step.out_types[0].rank, &v));
    else SDX_TRY(in_layout(c, v, wanted(b, s, i), &v));
    SDX_TRY(replace(b, &step.inputs, n->inputs, n->input_count, i, v));
  }
  for (uint32_t i = 0; i < n->capture_count; i++) {
    value_id v = step.captures[i];
    SDX_TRY(in_layout(c, v, LAYOUT_ONNX, &v));
    SDX_TRY(replace(b, &step.captures, n->captures, n->capture_count, i, v));
  }
  if (step.view) {
    builder_show(b, step.outputs[0], step.inputs[0]);
  } else {
    c->steps[c->step_count++] = step;
  }
  return SDX_OK;
}

// At most so many values and steps are added.
static uint32_t most_conversions(const builder *b) {
  const plan *p = b->p;
  size_t most = p->value_count;  // each value once in its other layout
  for (uint32_t s = 0; s < p->step_count; s++)
    for (uint32_t i = 0; i < p->steps[s].step.input_count; i++) most += p->steps[s].inputs[i] && is_aligned(b, s, i);
  return (uint32_t)most;
}

sdx_status convert_layouts(builder *b) {
  plan *p = b->p;
  uint32_t more = b->ports ? most_conversions(b) : 0;
  converter c = {.b = b};
  plan_value *values = arena_alloc(&p->memory, ((size_t)p->value_count + more) * sizeof *values);
  c.steps = arena_alloc(&p->memory, ((size_t)p->step_count + more) * sizeof *c.steps);
  c.other = arena_array(&b->scratch, p->value_count + more, sizeof *c.other);
  if (!values || !c.steps || !c.other) return error_no_memory(b->err, (p->value_count + more) * sizeof *values);
  memcpy(values, p->values, p->value_count * sizeof *values);
  p->values = values;
  for (uint32_t s = 0; s < p->step_count; s++) SDX_TRY(convert_step(&c, s));
  for (uint32_t i = 0; i < b->g->output_count; i++)
    if (p->wanted[i]) SDX_TRY(in_layout(&c, p->outputs[i], LAYOUT_ONNX, &p->outputs[i]));
  p->steps = c.steps;
  p->step_count = c.step_count;
  return SDX_OK;
}

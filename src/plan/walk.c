// SPDX-License-Identifier: Apache-2.0
// The first walk of a plan: along the nodes that wanted outputs need, it infers types, computes at once what hangs on
// shapes and constants alone, and lists the others as steps.
#include <string.h>

#include "plan/build.h"
#include "plan/frame.h"

enum { EVALUATE_LIMIT_BYTES = 64 << 10 };

static sdx_status set_type(builder *b, value_id v, const type_info *t) {
  plan_value *pv = &b->p->values[v];
  pv->type = *t;
  pv->known = type_is_fixed(t);
  if (!pv->known) return SDX_OK;
  int64_t *dims = arena_copy(&b->p->memory, t->dims, (size_t)t->rank * sizeof *dims);
  if (!dims) return error_no_memory(b->err, (size_t)t->rank * sizeof *dims);
  pv->type.dims = dims;
  return tensor_init(&pv->value.tensor, (sdx_dtype)t->dtype, (size_t)t->rank, dims, b->err);
}

static sdx_status set_constant(builder *b, value_id v, const tensor *t) {
  plan_value *pv = &b->p->values[v];
  pv->value.tensor = *t;
  pv->storage = STORE_CONST;
  pv->known = true;
  pv->type = (type_info){.kind = TYPE_TENSOR, .dtype = t->dtype, .rank = (int8_t)t->rank, .dims = t->dims};
  return SDX_OK;
}

// The constant an outer value stands for, through any number of enclosing graphs.
static const tensor *outer_constant(const graph *g, value_id v) {
  while (g->values[v].outer && g->parent) {
    v = g->values[v].outer;
    g = g->parent;
    if (g->values[v].constant) return g->values[v].constant;
  }
  return NULL;
}

static sdx_status bind_sources(builder *b) {
  plan *p = b->p;
  graph *g = b->g;
  for (value_id v = 1; v < g->value_count; v++) {
    p->values[v].root = v;
    p->values[v].type = (type_info){.kind = TYPE_UNKNOWN, .rank = -1};
    if (g->values[v].constant) SDX_TRY(set_constant(b, v, g->values[v].constant));
  }
  for (uint32_t i = 0; i < g->input_count; i++) {
    value_id v = g->inputs[i];
    SDX_TRY(set_type(b, v, &b->request->inputs[i]));
    p->values[v].storage = STORE_INPUT;
    p->values[v].slot = i;
  }
  p->slots = g->input_count;
  if (!b->request->owner) return SDX_OK;
  const node *owner = b->request->owner;
  uint32_t outer_count = 0;
  for (value_id v = 1; v < g->value_count; v++) outer_count += g->values[v].outer != 0;
  p->captured = arena_array(&p->memory, outer_count, sizeof *p->captured);
  p->capture_index = arena_array(&p->memory, outer_count, sizeof *p->capture_index);
  if (!p->captured || !p->capture_index) return error_no_memory(b->err, outer_count * sizeof *p->captured);
  for (value_id v = 1; v < g->value_count; v++) {
    if (!g->values[v].outer) continue;
    const tensor *constant = outer_constant(g, v);
    if (constant) {
      SDX_TRY(set_constant(b, v, constant));
      continue;
    }
    uint32_t k = node_find_capture(owner, g->values[v].outer);
    if (k == owner->capture_count) continue;
    SDX_TRY(set_type(b, v, &b->request->captures[k]));
    p->values[v].storage = STORE_INPUT;
    p->values[v].slot = p->slots++;
    p->captured[p->captured_count] = v;
    p->capture_index[p->captured_count++] = k;
  }
  return SDX_OK;
}

// Marks what the wanted outputs need, so that nothing else is computed.
static sdx_status mark_needed(builder *b) {
  graph *g = b->g;
  b->needed = arena_array(&b->scratch, g->value_count, sizeof *b->needed);
  if (!b->needed) return error_no_memory(b->err, g->value_count);
  for (uint32_t i = 0; i < g->output_count; i++)
    if (b->p->wanted[i]) b->needed[g->outputs[i]] = true;
  for (uint32_t n = g->node_count; n-- > 0;) {
    const node *nd = g->nodes[n];
    bool wanted = false;
    for (uint32_t i = 0; i < nd->output_count; i++) wanted |= nd->outputs[i] && b->needed[nd->outputs[i]];
    if (nd->dead || !wanted) continue;
    for (uint32_t i = 0; i < nd->input_count; i++) b->needed[nd->inputs[i]] = true;
    for (uint32_t i = 0; i < nd->capture_count; i++) b->needed[nd->captures[i]] = true;
  }
  return SDX_OK;
}

// A node can be computed now if everything it looks at is known and the result is small. The size of strings shows only
// afterwards: they are left to the run and its budget.
static bool can_evaluate(const builder *b, const op_step *c) {
  const plan *p = b->p;
  const node *n = c->node;
  if (n->op->flags & (OP_NONDETERMINISTIC | OP_CONTROL) || n->capture_count) return false;
  bool shape_only = n->op->flags & OP_READS_SHAPE;
  for (uint32_t i = 0; i < n->input_count; i++)
    if (n->inputs[i] && !(shape_only ? p->values[n->inputs[i]].known : p->values[n->inputs[i]].storage == STORE_CONST))
      return false;
  for (uint32_t i = 0; i < n->output_count; i++) {
    const type_info *out = &c->out_types[i];
    tensor t;
    if (!n->outputs[i]) continue;
    if (!type_is_fixed(out) || tensor_init(&t, out->dtype, (size_t)out->rank, out->dims, NULL) != SDX_OK ||
        t.bytes > EVALUATE_LIMIT_BYTES || t.dtype == SDX_STRING)
      return false;
  }
  return true;
}

static sdx_status evaluate(builder *b, op_step *c) {
  plan *p = b->p;
  const node *n = c->node;
  if (!step_tables(c, STEP_VALUES)) return error_no_memory(b->err, n->input_count * sizeof *c->in);
  value *made = arena_array(&b->scratch, n->output_count + 1, sizeof *made);
  if (!made) return error_no_memory(b->err, n->output_count * sizeof *made);
  for (uint32_t i = 0; i < n->input_count; i++) {
    if (!n->inputs[i]) continue;
    c->in[i] = &p->values[n->inputs[i]].value;
    SDX_TRY(builder_read_constant(b, n->inputs[i]));
  }
  for (uint32_t i = 0; i < n->output_count; i++) {
    const type_info *t = &c->out_types[i];
    if (!n->outputs[i]) continue;
    int64_t *dims = arena_copy(&p->memory, t->dims, (size_t)t->rank * sizeof *dims);
    if (!dims) return error_no_memory(b->err, (size_t)t->rank * sizeof *dims);
    SDX_TRY(tensor_init(&made[i].tensor, (sdx_dtype)t->dtype, (size_t)t->rank, dims, b->err));
    made[i].tensor.data = arena_zalloc(&p->memory, made[i].tensor.bytes);
    if (!made[i].tensor.data) return error_no_memory(b->err, made[i].tensor.bytes);
    c->out[i] = &made[i];
  }
  SDX_TRY(step_evaluate(c, p->account));
  for (uint32_t i = 0; i < n->output_count; i++) {
    if (!n->outputs[i]) continue;
    SDX_TRY(set_constant(b, n->outputs[i], &made[i].tensor));
    p->values[n->outputs[i]].local = true;
  }
  return SDX_OK;
}

// A view costs nothing: its name will point at the bytes of input 0.
static bool can_view(const builder *b, const node *n) {
  const plan *p = b->p;
  if (!(n->op->flags & OP_VIEW) || n->output_count < 1 || !n->outputs[0] || !n->inputs[0]) return false;
  const plan_value *from = &p->values[n->inputs[0]], *to = &p->values[n->outputs[0]];
  for (uint32_t i = 1; i < n->output_count; i++)
    if (n->outputs[i] && b->needed[n->outputs[i]]) return false;
  return from->known && to->known && from->storage != STORE_DYNAMIC &&
         from->value.tensor.bytes == to->value.tensor.bytes;
}

static void view_constant(plan *p, const node *n) {
  const plan_value *from = &p->values[n->inputs[0]];
  plan_value *to = &p->values[n->outputs[0]];
  to->storage = STORE_CONST;
  to->local = from->local;
  to->value.tensor.data = from->value.tensor.data;
}

static void add_step(builder *b, const op_step *c, bool is_static, bool is_view) {
  plan *p = b->p;
  const node *n = c->node;
  p->steps[p->step_count++] = (plan_step){.step = *c,
                                          .inputs = n->inputs,
                                          .outputs = n->outputs,
                                          .captures = n->captures,
                                          .dynamic = !is_static,
                                          .view = is_view};
  p->has_dynamic |= !is_static;
  for (uint32_t i = 0; i < n->output_count; i++)
    if (n->outputs[i]) p->values[n->outputs[i]].storage = is_static ? STORE_SLAB : STORE_DYNAMIC;
}

// What is known of a body's outputs from the types of its inputs and of what it reads outside.
static sdx_status infer_body(op_step *c, graph *body, size_t inputs, const type_info *const *in,
                             const type_info **outputs) {
  const builder *b = c->owner;
  const node *n = c->node;
  plan_request request = *b->request;
  type_info *given = arena_array(c->memory, body->input_count + n->capture_count + 1, sizeof *given);
  type_info *made = arena_array(c->memory, body->output_count + 1, sizeof *made);
  if (!given || !made) return error_no_memory(c->err, body->input_count * sizeof *given);
  for (uint32_t i = 0; i < body->input_count; i++)
    given[i] = i < inputs && in[i] ? *in[i] : (type_info){.kind = TYPE_UNKNOWN, .rank = -1};
  for (uint32_t i = 0; i < n->capture_count; i++) given[body->input_count + i] = b->p->values[n->captures[i]].type;
  request.graph = body, request.owner = n, request.wanted = NULL;
  request.inputs = given, request.captures = given + body->input_count;
  SDX_TRY(plan_types(&request, c->memory, made, c->err));
  for (uint32_t i = 0; i < body->output_count; i++) outputs[i] = &made[i];
  return SDX_OK;
}

static sdx_status plan_node(builder *b, const node *n) {
  plan *p = b->p;
  op_step c;
  if (!step_init(&c, n, STEP_TYPES, &b->scratch)) return error_no_memory(b->err, n->input_count * sizeof *c.in_types);
  static const step_services services = {.infer_body = infer_body};
  c.err = b->err;
  if (b->types_only) c.services = &services, c.owner = b;
  bool inputs_known = true;
  for (uint32_t i = 0; i < n->input_count; i++) {
    plan_value *in = &p->values[n->inputs[i]];
    if (!n->inputs[i]) continue;
    c.in_types[i] = &in->type;
    if (in->storage == STORE_CONST) c.constants[i] = &in->value.tensor;
    inputs_known &= in->known;
  }
  SDX_TRY(step_infer(&c));
  if (can_evaluate(b, &c)) return evaluate(b, &c);
  bool outputs_known = true;
  for (uint32_t i = 0; i < n->output_count; i++) {
    if (!n->outputs[i]) continue;
    SDX_TRY(step_located(&c, set_type(b, n->outputs[i], &c.out_types[i])));
    outputs_known &= p->values[n->outputs[i]].known;
  }
  bool is_static = inputs_known && outputs_known && !(n->op->flags & OP_CONTROL), is_view = is_static && can_view(b, n);
  if (is_view && p->values[n->inputs[0]].storage == STORE_CONST) view_constant(p, n);
  else add_step(b, &c, is_static, is_view);
  return SDX_OK;
}

sdx_status walk_nodes(builder *b) {
  const graph *g = b->g;
  SDX_TRY(bind_sources(b));
  SDX_TRY(mark_needed(b));
  for (uint32_t i = 0; i < g->node_count; i++) {
    const node *n = g->nodes[i];
    bool wanted = false;
    for (uint32_t k = 0; k < n->output_count; k++) wanted |= n->outputs[k] && b->needed[n->outputs[k]];
    if (wanted && !n->dead) SDX_TRY(plan_node(b, n));
  }
  return SDX_OK;
}

// SPDX-License-Identifier: Apache-2.0
// Making a plan, the walks of build.h in their order, and binding its steps to their values before operators prepare.
#include "plan/plan.h"

#include <string.h>

#include "plan/build.h"

// Whether a step's operand is a constant of its graph, seen through no view.
static bool is_direct(const plan *p, value_id v) { return v < p->graph->value_count && p->graph->values[v].constant; }

static const void *get_pack(op_step *c, size_t input, const pack_format *format, size_t bytes,
                            void (*fill)(void *target, const tensor *source, void *context), void *context) {
  const plan *p = c->owner;
  const tensor *source = step_in(c, input);
  bool direct = is_direct(p, (value_id)((const plan_value *)c->in[input] - p->values));
  bool missing = !pack_cache_holds(p->packs, source, format, bytes);
  if (p->weights && weights_ask(p->weights, source->data, direct, missing, c->err) != SDX_OK) return NULL;
  return pack_cache_get(p->packs, c, input, format, bytes, fill, context);
}

static sdx_status keep(op_step *c, size_t input) {
  const plan *p = c->owner;
  return p->weights ? weights_read(p->weights, step_in(c, input)->data, false, c->err) : SDX_OK;
}

// Tells of each constant that the prepared step reads whether it reads it packed.
static sdx_status read_constants(builder *b, const plan_step *s) {
  const plan *p = b->p;
  for (uint32_t i = 0; p->weights && i < s->step.input_count; i++) {
    value_id v = s->inputs[i];
    const plan_value *pv = &p->values[v];
    if (v && pv->storage == STORE_CONST)
      SDX_TRY(weights_read(p->weights, pv->value.tensor.data, is_direct(p, v), b->err));
  }
  for (uint32_t i = 0; i < s->step.node->capture_count; i++) SDX_TRY(builder_read_constant(b, s->captures[i]));
  return SDX_OK;
}

// The step's tables: values that are constant have data, others their shapes.
static sdx_status bind_step(builder *b, plan_step *s) {
  plan *p = b->p;
  op_step *c = &s->step;
  c->memory = &p->memory;
  if (!step_tables(c, STEP_VALUES)) return error_no_memory(b->err, c->input_count * sizeof *c->in);
  c->threads = (uint32_t)p->threads;
  c->precision = (uint8_t)p->precision;
  for (uint32_t i = 0; i < c->input_count; i++) {
    if (!s->inputs[i]) continue;
    c->in[i] = &p->values[s->inputs[i]].value;
    c->in_types[i] = &p->values[s->inputs[i]].type;
    c->packable[i] = p->packs && p->values[s->inputs[i]].storage == STORE_CONST && !p->values[s->inputs[i]].local;
  }
  for (uint32_t i = 0; i < c->output_count; i++)
    if (s->outputs[i]) c->out[i] = &p->values[s->outputs[i]].value;
  return SDX_OK;
}

static sdx_status prepare_step(builder *b, plan_step *s) {
  static const step_services services = {.pack = get_pack, .keep = keep};
  op_step *c = &s->step;
  SDX_TRY(bind_step(b, s));
  c->services = &services;
  c->owner = b->p;
  c->err = b->err;
  if (s->dynamic) pack_ahead(b, s);
  sdx_status status = s->dynamic ? SDX_OK : s->place ? device_prepare(&b->p->places->at[s->place], c) : step_prepare(c);
  c->in_types = NULL, c->out_types = NULL, c->constants = NULL;  // these lie in the scratch
  return status == SDX_OK ? read_constants(b, s) : status;
}

static sdx_status keep_signature(builder *b) {
  plan *p = b->p;
  const plan_request *r = b->request;
  size_t captures = r->owner ? r->owner->capture_count : 0, count = b->g->input_count + captures;
  p->owner = r->owner;
  p->signature = arena_array(&p->memory, count, sizeof *p->signature);
  if (!p->signature) return error_no_memory(b->err, count * sizeof *p->signature);
  for (size_t i = 0; i < count; i++) {
    const type_info *t = i < b->g->input_count ? &r->inputs[i] : &r->captures[i - b->g->input_count];
    p->signature[i] = *t;
    if (t->kind != TYPE_TENSOR || t->rank < 0) continue;
    p->signature[i].dims = arena_copy(&p->memory, t->dims, (size_t)t->rank * sizeof *t->dims);
    if (!p->signature[i].dims) return error_no_memory(b->err, (size_t)t->rank * sizeof *t->dims);
  }
  return SDX_OK;
}

// Room for what the first walk finds, and that walk.
static sdx_status look(builder *b) {
  plan *p = b->p;
  const graph *g = b->g;
  p->value_count = g->value_count;
  p->outputs = arena_copy(&p->memory, g->outputs, g->output_count * sizeof *p->outputs);
  p->wanted = arena_array(&p->memory, g->output_count + 1, sizeof *p->wanted);
  p->values = arena_array(&b->scratch, g->value_count, sizeof *p->values);
  p->steps = arena_alloc(&b->scratch, g->node_count * sizeof *p->steps);
  if (!p->outputs || !p->wanted || !p->values || !p->steps)
    return error_no_memory(b->err, g->value_count * sizeof *p->values);
  for (uint32_t i = 0; i < g->output_count; i++) p->wanted[i] = !b->request->wanted || b->request->wanted[i];
  SDX_TRY(keep_signature(b));
  return walk_nodes(b);
}

static sdx_status build(builder *b) {
  plan *p = b->p;
  SDX_TRY(look(b));
  SDX_TRY(choose_places(b));
  SDX_TRY(choose_layouts(b));
  SDX_TRY(convert_layouts(b));
  SDX_TRY(assign_storage(b));
  if (p->weights) weights_begin(p->weights);
  for (uint32_t i = 0; i < p->step_count; i++) SDX_TRY(prepare_step(b, &p->steps[i]));
  return assign_slab(b);
}

static plan *begin(const plan_request *request, error *err) {
  plan *p = mem_zalloc(request->account, sizeof *p);
  if (!p) {
    error_no_memory(err, sizeof *p);
    return NULL;
  }
  arena_init(&p->memory, request->account);
  p->account = request->account;
  p->graph = request->graph;
  p->threads = request->threads;
  p->precision = request->precision;
  p->packs = request->packs;
  p->weights = request->weights;
  p->places = request->places;
  atomic_init(&p->references, 1);
  return p;
}

sdx_status plan_create(const plan_request *request, plan **out, error *err) {
  plan *p = begin(request, err);
  *out = NULL;
  if (!p) return SDX_NO_MEMORY;
  builder b = {.p = p, .request = request, .g = request->graph, .err = err};
  arena_init(&b.scratch, request->account);
  sdx_status s = build(&b);
  if (s != SDX_OK) plan_release(p);
  else *out = p;
  arena_deinit(&b.scratch);
  return s;
}

// As deep as sequences of sequences are nested, which the import bounds.
static bool copy_type(arena *memory, const type_info *from, type_info *to) {
  *to = *from;
  if (from->rank > 0 && !(to->dims = arena_copy(memory, from->dims, (size_t)from->rank * sizeof *from->dims)))
    return false;
  if (!from->element) return true;
  type_info *element = arena_alloc(memory, sizeof *element);
  to->element = element;
  return element && copy_type(memory, from->element, element);
}

sdx_status plan_types(const plan_request *request, arena *memory, type_info *outputs, error *err) {
  plan *p = begin(request, err);
  if (!p) return SDX_NO_MEMORY;
  builder b = {.p = p, .request = request, .g = request->graph, .types_only = true, .err = err};
  arena_init(&b.scratch, request->account);
  sdx_status s = look(&b);
  for (uint32_t i = 0; s == SDX_OK && i < b.g->output_count; i++)
    if (!copy_type(memory, &p->values[p->outputs[i]].type, &outputs[i])) s = error_no_memory(err, sizeof *outputs);
  p->step_count = 0;  // nothing of a step was prepared
  plan_release(p);
  arena_deinit(&b.scratch);
  return s;
}

plan *plan_retain(plan *p) {
  atomic_fetch_add(&p->references, 1);
  return p;
}

void plan_release(plan *p) {
  if (!p || atomic_fetch_sub(&p->references, 1) != 1) return;
  for (uint32_t s = 0; s < p->step_count; s++) device_release(&p->steps[s].step);
  arena_deinit(&p->memory);
  mem_free(p);
}

static bool same_type(const type_info *a, const type_info *b) {
  if (a->kind != b->kind || a->dtype != b->dtype) return false;
  if (a->kind != TYPE_TENSOR) return true;
  return a->rank == b->rank && (a->rank <= 0 || memcmp(a->dims, b->dims, (size_t)a->rank * sizeof *a->dims) == 0);
}

bool plan_fits(const plan *p, const plan_request *r) {
  if (p->graph != r->graph || p->owner != r->owner) return false;
  for (uint32_t i = 0; i < p->graph->input_count; i++)
    if (!same_type(&p->signature[i], &r->inputs[i])) return false;
  for (uint32_t i = 0; r->owner && i < r->owner->capture_count; i++)
    if (!same_type(&p->signature[p->graph->input_count + i], &r->captures[i])) return false;
  for (uint32_t i = 0; i < p->graph->output_count; i++)
    if (p->wanted[i] != (!r->wanted || r->wanted[i])) return false;
  return true;
}

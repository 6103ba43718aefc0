// SPDX-License-Identifier: Apache-2.0
// Which step runs where, and the copies between. Each step goes to the first device that can run it; what the engine
// cannot hand over stays on the host and says why, and so does what would only be carried there and back. A value is
// copied once for each place that reads it; copies to the host begin behind the step that writes the value, and a Wait
// stands before the first that reads it.
#include <stdio.h>
#include <string.h>

#include "plan/build.h"

enum { SHAPE_ELEMENTS = 64, REASON_BYTES = 200 };

// ---- choice -----------------------------------------------------------------------------------------

static bool goes_to_devices(const type_info *t) {
  return t->kind == TYPE_TENSOR && t->dtype != SDX_STRING && t->dtype != SDX_UNDEFINED;
}

static bool is_shape_like(const type_info *t) {
  int64_t count = 1;
  if (t->dtype != SDX_INT64 && t->dtype != SDX_INT32 && t->dtype != SDX_BOOL) return false;
  for (int i = 0; i < t->rank && count <= SHAPE_ELEMENTS; i++) count *= t->dims[i];
  return t->rank <= 1 && count <= SHAPE_ELEMENTS;
}

// Why the engine hands a step to no device; NULL: it may.
static const char *kept_by_engine(const plan_step *s) {
  const op_step *c = &s->step;
  bool shapes = true;
  if (c->node->op->flags & OP_CONTROL) return "control flow runs on the host";
  if (s->dynamic) return "its shapes depend on data";
  for (uint32_t i = 0; i < c->input_count + c->output_count; i++) {
    bool input = i < c->input_count;
    const type_info *t = input ? c->in_types[i] : &c->out_types[i - c->input_count];
    if (!t || (!input && !s->outputs[i - c->input_count])) continue;
    if (!goes_to_devices(t)) return t->dtype == SDX_STRING ? "strings stay on the host" : "its values are no tensors";
    shapes &= is_shape_like(t);
  }
  return shapes ? "shape arithmetic stays on the host" : NULL;
}

static sdx_status choose_place(builder *b, plan_step *s) {
  plan *p = b->p;
  char reason[REASON_BYTES] = "", all[3 * REASON_BYTES] = "";
  s->reason = kept_by_engine(s);
  if (s->view && s->inputs[0]) {  // nothing is computed: it is where its input is
    s->place = p->values[s->inputs[0]].place;
    s->reason = NULL;
  }
  for (size_t k = 1; !s->view && !s->reason && !s->place && k < p->places->count; k++) {
    place *device = &p->places->at[k];
    if (place_can_run(device, &s->step, reason, sizeof reason)) s->place = (uint8_t)k;
    else
      snprintf(all + strlen(all), sizeof all - strlen(all), "%s%s: %s", *all ? "; " : "", device->provider->name,
               *reason ? reason : "cannot run it");
  }
  if (!s->place && *all) {
    s->reason = arena_copy(&p->memory, all, strlen(all) + 1);
    if (!s->reason) return error_no_memory(b->err, sizeof all);
  }
  for (uint32_t i = 0; i < s->step.output_count; i++)
    if (s->outputs[i]) p->values[s->outputs[i]].place = s->place;
  return SDX_OK;
}

// A light step between host steps alone would cost two copies and save nothing.
static sdx_status call_back(builder *b) {
  plan *p = b->p;
  bool *read_there = arena_array(&b->scratch, p->value_count, sizeof *read_there);
  if (!read_there) return error_no_memory(b->err, p->value_count);
  for (uint32_t n = p->step_count; n-- > 0;) {
    plan_step *s = &p->steps[n];
    bool light = s->step.node->op->flags & (OP_POINTWISE | OP_MOVES_DATA | OP_VIEW), near = false;
    for (uint32_t i = 0; i < s->step.output_count; i++) near |= s->outputs[i] && read_there[s->outputs[i]];
    for (uint32_t i = 0; i < s->step.input_count; i++)
      near |= s->inputs[i] && p->values[s->inputs[i]].place == s->place;
    if (s->place && light && !near) {
      s->place = PLACE_HOST;
      s->reason = "alone between steps of the host: two copies would cost more";
      for (uint32_t i = 0; i < s->step.output_count; i++)
        if (s->outputs[i]) p->values[s->outputs[i]].place = PLACE_HOST;
    }
    for (uint32_t i = 0; s->place && i < s->step.input_count; i++) read_there[s->inputs[i]] = true;
  }
  return SDX_OK;
}

// ---- copies -----------------------------------------------------------------------------------------

typedef struct mover {
  builder *b;
  plan_step *steps;  // the new list
  uint32_t step_count;
  value_id *copies;  // [place * values + value]: 0 is not made yet
  value_id *waits;   // by value: the event to wait for before the first reader
  bool *read_on_host;
  uint32_t values;  // before any was added
} mover;

static value_id add_value(mover *m, value_id like, uint8_t place) {
  value_id v = builder_add_value(m->b, like);
  plan_value *pv = &m->b->p->values[v];
  pv->value.tensor.data = NULL;
  pv->storage = STORE_SLAB;
  pv->place = place;
  return v;
}

static value_id add_event(mover *m, value_id copied) {
  static const int64_t one = 1;
  value_id v = add_value(m, copied, PLACE_HOST);
  plan_value *pv = &m->b->p->values[v];
  pv->type = (type_info){.kind = TYPE_TENSOR, .dtype = SDX_INT64, .rank = 1, .dims = &one};
  tensor_init(&pv->value.tensor, SDX_INT64, 1, &one, NULL);
  return v;
}

static sdx_status add_step(mover *m, const op_def *op, place *device, bool in, uint32_t inputs, uint32_t outputs,
                           const value_id *ids) {
  copy_params params = {device, in};
  char *name = arena_format(&m->b->p->memory, "%.*s %s %s", STR_ARG(builder_name(m->b, ids[0])), in ? "to" : "from",
                            device->provider->name);
  return builder_make_step(m->b, op, name, &params, inputs, outputs, ids, &m->steps[m->step_count++]);
}

static sdx_status copy_in(mover *m, value_id v, uint8_t to, value_id *out) {
  builder *b = m->b;
  plan *p = b->p;
  const plan_value *pv = &p->values[v];
  *out = add_value(m, v, to);
  if (pv->storage != STORE_CONST || pv->local)
    return add_step(m, &op_copy, &p->places->at[to], true, 1, 2, (value_id[]){v, *out, VALUE_ABSENT});
  SDX_TRY(builder_read_constant(b, v));
  plan_value *made = &p->values[*out];
  made->storage = STORE_CONST;
  made->value.tensor.data = place_get_constant(&p->places->at[to], &pv->value.tensor, b->err);
  return made->value.tensor.data ? SDX_OK : SDX_NO_MEMORY;
}

// v where a reader wants it.
static sdx_status at_place(mover *m, value_id v, uint8_t want, value_id *out) {
  plan *p = m->b->p;
  *out = v;
  if (!v || p->values[v].place == want) return SDX_OK;
  if (want != PLACE_HOST && p->values[v].place != PLACE_HOST) SDX_TRY(at_place(m, v, PLACE_HOST, &v));
  if (v >= m->values) return copy_in(m, v, want, out);  // from one device to another
  value_id *made = &m->copies[want * m->values + v];
  if (!*made) SDX_TRY(copy_in(m, v, want, made));  // copies to the host are made where the value is written
  *out = *made;
  if (want != PLACE_HOST || !m->waits[v]) return SDX_OK;
  value_id event = m->waits[v];
  m->waits[v] = VALUE_ABSENT;
  return add_step(m, &op_wait, &p->places->at[p->values[v].place], false, 2, 0, (value_id[]){*out, event});
}

static sdx_status copy_out(mover *m, value_id v) {
  plan *p = m->b->p;
  place *device = &p->places->at[p->values[v].place];
  value_id to = m->copies[PLACE_HOST * m->values + v] = add_value(m, v, PLACE_HOST);
  if (device->provider->record) m->waits[v] = add_event(m, v);
  return add_step(m, &op_copy, device, false, 1, 2, (value_id[]){v, to, m->waits[v]});
}

static sdx_status replace_inputs(mover *m, plan_step *s) {
  const node *n = s->step.node;
  for (int captures = 0; captures < 2; captures++) {
    uint32_t count = captures ? n->capture_count : n->input_count;
    const value_id *list = captures ? s->captures : s->inputs;
    value_id *changed = count ? arena_copy(&m->b->p->memory, list, count * sizeof *list) : NULL;
    if (!count) continue;
    if (!changed) return error_no_memory(m->b->err, count * sizeof *list);
    for (uint32_t i = 0; i < count; i++) SDX_TRY(at_place(m, list[i], captures ? PLACE_HOST : s->place, &changed[i]));
    *(captures ? &s->captures : &s->inputs) = changed;
  }
  return SDX_OK;
}

static sdx_status move_step(mover *m, const plan_step *original) {
  plan_step s = *original;
  SDX_TRY(replace_inputs(m, &s));
  m->steps[m->step_count++] = s;
  for (uint32_t i = 0; i < s.step.output_count; i++)
    if (s.place && s.outputs[i] && m->read_on_host[s.outputs[i]]) SDX_TRY(copy_out(m, s.outputs[i]));
  return SDX_OK;
}

// Device values that some host step, some body, another device or the caller reads.
static void mark_read_on_host(mover *m) {
  const plan *p = m->b->p;
  for (uint32_t n = 0; n < p->step_count; n++) {
    const plan_step *s = &p->steps[n];
    for (uint32_t i = 0; i < s->step.input_count; i++)
      m->read_on_host[s->inputs[i]] |= p->values[s->inputs[i]].place != s->place;
    for (uint32_t i = 0; i < s->step.node->capture_count; i++) m->read_on_host[s->captures[i]] = true;
  }
  for (uint32_t i = 0; i < p->graph->output_count; i++)
    if (p->wanted[i]) m->read_on_host[p->outputs[i]] = true;
}

static sdx_status move_steps(builder *b) {
  plan *p = b->p;
  size_t places = p->places->count, values = (places + 2) * p->value_count, steps = (places + 2) * p->value_count;
  for (uint32_t n = 0; n < p->step_count; n++) values += p->steps[n].step.input_count;  // between devices
  mover m = {.b = b,
             .steps = arena_array(&b->scratch, p->step_count + steps + values, sizeof *m.steps),
             .copies = arena_array(&b->scratch, places * p->value_count, sizeof *m.copies),
             .waits = arena_array(&b->scratch, p->value_count + values, sizeof *m.waits),
             .read_on_host = arena_array(&b->scratch, p->value_count, sizeof *m.read_on_host),
             .values = p->value_count};
  plan_value *all = arena_array(&b->scratch, p->value_count + values, sizeof *all);
  if (!m.steps || !m.copies || !m.waits || !m.read_on_host || !all)
    return error_no_memory(b->err, values * sizeof *all);
  memcpy(all, p->values, p->value_count * sizeof *all);
  p->values = all;
  mark_read_on_host(&m);
  for (uint32_t n = 0; n < p->step_count; n++) SDX_TRY(move_step(&m, &p->steps[n]));
  for (uint32_t i = 0; i < p->graph->output_count; i++)
    if (p->wanted[i]) SDX_TRY(at_place(&m, p->outputs[i], PLACE_HOST, &p->outputs[i]));
  p->steps = m.steps;
  p->step_count = m.step_count;
  return SDX_OK;
}

sdx_status choose_places(builder *b) {
  plan *p = b->p;
  if (!p->places || p->places->count < 2) return SDX_OK;
  for (uint32_t n = 0; n < p->step_count; n++) SDX_TRY(choose_place(b, &p->steps[n]));
  SDX_TRY(call_back(b));
  return move_steps(b);
}

// SPDX-License-Identifier: Apache-2.0
// Frames: a run's memory; and computing one node by itself. See frame.h.
#include "plan/frame.h"

#include <string.h>

#include "base/host.h"
#include "base/size.h"
#include "ops/call.h"
#include "ops/schema.h"

enum { GROWTH = 8 };  // a slab that grows gets this part more than it needs

uint64_t clock_deadline_ns(uint64_t timeout_ms) {
  return timeout_ms && timeout_ms < UINT64_MAX / 2000000u ? clock_ns() + timeout_ms * 1000000u : 0;
}

sdx_status frame_check(const run_frame *f, const node *at, error *err) {
  if (f->limits.cancel && atomic_load_explicit(f->limits.cancel, memory_order_relaxed))
    return node_fail(at, err, (error_part){0}, SDX_CANCELLED, "the run was cancelled here");
  if (!f->limits.deadline_ns || clock_ns() < f->limits.deadline_ns) return SDX_OK;
  node_fail(at, err, (error_part){0}, SDX_DEADLINE_EXCEEDED, "the run passed its deadline here");
  error_hint(err, "raise run_timeout_ms or the run's own timeout");
  return SDX_DEADLINE_EXCEEDED;
}

// The plan's step on the values of this frame. Steps whose shapes are only known now infer while running, too.
static bool bind_step(run_frame *f, arena *a, op_step *c, const plan_step *s) {
  *c = s->step;
  c->memory = a;
  if (!step_tables(c, s->dynamic ? STEP_ALL : STEP_VALUES)) return false;
  c->packable = s->step.packable;
  c->services = &frame_services;
  c->owner = f;
  c->scratch = (char *)f->slab + s->scratch_offset;
  for (uint32_t i = 0; i < c->input_count; i++)
    if (s->inputs[i]) c->in[i] = &f->values[s->inputs[i]];
  for (uint32_t i = 0; i < c->output_count; i++)
    if (s->outputs[i]) c->out[i] = &f->values[s->outputs[i]];
  for (uint32_t i = 0; i < c->node->capture_count; i++) c->captures[i] = &f->values[s->captures[i]];
  return true;
}

// The frame's tables live in an arena right behind the struct.
typedef struct frame_block {
  run_frame frame;
  arena tables;
} frame_block;

static sdx_status allocate_devices(run_frame *f, error *err) {
  const plan *p = f->plan;
  for (size_t k = 1; p->places && k < p->places->count; k++) {
    const place *device = &p->places->at[k];
    if (!p->device_bytes[k]) continue;
    f->device_slabs[k] = device->provider->allocate(device->context, p->device_bytes[k]);
    if (!f->device_slabs[k])
      return error_set(err, SDX_NO_MEMORY, "provider '%s' has no memory for %zu bytes of values",
                       device->provider->name, p->device_bytes[k]);
  }
  return SDX_OK;
}

// No memory for the slab: says which node asks for most of it.
static sdx_status no_slab(const plan *p, error *err) {
  const node *n = NULL;
  const char *what = "an output";
  size_t most = 0;
  for (value_id v = 1; v < p->value_count; v++) {
    const plan_value *pv = &p->values[v];
    if (pv->storage != STORE_SLAB || pv->root != v || pv->first >= p->step_count || pv->value.tensor.bytes <= most)
      continue;
    most = pv->value.tensor.bytes, n = p->steps[pv->first].step.node;
  }
  for (uint32_t s = 0; s < p->step_count; s++)
    if (p->steps[s].step.scratch_bytes > most)
      most = p->steps[s].step.scratch_bytes, n = p->steps[s].step.node, what = "its working memory";
  char all[BYTES_TEXT], part[BYTES_TEXT];
  if (!n) return error_no_memory(err, p->slab_bytes);
  return node_fail(n, err, (error_part){0}, SDX_NO_MEMORY,
                   "no memory for %s, of which %s takes %s: the memory budget is spent", bytes_text(p->slab_bytes, all),
                   what, bytes_text(most, part));
}

static void release_devices(run_frame *f) {
  for (size_t k = 1; k < PLACES_MOST; k++) {
    const place *device = f->device_slabs[k] ? &f->plan->places->at[k] : NULL;
    if (device) device->provider->release_buffer(device->context, f->device_slabs[k]);
    f->device_slabs[k] = NULL;
  }
}

// Room for p's slab. Sizes that change seldom change once: a slab that fits is kept unless most of it would lie idle,
// and one that grows has some room to spare, both where that is little beside the budget.
static bool provide_slab(run_frame *f, const plan *p) {
  size_t need = p->slab_bytes, little = f->account.limit / GROWTH, spare = f->slab && need < little ? need / GROWTH : 0;
  bool fits = f->slab_room > need && f->slab_room / 4 <= need && f->slab_room < little;
  if (f->slab && (f->slab_room == need || fits)) return true;
  mem_free(f->slab);
  f->slab_room = need + spare;
  return (f->slab = mem_alloc(&f->account, f->slab_room)) != NULL;
}

static sdx_status bind_plan(run_frame *f, plan *p, error *err) {
  arena *tables = &((frame_block *)f)->tables;
  f->plan = plan_retain(p);
  f->values = arena_alloc(tables, p->value_count * sizeof *f->values);
  f->owners = arena_array(tables, p->value_count, sizeof *f->owners);
  f->steps = arena_alloc(tables, p->step_count * sizeof *f->steps);
  if (!f->values || !f->owners || !f->steps || !provide_slab(f, p)) return no_slab(p, err);
  SDX_TRY(allocate_devices(f, err));
  f->values[VALUE_ABSENT] = (value){0};
  for (value_id v = 1; v < p->value_count; v++) {
    const plan_value *pv = &p->values[v];
    char *slab = pv->place ? f->device_slabs[pv->place] : f->slab;
    f->values[v] = pv->value;
    if (pv->storage == STORE_SLAB) f->values[v].tensor.data = slab + p->values[pv->root].offset;
  }
  for (uint32_t s = 0; s < p->step_count; s++)
    if (!bind_step(f, tables, &f->steps[s], &p->steps[s])) return error_no_memory(err, sizeof(op_step));
  return SDX_OK;
}

sdx_status frame_create(plan *p, mem_account *parent, size_t limit, run_frame **out, error *err) {
  *out = NULL;
  frame_block *block = mem_zalloc(parent, sizeof *block);
  if (!block) return error_no_memory(err, sizeof *block);
  run_frame *f = &block->frame;
  mem_account_init(&f->account, limit, parent);
  arena_init(&f->memory, &f->account);
  arena_init(&block->tables, parent);
  sdx_status status = bind_plan(f, p, err);
  if (status == SDX_OK) *out = f;
  else frame_destroy(f);
  return status;
}

sdx_status frame_change_plan(run_frame *f, plan *p, error *err) {
  frame_reset(f);
  release_devices(f);
  plan_release((plan *)f->plan);
  arena_reset(&((frame_block *)f)->tables);
  return bind_plan(f, p, err);
}

void frame_reset(run_frame *f) {
  for (value_id v = 1; f->owners && v < f->plan->value_count; v++)
    if (f->owners[v]) {
      value_release(f->owners[v]);
      f->owners[v] = NULL;
      f->values[v] = (value){0};
    }
  arena_reset(&f->memory);
}

void frame_destroy(run_frame *f) {
  if (!f) return;
  frame_reset(f);
  arena_deinit(&f->memory);
  mem_free(f->slab);
  release_devices(f);
  arena_deinit(&((frame_block *)f)->tables);
  plan_release((plan *)f->plan);
  mem_free(f);
}

void value_type(const value *v, type_info *t) {
  *t = (type_info){.kind = TYPE_UNKNOWN, .rank = -1};
  if (v->kind == VALUE_TENSOR)
    *t = (type_info){
        .kind = TYPE_TENSOR, .dtype = v->tensor.dtype, .rank = (int8_t)v->tensor.rank, .dims = v->tensor.dims};
  else if (v->kind == VALUE_SEQUENCE) t->kind = TYPE_SEQUENCE;
  else if (v->kind == VALUE_MAP) t->kind = TYPE_MAP;
  else if (v->kind == VALUE_SPARSE) t->kind = TYPE_SPARSE;
  else if (v->kind == VALUE_NONE) t->kind = TYPE_OPTIONAL;
}

// A view shares the counted bytes of its input where there are any; a slab's bytes are copied.
static sdx_status share_or_copy(run_frame *f, op_step *c, const type_info *t) {
  value *from = c->in[0];
  size_t v = (size_t)(c->out[0] - f->values);
  sdx_value *made = NULL;
  if (from->kind != VALUE_TENSOR || !from->memory) {
    SDX_TRY(value_copy(&f->account, from, &made, c->err));
    if (from->kind == VALUE_TENSOR) {
      sdx_value *shaped = NULL;
      sdx_status s = value_create_view(&f->account, &made->value, (size_t)t->rank, t->dims, &shaped, c->err);
      value_release(made);
      if (s != SDX_OK) return s;
      made = shaped;
    }
  } else {
    SDX_TRY(value_create_view(&f->account, from, (size_t)t->rank, t->dims, &made, c->err));
  }
  f->owners[v] = made;
  f->values[v] = made->value;
  return SDX_OK;
}

// Constants that the step, prepared now, reads as they are, though the plan took them for packed (pack_ahead.c).
static sdx_status pin_constants(const run_frame *f, op_step *c) {
  size_t results = 0;
  for (uint32_t i = 0; i < c->output_count; i++) results += c->out[i] ? c->out[i]->tensor.count : 0;
  if (!results) return SDX_OK;  // what computes nothing reads nothing
  for (uint32_t i = 0; f->plan && f->plan->weights && i < c->input_count; i++)
    if (c->packable[i] && !(i < 64 && f->packed >> i & 1))
      SDX_TRY(weights_pin(f->plan->weights, step_in(c, i)->data, c->err));
  return SDX_OK;
}

// What a plan does once for a step with fixed shapes, for one whose shapes are only known now: state in
// `memory`, scratch in *owned (mem_free).
static sdx_status prepare_dynamic(run_frame *f, op_step *c, arena *memory, void **owned) {
  c->memory = memory;
  c->state = NULL;
  c->scratch_bytes = 0;
  f->packed = 0;
  sdx_status status = step_prepare(c);
  if (status == SDX_OK) status = pin_constants(f, c);
  if (status != SDX_OK || !c->scratch_bytes) return status;
  c->scratch = *owned = mem_alloc(&f->account, c->scratch_bytes);
  return *owned ? SDX_OK : call_no_memory(c, c->scratch_bytes);
}

static void drop_outputs(run_frame *f, op_step *c) {
  for (uint32_t i = 0; i < c->output_count; i++) {
    if (!c->out[i]) continue;
    size_t v = (size_t)(c->out[i] - f->values);
    value_release(f->owners[v]);
    f->owners[v] = NULL;
    *c->out[i] = (value){0};
  }
}

static sdx_status infer_dynamic(op_step *c, arena *memory) {
  type_info *types = arena_array(memory, c->input_count + 1, sizeof *types);
  if (!types) return error_no_memory(c->err, c->input_count * sizeof *types);
  for (uint32_t i = 0; i < c->input_count; i++) {
    const value *v = c->in[i];
    c->in_types[i] = NULL;
    c->constants[i] = NULL;
    if (!v) continue;
    value_type(v, &types[i]);
    c->in_types[i] = &types[i];
    if (v->kind == VALUE_TENSOR && (v->tensor.data || v->tensor.count == 0)) c->constants[i] = &v->tensor;
  }
  c->memory = memory;
  if (c->node->op->flags & OP_CONTROL)  // its bodies say what comes out
    return schema_check_types(c->node->op, c->node, c->input_count, c->in_types, c->err);
  return step_infer(c);
}

static bool is_view(const op_step *c) {
  return (c->node->op->flags & OP_VIEW) && c->out[0] && c->in[0] &&
         (c->in[0]->kind != VALUE_TENSOR || type_is_fixed(&c->out_types[0]));
}

static sdx_status make_outputs(op_step *c) {
  for (uint32_t i = 0; i < c->output_count; i++) {
    const type_info *t = &c->out_types[i];
    if (c->out[i] && type_is_fixed(t)) SDX_TRY(call_set_shape(c, i, (sdx_dtype)t->dtype, (size_t)t->rank, t->dims));
  }
  return SDX_OK;
}

sdx_status frame_run_dynamic(run_frame *f, op_step *c) {
  bool control = c->node->op->flags & OP_CONTROL;
  arena scratch;
  void *owned = NULL;
  arena_init(&scratch, &f->account);
  drop_outputs(f, c);
  f->dynamic = true;
  sdx_status s = infer_dynamic(c, &scratch);
  if (s == SDX_OK && !control && is_view(c)) {
    s = share_or_copy(f, c, &c->out_types[0]);
  } else {
    if (s == SDX_OK && !control) s = make_outputs(c);
    if (s == SDX_OK && !control) s = prepare_dynamic(f, c, &scratch, &owned);
    if (s == SDX_OK) s = c->compute(c);
  }
  mem_free(owned);
  f->dynamic = false;
  arena_deinit(&scratch);
  return s;
}

// A result that outlives the frame: strings may lie in its memory.
static sdx_status take_result(run_frame *f, sdx_value *owner, mem_account *account, sdx_value **out, error *err) {
  if (owner->value.kind == VALUE_TENSOR && owner->value.tensor.dtype != SDX_STRING) *out = value_retain(owner);
  else SDX_TRY(value_copy(&f->account, &owner->value, out, err));
  value_lift(*out, account);
  return SDX_OK;
}

// Hands the results of one node over; whatever fails, nothing is left behind.
static sdx_status take_results(run_frame *f, uint32_t count, mem_account *account, sdx_status s, sdx_value **outputs,
                               error *err) {
  for (uint32_t i = 0; i < count; i++) {
    outputs[i] = NULL;
    if (!f->owners[i]) continue;
    if (s == SDX_OK) s = take_result(f, f->owners[i], account, &outputs[i], err);
    value_release(f->owners[i]);
  }
  for (uint32_t i = 0; s != SDX_OK && i < count; i++) {
    value_release(outputs[i]);
    outputs[i] = NULL;
  }
  return s;
}

static sdx_status evaluate_in(run_frame *f, const node *n, const value *const *in, arena *tables, error *err) {
  op_step c;
  f->values = arena_array(tables, n->output_count + 1, sizeof *f->values);
  f->owners = arena_array(tables, n->output_count + 1, sizeof *f->owners);
  if (!f->values || !f->owners || !step_init(&c, n, STEP_ALL, tables))
    return error_no_memory(err, n->output_count * sizeof *f->values);
  for (uint32_t i = 0; i < n->input_count; i++) c.in[i] = (value *)in[i];
  for (uint32_t i = 0; i < n->output_count; i++)
    if (n->outputs[i]) c.out[i] = &f->values[i];
  c.threads = 1;
  c.services = &frame_services;
  c.owner = f;
  c.err = err;
  SDX_TRY(frame_check(f, n, err));
  pool_watch *former = pool_watch_set(&f->watch);
  sdx_status s = frame_run_dynamic(f, &c);
  pool_watch_set(former);
  return s == SDX_OK && f->watch.stopped ? frame_check(f, n, err) : s;
}

sdx_status node_evaluate(const node *n, const value *const *in, mem_account *account, size_t limit_bytes,
                         const run_limits *limits, sdx_value **outputs, error *err) {
  run_frame f = {0};
  arena tables;
  mem_account_init(&f.account, limit_bytes, account);
  arena_init(&f.memory, &f.account);
  arena_init(&tables, account);
  if (limits) f.limits = *limits;
  f.watch = (pool_watch){.cancel = f.limits.cancel, .deadline_ns = f.limits.deadline_ns};
  sdx_status s = evaluate_in(&f, n, in, &tables, err);
  if (f.owners) s = take_results(&f, n->output_count, account, s, outputs, err);
  arena_deinit(&tables);
  arena_deinit(&f.memory);
  return s;
}

sdx_status step_evaluate(op_step *c, mem_account *account) {
  run_frame f = {0};
  void *scratch = NULL;
  mem_account_init(&f.account, SIZE_MAX, account);
  arena_init(&f.memory, &f.account);
  c->threads = 1;
  c->services = &frame_services;
  c->owner = &f;
  pool_watch *former = pool_watch_set(NULL);
  sdx_status s = step_prepare(c);
  if (s == SDX_OK && c->scratch_bytes && !(c->scratch = scratch = mem_alloc(&f.account, c->scratch_bytes)))
    s = call_no_memory(c, c->scratch_bytes);
  if (s == SDX_OK) s = c->compute(c);
  pool_watch_set(former);
  mem_free(scratch);
  arena_deinit(&f.memory);
  return s;
}

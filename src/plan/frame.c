// SPDX-License-Identifier: Apache-2.0
// Frames: a run's memory; and computing one node by itself. See frame.h.
#include "plan/frame.h"

#include <string.h>

#include "base/host.h"
#include "base/size.h"
#include "ops/schema.h"

uint64_t clock_deadline_ns(uint64_t timeout_ms) {
  return timeout_ms && timeout_ms < UINT64_MAX / 2000000u ? clock_ns() + timeout_ms * 1000000u : 0;
}

sdx_status frame_check(const run_frame *f, const node *at, error *err) {
  if (f->limits.cancel && atomic_load_explicit(f->limits.cancel, memory_order_relaxed))
    return error_set(err, SDX_CANCELLED, "the run was cancelled at node '%.*s' (%.*s)", STR_ARG(at->name),
                     STR_ARG(at->op_type));
  if (f->limits.deadline_ns && clock_ns() >= f->limits.deadline_ns)
    return error_set(err, SDX_DEADLINE_EXCEEDED,
                     "the run passed its deadline at node '%.*s' (%.*s); raise run_timeout_ms or the run's own timeout",
                     STR_ARG(at->name), STR_ARG(at->op_type));
  return SDX_OK;
}

static void set_call(run_frame *f, arena *a, op_call *c, const plan_step *s) {
  const node *n = s->node;
  value **in = arena_array(a, n->input_count, sizeof *in), **out = arena_array(a, n->output_count, sizeof *out);
  const value **captures = arena_array(a, n->capture_count, sizeof *captures);
  *c = (op_call){.compute = n->op->compute,
                 .node = n,
                 .params = n->params,
                 .state = s->state,
                 .in = in,
                 .out = out,
                 .input_count = n->input_count,
                 .captures = captures,
                 .output_count = n->output_count,
                 .threads = (uint32_t)f->plan->threads,
                 .scratch_bytes = s->scratch_bytes,
                 .frame = f};
  if (!in || !out || !captures) {
    c->compute = NULL;
    return;
  }
  if (f->slab) c->scratch = (char *)f->slab + s->scratch_offset;
  for (uint32_t i = 0; i < n->input_count; i++)
    if (n->inputs[i]) in[i] = &f->values[n->inputs[i]];
  for (uint32_t i = 0; i < n->output_count; i++)
    if (n->outputs[i]) out[i] = &f->values[n->outputs[i]];
  for (uint32_t i = 0; i < n->capture_count; i++) captures[i] = &f->values[n->captures[i]];
}

// The frame's tables live in an arena right behind the struct.
typedef struct frame_block {
  run_frame frame;
  arena tables;
} frame_block;

// No memory for the slab: says which node asks for most of it.
static sdx_status no_slab(const plan *p, error *err) {
  const node *n = NULL;
  const char *what = "an output";
  size_t most = 0;
  for (value_id v = 1; v < p->value_count; v++) {
    const plan_value *pv = &p->values[v];
    if (pv->storage != STORE_SLAB || pv->root != v || pv->first >= p->step_count || pv->tensor.bytes <= most) continue;
    most = pv->tensor.bytes, n = p->steps[pv->first].node;
  }
  for (uint32_t s = 0; s < p->step_count; s++)
    if (p->steps[s].scratch_bytes > most)
      most = p->steps[s].scratch_bytes, n = p->steps[s].node, what = "its working memory";
  char place[300];
  if (!n) return error_no_memory(err, p->slab_bytes);
  return error_set(err, SDX_NO_MEMORY, "%s: no memory for %zu bytes, of which %s takes %zu: the memory budget is spent",
                   node_place(n, place, sizeof place), p->slab_bytes, what, most);
}

sdx_status frame_create(plan *p, mem_account *parent, size_t limit, run_frame **out, error *err) {
  *out = NULL;
  frame_block *block = mem_zalloc(parent, sizeof *block);
  if (!block) return error_no_memory(err, sizeof *block);
  run_frame *f = &block->frame;
  f->plan = plan_retain(p);
  mem_account_init(&f->account, limit, parent);
  arena_init(&f->memory, &f->account);
  arena_init(&block->tables, parent);
  f->values = arena_array(&block->tables, p->value_count, sizeof *f->values);
  f->owners = arena_array(&block->tables, p->value_count, sizeof *f->owners);
  f->calls = arena_array(&block->tables, p->step_count, sizeof *f->calls);
  f->slab = mem_alloc(&f->account, p->slab_bytes);
  if (!f->values || !f->owners || !f->calls || !f->slab) {
    frame_destroy(f);
    return no_slab(p, err);
  }
  for (value_id v = 1; v < p->value_count; v++) {
    const plan_value *pv = &p->values[v];
    f->values[v].tensor = pv->tensor;
    f->values[v].kind = VALUE_TENSOR;
    if (pv->storage == STORE_SLAB) f->values[v].tensor.data = (char *)f->slab + p->values[pv->root].offset;
  }
  for (uint32_t s = 0; s < p->step_count; s++) {
    set_call(f, &block->tables, &f->calls[s], &p->steps[s]);
    if (!f->calls[s].compute) {
      frame_destroy(f);
      return error_no_memory(err, sizeof(op_call));
    }
  }
  *out = f;
  return SDX_OK;
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
static sdx_status share_or_copy(run_frame *f, op_call *c, const type_info *t) {
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

static bool type_known(const type_info *t) {
  if (t->kind != TYPE_TENSOR || t->rank < 0 || t->dtype == SDX_UNDEFINED) return false;
  for (int i = 0; i < t->rank; i++)
    if (t->dims[i] < 0) return false;
  return true;
}

// What a plan does once for a step with fixed shapes, for one whose shapes are only known now: state in
// `memory`, scratch in *owned (mem_free).
static sdx_status prepare_dynamic(run_frame *f, op_call *c, arena *memory, void **owned) {
  const node *n = c->node;
  const tensor **in = arena_array(memory, c->input_count + 1, sizeof *in);
  const tensor **out = arena_array(memory, c->output_count + 1, sizeof *out);
  bool *constant = arena_array(memory, c->input_count + 1, sizeof *constant);
  if (!in || !out || !constant) return error_no_memory(c->err, c->input_count * sizeof *in);
  for (uint32_t i = 0; i < c->input_count; i++) {
    in[i] = call_in(c, i);
    constant[i] = f->plan && in[i] && plan_is_packable(f->plan, n->inputs[i]);
  }
  for (uint32_t i = 0; i < c->output_count; i++) out[i] = call_out(c, i);
  op_prepare context = {.node = n,
                        .params = n->params,
                        .input_count = c->input_count,
                        .output_count = c->output_count,
                        .in = in,
                        .out = out,
                        .constant = constant,
                        .threads = c->threads,
                        .precision = f->plan ? f->plan->precision : 0,
                        .memory = memory,
                        .session = f->plan ? f->plan->packs : NULL,
                        .err = c->err};
  pool_watch *former = pool_watch_set(NULL);  // what is packed now serves later runs: never half of it
  sdx_status status = op_prepare_node(&context);
  pool_watch_set(former);
  if (status != SDX_OK) return status;
  c->state = context.state;
  c->scratch_bytes = context.scratch_bytes;
  if (!context.scratch_bytes) return SDX_OK;
  c->scratch = *owned = mem_alloc(&f->account, context.scratch_bytes);
  return *owned ? SDX_OK : call_no_memory(c, context.scratch_bytes);
}

sdx_status frame_run_dynamic(run_frame *f, op_call *c) {
  const node *n = c->node;
  arena scratch;
  void *owned = NULL;
  arena_init(&scratch, &f->account);
  type_info *in_types = arena_array(&scratch, c->input_count + 1, sizeof *in_types);
  const type_info **in = arena_array(&scratch, c->input_count + 1, sizeof *in);
  const tensor **constants = arena_array(&scratch, c->input_count + 1, sizeof *constants);
  type_info *out = arena_array(&scratch, c->output_count + 1, sizeof *out);
  sdx_status s = SDX_OK;
  if (!in_types || !in || !constants || !out) {
    s = error_no_memory(c->err, c->input_count * sizeof *in);
    goto done;
  }
  for (uint32_t i = 0; i < c->output_count; i++)
    if (c->out[i]) {
      size_t v = (size_t)(c->out[i] - f->values);
      if (f->owners[v]) value_release(f->owners[v]);
      f->owners[v] = NULL;
      *c->out[i] = (value){0};
    }
  for (uint32_t i = 0; i < c->input_count; i++)
    if (c->in[i]) {
      value_type(c->in[i], &in_types[i]);
      in[i] = &in_types[i];
      if (c->in[i]->kind == VALUE_TENSOR && (c->in[i]->tensor.data || c->in[i]->tensor.count == 0))
        constants[i] = &c->in[i]->tensor;
    }
  f->dynamic = true;
  if (n->op->flags & OP_CONTROL) {  // its bodies say what comes out
    s = schema_check_types(n->op, n, c->input_count, in, c->err);
  } else {
    op_infer context = {.node = n,
                        .params = n->params,
                        .input_count = c->input_count,
                        .output_count = c->output_count,
                        .in = in,
                        .constants = constants,
                        .out = out,
                        .memory = &scratch,
                        .err = c->err};
    s = op_infer_node(&context);
    if (s == SDX_OK && (n->op->flags & OP_VIEW) && c->out[0] && c->in[0] &&
        (c->in[0]->kind != VALUE_TENSOR || type_known(&out[0]))) {
      s = share_or_copy(f, c, &out[0]);
      goto done;
    }
    for (uint32_t i = 0; i < c->output_count && s == SDX_OK; i++)
      if (c->out[i] && type_known(&out[i]))
        s = call_set_shape(c, i, (sdx_dtype)out[i].dtype, (size_t)out[i].rank, out[i].dims);
    if (s == SDX_OK && n->op->prepare) s = prepare_dynamic(f, c, &scratch, &owned);
  }
  if (s == SDX_OK) s = c->compute(c);
done:
  mem_free(owned);
  f->dynamic = false;
  arena_deinit(&scratch);
  return s;
}

sdx_status node_evaluate(const node *n, const value *const *in, mem_account *account, size_t limit_bytes,
                         const run_limits *limits, sdx_value **outputs, error *err) {
  run_frame f = {0};
  arena tables;
  mem_account_init(&f.account, limit_bytes, account);
  arena_init(&f.memory, &f.account);
  arena_init(&tables, account);
  if (limits) f.limits = *limits;
  f.values = arena_array(&tables, n->output_count + 1, sizeof *f.values);
  f.owners = arena_array(&tables, n->output_count + 1, sizeof *f.owners);
  value **out = arena_array(&tables, n->output_count + 1, sizeof *out);
  sdx_status s = SDX_OK;
  if (!f.values || !f.owners || !out) {
    s = error_no_memory(err, n->output_count * sizeof *f.values);
  } else {
    for (uint32_t i = 0; i < n->output_count; i++)
      if (n->outputs[i]) out[i] = &f.values[i];
    op_call c = {.compute = n->op->compute,
                 .node = n,
                 .params = n->params,
                 .in = (value *const *)in,
                 .out = out,
                 .input_count = n->input_count,
                 .output_count = n->output_count,
                 .threads = 1,
                 .frame = &f,
                 .err = err};
    f.watch = (pool_watch){.cancel = f.limits.cancel, .deadline_ns = f.limits.deadline_ns};
    s = frame_check(&f, n, err);
    pool_watch *former = pool_watch_set(&f.watch);
    if (s == SDX_OK) s = frame_run_dynamic(&f, &c);
    pool_watch_set(former);
    if (s == SDX_OK && f.watch.stopped) s = frame_check(&f, n, err);
  }
  for (uint32_t i = 0; f.owners && i < n->output_count; i++) {
    outputs[i] = NULL;
    if (!f.owners[i]) continue;
    if (s == SDX_OK) s = value_copy(account, &f.owners[i]->value, &outputs[i], err);
    value_release(f.owners[i]);
  }
  if (s != SDX_OK && f.owners)
    for (uint32_t i = 0; i < n->output_count; i++) {
      value_release(outputs[i]);
      outputs[i] = NULL;
    }
  arena_deinit(&tables);
  arena_deinit(&f.memory);
  return s;
}

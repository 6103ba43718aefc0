// SPDX-License-Identifier: Apache-2.0
// Making a plan, in four walks over the nodes: (1) infer shapes, compute what is already known,
// decide which nodes become steps; (2) life spans; (3) sharing of storage (in place, results);
// (4) kernels and packed weights. See plan.h.
#include "plan/plan.h"

#include <string.h>

#include "base/size.h"
#include "plan/frame.h"

enum { EVALUATE_LIMIT_BYTES = 64 << 10 };

typedef struct builder {
  plan *p;
  const plan_request *request;
  graph *g;
  arena scratch;
  bool *needed;  // by value_id
  error *err;
} builder;

static bool dims_known(const type_info *t) {
  if (t->kind != TYPE_TENSOR || t->rank < 0 || t->dtype == SDX_UNDEFINED) return false;
  for (int i = 0; i < t->rank; i++)
    if (t->dims[i] < 0) return false;
  return true;
}

// While the plan is made, views may stand on views; share_storage shortens the ways.
static value_id root_of(const plan *p, value_id v) {
  while (p->values[v].root != v) v = p->values[v].root;
  return v;
}

static sdx_status set_type(builder *b, value_id v, const type_info *t) {
  plan_value *pv = &b->p->values[v];
  pv->type = *t;
  pv->known = dims_known(t);
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

// Computes a node now if everything it looks at is known and the result is small. The size of strings shows only
// afterwards: they are left to the run and its budget.
static sdx_status try_evaluate(builder *b, const node *n, const type_info *out, bool *done) {
  plan *p = b->p;
  *done = false;
  if (n->op->flags & (OP_NONDETERMINISTIC | OP_CONTROL) || n->capture_count) return SDX_OK;
  bool shape_only = n->op->flags & OP_READS_SHAPE;
  for (uint32_t i = 0; i < n->input_count; i++)
    if (n->inputs[i] && !(shape_only ? p->values[n->inputs[i]].known : p->values[n->inputs[i]].storage == STORE_CONST))
      return SDX_OK;
  for (uint32_t i = 0; i < n->output_count; i++) {
    tensor t;
    if (!n->outputs[i]) continue;
    if (!dims_known(&out[i]) || tensor_init(&t, out[i].dtype, (size_t)out[i].rank, out[i].dims, NULL) != SDX_OK ||
        t.bytes > EVALUATE_LIMIT_BYTES || t.dtype == SDX_STRING)
      return SDX_OK;
  }
  value *inputs = arena_array(&b->scratch, n->input_count + 1, sizeof *inputs);
  const value **in = arena_array(&b->scratch, n->input_count + 1, sizeof *in);
  sdx_value **made = arena_array(&b->scratch, n->output_count + 1, sizeof *made);
  if (!inputs || !in || !made) return error_no_memory(b->err, n->input_count * sizeof *inputs);
  for (uint32_t i = 0; i < n->input_count; i++)
    if (n->inputs[i]) {
      inputs[i].tensor = p->values[n->inputs[i]].value.tensor;
      in[i] = &inputs[i];
    }
  SDX_TRY(node_evaluate(n, in, p->account, SIZE_MAX, NULL, made, b->err));
  for (uint32_t i = 0; i < n->output_count; i++) {
    if (!made[i]) continue;
    p->made[p->made_count++] = made[i];
    if (!n->outputs[i]) continue;
    SDX_TRY(set_constant(b, n->outputs[i], &made[i]->value.tensor));
    p->values[n->outputs[i]].local = true;
  }
  *done = true;
  return SDX_OK;
}

// A view costs nothing: its name points at the bytes of input 0.
static bool try_view(builder *b, const node *n) {
  plan *p = b->p;
  if (!(n->op->flags & OP_VIEW) || n->output_count < 1 || !n->outputs[0] || !n->inputs[0]) return false;
  const plan_value *from = &p->values[n->inputs[0]];
  plan_value *to = &p->values[n->outputs[0]];
  for (uint32_t i = 1; i < n->output_count; i++)
    if (n->outputs[i] && b->needed[n->outputs[i]]) return false;
  if (!from->known || !to->known || from->storage == STORE_DYNAMIC ||
      from->value.tensor.bytes != to->value.tensor.bytes)
    return false;
  to->storage = from->storage;
  to->local = from->local;
  if (from->storage == STORE_CONST) to->value.tensor.data = from->value.tensor.data;
  else to->root = root_of(p, n->inputs[0]);
  return true;
}

static sdx_status add_step(builder *b, const node *n, bool is_static) {
  plan *p = b->p;
  plan_step *s = &p->steps[p->step_count++];
  *s = (plan_step){.dynamic = !is_static};
  p->has_dynamic |= !is_static;
  if (!step_init(&s->step, n, STEP_VALUES, &p->memory)) return error_no_memory(b->err, sizeof *s);
  s->step.threads = (uint32_t)p->threads;
  s->step.precision = (uint32_t)p->precision;
  for (uint32_t i = 0; i < n->input_count; i++) {
    if (!n->inputs[i]) continue;
    s->step.in[i] = &p->values[n->inputs[i]].value;
    s->step.packable[i] = plan_is_packable(p, n->inputs[i]);
  }
  for (uint32_t i = 0; i < n->output_count; i++) {
    if (!n->outputs[i]) continue;
    s->step.out[i] = &p->values[n->outputs[i]].value;
    p->values[n->outputs[i]].storage = is_static ? STORE_SLAB : STORE_DYNAMIC;
  }
  return SDX_OK;
}

static sdx_status plan_node(builder *b, const node *n) {
  plan *p = b->p;
  op_step c;
  if (!step_init(&c, n, STEP_TYPES, &b->scratch)) return error_no_memory(b->err, n->input_count * sizeof *c.in_types);
  c.err = b->err;
  bool inputs_known = true;
  for (uint32_t i = 0; i < n->input_count; i++) {
    plan_value *in = &p->values[n->inputs[i]];
    if (!n->inputs[i]) continue;
    c.in_types[i] = &in->type;
    if (in->storage == STORE_CONST) c.constants[i] = &in->value.tensor;
    inputs_known &= in->known;
  }
  SDX_TRY(step_infer(&c));
  bool done, outputs_known = true;
  SDX_TRY(try_evaluate(b, n, c.out_types, &done));
  if (done) return SDX_OK;
  for (uint32_t i = 0; i < n->output_count; i++) {
    if (!n->outputs[i]) continue;
    SDX_TRY(step_located(&c, set_type(b, n->outputs[i], &c.out_types[i])));
    outputs_known &= p->values[n->outputs[i]].known;
  }
  bool is_static = inputs_known && outputs_known && !(n->op->flags & OP_CONTROL);
  if (is_static && try_view(b, n)) return SDX_OK;
  return add_step(b, n, is_static);
}

static void use(plan *p, value_id v, uint32_t step) {
  if (!v) return;
  plan_value *r = &p->values[root_of(p, v)];
  if (r->last < step) r->last = step;
}

static void find_life_spans(plan *p) {
  for (uint32_t s = 0; s < p->step_count; s++) {
    const node *n = p->steps[s].step.node;
    for (uint32_t i = 0; i < n->input_count; i++) use(p, n->inputs[i], s);
    for (uint32_t i = 0; i < n->capture_count; i++) use(p, n->captures[i], s);
    for (uint32_t i = 0; i < n->output_count; i++)
      if (n->outputs[i]) {
        p->values[n->outputs[i]].first = s;
        use(p, n->outputs[i], s);
      }
  }
  for (uint32_t i = 0; i < p->graph->output_count; i++)
    if (p->wanted[i]) use(p, p->graph->outputs[i], UINT32_MAX);
}

// Input `i` of step `s` may be overwritten by output 0.
static bool can_overwrite(const plan *p, uint32_t s, uint32_t i) {
  const node *n = p->steps[s].step.node;
  if (i >= n->input_count || !n->inputs[i] || !n->outputs[0]) return false;
  value_id r = root_of(p, n->inputs[i]);
  const plan_value *root = &p->values[r], *out = &p->values[n->outputs[0]];
  if (root->storage != STORE_SLAB || root->last != s || root->value.tensor.bytes != out->value.tensor.bytes ||
      !tensor_same_shape(&p->values[n->inputs[i]].value.tensor, &out->value.tensor))
    return false;
  for (uint32_t k = 0; k < n->input_count; k++)
    if (k != i && n->inputs[k] && root_of(p, n->inputs[k]) == r) return false;
  return true;
}

static void share_storage(plan *p) {
  for (uint32_t s = 0; s < p->step_count; s++) {
    const node *n = p->steps[s].step.node;
    if (p->steps[s].dynamic || !(n->op->flags & OP_INPLACE)) continue;
    uint32_t candidates = n->op->flags & OP_COMMUTATIVE ? 2 : 1;
    for (uint32_t i = 0; i < candidates; i++)
      if (can_overwrite(p, s, i)) {
        value_id r = root_of(p, n->inputs[i]);
        p->values[n->outputs[0]].root = r;
        p->values[r].last = p->values[n->outputs[0]].last;
        break;
      }
  }
  // A result is written straight into the caller's memory where it has storage of its own.
  for (uint32_t i = 0; i < p->graph->output_count; i++) {
    if (!p->wanted[i]) continue;
    plan_value *root = &p->values[root_of(p, p->graph->outputs[i])];
    if (root->storage != STORE_SLAB || root->value.tensor.dtype == SDX_STRING) continue;
    root->storage = STORE_OUTPUT;
    root->slot = i;
  }
  for (value_id v = 1; v < p->value_count; v++) {
    value_id root = p->values[v].root = root_of(p, v);
    p->values[v].storage = p->values[root].storage;
  }
}

static sdx_status list_views(plan *p, error *err) {
  for (int fill = 0; fill < 2; fill++) {
    p->view_count = 0;
    for (value_id v = 1; v < p->value_count; v++) {
      const plan_value *pv = &p->values[v];
      if (pv->root == v || (pv->storage != STORE_INPUT && pv->storage != STORE_OUTPUT)) continue;
      if (fill) p->views[p->view_count] = v;
      p->view_count++;
    }
    if (!fill && !(p->views = arena_array(&p->memory, p->view_count, sizeof *p->views)))
      return error_no_memory(err, p->view_count * sizeof *p->views);
  }
  return SDX_OK;
}

// Which dynamic values each step is the last to read.
static sdx_status list_releases(plan *p, error *err) {
  uint32_t total = 0;
  for (value_id v = 1; v < p->value_count; v++) {
    plan_value *pv = &p->values[v];
    if (pv->storage != STORE_DYNAMIC || pv->last == UINT32_MAX) continue;
    p->steps[pv->last].release_count++;
    total++;
  }
  p->releases = arena_array(&p->memory, total, sizeof *p->releases);
  if (!p->releases) return error_no_memory(err, total * sizeof *p->releases);
  uint32_t at = 0;
  for (uint32_t s = 0; s < p->step_count; s++) {
    p->steps[s].release_first = at;
    at += p->steps[s].release_count;
    p->steps[s].release_count = 0;
  }
  for (value_id v = 1; v < p->value_count; v++) {
    plan_value *pv = &p->values[v];
    if (pv->storage != STORE_DYNAMIC || pv->last == UINT32_MAX) continue;
    plan_step *s = &p->steps[pv->last];
    p->releases[s->release_first + s->release_count++] = v;
  }
  return SDX_OK;
}

static const void *pack(op_step *c, size_t input, const char *key, size_t bytes,
                        void (*fill)(void *target, const tensor *source, void *context), void *context) {
  return pack_cache_get(((plan *)c->owner)->packs, c, input, key, bytes, fill, context);
}

static sdx_status prepare_step(builder *b, plan_step *s) {
  static const step_services services = {.pack = pack};
  if (s->dynamic) return SDX_OK;
  s->step.services = &services;
  s->step.owner = b->p;
  s->step.err = b->err;
  return step_prepare(&s->step);
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

static sdx_status build(builder *b) {
  plan *p = b->p;
  graph *g = b->g;
  p->value_count = g->value_count;
  p->wanted = arena_array(&p->memory, g->output_count + 1, sizeof *p->wanted);
  p->values = arena_array(&p->memory, g->value_count, sizeof *p->values);
  p->steps = arena_array(&p->memory, g->node_count, sizeof *p->steps);
  size_t results = 0;
  for (uint32_t i = 0; i < g->node_count; i++) results += g->nodes[i]->output_count;
  p->made = arena_array(&p->memory, results, sizeof *p->made);
  if (!p->wanted || !p->values || !p->steps || !p->made)
    return error_no_memory(b->err, g->value_count * sizeof *p->values);
  for (uint32_t i = 0; i < g->output_count; i++) p->wanted[i] = !b->request->wanted || b->request->wanted[i];
  SDX_TRY(keep_signature(b));
  SDX_TRY(bind_sources(b));
  SDX_TRY(mark_needed(b));
  for (uint32_t i = 0; i < g->node_count; i++) {
    const node *n = g->nodes[i];
    bool wanted = false;
    for (uint32_t k = 0; k < n->output_count; k++) wanted |= n->outputs[k] && b->needed[n->outputs[k]];
    if (wanted && !n->dead) SDX_TRY(plan_node(b, n));
  }
  find_life_spans(p);
  share_storage(p);
  SDX_TRY(list_views(p, b->err));
  SDX_TRY(list_releases(p, b->err));
  for (uint32_t i = 0; i < p->step_count; i++) SDX_TRY(prepare_step(b, &p->steps[i]));
  return slab_assign(p, &b->scratch, b->err);
}

sdx_status plan_create(const plan_request *request, plan **out, error *err) {
  *out = NULL;
  plan *p = mem_zalloc(request->account, sizeof *p);
  if (!p) return error_no_memory(err, sizeof *p);
  arena_init(&p->memory, request->account);
  p->account = request->account;
  p->graph = request->graph;
  p->threads = request->threads;
  p->precision = request->precision;
  p->packs = request->packs;
  atomic_init(&p->references, 1);
  builder b = {.p = p, .request = request, .g = request->graph, .err = err};
  arena_init(&b.scratch, request->account);
  sdx_status s = build(&b);
  arena_deinit(&b.scratch);
  if (s != SDX_OK) plan_release(p);
  else *out = p;
  return s;
}

plan *plan_retain(plan *p) {
  atomic_fetch_add(&p->references, 1);
  return p;
}

void plan_release(plan *p) {
  if (!p || atomic_fetch_sub(&p->references, 1) != 1) return;
  for (size_t i = 0; i < p->made_count; i++) value_release(p->made[i]);
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

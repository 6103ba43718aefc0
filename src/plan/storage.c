// SPDX-License-Identifier: Apache-2.0
// Which values share memory and how long each is needed: life spans, results computed over an input, results written
// straight into the caller's memory, and two lists for the run: views whose address each run sets, and dynamic values
// that a step is the last to read.
#include "plan/build.h"

static void use(plan *p, value_id v, uint32_t step) {
  if (!v) return;
  plan_value *r = &p->values[plan_root(p, v)];
  if (r->last < step) r->last = step;
}

static void find_life_spans(plan *p) {
  for (uint32_t s = 0; s < p->step_count; s++) {
    const plan_step *step = &p->steps[s];
    for (uint32_t i = 0; i < step->step.input_count; i++) use(p, step->inputs[i], s);
    for (uint32_t i = 0; i < step->step.node->capture_count; i++) use(p, step->captures[i], s);
    for (uint32_t i = 0; i < step->step.output_count; i++)
      if (step->outputs[i]) {
        p->values[step->outputs[i]].first = s;
        use(p, step->outputs[i], s);
      }
  }
  for (uint32_t i = 0; i < p->graph->output_count; i++)
    if (p->wanted[i]) use(p, p->outputs[i], UINT32_MAX);
}

// Input `i` of step `s` may be overwritten by output 0.
static bool can_overwrite(const plan *p, uint32_t s, uint32_t i) {
  const plan_step *step = &p->steps[s];
  if (i >= step->step.input_count || !step->inputs[i] || !step->outputs[0]) return false;
  value_id r = plan_root(p, step->inputs[i]);
  const plan_value *root = &p->values[r], *out = &p->values[step->outputs[0]];
  if (root->storage != STORE_SLAB || root->last != s || root->value.tensor.bytes != out->value.tensor.bytes ||
      !tensor_same_shape(&p->values[step->inputs[i]].value.tensor, &out->value.tensor))
    return false;
  for (uint32_t k = 0; k < step->step.input_count; k++)
    if (k != i && step->inputs[k] && plan_root(p, step->inputs[k]) == r) return false;
  return true;
}

static void share_storage(plan *p) {
  for (uint32_t s = 0; s < p->step_count; s++) {
    const plan_step *step = &p->steps[s];
    unsigned flags = step->step.node->op->flags;
    if (step->dynamic || step->place || !(flags & OP_INPLACE)) continue;
    uint32_t candidates = flags & OP_COMMUTATIVE ? 2 : 1;
    for (uint32_t i = 0; i < candidates; i++)
      if (can_overwrite(p, s, i)) {
        value_id r = plan_root(p, step->inputs[i]);
        p->values[step->outputs[0]].root = r;
        p->values[r].last = p->values[step->outputs[0]].last;
        break;
      }
  }
  // A result is written straight into the caller's memory where it has storage of its own.
  for (uint32_t i = 0; i < p->graph->output_count; i++) {
    if (!p->wanted[i]) continue;
    plan_value *root = &p->values[plan_root(p, p->outputs[i])];
    if (root->storage != STORE_SLAB || root->place || root->value.tensor.dtype == SDX_STRING) continue;
    root->storage = STORE_OUTPUT;
    root->slot = i;
  }
  for (value_id v = 1; v < p->value_count; v++) {
    value_id root = p->values[v].root = plan_root(p, v);
    p->values[v].storage = p->values[root].storage;
    p->values[v].place = p->values[root].place;
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

sdx_status assign_storage(builder *b) {
  find_life_spans(b->p);
  share_storage(b->p);
  SDX_TRY(list_views(b->p, b->err));
  return list_releases(b->p, b->err);
}

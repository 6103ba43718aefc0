// SPDX-License-Identifier: Apache-2.0
// Helpers of operators with bodies; see control.h.
#include "ops/parts/control.h"

#include "base/size.h"
#include "ops/call.h"

sdx_status list_add(op_step *c, value_list *l, sdx_value *owned) {
  if (l->count == l->capacity) {
    size_t capacity = l->capacity ? l->capacity * 2 : 16, bytes;
    sdx_value **at = size_mul(capacity, sizeof *at, &bytes) ? mem_alloc(call_account(c), bytes) : NULL;
    if (!at) {
      value_release(owned);
      return call_no_memory(c, capacity * sizeof *at);
    }
    if (l->count) memcpy(at, l->at, l->count * sizeof *at);
    mem_free(l->at);
    l->at = at;
    l->capacity = capacity;
  }
  l->at[l->count++] = owned;
  return SDX_OK;
}

void values_release(sdx_value **values, size_t count) {
  for (size_t i = 0; i < count; i++) {
    value_release(values[i]);
    values[i] = NULL;
  }
}

void list_release(value_list *lists, size_t count) {
  for (size_t i = 0; i < count; i++) {
    values_release(lists[i].at, lists[i].count);
    mem_free(lists[i].at);
    lists[i] = (value_list){0};
  }
}

value_list *list_create(op_step *c, size_t count) {
  size_t bytes;
  if (!size_mul(count + 1, sizeof(value_list), &bytes)) return NULL;
  value_list *lists = call_alloc(c, bytes);
  if (lists) memset(lists, 0, bytes);
  return lists;
}

static unsigned code_at(const tensor *t, size_t i, size_t bits) {
  return ((const uint8_t *)t->data)[i * bits / 8] >> (i * bits % 8) & ((1u << bits) - 1);
}
static void code_set(tensor *t, size_t i, size_t bits, unsigned code) {
  uint8_t *at = (uint8_t *)t->data + i * bits / 8;
  unsigned mask = ((1u << bits) - 1) << (i * bits % 8);
  *at = (uint8_t)((*at & ~mask) | code << (i * bits % 8));
}

void runs_copy(op_step *c, const runs *r, const tensor *from, tensor *to) {
  if (!dtype_is_packed((sdx_dtype)from->dtype)) {
    size_t width = move_width(from);
    strided box = {.rank = 2, .dims = {r->outer, r->inner}, .from = {r->from_step, 1}, .to = {r->to_step, 1}};
    move_strided(c, &box, width, (const char *)from->data + (size_t)r->from * width,
                 (char *)to->data + (size_t)r->to * width);
    return;
  }
  size_t bits = (size_t)dtype_bits((sdx_dtype)from->dtype);
  for (int64_t o = 0; o < r->outer; o++)
    for (int64_t i = 0; i < r->inner; i++)
      code_set(to, (size_t)(r->to + o * r->to_step + i), bits,
               code_at(from, (size_t)(r->from + o * r->from_step + i), bits));
}

sdx_status repeated_read(op_params_context *c, const char *attribute, repeated *out) {
  graph *g = out->graph = params_graph(c, attribute);
  type_info *declared = arena_array(c->memory, g->output_count, sizeof *declared);
  if (!declared) return error_no_memory(c->err, g->output_count * sizeof *declared);
  for (uint32_t i = 0; i < g->output_count; i++) declared[i] = *type_best_known(&g->values[g->outputs[i]]);
  out->declared = declared;
  return SDX_OK;
}

// Type and shape of one item that was never made.
static sdx_status missing_item(op_step *c, const stacking *s, tensor *item, int64_t *dims) {
  graph *g = s->body->graph;
  if (s->in && call_body_output(c, g, s->in, s->output, item, dims)) return SDX_OK;
  const type_info *proved = &g->values[g->outputs[s->output]].type, *declared = &s->body->declared[s->output];
  const type_info *t = proved->kind == TYPE_TENSOR && proved->rank >= 0 ? proved : declared;
  int rank = t->kind == TYPE_TENSOR && t->rank > 0 ? t->rank : 0;
  for (int i = 0; i < rank; i++) {
    dims[i] = t->dims[i] < 0 && declared->rank == rank ? declared->dims[i] : t->dims[i];
    if (dims[i] < 0) dims[i] = 0;
  }
  sdx_dtype dtype = t->kind == TYPE_TENSOR && t->dtype ? (sdx_dtype)t->dtype : SDX_FLOAT;
  return step_located(c, tensor_init(item, dtype, (size_t)rank, dims, c->err));
}

sdx_status values_stack(op_step *c, const value_list *l, const stacking *s, sdx_value **out) {
  int64_t item_dims[TENSOR_MAX_RANK], dims[TENSOR_MAX_RANK], outer = 1, axis = s->axis;
  tensor first;
  char a[200], b[200];
  *out = NULL;
  if (l->count) first = l->at[0]->value.tensor;
  else SDX_TRY(missing_item(c, s, &first, item_dims));
  for (size_t i = 0; i < l->count; i++) {
    const tensor *t = &l->at[i]->value.tensor;
    if (l->at[i]->value.kind != VALUE_TENSOR || t->dtype != first.dtype || !tensor_same_shape(t, &first))
      return step_fail(c, SDX_INVALID_SHAPE, "body output %zu is %s in trip %zu but %s in the first", s->output,
                       tensor_describe(t, a, sizeof a), i, tensor_describe(&first, b, sizeof b));
  }
  size_t rank = first.rank + 1u;
  if (rank > TENSOR_MAX_RANK)
    return step_fail(c, SDX_INVALID_SHAPE, "output of body output %zu would have rank %zu", s->output, rank);
  SDX_TRY(step_located(c, axis_normalize(&axis, rank, at_attribute("scan_output_axes"), c->err)));
  for (size_t d = 0; d < rank; d++)
    dims[d] = (int64_t)d == axis ? (int64_t)s->length : first.dims[d - ((int64_t)d > axis)];
  SDX_TRY(step_located(
      c, value_create(call_account(c), (sdx_dtype)first.dtype, rank, dims, NULL, NULL, NULL, out, c->err)));
  tensor *y = &(*out)->value.tensor;
  if (first.count == 0 || l->count == 0) return SDX_OK;
  for (int64_t d = 0; d < axis; d++) outer *= dims[d];
  int64_t inner = (int64_t)first.count / outer;
  for (size_t i = 0; i < l->count; i++) {
    int64_t at = (int64_t)(s->reverse ? l->count - 1 - i : i) * inner;
    runs_copy(c, &(runs){outer, inner, 0, inner, at, (int64_t)s->length * inner}, &l->at[i]->value.tensor, y);
  }
  for (size_t i = 0; y->dtype == SDX_STRING && i < y->count; i++) {
    sdx_status status = step_located(c, value_set_string(*out, i, ((const str *)y->data)[i], c->err));
    if (status != SDX_OK) {
      values_release(out, 1);
      return status;
    }
  }
  return SDX_OK;
}

sdx_status body_run(op_step *c, graph *body, size_t inputs, const value *const *in, sdx_value **out) {
  memset(out, 0, body->output_count * sizeof *out);
  sdx_status status = call_run_body(c, body, inputs, in, body->output_count, out);
  if (status != SDX_OK) values_release(out, body->output_count);
  return status;
}

sdx_status body_types(op_step *c, graph *body, size_t inputs, const type_info *const *in, const type_info ***types) {
  static const type_info unknown = {.kind = TYPE_UNKNOWN, .rank = -1};
  const type_info **at = arena_array(c->memory, body->output_count + 1, sizeof *at);
  *types = at;
  if (!at) return error_no_memory(c->err, body->output_count * sizeof *at);
  for (size_t i = 0; i < body->output_count; i++) at[i] = &unknown;
  if (!c->services || !c->services->infer_body) return SDX_OK;
  error local = {0}, *outer = c->err;
  c->err = &local;
  sdx_status status = c->services->infer_body(c, body, inputs, in, at);
  c->err = outer;
  if (status == SDX_OK) return SDX_OK;
  for (size_t i = 0; i < body->output_count; i++) at[i] = &unknown;
  return status == SDX_NO_MEMORY ? error_copy(outer, &local) : SDX_OK;
}

static bool holds_bodies(const graph *g) {
  for (uint32_t i = 0; i < g->node_count; i++)
    for (uint32_t k = 0; k < g->nodes[i]->attr_count; k++) {
      struct graph *const *bodies;
      if (attr_graphs(&g->nodes[i]->attrs[k], &bodies)) return true;
    }
  return false;
}

// Makes *before say no more than what holds of both; *holds becomes false if it said more.
static bool widen(op_step *c, const type_info **before, const type_info *after, bool *holds) {
  const type_info *t = *before;
  if (t->kind != TYPE_TENSOR || t->rank < 0) return true;
  type_info *wide = type_tensor(c->memory, (sdx_dtype)t->dtype, t->rank, t->dims);
  if (!wide) return false;
  if (after->kind != TYPE_TENSOR || after->rank != t->rank) wide->rank = -1;
  bool same = wide->rank == t->rank;
  int64_t *dims = (int64_t *)wide->dims;
  for (int i = 0; i < wide->rank; i++) {
    if (dims[i] == DIM_UNKNOWN || dims[i] == after->dims[i]) continue;
    dims[i] = DIM_UNKNOWN;
    same = false;
  }
  *holds &= same;
  *before = wide;
  return true;
}

// By induction: what holds of the carried values before the first trip is assumed, and widened until the body keeps it.
// A body with bodies of its own is looked at once, or the work would double with every level.
sdx_status repeated_types(op_step *c, graph *body, size_t inputs, const type_info **in, size_t first, size_t back,
                          size_t carried, const type_info ***types) {
  enum { MOST_TRIALS = 3 };
  for (int trial = holds_bodies(body) ? MOST_TRIALS : 0; trial <= MOST_TRIALS; trial++) {
    for (size_t i = first; trial == MOST_TRIALS && i < first + carried; i++)
      if (in[i]->kind == TYPE_TENSOR) in[i] = type_tensor(c->memory, (sdx_dtype)in[i]->dtype, -1, NULL);
    SDX_TRY(body_types(c, body, inputs, in, types));
    bool holds = true;
    for (size_t i = 0; i < carried; i++)
      if (!widen(c, &in[first + i], (*types)[back + i], &holds)) return error_no_memory(c->err, sizeof(type_info));
    if (holds) break;
  }
  return SDX_OK;
}

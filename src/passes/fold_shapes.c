// SPDX-License-Identifier: Apache-2.0
// Arithmetic on shapes: lists of numbers that come from the shapes of values are followed element by element, as
// numbers where a dimension is known and as its symbol where it is free. What comes out as numbers alone becomes a
// constant; a Reshape to such a list copies dimensions by 0 and finds the last free one by -1; an Expand to the shape
// that its input has is none. One walk does all of it, as each node is inferred with what was found before it.
#include "base/size.h"
#include "passes/match.h"

enum { MOST = 32 };  // elements of a list that is followed

typedef struct element {
  enum { UNKNOWN, NUMBER, FREE } kind;
  int64_t at;  // a number, or the dimension's symbol
} element;

typedef struct elements {
  bool known;  // how many there are
  uint32_t count;
  element at[MOST];
} elements;

typedef struct walk {
  pass_context *c;
  graph *g;
  elements **of;  // by value; NULL: nothing is known
} walk;

static element number(int64_t at) { return (element){NUMBER, at}; }
static element dimension(int64_t dim) {
  return dim >= 0 ? number(dim) : dim == DIM_UNKNOWN ? (element){0} : (element){FREE, dim};
}
static bool same(element a, element b) { return a.kind != UNKNOWN && a.kind == b.kind && a.at == b.at; }

static bool is_index(const type_info *t) {
  return t->kind == TYPE_TENSOR && (t->dtype == SDX_INT64 || t->dtype == SDX_INT32 || t->dtype == SDX_BOOL);
}

// Elements of an input; false where they are not known.
static bool look(const walk *w, const node *n, uint32_t i, elements *out) {
  value_id v = i < n->input_count ? n->inputs[i] : VALUE_ABSENT;
  const tensor *t = v ? w->g->values[v].constant : NULL;
  if (!v) return false;
  if (!t) {
    if (w->of[v]) *out = *w->of[v];
    return w->of[v] != NULL;
  }
  if (!is_index(&w->g->values[v].type) || t->rank > 1 || t->count > MOST) return false;
  out->known = true, out->count = (uint32_t)t->count;
  for (size_t k = 0; k < t->count; k++)
    out->at[k] = number(t->dtype == SDX_BOOL ? ((const uint8_t *)t->data)[k] : tensor_index_at(t, k));
  return true;
}

static bool look_number(const walk *w, const node *n, uint32_t i, int64_t *out) {
  elements e;
  if (!look(w, n, i, &e) || e.count != 1 || e.at[0].kind != NUMBER) return false;
  *out = e.at[0].at;
  return true;
}

// ---- operators ----------------------------------------------------------------------------------------

static bool of_shape(const walk *w, const node *n, elements *out) {
  const type_info *t = &w->g->values[n->inputs[0]].type;
  if (t->kind != TYPE_TENSOR || t->rank < 0 || t->rank > MOST) return false;
  int64_t start = node_attr_int(n, "start", 0), end = node_attr_int(n, "end", t->rank);
  start = i64_max(0, start < 0 ? start + t->rank : start);
  end = i64_min(t->rank, end < 0 ? end + t->rank : end);
  out->count = 0;
  for (int64_t i = start; i < end; i++) out->at[out->count++] = dimension(t->dims[i]);
  return true;
}

static bool of_size(const walk *w, const node *n, elements *out) {
  const type_info *t = &w->g->values[n->inputs[0]].type;
  size_t product = 1;
  if (t->kind != TYPE_TENSOR || t->rank < 0) return false;
  for (int i = 0; i < t->rank; i++)
    if (t->dims[i] < 0 || !size_mul(product, (size_t)t->dims[i], &product)) return false;
  *out = (elements){.count = 1, .at = {number((int64_t)product)}};
  return true;
}

static bool of_gather(const walk *w, const node *n, elements *out) {
  elements from, index;
  if (node_attr_int(n, "axis", 0) != 0 || !look(w, n, 0, &from) || !look(w, n, 1, &index)) return false;
  out->count = index.count;
  for (uint32_t i = 0; i < index.count; i++) {
    int64_t at = index.at[i].at + (index.at[i].at < 0 ? from.count : 0);
    if (index.at[i].kind != NUMBER || at < 0 || at >= from.count) return false;
    out->at[i] = from.at[at];
  }
  return true;
}

static bool of_slice(const walk *w, const node *n, elements *out) {
  elements from;
  int64_t start, end, axis = 0, step = 1;
  if (!look(w, n, 0, &from) || !look_number(w, n, 1, &start) || !look_number(w, n, 2, &end)) return false;
  if (n->input_count > 3 && n->inputs[3] && (!look_number(w, n, 3, &axis) || axis > 0)) return false;
  if (n->input_count > 4 && n->inputs[4] && (!look_number(w, n, 4, &step) || step < 1)) return false;
  step = i64_min(step, MOST);
  start = i64_min(from.count, i64_max(0, start < 0 ? start + from.count : start));
  end = i64_min(from.count, end < 0 ? end + from.count : end);
  out->count = 0;
  for (int64_t i = start; i < end; i += step) out->at[out->count++] = from.at[i];
  return true;
}

static bool of_concat(const walk *w, const node *n, elements *out) {
  out->count = 0;
  for (uint32_t i = 0; i < n->input_count; i++) {
    elements part;
    if (!look(w, n, i, &part) || out->count + part.count > MOST) return false;
    memcpy(out->at + out->count, part.at, part.count * sizeof *part.at);
    out->count += part.count;
  }
  return true;
}

static bool of_first(const walk *w, const node *n, elements *out) { return look(w, n, 0, out); }

// Numbers as the new type has them; a dimension has room in any type but truth.
static bool of_cast(const walk *w, const node *n, elements *out) {
  int dtype = w->g->values[n->outputs[0]].type.dtype;
  if (!look(w, n, 0, out)) return false;
  for (uint32_t i = 0; i < out->count; i++) {
    element *e = &out->at[i];
    if (dtype == SDX_BOOL && e->kind == FREE) *e = (element){0};
    if (e->kind == NUMBER) e->at = dtype == SDX_BOOL ? e->at != 0 : dtype == SDX_INT32 ? (int32_t)e->at : e->at;
  }
  return true;
}

static bool of_fill(const walk *w, const node *n, elements *out) {
  int64_t count;
  const attr *value = node_attr(n, "value");
  const tensor *t = value && value->kind == ATTR_TENSOR ? value->tensor : NULL;
  if (!look_number(w, n, 0, &count) || count < 0 || count > MOST) return false;
  if (!t || t->dtype != SDX_INT64 || t->count != 1) return false;
  out->count = (uint32_t)count;
  for (uint32_t i = 0; i < out->count; i++) out->at[i] = number(*(const int64_t *)t->data);
  return true;
}

static bool of_product(const walk *w, const node *n, elements *out) {
  elements from;
  int64_t axis = 0, product = 1;
  if (node_attr_int(n, "noop_with_empty_axes", 0) || !look(w, n, 0, &from)) return false;
  if (n->input_count > 1 && n->inputs[1] && (!look_number(w, n, 1, &axis) || axis > 0)) return false;
  for (uint32_t i = 0; i < from.count; i++)
    if (from.at[i].kind != NUMBER || __builtin_mul_overflow(product, from.at[i].at, &product)) return false;
  *out = (elements){.count = 1, .at = {number(product)}};
  return true;
}

static bool calculate(const node *n, int64_t a, int64_t b, int64_t *out) {
  if (match_is(n, "Add")) return !__builtin_add_overflow(a, b, out);
  if (match_is(n, "Sub")) return !__builtin_sub_overflow(a, b, out);
  if (match_is(n, "Mul")) return !__builtin_mul_overflow(a, b, out);
  if (match_is(n, "Equal")) return *out = a == b, true;
  if (b <= 0 || a < 0) return false;  // rounding of negative quotients is left to the operators
  *out = match_is(n, "Div") ? a / b : a % b;
  return true;
}

// One element of a binary operator: numbers are computed, a neutral one changes nothing, a size is never negative.
static element combine(const node *n, element a, element b) {
  element r = {NUMBER, 0};
  bool by_one = match_is(n, "Mul") || match_is(n, "Div");
  if (a.kind == NUMBER && b.kind == NUMBER) return calculate(n, a.at, b.at, &r.at) ? r : (element){0};
  if (match_is(n, "Equal")) {
    bool never = (a.kind == NUMBER && a.at < 0 && b.kind == FREE) || (b.kind == NUMBER && b.at < 0 && a.kind == FREE);
    return never ? number(0) : (element){0};
  }
  if (match_is(n, "Mod")) return (element){0};
  if (b.kind == NUMBER && b.at == by_one) return a;
  if (a.kind == NUMBER && a.at == by_one && (match_is(n, "Mul") || match_is(n, "Add"))) return b;
  return (element){0};
}

static bool of_binary(const walk *w, const node *n, elements *out) {
  elements a, b;
  if (!look(w, n, 0, &a) || !look(w, n, 1, &b)) return false;
  if (a.count != b.count && a.count != 1 && b.count != 1) return false;
  out->count = a.count == 1 ? b.count : a.count;
  for (uint32_t i = 0; i < out->count; i++)
    out->at[i] = combine(n, a.at[a.count == 1 ? 0 : i], b.at[b.count == 1 ? 0 : i]);
  return true;
}

static bool of_where(const walk *w, const node *n, elements *out) {
  elements which, a, b;
  if (!look(w, n, 0, &which) || !look(w, n, 1, &a) || !look(w, n, 2, &b)) return false;
  if (which.count != a.count || which.count != b.count) return false;
  out->count = which.count;
  for (uint32_t i = 0; i < out->count; i++)
    out->at[i] = which.at[i].kind == NUMBER ? (which.at[i].at ? a.at[i] : b.at[i])
                 : same(a.at[i], b.at[i])   ? a.at[i]
                                            : (element){0};
  return true;
}

static const struct rule {
  const char *op;
  bool (*follow)(const walk *w, const node *n, elements *out);
} rules[] = {{"Add", of_binary},  {"Cast", of_cast},       {"Concat", of_concat},      {"ConstantOfShape", of_fill},
             {"Div", of_binary},  {"Equal", of_binary},    {"Gather", of_gather},      {"Identity", of_first},
             {"Mod", of_binary},  {"Mul", of_binary},      {"ReduceProd", of_product}, {"Reshape", of_first},
             {"Shape", of_shape}, {"Size", of_size},       {"Slice", of_slice},        {"Squeeze", of_first},
             {"Sub", of_binary},  {"Unsqueeze", of_first}, {"Where", of_where}};

// ---- what becomes of it -------------------------------------------------------------------------------

// All numbers: a constant takes the place of what the node makes.
static sdx_status make_constant(walk *w, node *n, const elements *e) {
  graph *g = w->g;
  graph_value *v = &g->values[n->outputs[0]];
  for (uint32_t i = 0; i < e->count; i++)
    if (e->at[i].kind != NUMBER) return SDX_OK;
  if (v->type.rank < 0 || v->type.rank > 1 || (v->type.rank == 0 && e->count != 1)) return SDX_OK;
  int64_t dims[1] = {e->count};
  value_id made;
  void *data;
  SDX_TRY(match_new_constant(w->c, (sdx_dtype)v->type.dtype, (size_t)v->type.rank, dims, &made, &data));
  v = &g->values[n->outputs[0]];
  for (uint32_t i = 0; i < e->count; i++) {
    if (v->type.dtype == SDX_INT64) ((int64_t *)data)[i] = e->at[i].at;
    else if (v->type.dtype == SDX_INT32) ((int32_t *)data)[i] = (int32_t)e->at[i].at;
    else ((uint8_t *)data)[i] = e->at[i].at != 0;
  }
  v->constant = g->values[made].constant;
  v->type = g->values[made].type;
  v->producer = 0;
  n->dead = w->c->changed = true;
  return SDX_OK;
}

static sdx_status fix_reshape(walk *w, node *n) {
  graph *g = w->g;
  elements e;
  if (n->input_count < 2 || g->values[n->inputs[1]].constant || !look(w, n, 1, &e)) return SDX_OK;
  const type_info *from = &g->values[n->inputs[0]].type;
  int64_t want[MOST], left = -1;
  for (uint32_t i = 0; i < e.count; i++) {
    bool copied = (int)i < from->rank && from->kind == TYPE_TENSOR && same(e.at[i], dimension(from->dims[i]));
    if (e.at[i].kind == NUMBER && e.at[i].at > 0) want[i] = e.at[i].at;
    else if (e.at[i].kind == NUMBER && e.at[i].at == 0 && node_attr_int(n, "allowzero", 0)) return SDX_OK;
    else if (e.at[i].kind == NUMBER && e.at[i].at == 0) want[i] = 0;
    else if (copied && e.at[i].kind == FREE && !node_attr_int(n, "allowzero", 0)) want[i] = 0;
    else if (left >= 0) return SDX_OK;
    else want[left = i] = -1;
  }
  value_id made = graph_constant_i64(g, want, e.count);
  if (!made) return error_no_memory(w->c->err, sizeof want);
  // One element more than the walk knows of: constants made on the way are looked at as constants.
  n->inputs[1] = made;
  w->c->changed = true;
  return SDX_OK;
}

// To a shape whose every dimension the input has already, or 1.
static void drop_expand(walk *w, node *n, value_id *instead) {
  elements e;
  const type_info *from = &w->g->values[n->inputs[0]].type;
  if (!look(w, n, 1, &e) || from->kind != TYPE_TENSOR || from->rank < 0 || e.count > (uint32_t)from->rank) return;
  for (uint32_t i = 0; i < e.count; i++) {
    element own = dimension(from->dims[(uint32_t)from->rank - e.count + i]);
    if (!same(own, e.at[i]) && !(e.at[i].kind == NUMBER && e.at[i].at == 1)) return;
  }
  instead[n->outputs[0]] = instead[n->inputs[0]] ? instead[n->inputs[0]] : n->inputs[0];
  n->dead = w->c->changed = true;
}

static sdx_status follow(walk *w, node *n) {
  value_id y = n->output_count ? n->outputs[0] : VALUE_ABSENT;
  if (!y || n->output_count > 1 || w->g->values[y].constant) return SDX_OK;
  const type_info *t = &w->g->values[y].type;
  if (!is_index(t) || t->rank > 1) return SDX_OK;
  elements e = {0};
  for (size_t i = 0; i < sizeof rules / sizeof *rules; i++) {
    if (!match_is(n, rules[i].op) || !rules[i].follow(w, n, &e)) continue;
    w->of[y] = arena_copy(w->c->scratch, &e, sizeof e);
    if (!w->of[y]) return error_no_memory(w->c->err, sizeof e);
    return make_constant(w, n, &e);
  }
  return SDX_OK;
}

static sdx_status run(pass_context *c) {
  graph *g = c->graph;
  uint32_t values = g->value_count, nodes = g->node_count;
  walk w = {c, g, arena_array(c->scratch, values, sizeof *w.of)};
  value_id *instead = arena_array(c->scratch, values, sizeof *instead);
  if (!w.of || !instead) return error_no_memory(c->err, values * sizeof *w.of);
  for (uint32_t i = 0; i < nodes; i++) {
    node *n = g->nodes[i];
    if (n->dead || !n->op) continue;
    if (!(n->op->flags & OP_CONTROL)) SDX_TRY(passes_infer_node(g, n, c->scratch, c->err));
    SDX_TRY(follow(&w, n));
    if (match_is(n, "Reshape")) {
      SDX_TRY(fix_reshape(&w, n));
      SDX_TRY(passes_infer_node(g, n, c->scratch, c->err));
    }
    if (match_is(n, "Expand") && n->outputs[0]) drop_expand(&w, n, instead);
  }
  if (!c->changed) return SDX_OK;
  value_id *all = arena_array(c->scratch, g->value_count, sizeof *all);
  if (!all) return error_no_memory(c->err, g->value_count * sizeof *all);
  memcpy(all, instead, values * sizeof *all);
  graph_replace_many(g, all);
  return SDX_OK;
}

const pass_def pass_fold_shapes = {
    .name = "fold_shapes", .help = "computes what depends on known dimensions only", .level = 3, .run = run};

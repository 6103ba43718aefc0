// SPDX-License-Identifier: Apache-2.0
// Loops. TensorFlow 2 names two functions of the loop's values, what decides and what comes next; in TensorFlow 1 a
// loop is a frame of Enter, Merge, Switch, NextIteration and Exit nodes, found from an Exit, where the values are the
// Merge nodes. Either way: values that are handed on as they are stay outside of the body, lists that are written one
// item a trip are stacked by Loop itself, the others are carried. Shapes are those before the first trip, until a trip
// gives others; then the body is made again with less known.
#include <string.h>

#include "convert/tensorflow.h"

enum { MOST_VALUES = 256, MOST_TRIES = 6 };

typedef enum role { KEPT, CARRIED, STACKED, LAST } role;  // LAST: a list of one item, written in each trip

typedef struct loop {
  tf_op *op;
  size_t count;
  tf_value begin[MOST_VALUES], assumed[MOST_VALUES], next[MOST_VALUES];
  role roles[MOST_VALUES];
  tf_graph *body, *condition;  // of TensorFlow 2
  size_t merges[MOST_VALUES];  // of TensorFlow 1
  str frame;
  str decides;  // the value that LoopCond reads
} loop;

// ---- the loop's values, either way ------------------------------------------------------------------

static tf_scope *open_scope(loop *l, bool condition, sdx_graph *g) {
  tf_op *op = l->op;
  tf_graph *graph = !l->body ? op->scope->graph : condition ? l->condition : l->body;
  tf_scope *scope = tf_scope_create(op->t, graph, g, op->scope, op->at, l->body ? TF_BODY : TF_FRAME);
  if (scope) scope->frame = l->frame;
  return scope;
}

static tf_end value_end(const loop *l, tf_scope *scope, size_t i) {
  return (tf_end){scope, l->body ? i : l->merges[i], 0};
}

static bool next_end(loop *l, tf_scope *scope, size_t i, tf_end *end) {
  if (l->body) return tf_end_of(scope, l->body->results[i], end);
  const tf_graph *graph = scope->graph;
  if (!tf_end_of(scope, graph->nodes[l->merges[i]].inputs[1], end)) return false;
  const tf_node *next = &graph->nodes[end->node];  // NextIteration
  return next->input_count && tf_end_of(scope, next->inputs[0], end);
}

static bool condition_end(loop *l, tf_scope *scope, tf_end *end) {
  return tf_end_of(scope, l->body ? l->condition->results[0] : l->decides, end);
}

// Makes the values known within a scope.
static bool bind(loop *l, tf_scope *scope, const tf_value *values) {
  for (size_t i = 0; i < l->count; i++)
    if (!tf_preset(value_end(l, scope, i), l->roles[i] == KEPT ? &l->begin[i] : &values[i])) return false;
  return true;
}

// ---- what happens to them ---------------------------------------------------------------------------

static const tf_node *node_at(tf_end end) { return &end.scope->graph->nodes[end.node]; }

static bool same(tf_end a, tf_end b) { return a.scope == b.scope && a.node == b.node && a.out == b.out; }

static bool input_of(loop *l, tf_end of, size_t index, tf_end *end) {
  const tf_node *node = node_at(of);
  return index < node->input_count && tf_end_of(of.scope, node->inputs[index], end) && tf_resolve(l->op->t, end);
}

static bool is_number(loop *l, tf_end end, int64_t number) {
  if (!str_is(node_at(end)->op, "Const")) return false;
  const tf_value *x = tf_compute(l->op->t, end);
  return x && x->elements && x->element_count == 1 && x->elements[0] == number;
}

// Whether it counts the trips: 0 before the first, one more with each.
static bool is_counter(loop *l, tf_scope *scope, tf_end end) {
  for (size_t i = 0; i < l->count; i++) {
    tf_end next, a, b, self = value_end(l, scope, i);
    if (!same(end, self)) continue;
    const tf_value *begin = &l->begin[i];
    bool zero = begin->elements && begin->element_count == 1 && begin->elements[0] == 0;
    if (!zero || !next_end(l, scope, i, &next) || !tf_resolve(l->op->t, &next)) return false;
    bool adds = str_is(node_at(next)->op, "Add") || str_is(node_at(next)->op, "AddV2");
    return adds && input_of(l, next, 0, &a) && input_of(l, next, 1, &b) &&
           ((same(a, self) && is_number(l, b, 1)) || (same(b, self) && is_number(l, a, 1)));
  }
  return false;
}

// How a list is written: item by item as the trips go, always the same item, or as it comes.
static role role_of_list(loop *l, tf_scope *scope, size_t i, tf_end next) {
  tf_end list, index;
  bool array = str_is(node_at(next)->op, "TensorArrayWriteV3"), push = str_is(node_at(next)->op, "TensorListPushBack");
  bool set = str_is(node_at(next)->op, "TensorListSetItem");
  if (l->begin[i].ref || (!array && !push && !set) || !input_of(l, next, array ? 3 : 0, &list) ||
      !same(list, value_end(l, scope, i)))
    return CARRIED;
  if (push) return STACKED;
  if (!input_of(l, next, 1, &index)) return CARRIED;
  if (is_counter(l, scope, index)) return STACKED;
  return is_number(l, index, 0) ? LAST : CARRIED;
}

static bool find_role(loop *l, tf_scope *scope, size_t i) {
  tf_end next;
  if (!next_end(l, scope, i, &next) || !tf_resolve(l->op->t, &next)) return false;
  l->roles[i] = same(next, value_end(l, scope, i)) ? KEPT : CARRIED;
  if (l->roles[i] == CARRIED && l->begin[i].what == TF_LIST) l->roles[i] = role_of_list(l, scope, i, next);
  return true;
}

// What is written to a stacked list in a trip.
static bool find_item(loop *l, tf_scope *scope, size_t i, tf_end *item) {
  tf_end next;
  if (!next_end(l, scope, i, &next) || !tf_resolve(l->op->t, &next)) return false;
  return input_of(l, next, str_is(node_at(next)->op, "TensorListPushBack") ? 1 : 2, item);
}

// A list that is carried is a tensor with all items, which has to exist before the first trip.
static bool fill_list(loop *l, size_t i) {
  tf_value *x = &l->begin[i];
  if (x->what != TF_LIST || x->ref || l->roles[i] != CARRIED) return true;
  if (tf_list_fill(l->op, x)) return true;
  return !tf_fail(l->op, SDX_NOT_SUPPORTED, NULL,
                  "its value %zu is a list that is written in an order of its own, of items whose shape is not known",
                  i);
}

static bool find_roles(loop *l) {
  tf_scope *probe = open_scope(l, false, l->op->g);
  for (size_t i = 0; i < l->count; i++)
    if (!probe || !find_role(l, probe, i) || !fill_list(l, i)) return false;
  return true;
}

// ---- the body ---------------------------------------------------------------------------------------

static sdx_ref add_input(loop *l, sdx_graph *g, const char *what, sdx_dtype dtype, bool scalar) {
  char *name = tf_name(l->op->t, l->op->node->name, what);
  if (!name) return 0;
  return sdx_graph_add_input(g, &(sdx_io){.name = name, .dtype = dtype, .has_shape = scalar});
}

// Of the values of a trip, inputs of the body.
static bool add_inputs(loop *l, sdx_graph *g, tf_value *values) {
  add_input(l, g, "trip", SDX_INT64, true);
  add_input(l, g, "go", SDX_BOOL, true);
  for (size_t i = 0; i < l->count; i++) {
    values[i] = l->assumed[i];
    if (l->roles[i] != CARRIED) continue;
    values[i].ref = add_input(l, g, "value", values[i].dtype, false);
    if (!values[i].ref) return false;
  }
  return true;
}

// Of all that is carried or stacked.
static bool compute_next(loop *l, tf_scope *scope) {
  for (size_t i = 0; i < l->count; i++) {
    tf_end item;
    if (l->roles[i] == KEPT) continue;
    if (!(l->roles[i] == CARRIED ? next_end(l, scope, i, &item) : find_item(l, scope, i, &item))) return false;
    const tf_value *value = tf_compute(l->op->t, item);
    if (!value) return false;
    l->next[i] = *value;
  }
  return true;
}

// Less is assumed where a trip gave another shape. True: nothing had to be changed.
static bool weaken(loop *l) {
  bool stable = true;
  for (size_t i = 0; i < l->count; i++) {
    tf_value both, *a = &l->assumed[i];
    if (l->roles[i] != CARRIED) continue;
    tf_unite(a, &l->next[i], &both);
    bool less = both.rank != a->rank;
    for (int d = 0; d < both.rank && !less; d++) less = both.shape[d] != a->shape[d];
    if (!less) continue;
    stable = false;
    a->rank = both.rank;
    memcpy(a->shape, both.shape, sizeof both.shape);
  }
  return stable;
}

// What goes around once more, decided with the values that come next.
static sdx_ref decide(loop *l, sdx_graph *g, const tf_value *values) {
  tf_end end;
  tf_scope *scope = open_scope(l, true, g);
  if (!scope || !bind(l, scope, values) || !condition_end(l, scope, &end)) return 0;
  tf_value *truth = tf_compute(l->op->t, end);
  sdx_ref ref = truth ? tf_ref(l->op->t, truth) : 0;
  if (!ref || truth->rank == 0) return ref;
  return tf_as_scalar(l->op, g, ref);
}

static sdx_graph *make_body(loop *l) {
  tf_value values[MOST_VALUES];
  for (int tries = 0; tries < MOST_TRIES; tries++) {
    sdx_graph *g = tf_open_body(l->op);
    tf_scope *scope = g ? open_scope(l, false, g) : NULL;
    if (!scope || !add_inputs(l, g, values) || !bind(l, scope, values) || !compute_next(l, scope)) return NULL;
    if (!weaken(l)) continue;
    sdx_ref again = decide(l, g, l->next);
    tf_add_result(l->op, g, again, SDX_BOOL, "again");
    for (int stacked = 0; stacked < 2; stacked++)  // what is carried, then what is stacked
      for (size_t i = 0; i < l->count; i++) {
        if (l->roles[i] == KEPT || (l->roles[i] != CARRIED) != stacked) continue;
        sdx_ref ref = tf_ref(l->op->t, &l->next[i]);
        if (!ref && !convert_failed(l->op->t->c))
          tf_fail(l->op, SDX_NOT_SUPPORTED, NULL, "its value %zu is no tensor", i);
        tf_add_result(l->op, g, ref, l->next[i].dtype, stacked ? "item" : "next");
      }
    return again && !convert_failed(l->op->t->c) ? g : NULL;
  }
  tf_fail(l->op, SDX_NOT_SUPPORTED, NULL, "shapes of its values change with every trip");
  return NULL;
}

// ---- the node ---------------------------------------------------------------------------------------

static tf_value stacked_result(loop *l, size_t i, sdx_ref y) {
  const tf_value *item = &l->next[i];
  tf_value list = {.what = TF_LIST, .dtype = item->dtype, .rank = item->rank < 0 ? -1 : item->rank + 1, .ref = y};
  if (list.rank > TF_RANK) list.rank = -1;
  list.shape[0] = l->roles[i] == LAST ? 1 : -1;
  for (int d = 1; d < list.rank; d++) list.shape[d] = item->shape[d - 1];
  if (l->roles[i] == LAST) list.ref = tf_slice_axis(l->op, y, 0, -1, INT64_MAX, 1);
  return list;
}

// results: of all values.
static bool emit(loop *l, tf_value *results) {
  tf_op *op = l->op;
  sdx_ref inputs[MOST_VALUES + 2] = {0}, outputs[MOST_VALUES] = {0};
  size_t count = 2, made = 0;
  if (!find_roles(l)) return false;
  for (size_t i = 0; i < l->count; i++) {
    l->assumed[i] = (tf_value){.what = l->begin[i].what, .dtype = l->begin[i].dtype, .rank = l->begin[i].rank};
    memcpy(l->assumed[i].shape, l->begin[i].shape, sizeof l->begin[i].shape);
    if (l->roles[i] == CARRIED && !(inputs[count++] = tf_ref(op->t, &l->begin[i])))
      return convert_failed(op->t->c) ? false : !tf_fail(op, SDX_NOT_SUPPORTED, NULL, "its value %zu is no tensor", i);
  }
  inputs[1] = decide(l, op->g, l->begin);
  sdx_graph *body = inputs[1] ? make_body(l) : NULL;
  if (!body) return false;
  sdx_ref y = sdx_graph_add_node(op->g, "Loop", tf_name(op->t, op->node->name, "Loop"), count, inputs);
  sdx_graph_set_graph(op->g, "body", body);
  for (int stacked = 0; stacked < 2; stacked++)
    for (size_t i = 0; i < l->count; i++)
      if (l->roles[i] != KEPT && (l->roles[i] != CARRIED) == stacked)
        outputs[i] = made++ ? sdx_graph_add_node_output(op->g) : y;
  for (size_t i = 0; i < l->count; i++) {
    if (l->roles[i] == KEPT) results[i] = l->begin[i];
    else if (l->roles[i] == CARRIED) results[i] = l->assumed[i], results[i].ref = outputs[i];
    else results[i] = stacked_result(l, i, outputs[i]);
  }
  return !convert_failed(op->t->c);
}

// ---- TensorFlow 2 -----------------------------------------------------------------------------------

static void while_functions(tf_op *op) {
  tf *t = op->t;
  loop *l = arena_array(t->c->memory, 1, sizeof *l);
  tf_value *results = arena_array(t->c->memory, MOST_VALUES, sizeof *results);
  if (!l || !results) return;
  l->op = op;
  l->count = op->node->input_count;
  l->body = tf_find_function(t, tf_attr_text(op->node, "body"));
  l->condition = tf_find_function(t, tf_attr_text(op->node, "cond"));
  if (!l->body || !l->condition || l->count > MOST_VALUES || l->count > op->out_count ||
      l->condition->result_count != 1 || l->body->result_count != l->count || l->body->arguments != l->count ||
      l->condition->arguments != l->count) {
    tf_fail(op, SDX_INVALID_MODEL, NULL, "its functions do not fit its %zu values, of which %d are possible", l->count,
            MOST_VALUES);
    return;
  }
  for (size_t i = 0; i < l->count; i++) {
    const tf_value *x = tf_in(op, i);
    if (!x) return;
    l->begin[i] = *x;
  }
  if (!emit(l, results)) return;
  for (size_t i = 0; i < l->count; i++) op->out[i] = results[i];
}

// ---- TensorFlow 1 -----------------------------------------------------------------------------------

static const tf_node *raw_input(tf_op *op, const tf_node *node, size_t index, tf_end *end) {
  if (!node || index >= node->input_count || !tf_end_of(op->scope, node->inputs[index], end)) return NULL;
  return &op->scope->graph->nodes[end->node];
}

// The values of the frame that an Exit leaves.
static bool read_frame(tf_op *op, loop *l) {
  tf_end end;
  const tf_graph *graph = op->scope->graph;
  const tf_node *sw = raw_input(op, op->node, 0, &end), *first = raw_input(op, sw, 0, &end);
  const tf_node *condition = raw_input(op, sw, 1, &end), *enter = raw_input(op, first, 0, &end);
  if (!condition || !enter || !str_is(condition->op, "LoopCond") || !condition->input_count)
    return !tf_fail(op, SDX_INVALID_MODEL, NULL, "the loop that it leaves is damaged");
  l->op = op;
  l->frame = tf_attr_text(enter, "frame_name");
  l->decides = condition->inputs[0];
  for (size_t i = 0; i < graph->count; i++) {
    const tf_node *node = &graph->nodes[i], *from;
    if ((!str_is(node->op, "Merge") && !str_is(node->op, "RefMerge")) || node->input_count != 2) continue;
    from = raw_input(op, node, 0, &end);
    if (!from || !memmem(from->op.at, from->op.size, "Enter", 5)) continue;
    if (!str_equal(tf_attr_text(from, "frame_name"), l->frame)) continue;
    if (l->count == MOST_VALUES) return !tf_fail(op, SDX_LIMIT_EXCEEDED, NULL, "more than %d values", MOST_VALUES);
    l->merges[l->count] = i;
    if (!from->input_count || !tf_end_of(op->scope, from->inputs[0], &end)) return false;
    const tf_value *x = tf_compute(op->t, end);
    if (!x) return false;
    l->begin[l->count++] = *x;
  }
  return true;
}

// Every Exit of the frame has its result.
static void leave(tf_op *op) {
  const tf_graph *graph = op->scope->graph;
  loop *l = arena_array(op->t->c->memory, 1, sizeof *l);
  tf_value *results = arena_array(op->t->c->memory, MOST_VALUES, sizeof *results);
  tf_end end;
  if (!l || !results || !read_frame(op, l) || !emit(l, results)) return;
  for (size_t i = 0; i < graph->count; i++) {
    const tf_node *node = &graph->nodes[i];
    if (!str_is(node->op, "Exit") && !str_is(node->op, "RefExit")) continue;
    if (!raw_input(op, raw_input(op, node, 0, &end), 0, &end)) continue;
    for (size_t j = 0; j < l->count; j++)
      if (l->merges[j] == end.node && !tf_preset((tf_end){op->scope, i, 0}, &results[j])) return;
  }
}

const tf_kind tf_loop_kinds[] = {
    {"Exit", leave, .flags = TF_LAZY},        {"LoopCond", .flags = TF_PASSES},
    {"NextIteration", .flags = TF_PASSES},    {"RefExit", leave, .flags = TF_LAZY},
    {"RefNextIteration", .flags = TF_PASSES}, {"StatelessWhile", .emit = while_functions},
    {"While", .emit = while_functions},       {0},
};

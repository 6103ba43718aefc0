// SPDX-License-Identifier: Apache-2.0
// Scopes: a graph as it is seen from one place - the model, a call, the body of a loop or a branch - with what its
// nodes gave there. A result is asked for by its end (scope, node, number); `tf_resolve` follows it through what only
// passes values on, into calls and out of them, and `tf_compute` emits what it depends on, in order, without recursion
// except for bodies. Read next: tensorflow_values.c.
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "convert/tensorflow_proto.h"

enum { MOST_STEPS = 20000000, MOST_PENDING = 64, MOST_RESULTS = 4096 };

sdx_status tf_fail(const tf_op *op, sdx_status status, const char *hint, const char *format, ...) {
  char place[TF_PLACE], message[TF_PLACE];
  str name = op->node->name, kind = op->node->op;
  str function = op->scope->graph->name;
  snprintf(place, sizeof place, "node '%.*s' (%.*s)%s%.*s%s", STR_ARG(name), STR_ARG(kind),
           function.size ? " of function '" : "", STR_ARG(function), function.size ? "'" : "");
  va_list list;
  va_start(list, format);
  vsnprintf(message, sizeof message, format, list);
  va_end(list);
  return convert_fail(op->t->c, status, place, hint, "%s", message);
}

// ---- ends -------------------------------------------------------------------------------------------

tf_scope *tf_scope_create(tf *t, tf_graph *graph, sdx_graph *g, tf_scope *around, size_t caller, int what) {
  unsigned depth = around ? around->depth + 1 : 0;
  if (depth > 4 * TF_DEPTH) {
    convert_fail(t->c, SDX_LIMIT_EXCEEDED, "functions", NULL, "'%.*s' is called within %u others", STR_ARG(graph->name),
                 depth);
    return NULL;
  }
  tf_scope *scope = arena_alloc(t->c->memory, sizeof *scope);
  struct tf_scope_node *nodes = arena_array(t->c->memory, graph->count + 1, sizeof *nodes);
  t->steps += graph->count;
  if (!scope || !nodes) return convert_no_memory(t->c), NULL;
  *scope = (tf_scope){
      .t = t, .graph = graph, .g = g, .what = what, .around = around, .caller = caller, .nodes = nodes, .depth = depth};
  return scope;
}

// Position of a name in a list, "values,indices".
static size_t place_in(const char *list, str name) {
  size_t place = 0;
  for (const char *at = list; at && *at; place++) {
    size_t size = strcspn(at, ",");
    if (str_equal((str){at, size}, name)) return place;
    at += size + (at[size] == ',');
  }
  return 0;
}

static size_t place_of_output(const tf *t, const tf_node *node, str name) {
  const tf_graph *function = node->kind ? NULL : tf_find_function(t, node->op);
  for (size_t i = 0; function && i < function->result_count; i++)
    if (str_equal(function->outputs[i], name)) return i;
  return node->kind ? place_in(node->kind->outputs, name) : 0;
}

static size_t number_of(str digits) {
  size_t n = 0;
  for (size_t i = 0; i < digits.size && n < 1000000; i++) n = 10 * n + (size_t)(digits.at[i] - '0');
  return n;
}

// "node", "node:2", and in functions "node:values:0".
bool tf_end_of(tf_scope *scope, str name, tf_end *end) {
  if (name.size && name.at[0] == '^') name = (str){name.at + 1, name.size - 1};
  const char *colon = name.size ? memchr(name.at, ':', name.size) : NULL;
  str base = colon ? (str){name.at, (size_t)(colon - name.at)} : name, rest = {0};
  if (colon) rest = (str){colon + 1, name.size - base.size - 1};
  uint32_t node;
  if (!str_map_find(&scope->graph->index, base, &node))
    return !convert_fail(scope->t->c, SDX_INVALID_MODEL, "graph", NULL, "there is no node '%.*s'", STR_ARG(base));
  *end = (tf_end){scope, node, 0};
  if (!rest.size) return true;
  const char *second = memchr(rest.at, ':', rest.size);
  if (!second && rest.at[0] >= '0' && rest.at[0] <= '9') return end->out = number_of(rest), true;
  str output = second ? (str){rest.at, (size_t)(second - rest.at)} : rest;
  end->out = place_of_output(scope->t, &scope->graph->nodes[node], output);
  if (second) end->out += number_of((str){second + 1, rest.size - output.size - 1});
  return true;
}

static bool tf_same_end(tf_end a, tf_end b) {
  return a.scope->graph == b.scope->graph && a.node == b.node && a.out == b.out;
}

// The function that a node calls; NULL: it is no call.
static tf_graph *called(const tf *t, const tf_node *node) {
  if (!node->kind) return tf_find_function(t, node->op);
  return node->kind->flags & TF_CALLS ? tf_find_function(t, tf_attr_text(node, "f")) : NULL;
}

static bool input_of(tf_scope *scope, const tf_node *node, size_t index, tf_end *end) {
  if (index < node->input_count) return tf_end_of(scope, node->inputs[index], end);
  return !convert_fail(scope->t->c, SDX_INVALID_MODEL, "graph", NULL, "node '%.*s' (%.*s) has no input %zu",
                       STR_ARG(node->name), STR_ARG(node->op), index);
}

tf_scope *tf_enter_call(tf *t, tf_end e) {
  struct tf_scope_node *at = &e.scope->nodes[e.node];
  tf_graph *function = called(t, &e.scope->graph->nodes[e.node]);
  if (!at->inner && function) at->inner = tf_scope_create(t, function, e.scope->g, e.scope, e.node, TF_CALL);
  return at->inner;
}

// Into the function that a node calls.
static bool enter_call(tf *t, tf_end *e, tf_graph *function) {
  tf_scope *inner = tf_enter_call(t, *e);
  if (!inner) return false;
  if (e->out >= function->result_count)
    return !convert_fail(t->c, SDX_INVALID_MODEL, "function", NULL, "'%.*s' has no result %zu", STR_ARG(function->name),
                         e->out);
  return tf_end_of(inner, function->results[e->out], e);
}

// Switch: the data goes to one of two outputs. In the branch that this one decides it comes from around it.
static bool through_switch(tf *t, tf_end *e, const tf_node *node) {
  tf_end by = {0};
  if (e->scope->what == TF_BRANCH) {
    if (!input_of(e->scope, node, 1, &by) || !tf_resolve(t, &by)) return false;
    if (tf_same_end(by, e->scope->chosen)) e->scope = e->scope->around;
  }
  return input_of(e->scope, node, 0, e);
}

// One step towards where the value is made. *moved: there was one.
static bool step(tf *t, tf_end *e, bool *moved) {
  tf_scope *scope = e->scope;
  const tf_node *node = &scope->graph->nodes[e->node];
  tf_graph *function = called(t, node);
  *moved = true;
  if (function) return enter_call(t, e, function);
  if (str_is(node->op, "_Arg") && scope->what == TF_CALL) {
    const tf_node *caller = &scope->around->graph->nodes[scope->caller];
    return input_of(scope->around, caller, node->argument + scope->first, e);
  }
  if (str_is(node->op, "Switch") || str_is(node->op, "RefSwitch")) return through_switch(t, e, node);
  if (str_is(node->op, "Enter") || str_is(node->op, "RefEnter")) {
    if (scope->what == TF_FRAME && str_equal(tf_attr_text(node, "frame_name"), scope->frame)) scope = scope->around;
    return input_of(scope, node, 0, e);
  }
  if (node->kind && node->kind->flags & TF_PASSES) return input_of(scope, node, node->kind->op ? e->out : 0, e);
  *moved = false;
  return true;
}

bool tf_resolve(tf *t, tf_end *e) {
  for (bool moved = true; moved;) {
    if (e->scope->nodes[e->node].state == TF_DONE) return true;
    if (++t->steps > MOST_STEPS)
      return !convert_fail(t->c, SDX_LIMIT_EXCEEDED, "graph", NULL,
                           "it is too large, or its functions call themselves");
    if (!step(t, e, &moved)) return false;
  }
  return true;
}

tf_value *tf_value_at(tf_end end) {
  const struct tf_scope_node *at = &end.scope->nodes[end.node];
  return at->state == TF_DONE && end.out < at->op->out_count ? &at->values[end.out] : NULL;
}

// ---- emitting ---------------------------------------------------------------------------------------

static size_t tf_room(const tf_node *node) {
  static const char *const lists[] = {"Tout", "output_types", "T", "Tdense", "dtypes"};
  int64_t types[MOST_RESULTS], most = tf_attr_int(node, "num_split", 0), split = tf_attr_int(node, "num", 0);
  if (split > most) most = split;
  for (size_t i = 0; i < sizeof lists / sizeof *lists; i++) {
    int64_t n = (int64_t)tf_attr_ints(node, lists[i], types, MOST_RESULTS);
    if (n > most) most = n;
  }
  return most < 8 ? 8 : most > MOST_RESULTS ? MOST_RESULTS : (size_t)most;
}

static tf_op *make_op(tf *t, tf_end end) {
  tf_op *op = arena_alloc(t->c->memory, sizeof *op);
  tf_node *node = &end.scope->graph->nodes[end.node];
  size_t room = tf_room(node);
  tf_value *values = arena_array(t->c->memory, room, sizeof *values);
  if (!op || !values) return convert_no_memory(t->c), NULL;
  *op = (tf_op){t, end.scope, end.scope->g, end.node, node, node->kind, values, room};
  return op;
}

bool tf_preset(tf_end end, const tf_value *value) {
  struct tf_scope_node *at = &end.scope->nodes[end.node];
  if (!at->op && !(at->op = make_op(end.scope->t, end))) return false;
  at->values = at->op->out;
  if (end.out >= at->op->out_count) return false;
  at->values[end.out] = *value;
  at->state = TF_DONE;
  return true;
}

// Results that other nodes wait for.
static unsigned depth_of_inputs(tf_op *op) {
  unsigned depth = 0;
  for (size_t i = 0; i < op->node->input_count; i++) {
    const tf_value *x = tf_in(op, i);
    if (x && x->pending && !x->ref && x->pending_depth > depth) depth = x->pending_depth;
  }
  return depth;
}

static bool emit_now(tf_op *op) {
  sdx_graph *around = op->t->c->graph;
  op->t->c->graph = op->g;  // to which nodes.h adds
  op->kind->emit(op);
  op->t->c->graph = around;
  return !convert_failed(op->t->c);
}

static bool emit(tf *t, tf_end end) {
  struct tf_scope_node *at = &end.scope->nodes[end.node];
  tf_op *op = at->op = make_op(t, end);
  if (!op) return false;
  at->values = op->out;
  if (!op->kind || !op->kind->emit)
    return !tf_fail(op, SDX_NOT_SUPPORTED, NULL, "this operator is not converted, or calls what is not there");
  unsigned depth = op->kind->know ? depth_of_inputs(op) + 1 : 0;
  if (op->kind->know && depth < MOST_PENDING && op->kind->know(op)) {
    for (size_t i = 0; i < op->out_count; i++)
      op->out[i].pending = op, op->out[i].pending_depth = depth, op->out[i].pending_out = i;
  } else if (convert_failed(t->c) || !emit_now(op)) {
    return false;
  }
  at->state = TF_DONE;
  return true;
}

// Emits what was put off, for all who know of it. What was known of the results stays.
sdx_ref tf_emit_pending(const tf_value *value) {
  tf_op *op = value->pending;
  tf_value *own = &op->out[value->pending_out];
  if (own->ref) return own->ref;
  const tf_value *before = arena_copy(op->t->c->memory, op->out, op->out_count * sizeof *op->out);
  if (!before) return convert_no_memory(op->t->c), 0;
  if (!emit_now(op)) return 0;
  for (size_t i = 0; i < op->out_count; i++) {
    tf_value *y = &op->out[i];
    y->elements = before[i].elements, y->element_count = before[i].element_count;
    if (before[i].rank < 0) continue;
    y->rank = before[i].rank;
    memcpy(y->shape, before[i].shape, sizeof y->shape);
  }
  return own->ref;
}

// ---- the walk ---------------------------------------------------------------------------------------

typedef struct visit {
  struct visit *below;
  tf_end end;
} visit;

static bool push(tf *t, visit **top, tf_end end) {
  visit *v = arena_alloc(t->c->memory, sizeof *v);
  if (!v) return !convert_no_memory(t->c);
  *v = (visit){*top, end};
  *top = v;
  return true;
}

static sdx_status depends_on_itself(tf *t, tf_end end) {
  return convert_fail(t->c, SDX_INVALID_MODEL, "graph", NULL, "node '%.*s' depends on itself",
                      STR_ARG(end.scope->graph->nodes[end.node].name));
}

static bool push_inputs(tf *t, visit **top, tf_end end) {
  const tf_node *node = &end.scope->graph->nodes[end.node];
  if (node->kind && node->kind->flags & (TF_LAZY | TF_BORDER)) return true;
  for (size_t i = node->input_count; i--;) {
    tf_end in;
    if (!input_of(end.scope, node, i, &in) || !tf_resolve(t, &in)) return false;
    int state = in.scope->nodes[in.node].state;
    if (state == TF_OPEN) return !depends_on_itself(t, in);
    if (state == TF_NEW && !push(t, top, in)) return false;
  }
  return true;
}

tf_value *tf_compute(tf *t, tf_end end) {
  visit *top = NULL;
  if (!tf_resolve(t, &end) || !push(t, &top, end)) return NULL;
  if (end.scope->nodes[end.node].state == TF_OPEN) return depends_on_itself(t, end), NULL;
  while (top) {
    tf_end e = top->end;
    struct tf_scope_node *at = &e.scope->nodes[e.node];
    if (at->state == TF_DONE) {
      top = top->below;
    } else if (at->state == TF_NEW) {
      at->state = TF_OPEN;
      if (!push_inputs(t, &top, e)) return NULL;
    } else if (!emit(t, e)) {
      return NULL;
    }
  }
  tf_value *value = tf_value_at(end);
  if (value && value->what != TF_NONE) return value;
  const tf_node *node = &end.scope->graph->nodes[end.node];
  convert_fail(t->c, SDX_NOT_SUPPORTED, "graph", NULL, "result %zu of node '%.*s' (%.*s) is not converted", end.out,
               STR_ARG(node->name), STR_ARG(node->op));
  return NULL;
}

// ---- what is not converted --------------------------------------------------------------------------

typedef struct mark {
  struct mark *below;
  tf_graph *graph;
  size_t node;
} mark;

typedef struct marking {
  tf *t;
  mark *top;
  bool *seen[2];  // of the graph, of all functions one after the other
  size_t *first;  // of each function in there
} marking;

static bool mark_node(marking *m, tf_graph *graph, size_t node) {
  bool main = graph == &m->t->main;
  bool *seen = main ? &m->seen[0][node] : &m->seen[1][m->first[graph - m->t->functions] + node];
  if (*seen) return true;
  mark *v = arena_alloc(m->t->c->memory, sizeof *v);
  if (!v) return !convert_no_memory(m->t->c);
  *seen = true;
  *v = (mark){m->top, graph, node};
  m->top = v;
  return true;
}

static bool mark_name(marking *m, tf_graph *graph, str name) {
  tf_scope scope = {.t = m->t, .graph = graph};
  tf_end end;
  return tf_end_of(&scope, name, &end) && mark_node(m, graph, end.node);
}

static bool mark_function(marking *m, str name) {
  tf_graph *function = tf_find_function(m->t, name);
  for (size_t i = 0; function && i < function->result_count; i++)
    if (!mark_name(m, function, function->results[i])) return false;
  return true;
}

static bool mark_callees(marking *m, const tf_node *node) {
  static const char *const keys[] = {"f", "cond", "body", "then_branch", "else_branch"};
  str branches[TF_ELEMENTS];
  size_t count = tf_attr_list(node, "branches", branches, TF_ELEMENTS);
  for (size_t i = 0; i < sizeof keys / sizeof *keys; i++)
    if (!mark_function(m, tf_attr_text(node, keys[i]))) return false;
  for (size_t i = 0; i < count; i++)
    if (!mark_function(m, branches[i])) return false;
  return mark_function(m, node->op);
}

static bool prepare_marks(marking *m) {
  tf *t = m->t;
  size_t count = 0;
  m->first = arena_array(t->c->memory, t->function_count + 1, sizeof *m->first);
  for (size_t i = 0; m->first && i < t->function_count; i++) m->first[i] = count, count += t->functions[i].count;
  m->seen[0] = arena_array(t->c->memory, t->main.count + 1, 1);
  m->seen[1] = arena_array(t->c->memory, count + 1, 1);
  return (m->first && m->seen[0] && m->seen[1]) || !convert_no_memory(t->c);
}

bool tf_check_operators(tf *t, size_t count, const tf_end *outputs) {
  marking m = {.t = t};
  if (!prepare_marks(&m)) return false;
  t->reached = m.seen[0];
  for (size_t i = 0; i < count; i++)
    if (!mark_node(&m, outputs[i].scope->graph, outputs[i].node)) return false;
  bool good = true;
  while (m.top) {
    tf_graph *graph = m.top->graph;
    const tf_node *node = &graph->nodes[m.top->node];
    m.top = m.top->below;
    if (!mark_callees(&m, node)) return false;
    if (!node->kind && !tf_find_function(t, node->op)) {
      tf_scope scope = {.t = t, .graph = graph};
      tf_op op = {.t = t, .scope = &scope, .node = (tf_node *)node};
      tf_fail(&op, SDX_NOT_SUPPORTED, NULL, "this operator is not converted");
      good = false;
    }
    if (node->kind && node->kind->flags & TF_BORDER) continue;
    for (size_t i = 0; i < node->input_count; i++)
      if (!mark_name(&m, graph, node->inputs[i])) return false;
  }
  return good;
}

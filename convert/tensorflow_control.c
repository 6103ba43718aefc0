// SPDX-License-Identifier: Apache-2.0
// Conditions. TensorFlow 2 names two functions, which become the bodies of If; in TensorFlow 1 a condition is Switch
// nodes and the Merge behind them, and the bodies are what lies between, found from the Merge. Loops:
// tensorflow_loop.c.
#include <string.h>

#include "convert/tensorflow.h"

enum { MOST_VALUES = 256 };

sdx_graph *tf_open_body(tf_op *op) {
  if (op->scope->depth < TF_DEPTH) return sdx_graph_create(op->g);
  tf_fail(op, SDX_LIMIT_EXCEEDED, NULL, "loops and branches within each other, more than %d deep", TF_DEPTH);
  return NULL;
}

sdx_ref tf_as_scalar(tf_op *op, sdx_graph *g, sdx_ref x) {
  return sdx_graph_add_node(g, "Reshape", tf_name(op->t, op->node->name, "Reshape"),
                            SDX_REFS(x, sdx_graph_add_ints(g, 0, NULL)));
}

// What comes out of a body; it may be of a graph around it.
void tf_add_result(tf_op *op, sdx_graph *g, sdx_ref value, sdx_dtype dtype, const char *what) {
  char *name = value ? tf_name(op->t, op->node->name, what) : NULL;
  if (!name) return;
  sdx_ref own = sdx_graph_add_node(g, "Identity", name, SDX_REFS(value));
  sdx_graph_add_output(g, own, &(sdx_io){.name = sdx_graph_name(g, own), .dtype = dtype});
}

// What is common to the shapes of both.
void tf_unite(const tf_value *a, const tf_value *b, tf_value *y) {
  *y = (tf_value){.what = a->what, .dtype = a->dtype, .rank = a->rank == b->rank ? a->rank : -1};
  for (int i = 0; i < y->rank; i++) y->shape[i] = a->shape[i] == b->shape[i] ? a->shape[i] : -1;
}

// ---- two bodies -------------------------------------------------------------------------------------

typedef struct branch {
  tf_scope *scope;
  sdx_graph *g;
  tf_end *ends;  // its results
  size_t count;
} branch;

static bool open_branch(tf_op *op, tf_graph *graph, int what, size_t results, bool decided, branch *b) {
  b->g = decided ? op->g : tf_open_body(op);
  b->scope = b->g ? tf_scope_create(op->t, graph, b->g, op->scope, op->at, what) : NULL;
  b->ends = b->scope ? arena_array(op->t->c->memory, results + 1, sizeof *b->ends) : NULL;
  b->count = results;
  if (results > MOST_VALUES || results > op->out_count)
    return !tf_fail(op, SDX_LIMIT_EXCEEDED, NULL, "%zu results, expected at most %zu", results, op->out_count);
  return b->ends != NULL;
}

// The results of one branch alone, where it is known which.
static void give(tf_op *op, const branch *b) {
  for (size_t i = 0; i < b->count; i++) {
    const tf_value *value = tf_compute(op->t, b->ends[i]);
    if (!value) return;
    op->out[i] = *value;
  }
}

static void emit_if(tf_op *op, sdx_ref condition, branch *branches) {
  tf_value *values[2][MOST_VALUES];
  for (size_t i = 0; i < 2; i++)
    for (size_t j = 0; j < branches[i].count; j++) {
      if (!(values[i][j] = tf_compute(op->t, branches[i].ends[j]))) return;
      sdx_ref ref = tf_ref(op->t, values[i][j]);
      if (!ref && !convert_failed(op->t->c))
        tf_fail(op, SDX_NOT_SUPPORTED, NULL, "a branch results in a list or a handle");
      tf_add_result(op, branches[i].g, ref, values[i][j]->dtype, i ? "then" : "else");
    }
  sdx_ref y = convert_failed(op->t->c) ? 0 : tf_node_add(op, "If", SDX_REFS(condition));
  if (!y) return;
  sdx_graph_set_graph(op->g, "then_branch", branches[1].g);
  sdx_graph_set_graph(op->g, "else_branch", branches[0].g);
  for (size_t j = 0; j < branches[0].count; j++) {
    tf_value both;
    tf_unite(values[0][j], values[1][j], &both);
    tf_set(op, j, j ? sdx_graph_add_node_output(op->g) : y, both.dtype, both.rank, both.shape);
  }
}

// *known: -1, or which of the branches it is.
static bool decide(tf_op *op, tf_end end, int *known, sdx_ref *condition) {
  tf_value *x = tf_compute(op->t, end);
  if (!x) return false;
  *known = x->elements && x->element_count == 1 && x->elements[0] != TF_UNKNOWN ? x->elements[0] != 0 : -1;
  if (*known >= 0) return true;
  if (!(*condition = tf_ref(op->t, x)) || x->dtype == SDX_STRING)
    return convert_failed(op->t->c) ? false : !tf_fail(op, SDX_NOT_SUPPORTED, NULL, "a condition on a text or a list");
  if (x->dtype != SDX_BOOL) *condition = tf_cast(op, *condition, SDX_BOOL);
  if (x->rank != 0) *condition = tf_as_scalar(op, op->g, *condition);
  return true;
}

static void finish(tf_op *op, int known, sdx_ref condition, branch *branches) {
  if (branches[0].count != branches[1].count)
    tf_fail(op, SDX_INVALID_MODEL, NULL, "its branches have %zu and %zu results", branches[0].count, branches[1].count);
  else if (known >= 0) give(op, &branches[known]);
  else emit_if(op, condition, branches);
}

// ---- TensorFlow 2 -----------------------------------------------------------------------------------

static void if_functions(tf_op *op) {
  static const char *const keys[] = {"else_branch", "then_branch"};
  branch branches[2] = {0};
  tf_end end;
  int known;
  sdx_ref condition = 0;
  if (!op->node->input_count || !tf_end_of(op->scope, op->node->inputs[0], &end) ||
      !decide(op, end, &known, &condition))
    return;
  for (size_t i = 0; i < 2; i++) {
    branch *b = &branches[i];
    str name = tf_attr_text(op->node, keys[i]);
    tf_graph *function = tf_find_function(op->t, name);
    if (!function) {
      tf_fail(op, SDX_INVALID_MODEL, NULL, "there is no function '%.*s'", STR_ARG(name));
      return;
    }
    if (!open_branch(op, function, TF_CALL, function->result_count, known >= 0, b)) return;
    b->scope->first = 1;
    for (size_t j = 0; j < b->count; j++)
      if (!tf_end_of(b->scope, function->results[j], &b->ends[j])) return;
  }
  finish(op, known, condition, branches);
}

// ---- TensorFlow 1 -----------------------------------------------------------------------------------

typedef struct place {
  str name;
  int inner;  // conditions within that are open
} place;

// The Switch that an input of a Merge comes from; nested conditions are passed over. *by: what it asks, *side: its
// output.
static bool find_switch(tf_op *op, str input, tf_end *by, size_t *side) {
  tf_scope *scope = op->scope;
  const tf_graph *graph = scope->graph;
  bool *seen = arena_array(op->t->c->memory, graph->count + 1, sizeof *seen);
  place *list = arena_array(op->t->c->memory, graph->count + 2, sizeof *list);
  size_t count = 0;
  if (!seen || !list) return !convert_no_memory(op->t->c);
  list[count++] = (place){input, 0};
  for (size_t at = 0; at < count; at++) {
    tf_end end;
    if (!tf_end_of(scope, list[at].name, &end)) return false;
    const tf_node *node = &graph->nodes[end.node];
    bool is_switch = str_is(node->op, "Switch") || str_is(node->op, "RefSwitch");
    if (is_switch && !list[at].inner) {
      *side = end.out;
      return node->input_count > 1 && tf_end_of(scope, node->inputs[1], by) && tf_resolve(op->t, by);
    }
    int inner = list[at].inner + (str_is(node->op, "Merge") || str_is(node->op, "RefMerge")) - is_switch;
    for (size_t i = 0; i < node->input_count + node->control_count && count <= graph->count; i++) {
      tf_end next;
      if (!tf_end_of(scope, node->inputs[i], &next)) return false;
      if (!seen[next.node]) list[count++] = (place){node->inputs[i], inner};
      seen[next.node] = true;
    }
  }
  return !tf_fail(op, SDX_NOT_SUPPORTED, NULL, "no Switch is found that its inputs come from");
}

static void merge(tf_op *op) {
  tf_end by;
  size_t side = 0;
  branch branches[2] = {0};
  int known;
  sdx_ref condition = 0;
  if (op->node->input_count != 2) {
    tf_fail(op, SDX_NOT_SUPPORTED, NULL, "it has %zu inputs, expected 2", op->node->input_count);
    return;
  }
  if (!find_switch(op, op->node->inputs[0], &by, &side) || !decide(op, by, &known, &condition)) return;
  for (size_t i = 0; i < 2; i++) {
    branch *b = &branches[i];
    if (!open_branch(op, op->scope->graph, TF_BRANCH, 1, known >= 0, b)) return;
    b->scope->chosen = by;
    if (!tf_end_of(b->scope, op->node->inputs[i == side ? 0 : 1], &b->ends[0])) return;
  }
  finish(op, known, condition, branches);
}

const tf_kind tf_control_kinds[] = {
    {"If", if_functions, .flags = TF_LAZY},
    {"Merge", merge, .outputs = "output,value_index", .flags = TF_LAZY},
    {"RefMerge", merge, .outputs = "output,value_index", .flags = TF_LAZY},
    {"StatelessIf", if_functions, .flags = TF_LAZY},
    {0},
};

// SPDX-License-Identifier: Apache-2.0
// Variables and tables, which other nodes fill before the model runs: each Assign and each initializer of a table is
// looked for once, in the graph and in the functions that it calls. A variable has what is restored into it from the
// checkpoint beside the graph, or the constant that it begins with. A handle stands for what it holds.
#include <string.h>

#include "convert/tensorflow_proto.h"

typedef struct tf_effect {
  tf_end target;  // the variable or table
  tf_scope *scope;
  size_t node;
} tf_effect;

enum { MOST_EFFECTS = 1 << 20 };

// ---- who fills what ---------------------------------------------------------------------------------

static bool fills(const tf_node *node) {
  static const char *const ops[] = {"Assign",
                                    "AssignVariableOp",
                                    "InitializeTable",
                                    "InitializeTableFromTextFile",
                                    "InitializeTableFromTextFileV2",
                                    "InitializeTableV2",
                                    "LookupTableImport",
                                    "LookupTableImportV2"};
  for (size_t i = 0; i < sizeof ops / sizeof *ops; i++)
    if (str_is(node->op, ops[i])) return true;
  return false;
}

static size_t count_fills(const tf_graph *graph) {
  size_t count = 0;
  for (size_t i = 0; i < graph->count; i++) count += fills(&graph->nodes[i]);
  return count;
}

static bool add_effect(tf *t, tf_scope *scope, size_t node) {
  tf_effect effect = {.scope = scope, .node = node};
  const tf_node *n = &scope->graph->nodes[node];
  if (!n->input_count || !tf_end_of(scope, n->inputs[0], &effect.target) || !tf_resolve(t, &effect.target))
    return false;
  t->effects[t->effect_count++] = effect;
  return true;
}

static bool scan(tf *t, tf_scope *scope) {
  for (size_t i = 0; i < scope->graph->count; i++)
    if (fills(&scope->graph->nodes[i]) && !add_effect(t, scope, i)) return false;
  return true;
}

static const tf_graph *called_by(const tf *t, const tf_node *node) {
  bool calls = node->kind && node->kind->flags & TF_CALLS;
  return calls ? tf_find_function(t, tf_attr_text(node, "f")) : NULL;
}

bool tf_find_effects(tf *t, tf_scope *main) {
  size_t count = count_fills(&t->main);
  for (size_t i = 0; i < t->main.count && count < MOST_EFFECTS; i++) {
    const tf_graph *function = called_by(t, &t->main.nodes[i]);
    if (function) count += count_fills(function);
  }
  if (count >= MOST_EFFECTS) return !convert_fail(t->c, SDX_LIMIT_EXCEEDED, "graph", NULL, "too many assignments");
  t->effects = arena_array(t->c->memory, count + 1, sizeof *t->effects);
  if (!t->effects) return !convert_no_memory(t->c);
  if (!scan(t, main)) return false;
  for (size_t i = 0; i < t->main.count; i++) {
    const tf_graph *function = called_by(t, &t->main.nodes[i]);
    if (!function || !count_fills(function)) continue;
    tf_scope *inner = tf_enter_call(t, (tf_end){main, i, 0});
    if (!inner || !scan(t, inner)) return false;
  }
  return true;
}

// The next node that fills `target`, from *at on.
static const tf_effect *find(tf *t, tf_end target, size_t *at) {
  for (; *at < t->effect_count; ++*at) {
    const tf_effect *effect = &t->effects[*at];
    if (effect->target.scope == target.scope && effect->target.node == target.node) return ++*at, effect;
  }
  return NULL;
}

bool tf_filler(tf *t, tf_end target, size_t *node, tf_scope **scope) {
  size_t at = 0;
  const tf_effect *effect = find(t, target, &at);
  if (effect) *node = effect->node, *scope = effect->scope;
  return effect != NULL;
}

static bool input_of(tf *t, const tf_effect *effect, size_t index, tf_end *end) {
  const tf_node *node = &effect->scope->graph->nodes[effect->node];
  return index < node->input_count && tf_end_of(effect->scope, node->inputs[index], end) && tf_resolve(t, end);
}

// ---- variables --------------------------------------------------------------------------------------

// The name in the checkpoint that `value` is restored from. False: it is not.
static bool restored_from(tf *t, tf_end value, str *key) {
  const tf_node *node = &value.scope->graph->nodes[value.node];
  tf_end names;
  if (!str_is(node->op, "RestoreV2") || node->input_count < 2) return false;
  if (!tf_end_of(value.scope, node->inputs[1], &names)) return false;
  const tf_value *list = tf_compute(t, names);
  if (!list || !list->texts || value.out >= list->element_count) return false;
  *key = list->texts[value.out];
  return true;
}

// What is restored wins over a constant that it begins with, which may be of a model that was not trained.
static bool find_value(tf_op *op, tf_value *value) {
  tf *t = op->t;
  tf_end from, begin = {0};
  const tf_effect *effect;
  str names[] = {{0}, tf_attr_text(op->node, "shared_name"), op->node->name};
  for (size_t at = 0; (effect = find(t, (tf_end){op->scope, op->at, 0}, &at));) {
    if (!input_of(t, effect, 1, &from)) return false;
    restored_from(t, from, &names[0]);
    if (str_is(from.scope->graph->nodes[from.node].op, "Const")) begin = from;
  }
  for (size_t i = 0; i < 3; i++)
    if (names[i].size && (tf_bundle_value(t, names[i], value) || convert_failed(t->c))) return !convert_failed(t->c);
  const tf_value *constant = begin.scope ? tf_compute(t, begin) : NULL;
  if (constant) *value = *constant;
  return constant != NULL;
}

static void variable(tf_op *op) {
  if (find_value(op, op->out)) {
    op->out->origin = (tf_end){op->scope, op->at, 0};
    op->out->shared = &op->node->constant;
  } else if (!convert_failed(op->t->c)) {
    tf_fail(op, SDX_INVALID_MODEL, "variables lie beside the graph: give the whole folder, or freeze the graph",
            op->t->bundle ? "the checkpoint does not have it" : "there is no checkpoint for this variable");
  }
}

const tf_kind tf_variable_kinds[] = {
    {"VarHandleOp", .emit = variable},
    {"Variable", .emit = variable},
    {"VariableV2", .emit = variable},
    {0},
};

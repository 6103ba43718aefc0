// SPDX-License-Identifier: Apache-2.0
// A forest to nodes of ONNX (trees.h): features treated, one TreeEnsemble (or its predecessor, where the opset is
// older), sums. The lists are lent to the graph as they are.
#include <float.h>
#include <math.h>
#include <stdlib.h>

#include "base/size.h"
#include "convert/nodes.h"
#include "convert/trees_lists.h"

enum { MOST_COLUMNS = 1 << 26, OPSET_DOUBLE_SPLITS = 16, OPSET_TREE_ENSEMBLE = 21 };

// What the operator is to give: a column a tree (of its group's columns), or a column a group.
typedef struct plan {
  forest *f;
  sdx_graph *g;
  size_t groups, columns;  // columns of a group
  bool by_number;          // leaves give their number, a table has the values
} plan;

static int64_t *ints(const list *l) { return l->at; }
static size_t end_of(const list *starts, size_t tree, size_t count) {
  return tree + 1 < starts->count ? (size_t)ints(starts)[tree + 1] : count;
}

// ---- features ---------------------------------------------------------------------------------------

static sdx_ref treated(const forest *f, sdx_graph *g, sdx_ref x, tree_treatment how) {
  if (how == TREAT_FLOOR) return sdx_graph_add_node(g, "Floor", "category", SDX_REFS(x));
  sdx_ref size = sdx_graph_add_node(g, "Abs", NULL, SDX_REFS(x));
  if (how == TREAT_TRUNCATE) {
    sdx_ref sign = sdx_graph_add_node(g, "Sign", NULL, SDX_REFS(x));
    sdx_ref whole = sdx_graph_add_node(g, "Floor", NULL, SDX_REFS(size));
    return sdx_graph_add_node(g, "Mul", "category", SDX_REFS(sign, whole));
  }
  // NaN is not greater than anything, so it stays NaN.
  sdx_ref limit = sdx_graph_add_scalar(g, f->dtype, (double)1e-35f);
  sdx_ref kept = sdx_graph_add_node(g, "Greater", NULL, SDX_REFS(size, limit));
  sdx_ref missing = sdx_graph_add_scalar(g, f->dtype, NAN);
  return sdx_graph_add_node(g, "Where", "zero_is_missing", SDX_REFS(kept, x, missing));
}

// The features that nodes of a treatment read, once each, and how many. A node's feature becomes its place among them,
// counted from `first`.
static int64_t place_features(const forest *f, tree_treatment how, int64_t *features, int64_t *place, int64_t first) {
  const uint8_t *treatment = f->treatment.at;
  int64_t count = 0;
  for (size_t i = 0; i < f->feature.count; i++) {
    if (treatment[i] != how) continue;
    int64_t feature = ints(&f->feature)[i];
    if (!place[feature]) {
      features[count] = feature;
      place[feature] = ++count;
    }
    ints(&f->feature)[i] = first + place[feature] - 1;
  }
  return count;
}

// The columns that nodes compare: all features as they are, if any node wants that, then those of each treatment.
static sdx_ref arrange(const plan *p, sdx_ref x, size_t features) {
  const forest *f = p->f;
  sdx_ref parts[TREAT_ZERO_MISSING + 1];
  size_t count = 0;
  int64_t columns = 0;
  if (!f->treatment.count || memchr(f->treatment.at, TREAT_NONE, f->treatment.count)) {
    parts[count++] = x;
    columns = (int64_t)features;
  }
  for (int how = TREAT_FLOOR; how <= TREAT_ZERO_MISSING; how++) {
    if (!memchr(f->treatment.at, how, f->treatment.count)) continue;
    arena *memory = f->conversion->memory;
    int64_t *wanted = arena_array(memory, features, sizeof *wanted),
            *place = arena_array(memory, features, sizeof *place);
    if (!wanted || !place) {
      convert_no_memory(f->conversion);
      return 0;
    }
    int64_t n = place_features(f, (tree_treatment)how, wanted, place, columns);
    sdx_ref part = sdx_graph_add_node(p->g, "Gather", NULL, SDX_REFS(x, sdx_graph_add_ints(p->g, (size_t)n, wanted)));
    sdx_graph_set_int(p->g, "axis", 1);
    parts[count++] = treated(f, p->g, part, (tree_treatment)how);
    columns += n;
  }
  return count == 1 ? parts[0] : node_concat(f->conversion, "features", 1, count, parts);
}

// ---- the operators ----------------------------------------------------------------------------------

static sdx_value *lend(sdx_dtype dtype, const void *at, size_t count) {
  int64_t shape = (int64_t)count;
  return sdx_tensor_borrow(dtype, 1, &shape, (void *)at, NULL, NULL);
}

static void lend_ints(const plan *p, const char *name, const list *l) {
  sdx_graph_lend_ints(p->g, name, l->count, ints(l));
}

static sdx_ref emit_ensemble(const plan *p, sdx_ref x, const list *weights) {
  forest *f = p->f;
  sdx_graph *g = p->g;
  sdx_ref y = sdx_graph_add_node(g, "ai.onnx.ml::TreeEnsemble", "trees", SDX_REFS(x));
  sdx_graph_set_int(g, "aggregate_function", 1);
  sdx_graph_set_int(g, "post_transform", 0);
  sdx_graph_set_int(g, "n_targets", (int64_t)(p->groups * p->columns));
  lend_ints(p, "tree_roots", &f->root);
  lend_ints(p, "nodes_featureids", &f->feature);
  sdx_graph_set_tensor(g, "nodes_modes", lend(SDX_UINT8, f->mode.at, f->mode.count));
  sdx_graph_set_tensor(g, "nodes_splits", lend(f->dtype, f->split.at, f->split.count));
  lend_ints(p, "nodes_truenodeids", &f->yes);
  lend_ints(p, "nodes_trueleafs", &f->yes_leaf);
  lend_ints(p, "nodes_falsenodeids", &f->no);
  lend_ints(p, "nodes_falseleafs", &f->no_leaf);
  lend_ints(p, "nodes_missing_value_tracks_true", &f->missing);
  if (f->has_members) sdx_graph_set_tensor(g, "membership_values", lend(f->dtype, f->members.at, f->members.count));
  lend_ints(p, "leaf_targetids", &f->target);
  sdx_graph_set_tensor(g, "leaf_weights", lend(f->dtype, weights->at, weights->count));
  return y;
}

// The lists of TreeEnsembleRegressor: nodes have the numbers of their tree, inner ones first.
typedef struct old_lists {
  int64_t *tree, *node, *feature, *yes, *no, *missing, *leaf_tree, *leaf_node;
  const char **modes;
  float *values, *weights;
} old_lists;

static void fill_old_tree(const forest *f, const old_lists *o, size_t t, size_t *at, const list *weights) {
  static const char *const names[] = {"BRANCH_LEQ", "BRANCH_LT", "BRANCH_GTE", "BRANCH_GT", "BRANCH_EQ", "BRANCH_NEQ"};
  size_t inner = (size_t)ints(&f->root)[t], inner_end = end_of(&f->root, t, f->feature.count);
  size_t leaf = (size_t)ints(&f->first)[t], leaf_end = end_of(&f->first, t, f->target.count);
  int64_t first = (int64_t)inner, shift = (int64_t)(inner_end - inner) - (int64_t)leaf;
  for (size_t i = inner; i < inner_end; i++, ++*at) {
    o->tree[*at] = (int64_t)t;
    o->node[*at] = (int64_t)i - first;
    o->feature[*at] = ints(&f->feature)[i];
    o->modes[*at] = names[((const uint8_t *)f->mode.at)[i]];
    o->yes[*at] = ints(&f->yes)[i] + (ints(&f->yes_leaf)[i] ? shift : -first);
    o->no[*at] = ints(&f->no)[i] + (ints(&f->no_leaf)[i] ? shift : -first);
    o->missing[*at] = ints(&f->missing)[i];
    o->values[*at] = (float)forest_get(f, &f->split, i);
  }
  for (size_t i = leaf; i < leaf_end; i++, ++*at) {
    o->tree[*at] = (int64_t)t;
    o->node[*at] = (int64_t)i + shift;
    o->modes[*at] = "LEAF";
    o->leaf_tree[i] = (int64_t)t;
    o->leaf_node[i] = (int64_t)i + shift;
    o->weights[i] = (float)forest_get(f, weights, i);
  }
}

static bool make_old_lists(const plan *p, old_lists *o, const list *weights) {
  const forest *f = p->f;
  arena *memory = f->conversion->memory;
  size_t leaves = f->target.count, nodes = f->feature.count + leaves, at = 0;
  int64_t **lists[] = {&o->tree, &o->node, &o->feature, &o->yes, &o->no, &o->missing};
  bool good = true;
  for (size_t i = 0; i < sizeof lists / sizeof *lists; i++)
    good = (*lists[i] = arena_array(memory, nodes, sizeof **lists[i])) && good;
  o->modes = arena_array(memory, nodes, sizeof *o->modes);
  o->values = arena_array(memory, nodes, sizeof *o->values);
  o->leaf_tree = arena_array(memory, leaves, sizeof *o->leaf_tree);
  o->leaf_node = arena_array(memory, leaves, sizeof *o->leaf_node);
  o->weights = arena_array(memory, leaves, sizeof *o->weights);
  if (!good || !o->modes || !o->values || !o->leaf_tree || !o->leaf_node || !o->weights) return false;
  for (size_t t = 0; t < f->root.count; t++) fill_old_tree(f, o, t, &at, weights);
  return true;
}

// Splits in double, where the features are; leaves are at zero there and count for nothing.
static sdx_value *old_double_splits(const forest *f) {
  int64_t nodes = (int64_t)(f->feature.count + f->target.count);
  sdx_value *v = sdx_tensor_create(SDX_DOUBLE, 1, &nodes);
  double *to = v ? sdx_tensor_data(v) : NULL;
  for (size_t t = 0; to && t < f->root.count; t++) {
    for (size_t i = (size_t)ints(&f->root)[t]; i < end_of(&f->root, t, f->feature.count); i++)
      *to++ = forest_get(f, &f->split, i);
    to += end_of(&f->first, t, f->target.count) - (size_t)ints(&f->first)[t];
  }
  return v;
}

static sdx_ref emit_old(const plan *p, sdx_ref x, const list *weights) {
  forest *f = p->f;
  sdx_graph *g = p->g;
  old_lists o;
  size_t leaves = f->target.count, nodes = f->feature.count + leaves;
  if (f->has_members) {
    convert_fail(f->conversion, SDX_NOT_SUPPORTED, NULL, "--opset 21 or newer",
                 "splits by category need TreeEnsemble of ai.onnx.ml 5");
    return 0;
  }
  if (f->dtype == SDX_DOUBLE && sdx_builder_opset(f->conversion->builder, "") < OPSET_DOUBLE_SPLITS) {
    convert_fail(f->conversion, SDX_NOT_SUPPORTED, NULL, "--opset 16 or newer",
                 "splits in double need TreeEnsembleRegressor of ai.onnx.ml 3");
    return 0;
  }
  if (!make_old_lists(p, &o, weights)) {
    convert_no_memory(f->conversion);
    return 0;
  }
  sdx_ref y = sdx_graph_add_node(g, "ai.onnx.ml::TreeEnsembleRegressor", "trees", SDX_REFS(x));
  sdx_graph_set_int(g, "n_targets", (int64_t)(p->groups * p->columns));
  sdx_graph_lend_ints(g, "nodes_treeids", nodes, o.tree);
  sdx_graph_lend_ints(g, "nodes_nodeids", nodes, o.node);
  sdx_graph_lend_ints(g, "nodes_featureids", nodes, o.feature);
  sdx_graph_set_strings(g, "nodes_modes", nodes, o.modes);
  if (f->dtype == SDX_DOUBLE) sdx_graph_set_tensor(g, "nodes_values_as_tensor", old_double_splits(f));
  else sdx_graph_set_floats(g, "nodes_values", nodes, o.values);
  sdx_graph_lend_ints(g, "nodes_truenodeids", nodes, o.yes);
  sdx_graph_lend_ints(g, "nodes_falsenodeids", nodes, o.no);
  sdx_graph_lend_ints(g, "nodes_missing_value_tracks_true", nodes, o.missing);
  sdx_graph_lend_ints(g, "target_treeids", leaves, o.leaf_tree);
  sdx_graph_lend_ints(g, "target_nodeids", leaves, o.leaf_node);
  lend_ints(p, "target_ids", &f->target);
  if (f->dtype == SDX_DOUBLE) {
    sdx_value *numbers = lend(SDX_DOUBLE, weights->at, leaves);
    sdx_graph_set_tensor(g, "target_weights_as_tensor", numbers);
  } else {
    sdx_graph_set_floats(g, "target_weights", leaves, o.weights);
  }
  return y;
}

// ---- numbers of leaves --------------------------------------------------------------------------------

// The leaves' own numbers within their trees, as weights.
static bool number_leaves(forest *f, list *numbers) {
  if (!list_grow(numbers, f->target.count, f->element_bytes)) return false;
  for (size_t t = 0; t < f->root.count; t++) {
    size_t first = (size_t)ints(&f->first)[t], end = end_of(&f->first, t, f->target.count);
    for (size_t i = first; i < end; i++) forest_set(f, numbers, i, (double)(i - first));
  }
  numbers->count = f->target.count;
  return true;
}

// Where a column's tree has its values in the table; columns without a tree find the row of zeros behind all.
static sdx_value *first_rows(const plan *p, const int64_t *column_of) {
  const forest *f = p->f;
  int64_t columns = (int64_t)(p->groups * p->columns);
  sdx_value *v = sdx_tensor_create(SDX_INT64, 1, &columns);
  int64_t *at = v ? sdx_tensor_data(v) : NULL;
  for (int64_t i = 0; at && i < columns; i++) at[i] = (int64_t)f->target.count;
  for (size_t t = 0; at && t < f->root.count; t++) at[column_of[t]] = ints(&f->first)[t];
  return v;
}

static sdx_ref look_up(const plan *p, sdx_ref numbers, const int64_t *column_of) {
  forest *f = p->f;
  sdx_graph *g = p->g;
  if (!list_grow(&f->value, f->width, f->element_bytes)) {
    convert_no_memory(f->conversion);
    return 0;
  }
  for (size_t i = 0; i < f->width; i++) forest_set(f, &f->value, f->value.count++, 0);
  sdx_ref rows = sdx_graph_add_node(g, "Cast", "leaf", SDX_REFS(numbers));
  sdx_graph_set_int(g, "to", SDX_INT64);
  rows = sdx_graph_add_node(g, "Add", "leaf_row",
                            SDX_REFS(rows, sdx_graph_add_initializer(g, "first_leaf", first_rows(p, column_of))));
  int64_t shape[] = {(int64_t)f->target.count + 1, (int64_t)f->width};
  sdx_value *table = sdx_tensor_borrow(f->dtype, f->width > 1 ? 2 : 1, shape, f->value.at, NULL, NULL);
  return sdx_graph_add_node(g, "Gather", "leaf_value",
                            SDX_REFS(sdx_graph_add_initializer(g, "leaf_values", table), rows));
}

// ---- sums -------------------------------------------------------------------------------------------

// The sum of the columns of each group, from the first to the last: y [N, columns], [N, groups, columns] or
// [N, columns, width].
static sdx_ref sum_columns(const plan *p, sdx_ref y) {
  sdx_graph *g = p->g;
  bool vectors = p->f->width > 1;
  int64_t axis = vectors ? 1 : -1;
  if (p->groups > 1)
    y = sdx_graph_add_node(
        g, "Reshape", "groups",
        SDX_REFS(y, sdx_graph_add_ints(g, 3, (int64_t[]){0, (int64_t)p->groups, (int64_t)p->columns})));
  y = sdx_graph_add_node(g, "CumSum", "running_sum", SDX_REFS(y, sdx_graph_add_scalar(g, SDX_INT64, (double)axis)));
  sdx_ref last = sdx_graph_add_scalar(g, SDX_INT64, (double)p->columns - 1);
  y = sdx_graph_add_node(g, "Gather", "sum", SDX_REFS(y, last));
  sdx_graph_set_int(g, "axis", axis);
  return y;
}

// A tree without a question for each group, whose leaf is what the sum begins with.
static bool add_base(forest *f, size_t groups, const double *base) {
  if (f->width > 1)
    return forest_add(f, 1, &(tree_node){.mode = TREE_LEAF, .list = base, .list_count = f->width}, "base");
  for (size_t i = 0; i < groups; i++)
    if (!forest_add(f, 1, &(tree_node){.mode = TREE_LEAF, .value = base[i]}, "base")) return false;
  return true;
}

// The column of each tree: those of base stand first or last in their groups. NULL: no memory, or a problem.
static int64_t *place_columns(plan *p, size_t trees, const uint32_t *group_of, bool steps, bool base_last) {
  forest *f = p->f;
  arena *memory = f->conversion->memory;
  int64_t *column_of = arena_array(memory, f->root.count, sizeof *column_of);
  size_t *used = arena_array(memory, p->groups, sizeof *used);
  if (!column_of || !used) return NULL;
  p->columns = 1;
  for (size_t turn = 0; turn < f->root.count; turn++) {
    size_t t = base_last ? turn : (turn + trees) % f->root.count;  // base begins at `trees`
    size_t group = p->groups == 1 ? 0 : t >= trees ? t - trees : group_of[t];
    column_of[t] = (int64_t)(steps ? used[group]++ : 0);
    if (used[group] > p->columns) p->columns = used[group];
  }
  size_t all;
  if (!size_mul(p->groups, p->columns, &all) || all > MOST_COLUMNS) {
    convert_fail(f->conversion, SDX_LIMIT_EXCEEDED, NULL, NULL, "%zu groups of up to %zu trees are too many", p->groups,
                 p->columns);
    return NULL;
  }
  for (size_t t = 0; t < f->root.count; t++) {
    size_t group = p->groups == 1 ? 0 : t >= trees ? t - trees : group_of[t];
    column_of[t] += (int64_t)(group * p->columns);
  }
  return column_of;
}

sdx_ref forest_emit(forest *f, sdx_ref x, size_t features, size_t groups, const uint32_t *group_of, const double *base,
                    forest_sum how) {
  conversion *c = f->conversion;
  plan p = {.f = f, .g = c->graph, .groups = f->width > 1 ? 1 : groups};
  size_t trees = f->root.count;
  bool old = sdx_builder_opset(c->builder, "") < OPSET_TREE_ENSEMBLE;
  if (features < forest_features(f)) {
    convert_fail(c, SDX_INVALID_MODEL, NULL, NULL, "a split reads feature %zu, but there are %zu features",
                 forest_features(f) - 1, features);
    return 0;
  }
  if (!base && !trees) base = arena_array(c->memory, groups, sizeof *base);
  if (base && !add_base(f, groups, base)) return 0;
  p.by_number = f->width > 1 || (old && f->dtype == SDX_DOUBLE);
  bool steps = p.by_number || how != FOREST_SUM;
  int64_t *column_of = place_columns(&p, trees, group_of, steps, how == FOREST_STEPS_THEN_BASE);
  list numbers = {0};
  bool good = column_of && (!p.by_number || number_leaves(f, &numbers));
  if (numbers.at && !convert_at_end(c, free, numbers.at)) {
    free(numbers.at);
    good = false;
  }
  if (!good) {
    if (!convert_failed(c)) convert_no_memory(c);
    return 0;
  }
  for (size_t i = 0; i < f->target.count; i++) ints(&f->target)[i] = column_of[ints(&f->target)[i]];
  x = arrange(&p, x, features);
  const list *weights = p.by_number ? &numbers : &f->value;
  sdx_ref y = old ? emit_old(&p, x, weights) : emit_ensemble(&p, x, weights);
  if (p.by_number) y = look_up(&p, y, column_of);
  if (steps) return sum_columns(&p, y);
  if (groups > 1) return y;
  y = sdx_graph_add_node(p.g, "Gather", "score", SDX_REFS(y, sdx_graph_add_scalar(p.g, SDX_INT64, 0)));
  sdx_graph_set_int(p.g, "axis", 1);
  return y;
}

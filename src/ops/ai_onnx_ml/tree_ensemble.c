// SPDX-License-Identifier: Apache-2.0
// TreeEnsemble 5 and its predecessors TreeEnsembleClassifier and TreeEnsembleRegressor (1, 3).
//
//   All three become one array of nodes when the model is read: a node compares a feature with a value and
//   names its two successors by index; a leaf names its range of (target, weight) pairs. Reading checks
//   everything a walk relies on: every successor exists, no node has two parents, every node is reached
//   from a root. So a walk ends, without recursion, however deep the tree. Comparisons and sums are in
//   double; rows are split over threads, trees are summed in their order.
//
//   Classifier with two labels whose weights all name one class: the score is that of the second label. If no
//   weight is negative it is a probability (label 2 above 0.5, scores [1 - s, s]), else a margin (label 2 above
//   0, scores [-s, s]); LOGISTIC takes both signs. This is onnxruntime's rule; ONNX says nothing. Base values
//   are always added (onnxruntime leaves them out where no tree contributes).
//
// History: 3 adds the *_as_tensor attributes (doubles), 5 the new encoding with set membership.
#include <math.h>
#include <stdlib.h>

#include "base/size.h"
#include "ops/ai_onnx_ml/ml.h"
#include "tensor/convert.h"

typedef enum tree_mode { LEQ, LT, GTE, GT, EQ, NEQ, MEMBER, LEAF } tree_mode;
typedef enum aggregate { AVERAGE, SUM, MIN, MAX } aggregate;

typedef struct tree_node {
  double value;      // MEMBER: index of its first member
  uint32_t feature;  // LEAF: index of its first weight
  uint32_t yes, no;  // successors; LEAF: `no` is the number of weights
  uint8_t mode;
  bool missing_is_yes;  // where NaN goes
} tree_node;

typedef struct tree_weight {
  uint32_t target;
  double weight;
} tree_weight;

typedef struct tree_params {
  tree_node *nodes;
  uint32_t *roots;
  tree_weight *weights;
  double *members;                                                 // of all MEMBER nodes, each set ended by NaN
  double *base;                                                    // [targets] or NULL
  size_t node_count, root_count, weight_count, targets, features;  // features: one more than the largest used
  aggregate aggregate;
  ml_transform transform;
  bool classifies, binary, all_positive;  // binary: two labels, one class in the weights
  ml_labels labels;
} tree_params;

// ---- reading: shared ------------------------------------------------------------------------------

// Numbers from a list of floats or from a tensor.
typedef struct numbers {
  const float *floats;
  const tensor *tensor;
  size_t count;
} numbers;

static sdx_status read_numbers(op_params_context *c, const char *list, const char *as_tensor, numbers *out) {
  *out = (numbers){.tensor = params_tensor(c, as_tensor)};
  if (list) out->floats = params_floats(c, list, &out->count);
  if (out->count && out->tensor) return params_fail(c, list, "and '%s' are both given", as_tensor);
  if (out->tensor) {
    double probe;
    out->count = out->tensor->count;
    if (out->count && !convert_to_doubles((sdx_dtype)out->tensor->dtype, out->tensor->data, 0, 1, &probe))
      return params_fail(c, as_tensor, "is a tensor of %s", dtype_name((sdx_dtype)out->tensor->dtype));
  }
  return SDX_OK;
}
static double number_at(const numbers *n, size_t i) {
  return n->tensor ? tensor_number_at(n->tensor, i) : (double)n->floats[i];
}

// A list that must have `count` entries; NULL where it is optional and has none.
static sdx_status read_ints(op_params_context *c, const char *name, size_t count, bool optional, const int64_t **out) {
  size_t n = 0;
  *out = params_ints(c, name, &n);
  if (n == count) return SDX_OK;
  if (optional && n == 0) return *out = NULL, SDX_OK;
  return params_fail(c, name, "has %zu entries, expected %zu", n, count);
}

static sdx_status no_memory(op_params_context *c) { return error_no_memory(c->err, 0); }

static sdx_status set_feature(op_params_context *c, tree_params *p, tree_node *n, int64_t feature, size_t i) {
  if (feature < 0 || feature > INT32_MAX)
    return params_fail(c, "nodes_featureids", "[%zu] is %lld, expected 0 to %d", i, (long long)feature, INT32_MAX);
  n->feature = (uint32_t)feature;
  if ((size_t)feature >= p->features) p->features = (size_t)feature + 1;
  return SDX_OK;
}

// Every node has at most one parent, and all are reached from the roots.
static sdx_status check_forest(op_params_context *c, const tree_params *p, const char *attribute) {
  uint32_t *waiting = mem_alloc(c->memory->account, (p->node_count + 1) * sizeof *waiting);
  uint8_t *seen = mem_zalloc(c->memory->account, p->node_count + 1);
  sdx_status status = waiting && seen ? SDX_OK : no_memory(c);
  size_t count = 0, reached = 0;
  for (size_t r = 0; r < p->root_count && status == SDX_OK; r++) {
    waiting[count++] = p->roots[r];
    while (count && status == SDX_OK) {
      uint32_t i = waiting[--count];
      const tree_node *n = &p->nodes[i];
      if (seen[i]) {
        status = params_fail(c, attribute, "leads to node %u twice: trees must not share nodes or have cycles", i);
        break;
      }
      seen[i] = 1;
      reached++;
      // Two at most per node that left, so the list never grows past the nodes not seen yet plus one; a second
      // way to a waiting node is caught when it is taken.
      if (n->mode == LEAF) continue;
      if (count + 2 > p->node_count + 1) {
        status = params_fail(c, attribute, "has trees that share nodes or have cycles");
        break;
      }
      waiting[count++] = n->yes;
      waiting[count++] = n->no;
    }
  }
  if (status == SDX_OK && reached != p->node_count)
    status = params_fail(c, attribute, "leaves %zu of %zu nodes unreached from any root: they form a cycle",
                         p->node_count - reached, p->node_count);
  mem_free(waiting);
  mem_free(seen);
  return status;
}

// ---- reading: versions 1 and 3 --------------------------------------------------------------------

typedef struct key {
  int64_t tree, node;
  uint32_t index;
} key;

static int compare_keys(const void *a, const void *b) {
  const key *x = a, *y = b;
  if (x->tree != y->tree) return x->tree < y->tree ? -1 : 1;
  return x->node < y->node ? -1 : x->node > y->node;
}
static const key *find_key(const key *keys, size_t count, int64_t tree, int64_t node) {
  return bsearch(&(key){tree, node, 0}, keys, count, sizeof *keys, compare_keys);
}

typedef struct old_lists {
  const char *prefix;  // "class" or "target"
  const int64_t *tree, *node, *feature, *yes, *no, *missing;
  const str *modes;
  numbers values, weights, base;
  const int64_t *weight_tree, *weight_node, *weight_target;
} old_lists;

static sdx_status mode_of(op_params_context *c, str s, size_t i, uint8_t *out) {
  static const char *const names[] = {"BRANCH_LEQ", "BRANCH_LT", "BRANCH_GTE", "BRANCH_GT", "BRANCH_EQ", "BRANCH_NEQ"};
  if (str_is(s, "LEAF")) return *out = LEAF, SDX_OK;
  for (size_t k = 0; k < sizeof names / sizeof *names; k++)
    if (str_is(s, names[k])) return *out = (uint8_t)k, SDX_OK;
  return params_fail(c, "nodes_modes", "[%zu] is '%.*s', which is not known", i, STR_ARG(s));
}

static sdx_status read_old_nodes(op_params_context *c, tree_params *p, old_lists *l) {
  size_t n = 0, modes = 0;
  l->tree = params_ints(c, "nodes_treeids", &n);
  if (n == 0 || n >= UINT32_MAX) return params_fail(c, "nodes_treeids", "has %zu entries, expected 1 to 2^32 - 2", n);
  p->node_count = n;
  SDX_TRY(read_ints(c, "nodes_nodeids", n, false, &l->node));
  SDX_TRY(read_ints(c, "nodes_featureids", n, false, &l->feature));
  SDX_TRY(read_ints(c, "nodes_truenodeids", n, false, &l->yes));
  SDX_TRY(read_ints(c, "nodes_falsenodeids", n, false, &l->no));
  SDX_TRY(read_ints(c, "nodes_missing_value_tracks_true", n, true, &l->missing));
  l->modes = params_strings(c, "nodes_modes", &modes);
  if (modes != n) return params_fail(c, "nodes_modes", "has %zu entries, expected %zu", modes, n);
  SDX_TRY(read_numbers(c, "nodes_values", "nodes_values_as_tensor", &l->values));
  return l->values.count == n ? SDX_OK
                              : params_fail(c, "nodes_values", "has %zu entries, expected %zu", l->values.count, n);
}

static sdx_status link_old_nodes(op_params_context *c, tree_params *p, const old_lists *l, const key *keys) {
  uint8_t *has_parent = mem_zalloc(c->memory->account, p->node_count);
  sdx_status status = has_parent ? SDX_OK : no_memory(c);
  for (size_t i = 0; i < p->node_count && status == SDX_OK; i++) {
    tree_node *n = &p->nodes[i];
    if ((status = mode_of(c, l->modes[i], i, &n->mode)) != SDX_OK || n->mode == LEAF) continue;
    if ((status = set_feature(c, p, n, l->feature[i], i)) != SDX_OK) break;
    n->value = number_at(&l->values, i);
    n->missing_is_yes = l->missing && l->missing[i] != 0;
    const key *yes = find_key(keys, p->node_count, l->tree[i], l->yes[i]),
              *no = find_key(keys, p->node_count, l->tree[i], l->no[i]);
    if (!yes || !no) {
      status = params_fail(c, yes ? "nodes_falsenodeids" : "nodes_truenodeids",
                           "[%zu] is %lld, which is no node of tree %lld", i, (long long)(yes ? l->no[i] : l->yes[i]),
                           (long long)l->tree[i]);
      break;
    }
    n->yes = yes->index, n->no = no->index;
    has_parent[n->yes] = has_parent[n->no] = 1;
  }
  for (size_t i = 0; i < p->node_count && status == SDX_OK; i++) p->root_count += !has_parent[i];
  p->roots = status == SDX_OK ? arena_array(c->memory, p->root_count + 1, sizeof *p->roots) : NULL;
  if (status == SDX_OK && !p->roots) status = no_memory(c);
  for (size_t i = 0, r = 0; i < p->node_count && status == SDX_OK; i++)
    if (!has_parent[i]) p->roots[r++] = (uint32_t)i;
  mem_free(has_parent);
  return status;
}

// Weights grouped by leaf, in the order of the lists within one.
static sdx_status link_old_weights(op_params_context *c, tree_params *p, const old_lists *l, const key *keys) {
  size_t n = p->weight_count;
  uint32_t *owner = mem_alloc(c->memory->account, (n + 1) * sizeof *owner);
  sdx_status status = owner ? SDX_OK : no_memory(c);
  for (size_t i = 0; i < n && status == SDX_OK; i++) {
    const key *k = find_key(keys, p->node_count, l->weight_tree[i], l->weight_node[i]);
    int64_t target = l->weight_target[i];
    if (!k)
      status = params_fail(c, "nodes_nodeids", "has no node %lld in tree %lld, which the weights name",
                           (long long)l->weight_node[i], (long long)l->weight_tree[i]);
    else if (target < 0 || (size_t)target >= p->targets)
      status = params_fail(c, l->prefix, "[%zu] is %lld, expected 0 to %lld", i, (long long)target,
                           (long long)p->targets - 1);
    // Weights of inner nodes are never reached.
    else if (owner[i] = k->index, p->nodes[k->index].mode == LEAF) p->nodes[k->index].no++;
  }
  uint32_t first = 0;
  for (size_t i = 0; i < p->node_count && status == SDX_OK; i++) {
    if (p->nodes[i].mode != LEAF) continue;
    p->nodes[i].feature = first;
    first += p->nodes[i].no;
    p->nodes[i].no = 0;
  }
  p->all_positive = true;
  bool single = true;
  for (size_t i = 0; i < n && status == SDX_OK; i++) {
    tree_node *leaf = &p->nodes[owner[i]];
    double weight = number_at(&l->weights, i);
    p->all_positive &= weight >= 0;
    single &= l->weight_target[i] == l->weight_target[0];
    if (leaf->mode == LEAF)
      p->weights[leaf->feature + leaf->no++] = (tree_weight){(uint32_t)l->weight_target[i], weight};
  }
  p->binary = single && p->labels.count == 2;
  mem_free(owner);
  return status;
}

static sdx_status read_old(op_params_context *c, tree_params *p, bool classifies) {
  old_lists l = {.prefix = classifies ? "class_ids" : "target_ids"};
  p->classifies = classifies;
  SDX_TRY(ml_transform_read(c, &p->transform));
  SDX_TRY(read_old_nodes(c, p, &l));
  SDX_TRY(read_numbers(c, classifies ? "class_weights" : "target_weights",
                       classifies ? "class_weights_as_tensor" : "target_weights_as_tensor", &l.weights));
  SDX_TRY(read_numbers(c, "base_values", "base_values_as_tensor", &l.base));
  size_t n = p->weight_count = l.weights.count;
  if (n >= UINT32_MAX) return params_fail(c, l.prefix, "has %zu entries, expected below 2^32", n);
  SDX_TRY(read_ints(c, classifies ? "class_treeids" : "target_treeids", n, false, &l.weight_tree));
  SDX_TRY(read_ints(c, classifies ? "class_nodeids" : "target_nodeids", n, false, &l.weight_node));
  SDX_TRY(read_ints(c, l.prefix, n, false, &l.weight_target));
  if (l.base.count && l.base.count != p->targets && l.base.count != 1)
    return params_fail(c, "base_values", "has %zu entries, expected %zu", l.base.count, p->targets);
  p->nodes = arena_array(c->memory, p->node_count, sizeof *p->nodes);
  p->weights = arena_array(c->memory, n + 1, sizeof *p->weights);
  p->base = l.base.count ? arena_array(c->memory, p->targets, sizeof *p->base) : NULL;
  if (!p->nodes || !p->weights || (l.base.count && !p->base)) return no_memory(c);
  for (size_t i = 0; p->base && i < p->targets; i++) p->base[i] = number_at(&l.base, l.base.count == 1 ? 0 : i);
  key *keys = mem_alloc(c->memory->account, p->node_count * sizeof *keys);
  if (!keys) return no_memory(c);
  for (size_t i = 0; i < p->node_count; i++) keys[i] = (key){l.tree[i], l.node[i], (uint32_t)i};
  qsort(keys, p->node_count, sizeof *keys, compare_keys);
  sdx_status status = SDX_OK;
  for (size_t i = 1; i < p->node_count && status == SDX_OK; i++)
    if (compare_keys(&keys[i - 1], &keys[i]) == 0)
      status = params_fail(c, "nodes_nodeids", "has node %lld of tree %lld twice", (long long)keys[i].node,
                           (long long)keys[i].tree);
  if (status == SDX_OK) status = link_old_nodes(c, p, &l, keys);
  if (status == SDX_OK) status = link_old_weights(c, p, &l, keys);
  mem_free(keys);
  return status == SDX_OK ? check_forest(c, p, "nodes_truenodeids") : status;
}

static sdx_status classifier_params(op_params_context *c, void *params) {
  tree_params *p = params;
  p->aggregate = SUM;
  SDX_TRY(ml_labels_read(c, "classlabels_int64s", "classlabels_strings", &p->labels));
  if (!p->labels.count)
    return params_fail(c, "classlabels_int64s", "and 'classlabels_strings' are both missing or empty");
  p->targets = p->labels.count;
  return read_old(c, p, true);
}

static sdx_status regressor_params(op_params_context *c, void *params) {
  static const char *const names[] = {"AVERAGE", "SUM", "MIN", "MAX"};
  tree_params *p = params;
  str s = params_string(c, "aggregate_function");
  int64_t targets = params_has(c, "n_targets") ? params_int(c, "n_targets") : 1;
  size_t i = 0;
  while (i < 4 && !str_is(s, names[i])) i++;
  if (i == 4) return params_fail(c, "aggregate_function", "is '%.*s', expected AVERAGE, SUM, MIN or MAX", STR_ARG(s));
  if (targets < 1 || targets > INT32_MAX)
    return params_fail(c, "n_targets", "is %lld, expected at least 1", (long long)targets);
  p->aggregate = (aggregate)i;
  p->targets = (size_t)targets;
  return read_old(c, p, false);
}

// ---- reading: version 5 ---------------------------------------------------------------------------

typedef struct new_lists {
  const int64_t *feature, *yes, *no, *yes_leaf, *no_leaf, *missing, *leaf_target, *roots;
  numbers splits, modes, weights, members;
  size_t inner, leaves;
} new_lists;

// Each use of a leaf becomes a node of its own, so that inner nodes are all that must not be shared.
static sdx_status add_leaf(op_params_context *c, tree_params *p, const new_lists *l, const char *attribute, size_t i,
                           int64_t leaf, uint32_t *out) {
  if (leaf < 0 || (size_t)leaf >= l->leaves)
    return params_fail(c, attribute, "[%zu] is %lld, expected a leaf from 0 to %lld", i, (long long)leaf,
                       (long long)l->leaves - 1);
  *out = (uint32_t)p->node_count;
  p->nodes[p->node_count++] = (tree_node){.mode = LEAF, .feature = (uint32_t)leaf, .no = 1};
  return SDX_OK;
}

static sdx_status link_new_node(op_params_context *c, tree_params *p, const new_lists *l, size_t i, size_t *member) {
  tree_node *n = &p->nodes[i];
  double mode = number_at(&l->modes, i);
  if (!(mode >= LEQ && mode <= MEMBER)) return params_fail(c, "nodes_modes", "[%zu] is %g, expected 0 to 6", i, mode);
  n->mode = (uint8_t)mode;
  n->missing_is_yes = l->missing && l->missing[i] != 0;
  n->value = number_at(&l->splits, i);
  SDX_TRY(set_feature(c, p, n, l->feature[i], i));
  if (n->mode == MEMBER) {
    n->value = (double)*member;
    while (*member < l->members.count && !isnan(p->members[*member])) ++*member;
    if (*member == l->members.count)
      return params_fail(c, "membership_values",
                         "holds fewer sets (each ended by NaN) than there are BRANCH_MEMBER nodes");
    ++*member;
  }
  if (l->yes_leaf[i]) SDX_TRY(add_leaf(c, p, l, "nodes_truenodeids", i, l->yes[i], &n->yes));
  else if (l->yes[i] < 0 || (size_t)l->yes[i] >= l->inner)
    return params_fail(c, "nodes_truenodeids", "[%zu] is %lld, expected a node from 0 to %lld", i, (long long)l->yes[i],
                       (long long)l->inner - 1);
  else n->yes = (uint32_t)l->yes[i];
  if (l->no_leaf[i]) return add_leaf(c, p, l, "nodes_falsenodeids", i, l->no[i], &n->no);
  if (l->no[i] < 0 || (size_t)l->no[i] >= l->inner)
    return params_fail(c, "nodes_falsenodeids", "[%zu] is %lld, expected a node from 0 to %lld", i, (long long)l->no[i],
                       (long long)l->inner - 1);
  n->no = (uint32_t)l->no[i];
  return SDX_OK;
}

static sdx_status params(op_params_context *c, void *params) {
  tree_params *p = params;
  new_lists l = {0};
  size_t roots = 0;
  int64_t targets = params_has(c, "n_targets") ? params_int(c, "n_targets") : 1,
          how = params_int(c, "aggregate_function"), transform = params_int(c, "post_transform");
  if (targets < 1 || targets > INT32_MAX)
    return params_fail(c, "n_targets", "is %lld, expected at least 1", (long long)targets);
  if (how < 0 || how > 3) return params_fail(c, "aggregate_function", "is %lld, expected 0 to 3", (long long)how);
  if (transform < 0 || transform > 4)
    return params_fail(c, "post_transform", "is %lld, expected 0 to 4", (long long)transform);
  p->targets = (size_t)targets, p->aggregate = (aggregate)how, p->transform = (ml_transform)transform;
  l.feature = params_ints(c, "nodes_featureids", &l.inner);
  l.leaf_target = params_ints(c, "leaf_targetids", &l.leaves);
  l.roots = params_ints(c, "tree_roots", &roots);
  if (l.inner == 0 || l.inner > UINT32_MAX / 4)
    return params_fail(c, "nodes_featureids", "has %zu entries, expected 1 to 2^30", l.inner);
  if (l.leaves == 0 || l.leaves > UINT32_MAX / 4)
    return params_fail(c, "leaf_targetids", "has %zu entries, expected 1 to 2^30", l.leaves);
  SDX_TRY(read_ints(c, "nodes_truenodeids", l.inner, false, &l.yes));
  SDX_TRY(read_ints(c, "nodes_falsenodeids", l.inner, false, &l.no));
  SDX_TRY(read_ints(c, "nodes_trueleafs", l.inner, false, &l.yes_leaf));
  SDX_TRY(read_ints(c, "nodes_falseleafs", l.inner, false, &l.no_leaf));
  SDX_TRY(read_ints(c, "nodes_missing_value_tracks_true", l.inner, true, &l.missing));
  SDX_TRY(read_numbers(c, NULL, "nodes_splits", &l.splits));
  SDX_TRY(read_numbers(c, NULL, "nodes_modes", &l.modes));
  SDX_TRY(read_numbers(c, NULL, "leaf_weights", &l.weights));
  SDX_TRY(read_numbers(c, NULL, "membership_values", &l.members));
  if (l.splits.count != l.inner || l.modes.count != l.inner)
    return params_fail(c, "nodes_splits", "and 'nodes_modes' have %zu and %zu entries, expected %zu", l.splits.count,
                       l.modes.count, l.inner);
  if (l.weights.count != l.leaves)
    return params_fail(c, "leaf_weights", "has %zu entries, expected %zu", l.weights.count, l.leaves);
  p->nodes = arena_array(c->memory, 3 * l.inner, sizeof *p->nodes);
  p->weights = arena_array(c->memory, l.leaves, sizeof *p->weights);
  p->roots = arena_array(c->memory, roots + 1, sizeof *p->roots);
  p->members = arena_array(c->memory, l.members.count + 1, sizeof *p->members);
  if (!p->nodes || !p->weights || !p->roots || !p->members) return no_memory(c);
  for (size_t i = 0; i < l.members.count; i++) p->members[i] = number_at(&l.members, i);
  for (size_t i = 0; i < l.leaves; i++) {
    if (l.leaf_target[i] < 0 || l.leaf_target[i] >= targets)
      return params_fail(c, "leaf_targetids", "[%zu] is %lld, expected 0 to %lld", i, (long long)l.leaf_target[i],
                         (long long)targets - 1);
    p->weights[i] = (tree_weight){(uint32_t)l.leaf_target[i], number_at(&l.weights, i)};
  }
  p->root_count = roots, p->node_count = l.inner, p->weight_count = l.leaves;
  for (size_t i = 0; i < roots; i++) {
    if (l.roots[i] < 0 || (size_t)l.roots[i] >= l.inner)
      return params_fail(c, "tree_roots", "[%zu] is %lld, expected 0 to %lld", i, (long long)l.roots[i],
                         (long long)l.inner - 1);
    p->roots[i] = (uint32_t)l.roots[i];
  }
  size_t member = 0;
  for (size_t i = 0; i < l.inner; i++) SDX_TRY(link_new_node(c, p, &l, i, &member));
  return check_forest(c, p, "nodes_truenodeids");
}

// ---- infer ----------------------------------------------------------------------------------------

static sdx_status infer_features(op_infer *c, int64_t *rows) {
  const tree_params *p = c->params;
  int64_t columns;
  SDX_TRY(ml_infer_rows(c, 0, rows, &columns));
  if (columns >= 0 && (size_t)columns < p->features)
    return infer_fail(c, SDX_INVALID_SHAPE, "input 0 has %lld features, but a node reads feature %zu",
                      (long long)columns, p->features - 1);
  return SDX_OK;
}

static sdx_status infer(op_infer *c) {
  const tree_params *p = c->params;
  int64_t rows;
  SDX_TRY(infer_features(c, &rows));
  if (p->classifies) SDX_TRY(infer_output(c, 0, ml_labels_dtype(&p->labels), 1, &rows));
  return infer_output(c, p->classifies, SDX_FLOAT, 2, (int64_t[]){rows, (int64_t)p->targets});
}

static sdx_status infer_5(op_infer *c) {
  int64_t rows;
  SDX_TRY(infer_features(c, &rows));
  return infer_output(c, 0, infer_dtype_of(c, 0), 2,
                      (int64_t[]){rows, (int64_t)((const tree_params *)c->params)->targets});
}

// ---- compute --------------------------------------------------------------------------------------

static bool is_member(const double *set, double x) {
  for (; !isnan(*set); set++)
    if (*set == x) return true;
  return false;
}

static const tree_node *walk(const tree_params *p, uint32_t root, const double *x) {
  const tree_node *n = &p->nodes[root];
  while (n->mode != LEAF) {
    double v = x[n->feature];
    bool yes = false;
    switch (n->mode) {
      case LEQ:
        yes = v <= n->value;
        break;
      case LT:
        yes = v < n->value;
        break;
      case GTE:
        yes = v >= n->value;
        break;
      case GT:
        yes = v > n->value;
        break;
      case EQ:
        yes = v == n->value;
        break;
      case NEQ:
        yes = v != n->value && !isnan(v);
        break;
      default:
        yes = is_member(p->members + (size_t)n->value, v);
        break;
    }
    n = &p->nodes[yes || (n->missing_is_yes && isnan(v)) ? n->yes : n->no];
  }
  return n;
}

static void sum_trees(const tree_params *p, const double *x, double *scores) {
  bool extreme = p->aggregate == MIN || p->aggregate == MAX;
  for (size_t t = 0; t < p->targets; t++) scores[t] = extreme ? NAN : 0;  // NAN: nothing yet
  for (size_t r = 0; r < p->root_count; r++) {
    const tree_node *leaf = walk(p, p->roots[r], x);
    for (const tree_weight *w = p->weights + leaf->feature, *end = w + leaf->no; w < end; w++) {
      double *s = &scores[w->target];
      if (!extreme) *s += w->weight;
      else if (isnan(*s) || (p->aggregate == MIN ? w->weight < *s : w->weight > *s)) *s = w->weight;
    }
  }
  for (size_t t = 0; t < p->targets; t++) {
    if (p->aggregate == AVERAGE) scores[t] /= (double)(p->root_count ? p->root_count : 1);
    if (extreme && isnan(scores[t])) scores[t] = 0;
    if (p->base) scores[t] += p->base[t];
  }
}

// Scores -> label and transformed scores.
static size_t classify(const tree_params *p, double *s) {
  if (p->binary) {
    // The weights name one class; its sum is the score of the second label.
    uint32_t named = p->weight_count ? p->weights[0].target : 0;
    double score = s[named];
    ml_second_class(p->transform, p->all_positive, score, s);
    return score > (p->all_positive ? 0.5 : 0);
  }
  size_t best = ml_largest(s, p->targets);
  ml_transform_apply(p->transform, s, p->targets);
  return best;
}

static void rows_range(void *context, size_t begin, size_t end, size_t worker) {
  const ml_work *w = context;
  const tree_params *p = w->params;
  double *x = w->scratch + worker * w->each, *s = x + ml_columns(w->x);
  for (size_t row = begin; row < end; row++) {
    ml_row(w->x, row, x);
    sum_trees(p, x, s);
    if (p->classifies && p->targets == 1) {
      // One label: 1 where the score is positive, else 0; a string label has no opposite.
      if (w->labels && w->labels->dtype == SDX_INT64) ((int64_t *)w->labels->data)[row] = s[0] > 0;
      else if (w->labels) ml_labels_store(&p->labels, 0, w->labels, row);
      if (p->transform == ML_PROBIT) ml_transform_apply(ML_PROBIT, s, 1);
    } else if (p->classifies) {
      size_t best = classify(p, s);
      if (w->labels) ml_labels_store(&p->labels, best, w->labels, row);
    } else {
      ml_transform_apply(p->transform, s, p->targets);
    }
    if (w->scores) convert_from_doubles((sdx_dtype)w->scores->dtype, w->scores->data, row * p->targets, p->targets, s);
  }
}

static sdx_status prepare(op_prepare *c) {
  const tree_params *p = c->params;
  return ml_prepare(c, ml_columns(c->in[0]), p->targets + 2);  // a row of features, a row of scores
}

static sdx_status compute(op_call *c) {
  const tree_params *p = c->params;
  size_t columns = ml_columns(call_in(c, 0));
  if (columns < p->features)
    return call_fail(c, SDX_INVALID_SHAPE, "input 0 has %zu features, but a node reads feature %zu", columns,
                     p->features - 1);
  return ml_compute(c, p->classifies, columns + p->targets + 2, 1 + 1024 / (p->root_count + 1), rows_range);
}

SDX_CASES = {
    "X=float[5,2] n_targets=1 nodes_treeids=0,0,0 nodes_nodeids=0,1,2 nodes_featureids=1,0,0 "
    "nodes_modes=BRANCH_LEQ,LEAF,LEAF nodes_values=0.5,0,0 nodes_truenodeids=1,0,0 nodes_falsenodeids=2,0,0 "
    "target_treeids=0,0 target_nodeids=1,2 target_ids=0,0 target_weights=0.25,-1",
    NULL};

#define OLD_ATTRS                                                                                                \
  "base_values:floats base_values_as_tensor:tensor nodes_falsenodeids:ints nodes_featureids:ints "               \
  "nodes_hitrates:floats "                                                                                       \
  "nodes_hitrates_as_tensor:tensor nodes_missing_value_tracks_true:ints nodes_modes:strings nodes_nodeids:ints " \
  "nodes_treeids:ints nodes_truenodeids:ints nodes_values:floats nodes_values_as_tensor:tensor "                 \
  "post_transform:string=NONE "
#define COMMON .params_size = sizeof(tree_params), .prepare = prepare, .compute = compute

static const char *const tree_ensemble_classifier_cases[] = {
    "X=float[5,2] classlabels_int64s=3,5,8 nodes_treeids=0,0,0 nodes_nodeids=0,1,2 nodes_featureids=1,0,0 "
    "nodes_modes=BRANCH_LEQ,LEAF,LEAF nodes_values=0.5,0,0 nodes_truenodeids=1,0,0 nodes_falsenodeids=2,0,0 "
    "class_treeids=0,0,0 class_nodeids=1,2,2 class_ids=0,1,2 class_weights=0.25,0.5,0.75 post_transform=SOFTMAX",
    "X=float[5,2] classlabels_strings=a,b,c nodes_treeids=0,0,0 nodes_nodeids=0,1,2 nodes_featureids=1,0,0 "
    "nodes_modes=BRANCH_GT,LEAF,LEAF nodes_values=0.5,0,0 nodes_truenodeids=1,0,0 nodes_falsenodeids=2,0,0 "
    "class_treeids=0,0,0 class_nodeids=1,2,2 class_ids=0,1,2 class_weights=0.25,0.5,0.75",
    NULL};

SDX_OP_ML(TreeEnsembleClassifier) = {
    COMMON,
    .since = 5,
    .versions = "5 3 1",
    .inputs = "X:T1",
    .outputs = "Y:T2 Z:float",
    .types = "T1=float,double,int32,int64;T2=int64,string",
    .attrs = OLD_ATTRS
    "class_ids:ints class_nodeids:ints class_treeids:ints class_weights:floats class_weights_as_tensor:tensor "
    "classlabels_int64s:ints classlabels_strings:strings",
    .params = classifier_params,
    .infer = infer,
    .cases = tree_ensemble_classifier_cases,
};

SDX_OP_ML(TreeEnsembleRegressor) = {
    COMMON,
    .since = 5,
    .versions = "5 3 1",
    .inputs = "X:T",
    .outputs = "Y:float",
    .types = "T=float,double,int32,int64",
    .attrs = OLD_ATTRS
    "aggregate_function:string=SUM n_targets:int target_ids:ints target_nodeids:ints target_treeids:ints "
    "target_weights:floats target_weights_as_tensor:tensor",
    .params = regressor_params,
    .infer = infer,
    .cases = cases};

static const char *const tree_ensemble_cases[] = {
    "X=float[5,2] n_targets=2 tree_roots=0 nodes_featureids=0,1 nodes_splits=float[2](0.5,-0.25) "
    "nodes_modes=uint8[2](0,0) nodes_truenodeids=1,0 nodes_trueleafs=0,1 nodes_falsenodeids=2,1 nodes_falseleafs=1,1 "
    "leaf_targetids=0,1,0 leaf_weights=float[3](1.5,-2,0.25)",
    NULL};

SDX_OP_ML(TreeEnsemble) = {
    COMMON,
    .since = 5,
    .versions = "5",
    .inputs = "X:T",
    .outputs = "Y:T",
    .types = "T=float,double,float16",
    .attrs =
        "aggregate_function:int=1 leaf_targetids:ints! leaf_weights:tensor! membership_values:tensor n_targets:int "
        "nodes_falseleafs:ints! nodes_falsenodeids:ints! nodes_featureids:ints! nodes_hitrates:tensor "
        "nodes_missing_value_tracks_true:ints nodes_modes:tensor! nodes_splits:tensor! nodes_trueleafs:ints! "
        "nodes_truenodeids:ints! post_transform:int=0 tree_roots:ints!",
    .params = params,
    .infer = infer_5,
    .cases = tree_ensemble_cases,
};

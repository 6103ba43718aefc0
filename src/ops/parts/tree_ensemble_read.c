// SPDX-License-Identifier: Apache-2.0
// Reads the attributes of tree ensembles into a tree_model (tree_ensemble.h) and checks them: versions 1 and 3 name
// nodes by pairs of tree and node, version 5 by index. What then remains of the model is the forest packed from it.
#include <math.h>
#include <stdlib.h>

#include "base/size.h"
#include "ops/parts/tree_ensemble.h"
#include "tensor/convert.h"

enum { NODES_MOST = 1 << 28 };  // of nodes, of weights and of members

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
static sdx_status check_forest(op_params_context *c, const tree_model *m, const char *attribute) {
  uint32_t *waiting = mem_alloc(c->memory->account, (m->node_count + 1) * sizeof *waiting);
  uint8_t *seen = mem_zalloc(c->memory->account, m->node_count + 1);
  sdx_status status = waiting && seen ? SDX_OK : no_memory(c);
  size_t count = 0, reached = 0;
  for (size_t r = 0; r < m->root_count && status == SDX_OK; r++) {
    waiting[count++] = m->roots[r];
    while (count && status == SDX_OK) {
      uint32_t i = waiting[--count];
      const tree_node *n = &m->nodes[i];
      if (seen[i]) {
        status = params_fail(c, attribute, "leads to node %u twice: trees must not share nodes or have cycles", i);
        break;
      }
      seen[i] = 1;
      reached++;
      // Two at most per node that left, so the list never grows past the nodes not seen yet plus one; a second
      // way to a waiting node is caught when it is taken.
      if (n->mode == LEAF) continue;
      if (count + 2 > m->node_count + 1) {
        status = params_fail(c, attribute, "has trees that share nodes or have cycles");
        break;
      }
      waiting[count++] = n->yes;
      waiting[count++] = n->no;
    }
  }
  if (status == SDX_OK && reached != m->node_count)
    status = params_fail(c, attribute, "leaves %zu of %zu nodes unreached from any root: they form a cycle",
                         m->node_count - reached, m->node_count);
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

static sdx_status read_old_nodes(op_params_context *c, tree_model *m, old_lists *l) {
  size_t n = 0, modes = 0;
  l->tree = params_ints(c, "nodes_treeids", &n);
  if (n == 0 || n > NODES_MOST) return params_fail(c, "nodes_treeids", "has %zu entries, expected 1 to 2^28", n);
  m->node_count = n;
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

static sdx_status link_old_nodes(op_params_context *c, tree_params *p, tree_model *m, const old_lists *l,
                                 const key *keys) {
  uint8_t *has_parent = mem_zalloc(c->memory->account, m->node_count);
  sdx_status status = has_parent ? SDX_OK : no_memory(c);
  for (size_t i = 0; i < m->node_count && status == SDX_OK; i++) {
    tree_node *n = &m->nodes[i];
    if ((status = mode_of(c, l->modes[i], i, &n->mode)) != SDX_OK || n->mode == LEAF) continue;
    if ((status = set_feature(c, p, n, l->feature[i], i)) != SDX_OK) break;
    n->value = number_at(&l->values, i);
    n->missing_is_yes = l->missing && l->missing[i] != 0;
    const key *yes = find_key(keys, m->node_count, l->tree[i], l->yes[i]),
              *no = find_key(keys, m->node_count, l->tree[i], l->no[i]);
    if (!yes || !no) {
      status = params_fail(c, yes ? "nodes_falsenodeids" : "nodes_truenodeids",
                           "[%zu] is %lld, which is no node of tree %lld", i, (long long)(yes ? l->no[i] : l->yes[i]),
                           (long long)l->tree[i]);
      break;
    }
    n->yes = yes->index, n->no = no->index;
    has_parent[n->yes] = has_parent[n->no] = 1;
  }
  for (size_t i = 0; i < m->node_count && status == SDX_OK; i++) m->root_count += !has_parent[i];
  m->roots = status == SDX_OK ? arena_array(&m->memory, m->root_count + 1, sizeof *m->roots) : NULL;
  if (status == SDX_OK && !m->roots) status = no_memory(c);
  for (size_t i = 0, r = 0; i < m->node_count && status == SDX_OK; i++)
    if (!has_parent[i]) m->roots[r++] = (uint32_t)i;
  mem_free(has_parent);
  return status;
}

// Weights grouped by leaf, in the order of the lists within one.
static sdx_status link_old_weights(op_params_context *c, tree_params *p, tree_model *m, const old_lists *l,
                                   const key *keys) {
  size_t n = m->weight_count;
  uint32_t *owner = mem_alloc(c->memory->account, (n + 1) * sizeof *owner);
  sdx_status status = owner ? SDX_OK : no_memory(c);
  for (size_t i = 0; i < n && status == SDX_OK; i++) {
    const key *k = find_key(keys, m->node_count, l->weight_tree[i], l->weight_node[i]);
    int64_t target = l->weight_target[i];
    if (!k)
      status = params_fail(c, "nodes_nodeids", "has no node %lld in tree %lld, which the weights name",
                           (long long)l->weight_node[i], (long long)l->weight_tree[i]);
    else if (target < 0 || (size_t)target >= p->targets)
      status = params_fail(c, l->prefix, "[%zu] is %lld, expected 0 to %lld", i, (long long)target,
                           (long long)p->targets - 1);
    // Weights of inner nodes are never reached.
    else if (owner[i] = k->index, m->nodes[k->index].mode == LEAF) m->nodes[k->index].no++;
  }
  uint32_t first = 0;
  for (size_t i = 0; i < m->node_count && status == SDX_OK; i++) {
    if (m->nodes[i].mode != LEAF) continue;
    m->nodes[i].feature = first;
    first += m->nodes[i].no;
    m->nodes[i].no = 0;
  }
  p->all_positive = true;
  bool single = true;
  for (size_t i = 0; i < n && status == SDX_OK; i++) {
    tree_node *leaf = &m->nodes[owner[i]];
    double weight = number_at(&l->weights, i);
    p->all_positive &= weight >= 0;
    single &= l->weight_target[i] == l->weight_target[0];
    if (leaf->mode == LEAF)
      m->weights[leaf->feature + leaf->no++] = (tree_weight){(uint32_t)l->weight_target[i], weight};
  }
  p->binary = single && p->labels.count == 2;
  mem_free(owner);
  return status;
}

static sdx_status read_old(op_params_context *c, tree_params *p, tree_model *m, bool classifies) {
  old_lists l = {.prefix = classifies ? "class_ids" : "target_ids"};
  p->classifies = classifies;
  SDX_TRY(ml_transform_read(c, &p->transform));
  SDX_TRY(read_old_nodes(c, m, &l));
  SDX_TRY(read_numbers(c, classifies ? "class_weights" : "target_weights",
                       classifies ? "class_weights_as_tensor" : "target_weights_as_tensor", &l.weights));
  SDX_TRY(read_numbers(c, "base_values", "base_values_as_tensor", &l.base));
  size_t n = m->weight_count = l.weights.count;
  if (n > NODES_MOST) return params_fail(c, l.prefix, "has %zu entries, expected at most 2^28", n);
  SDX_TRY(read_ints(c, classifies ? "class_treeids" : "target_treeids", n, false, &l.weight_tree));
  SDX_TRY(read_ints(c, classifies ? "class_nodeids" : "target_nodeids", n, false, &l.weight_node));
  SDX_TRY(read_ints(c, l.prefix, n, false, &l.weight_target));
  if (l.base.count && l.base.count != p->targets && l.base.count != 1)
    return params_fail(c, "base_values", "has %zu entries, expected %zu", l.base.count, p->targets);
  m->nodes = arena_array(&m->memory, m->node_count, sizeof *m->nodes);
  m->weights = arena_array(&m->memory, n + 1, sizeof *m->weights);
  p->base = l.base.count ? arena_array(c->memory, p->targets, sizeof *p->base) : NULL;
  if (!m->nodes || !m->weights || (l.base.count && !p->base)) return no_memory(c);
  for (size_t i = 0; p->base && i < p->targets; i++) p->base[i] = number_at(&l.base, l.base.count == 1 ? 0 : i);
  key *keys = mem_alloc(c->memory->account, m->node_count * sizeof *keys);
  if (!keys) return no_memory(c);
  for (size_t i = 0; i < m->node_count; i++) keys[i] = (key){l.tree[i], l.node[i], (uint32_t)i};
  qsort(keys, m->node_count, sizeof *keys, compare_keys);
  sdx_status status = SDX_OK;
  for (size_t i = 1; i < m->node_count && status == SDX_OK; i++)
    if (compare_keys(&keys[i - 1], &keys[i]) == 0)
      status = params_fail(c, "nodes_nodeids", "has node %lld of tree %lld twice", (long long)keys[i].node,
                           (long long)keys[i].tree);
  if (status == SDX_OK) status = link_old_nodes(c, p, m, &l, keys);
  if (status == SDX_OK) status = link_old_weights(c, p, m, &l, keys);
  mem_free(keys);
  return status == SDX_OK ? check_forest(c, m, "nodes_truenodeids") : status;
}

static sdx_status read_classifier(op_params_context *c, tree_params *p, tree_model *m) {
  p->aggregate = SUM;
  SDX_TRY(ml_labels_read(c, "classlabels_int64s", "classlabels_strings", &p->labels));
  if (!p->labels.count)
    return params_fail(c, "classlabels_int64s", "and 'classlabels_strings' are both missing or empty");
  p->targets = p->labels.count;
  return read_old(c, p, m, true);
}

static sdx_status read_regressor(op_params_context *c, tree_params *p, tree_model *m) {
  static const char *const names[] = {"AVERAGE", "SUM", "MIN", "MAX"};
  str s = params_string(c, "aggregate_function");
  int64_t targets = params_has(c, "n_targets") ? params_int(c, "n_targets") : 1;
  size_t i = 0;
  while (i < 4 && !str_is(s, names[i])) i++;
  if (i == 4) return params_fail(c, "aggregate_function", "is '%.*s', expected AVERAGE, SUM, MIN or MAX", STR_ARG(s));
  if (targets < 1 || targets > INT32_MAX)
    return params_fail(c, "n_targets", "is %lld, expected at least 1", (long long)targets);
  p->aggregate = (aggregate)i;
  p->targets = (size_t)targets;
  return read_old(c, p, m, false);
}

// ---- reading: version 5 ---------------------------------------------------------------------------

typedef struct new_lists {
  const int64_t *feature, *yes, *no, *yes_leaf, *no_leaf, *missing, *leaf_target, *roots;
  numbers splits, modes, weights, members;
  size_t inner, leaves;
} new_lists;

// Each use of a leaf becomes a node of its own, so that inner nodes are all that must not be shared.
static sdx_status add_leaf(op_params_context *c, tree_model *m, const new_lists *l, const char *attribute, size_t i,
                           int64_t leaf, uint32_t *out) {
  if (leaf < 0 || (size_t)leaf >= l->leaves)
    return params_fail(c, attribute, "[%zu] is %lld, expected a leaf from 0 to %lld", i, (long long)leaf,
                       (long long)l->leaves - 1);
  *out = (uint32_t)m->node_count;
  m->nodes[m->node_count++] = (tree_node){.mode = LEAF, .feature = (uint32_t)leaf, .no = 1};
  return SDX_OK;
}

static sdx_status link_new_node(op_params_context *c, tree_params *p, tree_model *m, const new_lists *l, size_t i,
                                size_t *member) {
  tree_node *n = &m->nodes[i];
  double mode = number_at(&l->modes, i);
  if (!(mode >= LEQ && mode <= MEMBER)) return params_fail(c, "nodes_modes", "[%zu] is %g, expected 0 to 6", i, mode);
  n->mode = (uint8_t)mode;
  n->missing_is_yes = l->missing && l->missing[i] != 0;
  n->value = number_at(&l->splits, i);
  SDX_TRY(set_feature(c, p, n, l->feature[i], i));
  if (n->mode == MEMBER) {
    n->value = (double)*member;
    while (*member < l->members.count && !isnan(m->members[*member])) ++*member;
    if (*member == l->members.count)
      return params_fail(c, "membership_values",
                         "holds fewer sets (each ended by NaN) than there are BRANCH_MEMBER nodes");
    ++*member;
  }
  if (l->yes_leaf[i]) SDX_TRY(add_leaf(c, m, l, "nodes_truenodeids", i, l->yes[i], &n->yes));
  else if (l->yes[i] < 0 || (size_t)l->yes[i] >= l->inner)
    return params_fail(c, "nodes_truenodeids", "[%zu] is %lld, expected a node from 0 to %lld", i, (long long)l->yes[i],
                       (long long)l->inner - 1);
  else n->yes = (uint32_t)l->yes[i];
  if (l->no_leaf[i]) return add_leaf(c, m, l, "nodes_falsenodeids", i, l->no[i], &n->no);
  if (l->no[i] < 0 || (size_t)l->no[i] >= l->inner)
    return params_fail(c, "nodes_falsenodeids", "[%zu] is %lld, expected a node from 0 to %lld", i, (long long)l->no[i],
                       (long long)l->inner - 1);
  n->no = (uint32_t)l->no[i];
  return SDX_OK;
}

static sdx_status read_new(op_params_context *c, tree_params *p, tree_model *m) {
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
  if (l.inner == 0 || l.inner > NODES_MOST)
    return params_fail(c, "nodes_featureids", "has %zu entries, expected 1 to 2^28", l.inner);
  if (l.leaves == 0 || l.leaves > NODES_MOST)
    return params_fail(c, "leaf_targetids", "has %zu entries, expected 1 to 2^28", l.leaves);
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
  if (l.members.count > NODES_MOST)
    return params_fail(c, "membership_values", "has %zu entries, expected at most 2^28", l.members.count);
  m->nodes = arena_array(&m->memory, 3 * l.inner, sizeof *m->nodes);
  m->weights = arena_array(&m->memory, l.leaves, sizeof *m->weights);
  m->roots = arena_array(&m->memory, roots + 1, sizeof *m->roots);
  m->members = arena_array(&m->memory, l.members.count + 1, sizeof *m->members);
  if (!m->nodes || !m->weights || !m->roots || !m->members) return no_memory(c);
  for (size_t i = 0; i < l.members.count; i++) m->members[i] = number_at(&l.members, i);
  for (size_t i = 0; i < l.leaves; i++) {
    if (l.leaf_target[i] < 0 || l.leaf_target[i] >= targets)
      return params_fail(c, "leaf_targetids", "[%zu] is %lld, expected 0 to %lld", i, (long long)l.leaf_target[i],
                         (long long)targets - 1);
    m->weights[i] = (tree_weight){(uint32_t)l.leaf_target[i], number_at(&l.weights, i)};
  }
  m->root_count = roots, m->node_count = l.inner, m->weight_count = l.leaves, m->member_count = l.members.count;
  for (size_t i = 0; i < roots; i++) {
    if (l.roots[i] < 0 || (size_t)l.roots[i] >= l.inner)
      return params_fail(c, "tree_roots", "[%zu] is %lld, expected 0 to %lld", i, (long long)l.roots[i],
                         (long long)l.inner - 1);
    m->roots[i] = (uint32_t)l.roots[i];
  }
  size_t member = 0;
  for (size_t i = 0; i < l.inner; i++) SDX_TRY(link_new_node(c, p, m, &l, i, &member));
  return check_forest(c, m, "nodes_truenodeids");
}

// ---- the forest of a model ------------------------------------------------------------------------

static sdx_status read_and_pack(op_params_context *c, tree_params *p,
                                sdx_status (*read)(op_params_context *c, tree_params *p, tree_model *m)) {
  tree_model m = {0};
  tree_tests tests;
  arena_init(&m.memory, c->memory->account);
  sdx_status status = read(c, p, &m);
  if (status == SDX_OK) status = tree_tests_make(&m, c->memory, &m.memory, &tests, c->err);
  if (status == SDX_OK)
    status = tree_pack(&m, &tests, p->targets, p->aggregate, c->memory, &m.memory, &p->forest, c->err);
  if (status == SDX_OK) p->roots = m.root_count, p->named = m.weight_count ? m.weights[0].target : 0;
  arena_deinit(&m.memory);
  return status;
}

sdx_status tree_ensemble_read_classifier(op_params_context *c, void *params) {
  return read_and_pack(c, params, read_classifier);
}
sdx_status tree_ensemble_read_regressor(op_params_context *c, void *params) {
  return read_and_pack(c, params, read_regressor);
}
sdx_status tree_ensemble_read(op_params_context *c, void *params) { return read_and_pack(c, params, read_new); }

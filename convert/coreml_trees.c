// SPDX-License-Identifier: Apache-2.0
// Core ML's tree ensembles. Nodes come in any order and name their tree; a leaf adds to one score or to several.
#include <stdlib.h>
#include <string.h>

#include "convert/coreml.h"
#include "convert/trees.h"

enum { MOST_SCORES = 1 << 16 };

typedef struct node {
  uint64_t tree, id;
  proto message;
} node;

typedef struct ensemble {
  coreml *m;
  node *nodes;
  size_t count, scores;
  uint32_t *group_of;  // of trees whose leaves add to one score each; else leaves have a number for every score
  bool single;
} ensemble;

static int by_tree(const void *a, const void *b) {
  const node *x = a, *y = b;
  if (x->tree != y->tree) return x->tree < y->tree ? -1 : 1;
  return x->id < y->id ? -1 : x->id > y->id;
}

static int by_id(const void *a, const void *b) {
  const node *x = a, *y = b;
  return x->id < y->id ? -1 : x->id > y->id;
}

static bool read_nodes(ensemble *e, const proto *trees) {
  e->count = proto_count(trees, "nodes");
  e->nodes = e->count ? arena_array(e->m->c->memory, e->count, sizeof *e->nodes) : NULL;
  if (!e->nodes)
    return e->count ? !convert_no_memory(e->m->c)
                    : !convert_fail(e->m->c, SDX_INVALID_MODEL, "treeEnsemble", NULL, "it has no nodes");
  wire at = trees->bytes;
  for (size_t i = 0; i < e->count; i++) {
    node *n = &e->nodes[i];
    if (!proto_each(trees, &at, "nodes", &n->message)) return false;
    n->tree = (uint64_t)proto_int(&n->message, "treeId", 0);
    n->id = (uint64_t)proto_int(&n->message, "nodeId", 0);
  }
  qsort(e->nodes, e->count, sizeof *e->nodes, by_tree);
  return true;
}

static bool fail_node(ensemble *e, const node *n, const char *wrong) {
  char *place =
      arena_format(e->m->c->memory, "tree %llu, node %llu", (unsigned long long)n->tree, (unsigned long long)n->id);
  return !convert_fail(e->m->c, SDX_INVALID_MODEL, place, NULL, "%s", wrong);
}

static bool find_child(ensemble *e, const node *nodes, size_t count, const node *of, const char *field,
                       uint32_t *index) {
  node key = {.id = (uint64_t)proto_int(&of->message, field, 0)};
  const node *found = bsearch(&key, nodes, count, sizeof *nodes, by_id);
  if (!found) return fail_node(e, of, "a child is not in the tree");
  *index = (uint32_t)(found - nodes);
  return true;
}

// The score that all leaves of a tree add to; false: they add to several.
static bool single_group(const node *nodes, size_t count, uint32_t *group) {
  proto info;
  bool first = true;
  for (size_t i = 0; i < count; i++) {
    wire at = nodes[i].message.bytes;
    while (proto_each(&nodes[i].message, &at, "evaluationInfo", &info)) {
      uint64_t index = (uint64_t)proto_int(&info, "evaluationIndex", 0);
      if ((!first && index != *group) || index >= MOST_SCORES) return false;
      *group = (uint32_t)index;
      first = false;
    }
  }
  return true;
}

static bool read_leaf(ensemble *e, const node *n, tree_node *t) {
  proto info;
  wire at = n->message.bytes;
  double *list = e->single ? &t->value : arena_array(e->m->c->memory, e->scores, sizeof *list);
  if (!list) return !convert_no_memory(e->m->c);
  t->mode = TREE_LEAF;
  while (proto_each(&n->message, &at, "evaluationInfo", &info)) {
    uint64_t index = (uint64_t)proto_int(&info, "evaluationIndex", 0);
    if (index >= e->scores) return fail_node(e, n, "a score that the ensemble does not have");
    list[e->single ? 0 : index] += proto_number(&info, "evaluationValue", 0);
  }
  if (!e->single) t->list = list, t->list_count = e->scores;
  return true;
}

static bool read_node(ensemble *e, const node *nodes, size_t count, size_t i, tree_node *t) {
  enum { LEAF = 6 };
  const node *n = &nodes[i];
  int64_t mode = proto_int(&n->message, "nodeBehavior", 0), feature = proto_int(&n->message, "branchFeatureIndex", 0);
  *t = (tree_node){0};
  if (i && n->id == nodes[i - 1].id) return fail_node(e, n, "it is there twice");
  if (mode == LEAF) return read_leaf(e, n, t);
  if (mode < 0 || mode > LEAF || feature < 0 || feature >= FOREST_MOST_FEATURES)
    return fail_node(e, n, "a comparison or feature that does not exist");
  t->mode = (uint8_t)(TREE_LEQ + mode);  // in the same order
  t->feature = (uint32_t)feature;
  t->value = proto_number(&n->message, "branchFeatureValue", 0);
  t->missing_yes = proto_int(&n->message, "missingValueTracksTrueChild", 0);
  return find_child(e, nodes, count, n, "trueChildNodeId", &t->yes) &&
         find_child(e, nodes, count, n, "falseChildNodeId", &t->no);
}

// The node that is nobody's child comes first.
static bool root_first(ensemble *e, const node *nodes, size_t count, tree_node *tree) {
  bool *child = arena_array(e->m->c->memory, count, sizeof *child);
  size_t root = 0;
  if (!child) return !convert_no_memory(e->m->c);
  for (size_t i = 0; i < count; i++)
    if (tree[i].mode != TREE_LEAF) child[tree[i].yes] = child[tree[i].no] = true;
  while (root < count && child[root]) root++;
  if (root == count) return fail_node(e, nodes, "no node of the tree is its root");
  if (!root) return true;
  tree_node first = tree[root];
  tree[root] = tree[0];
  tree[0] = first;
  for (size_t i = 0; i < count; i++) {
    if (tree[i].mode == TREE_LEAF) continue;
    tree[i].yes = tree[i].yes ? tree[i].yes : (uint32_t)root;
    tree[i].no = tree[i].no ? tree[i].no : (uint32_t)root;
  }
  return true;
}

static bool add_tree(ensemble *e, forest *f, const node *nodes, size_t count) {
  char *place = arena_format(e->m->c->memory, "tree %llu", (unsigned long long)nodes->tree);
  tree_node *tree = arena_array(e->m->c->memory, count, sizeof *tree);
  if (!place || !tree || count > UINT32_MAX) return !convert_no_memory(e->m->c);
  for (size_t i = 0; i < count; i++)
    if (!read_node(e, nodes, count, i, &tree[i])) return false;
  return root_first(e, nodes, count, tree) && forest_add(f, count, tree, place);
}

// Where a tree's nodes end.
static size_t tree_end(const ensemble *e, size_t begin) {
  size_t end = begin;
  while (end < e->count && e->nodes[end].tree == e->nodes[begin].tree) end++;
  return end;
}

static bool find_groups(ensemble *e) {
  size_t trees = 0, leaves = 0, numbers = 0;
  e->group_of = arena_array(e->m->c->memory, e->count, sizeof *e->group_of);
  if (!e->group_of) return !convert_no_memory(e->m->c);
  e->single = true;
  for (size_t i = 0, end; i < e->count; i = end, trees++) {
    end = tree_end(e, i);
    if (!single_group(e->nodes + i, end - i, &e->group_of[trees])) e->single = false;
    if (e->group_of[trees] >= e->scores) return fail_node(e, &e->nodes[i], "a score that the ensemble does not have");
  }
  for (size_t i = 0; i < e->count; i++) {
    size_t count = proto_count(&e->nodes[i].message, "evaluationInfo");
    leaves += count > 0;
    numbers += count;
  }
  if (!e->single && leaves * e->scores / 16 > numbers)
    return !convert_fail(e->m->c, SDX_NOT_SUPPORTED, "treeEnsemble", NULL, "%zu leaves with few of %zu scores each",
                         leaves, e->scores);
  return true;
}

// Scores of the rows: [N, scores].
static net_tensor scores_of(coreml *m, const proto *model, const proto *params, ensemble *e) {
  net_tensor x, y = {.dtype = SDX_DOUBLE, .rank = 2};
  proto trees;
  size_t base_count;
  if (!proto_get(params, "treeEnsemble", &trees) || !coreml_columns(m, model, &x) || !read_nodes(e, &trees)) return y;
  int64_t scores = proto_int(&trees, "numPredictionDimensions", 1);
  if (scores < 1 || scores > MOST_SCORES) {
    convert_fail(m->c, SDX_INVALID_MODEL, "numPredictionDimensions", NULL, "%lld scores", (long long)scores);
    return y;
  }
  e->scores = (size_t)scores;
  if (!find_groups(e)) return y;
  const double *base = proto_doubles(&trees, "basePredictionValue", &base_count);
  forest *f = forest_create(m->c, SDX_DOUBLE, e->single ? 1 : e->scores);
  if (!f) return convert_no_memory(m->c), y;
  for (size_t i = 0, end; i < e->count; i = end) {
    end = tree_end(e, i);
    if (!add_tree(e, f, e->nodes + i, end - i)) return y;
  }
  size_t features = x.shape[1] > 0 ? (size_t)x.shape[1] : 0;
  if (forest_features(f) > features || base_count > e->scores || (base_count && base_count < e->scores)) {
    convert_fail(m->c, SDX_INVALID_MODEL, "treeEnsemble", NULL,
                 "%zu features and %zu base values for %zu columns and %zu scores", forest_features(f), base_count,
                 features, e->scores);
    return y;
  }
  y.ref =
      forest_emit(f, x.ref, features, e->scores, e->single ? e->group_of : NULL, base_count ? base : NULL, FOREST_SUM);
  y.shape[0] = x.shape[0];
  y.shape[1] = scores;
  if (scores == 1 && y.ref) y.ref = node_unsqueeze(m->c, y.ref, 1);
  return y;
}

// [1 - p, p] of p [N, 1].
static net_tensor with_rest(coreml *m, net_tensor p) {
  net_tensor rest = net_binary(&m->n, "Sub", "rest", net_scalar(&m->n, p.dtype, 1), p);
  return net_concat(&m->n, 1, 2, (net_tensor[]){rest, p});
}

// Trees that each give probabilities: their share in the sum.
static net_tensor shares(coreml *m, net_tensor y) {
  const int64_t axis = 1;
  return net_binary(&m->n, "Div", "share", y, net_reduce(&m->n, "ReduceSum", y, 1, &axis, true));
}

static net_tensor transformed(coreml *m, int64_t transform, net_tensor y) {
  enum { NONE, SOFTMAX, LOGISTIC, SOFTMAX_WITH_REFERENCE };
  net *n = &m->n;
  switch (transform) {
    case NONE:
      return y;
    case SOFTMAX:
      return net_softmax(n, "Softmax", y, 1);
    case LOGISTIC:
      return net_apply(n, "Sigmoid", NULL, y);
    case SOFTMAX_WITH_REFERENCE: {
      net_tensor zero = net_binary(n, "Sub", "zero", net_slice(n, y, 1, 0, 1, 1), net_slice(n, y, 1, 0, 1, 1));
      return net_softmax(n, "Softmax", net_concat(n, 1, 2, (net_tensor[]){zero, y}), 1);
    }
    default:
      convert_fail(m->c, SDX_NOT_SUPPORTED, "postEvaluationTransform", NULL, "%lld is not known", (long long)transform);
      return y;
  }
}

static void emit_trees(coreml *m, const proto *model, const proto *params) {
  ensemble e = {.m = m};
  coreml_classes classes;
  bool classifier = proto_has(params, "stringClassLabels") || proto_has(params, "int64ClassLabels");
  net_tensor y = scores_of(m, model, params, &e);
  if (convert_failed(m->c) || !y.ref) return;
  y = transformed(m, proto_int(params, "postEvaluationTransform", 0), y);
  if (!classifier) {
    coreml_regressed(m, model, y);
    return;
  }
  if (!coreml_read_classes(m, params, &classes)) return;
  if (y.shape[1] == 1 && classes.count == 2) y = with_rest(m, y);
  else if (!proto_int(params, "postEvaluationTransform", 0)) y = shares(m, y);
  coreml_classified(m, model, &classes, y, (net_tensor){0});
}

const coreml_kind coreml_tree_kinds[] = {
    {"treeEnsembleRegressor", emit_trees}, {"treeEnsembleClassifier", emit_trees}, {0}};

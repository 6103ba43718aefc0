// SPDX-License-Identifier: Apache-2.0
// A tree ensemble's way from its attributes to its results:
//
//   tree_ensemble_read.c        attributes -> tree_model: one array of nodes for all versions, checked
//   tree_ensemble_tests.c       -> tree_tests: every comparison becomes x <= threshold, every threshold a rank
//   tree_ensemble_pack.c        -> forest (kernels/forest): nodes and programs as the kernels want them
//   ai_onnx_ml/tree_ensemble.c  the operators
//
// Only the forest is kept.
#pragma once

#include "kernels/forest/forest.h"
#include "ops/parts/ml.h"

typedef enum tree_mode { LEQ, LT, GTE, GT, EQ, NEQ, MEMBER, LEAF } tree_mode;
typedef enum aggregate { AVERAGE, SUM, MIN, MAX } aggregate;

// What a model says. Reading checks everything that is relied on later: every successor exists, no node has two
// parents, every node is reached from a root. So a walk ends, without recursion, however deep the tree.
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

typedef struct tree_model {
  arena memory;
  tree_node *nodes;
  uint32_t *roots;
  tree_weight *weights;
  double *members;  // of all MEMBER nodes, each set ended by NaN
  size_t node_count, root_count, weight_count, member_count;
} tree_model;

// A forest in which every node tests x <= threshold. Successors may have several parents: a set is many tests with two
// ways out.
typedef struct tree_test {
  double threshold;
  uint32_t feature;  // of the model, then of the ranks; leaf: index of its first weight
  uint32_t yes, no;  // leaf: `no` is the number of weights
  uint16_t level;    // of the threshold; 0: no number passes
  bool leaf, never, nan_passes;
} tree_test;

typedef struct tree_tests {
  tree_test *tests;  // test i is node i of the model; further ones follow
  size_t count;
  uint32_t *features;  // [feature_count] columns of the input
  rank_tree *ranks_32, *ranks_64;
  size_t feature_count;
} tree_tests;
// Ranks are made in `memory`, tests in `temporary`.
sdx_status tree_tests_make(const tree_model *m, arena *memory, arena *temporary, tree_tests *out, error *err);
sdx_status tree_pack(const tree_model *m, const tree_tests *tests, size_t targets, aggregate how, arena *memory,
                     arena *temporary, forest *out, error *err);

typedef struct tree_params {
  forest forest;
  double *base;                     // [targets] or NULL
  size_t roots, targets, features;  // features: one more than the largest that is read
  aggregate aggregate;
  ml_transform transform;
  bool classifies, binary, all_positive;  // binary: two labels, one class in the weights
  uint32_t named;                         // that class
  ml_labels labels;
} tree_params;

// TreeEnsembleClassifier and TreeEnsembleRegressor, which share the lists of their nodes; TreeEnsemble 5.
sdx_status tree_ensemble_read_classifier(op_params_context *c, void *params);
sdx_status tree_ensemble_read_regressor(op_params_context *c, void *params);
sdx_status tree_ensemble_read(op_params_context *c, void *params);

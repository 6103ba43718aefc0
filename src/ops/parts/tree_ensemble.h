// SPDX-License-Identifier: Apache-2.0
// What reading (tree_ensemble_read.c) hands to walking (tree_ensemble.c): one array of nodes for all versions. A node
// compares a feature with a value and names its two successors by index; a leaf names its range of (target, weight)
// pairs. Reading checks everything a walk relies on: every successor exists, no node has two parents, every node is
// reached from a root. So a walk ends, without recursion, however deep the tree.
#pragma once

#include "ops/parts/ml.h"

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

// TreeEnsembleClassifier and TreeEnsembleRegressor, which share the lists of their nodes; TreeEnsemble 5.
sdx_status tree_read_classifier(op_params_context *c, void *params);
sdx_status tree_read_regressor(op_params_context *c, void *params);
sdx_status tree_read(op_params_context *c, void *params);

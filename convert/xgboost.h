// SPDX-License-Identifier: Apache-2.0
// What is read out of an XGBoost model, whichever way it is written: xgboost_document.c reads JSON and UBJSON,
// xgboost_binary.c the binary form of before 1.0 (and still written until 2.0), xgboost.c makes the graph.
#pragma once

#include "convert/trees.h"

typedef struct xgboost {
  conversion *c;
  int64_t version[3];  // 0.0.0: not told
  char objective[64], booster[16];
  int64_t num_class, num_feature, num_target;
  float *base_score;  // as the user sees it, before the objective's link: one, or one for each group
  size_t base_count;
  forest *trees;       // gbtree, dart
  uint32_t *group_of;  // of each tree
  size_t group_count;
  float *weights;  // gblinear: [num_feature + 1, groups], the last row is the bias
  size_t weight_count;
  float *tree_weights;  // dart
  size_t tree_weight_count;
  str *feature_names;
  size_t name_count;
  bool has_categories;
  char best_iteration[32];  // "" if early stopping left none
} xgboost;

sdx_status xgboost_read_document(xgboost *x, bool binary);
sdx_status xgboost_read_binary(xgboost *x);

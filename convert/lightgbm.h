// SPDX-License-Identifier: Apache-2.0
// What is read out of a LightGBM model, whichever way it is written: lightgbm_text.c reads what save_model writes,
// lightgbm_json.c what dump_model gives, lightgbm.c makes the graph.
#pragma once

#include "convert/trees.h"

typedef struct lightgbm {
  conversion *c;
  str version, objective;  // "v4"; "binary sigmoid:1", of an objective of the user's own ""
  int64_t trees_per_iteration, highest_feature;
  bool average;  // a random forest: the mean of the trees
  forest *trees;
  str *feature_names;
  size_t name_count;
  str pandas_categories;  // JSON, or ""
  bool has_categories;
} lightgbm;

sdx_status lightgbm_read_text(lightgbm *l);
sdx_status lightgbm_read_json(lightgbm *l);

typedef enum lightgbm_missing { MISSING_NONE, MISSING_ZERO, MISSING_NAN } lightgbm_missing;
// Nodes whose ways are set by the caller: yes is left.
tree_node lightgbm_numeric_split(uint32_t feature, double threshold, lightgbm_missing missing, bool default_left);
tree_node lightgbm_category_split(lightgbm *l, uint32_t feature, const double *set, size_t count);
// Trees whose leaves are linear models: said once.
bool lightgbm_refuse_linear(lightgbm *l, const char *place);

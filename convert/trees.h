// SPDX-License-Identifier: Apache-2.0
// Decision trees of any source to ONNX's operators, exactly. A format hands over one tree after the other; they are
// kept in the lists that TreeEnsemble (ai.onnx.ml 5) takes, so nothing is in memory twice. How the leaves of a row are
// added up is the format's choice:
//
//   FOREST_SUM    by the operator itself: in double exact enough for whoever adds doubles
//   FOREST_STEPS  one column a tree, added from the first to the last, each sum rounded to the type: for sources whose
//                 sums of floats are to be met bit by bit; the base comes first, or last (FOREST_STEPS_THEN_BASE)
//
// Trees whose leaves hold several numbers, and doubles where the model's opset only knows the older operator (whose
// result is float), are asked for the leaf's number, which then looks its values up in a table.
#pragma once

#include "convert/format.h"

// Numbers of the operator's nodes_modes.
typedef enum tree_mode { TREE_LEQ, TREE_LT, TREE_GTE, TREE_GT, TREE_EQ, TREE_NEQ, TREE_MEMBER, TREE_LEAF } tree_mode;

// What happens to a feature before it is compared. Where nodes want it in several ways it has a column for each.
typedef enum tree_treatment {
  TREAT_NONE,
  TREAT_FLOOR,         // categories in floats, rounded down
  TREAT_TRUNCATE,      // the same, towards zero
  TREAT_ZERO_MISSING,  // NaN where it is not farther from zero than LightGBM's 1e-35f
} tree_treatment;

typedef struct tree_node {
  uint8_t mode, treatment;
  bool missing_yes;  // where NaN goes
  uint32_t feature;
  uint32_t yes, no;    // nodes of the same tree
  double value;        // what the feature is compared with; of a leaf: its value, where it has only one
  const double *list;  // TREE_MEMBER: the set; of a leaf: its values
  size_t list_count;
} tree_node;

typedef enum forest_sum { FOREST_SUM, FOREST_STEPS, FOREST_STEPS_THEN_BASE } forest_sum;

typedef struct forest forest;
enum { FOREST_MOST_FEATURES = 1 << 24 };
// dtype: of features, splits and leaves: SDX_FLOAT or SDX_DOUBLE. width: values of a leaf. Lives as long as the
// conversion. NULL: no memory.
forest *forest_create(conversion *c, sdx_dtype dtype, size_t width);
size_t forest_trees(const forest *f);
// Adds a tree whose root is node 0; what cannot be reached is left out. False: a problem was reported with the place.
bool forest_add(forest *f, size_t count, const tree_node *nodes, const char *place);
// Multiplies the leaves of a tree, rounded to the type (for weights that the source tells behind the trees).
void forest_scale(forest *f, size_t tree, double factor);
// One more than the highest feature in use.
size_t forest_features(const forest *f);
// Scores of the rows of x [N, features], once: [N] for one group, else [N, groups]. A group is one sum; group_of says
// which a tree adds to, NULL: all to the first; where leaves hold several values each is a group and every tree adds to
// all. base: [groups], what the sums begin with (or end with, as `how` says), or NULL.
// 0 after a failure.
sdx_ref forest_emit(forest *f, sdx_ref x, size_t features, size_t groups, const uint32_t *group_of, const double *base,
                    forest_sum how);

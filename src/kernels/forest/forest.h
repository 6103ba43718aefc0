// SPDX-License-Identifier: Apache-2.0
// Sums of a forest's leaves for rows of features: a driver over rank and tree_scan.
//
// Every test of the forest is x <= threshold (ops/parts/tree_ensemble_pack.c brings other comparisons to this
// form), so each feature of a row is replaced by its rank among the feature's thresholds, once, and trees compare small
// integers, whatever the type of the features:
//
//   value   1 + rank; NaN: 65535, or 0 where it is to pass every test
//   test    value <= level, where threshold i has level i + 1; only a NaN passes level 0
//
// Two ways through a tree end in the same leaf:
//
//   walk    from node to node without branches, trees of a row or rows of a tree side by side: for few
//           rows, and for large trees
//   scan    all nodes for a block of rows (tree_scan). A column holds 8 bits of a value: what is above FOREST_PIECE
//           times some number. A tree of more than 256 leaves is several programs, each with a part of the leaves;
//           all others are one leaf that adds nothing.
//
// Trees are summed in their order, in double, so results depend neither on the way nor on a row's neighbours.
#pragma once

#include "kernels/rank/rank.h"
#include "kernels/tree_scan/tree_scan.h"

enum {
  FOREST_BLOCK = TREE_SCAN_MOST,  // rows at once
  FOREST_FEW = 24,                // rows below which walking is faster
  FOREST_LANES = 12,              // trees side by side
  FOREST_PIECE = 255,
  FOREST_COLUMNS = 65536,  // that 16 bits can name
  FOREST_LEAF_LEVEL = 65535,
};

// Of a feature, sorted by it.
typedef struct forest_column {
  uint32_t feature;  // of the forest
  uint16_t below;    // levels of the pieces before this one; 0 where it is walked
  bool nan_passes;
} forest_column;

// If the test passes, it goes on from node `next`, else from the one after it. A leaf has FOREST_LEAF_LEVEL and goes on
// from itself. Wide nodes are for forests of more than FOREST_COLUMNS columns.
typedef uint64_t forest_node;  // next << 32 | level << 16 | column
typedef struct forest_wide_node {
  uint32_t column, level, next;
} forest_wide_node;

typedef struct forest_part {
  const tree_scan_step *steps;
  size_t count;
  uint32_t first;          // weight of leaf 0; that of leaf i is i * slots further (`regular` trees)
  const uint32_t *firsts;  // others: first weight of each leaf
} forest_part;

// Regular: all leaves have the same number of weights (`slots`) for the same targets. Else a leaf's weights end where
// weight_target is FOREST_END.
enum { FOREST_IRREGULAR = 0, FOREST_END = UINT32_MAX };
typedef struct forest_tree {
  const forest_part *parts;
  uint32_t part_count;      // none: it is walked
  uint32_t slots;           // or FOREST_IRREGULAR
  const uint32_t *targets;  // [slots]
} forest_tree;

typedef enum forest_aggregate { FOREST_SUM, FOREST_MIN, FOREST_MAX } forest_aggregate;

typedef struct forest {
  size_t feature_count, walk_count, scan_count, tree_count, targets;
  const uint32_t *feature;               // [feature_count] place in a row
  const rank_tree *ranks_32, *ranks_64;  // [feature_count] for floats and doubles
  const forest_column *walk_columns, *scan_columns;
  const forest_node *nodes;
  const forest_wide_node *wide_nodes;  // NULL unless they are used
  const uint32_t *leaf;                // [nodes] first weight of those that are leaves
  const double *value;  // [nodes] their only weight, if all trees have one slot and are summed; else NULL
  const double *weights;
  const uint32_t *weight_target;
  // In whole groups of FOREST_LANES: leaves that add nothing may follow.
  const forest_tree *trees;
  const uint32_t *roots;
  const uint32_t *depth;  // [groups] of the deepest tree
  forest_aggregate aggregate;
  bool walks;   // some tree has no parts
  bool single;  // there are values, all for the target of the first tree
} forest;

typedef struct forest_kernels {
  const rank_kernel *rank;
  const tree_scan_kernel *scan;
} forest_kernels;
static inline forest_kernels forest_kernels_best(void) {
  return (forest_kernels){KERNEL_BEST(rank), KERNEL_BEST(tree_scan)};
}

typedef struct forest_call {
  const forest *forest;
  forest_kernels kernels;
  const void *x;  // floats or doubles, x_stride from row to row
  bool is_double;
  size_t x_stride, rows;  // at most FOREST_BLOCK
  double *sums;           // [targets][sums_stride]; MIN and MAX of no weight are NaN
  size_t sums_stride;
  void *scratch;
} forest_call;

size_t forest_scratch_bytes(const forest *f, size_t rows);  // for a call with up to so many rows
void forest_run(const forest_call *c);

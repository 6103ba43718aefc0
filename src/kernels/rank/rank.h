// SPDX-License-Identifier: Apache-2.0
// Contract: the rank of numbers among sorted thresholds, which is how many thresholds are below the number. With it a
// comparison with any of them is one of small integers: x <= threshold[i] exactly if rank(x) <= i. Forests
// (kernels/forest) compare every row with all thresholds of a feature, so they search once instead.
//
// The thresholds lie in a tree of nodes of RANK_FAN: a search counts in one node of each level. NaN has rank RANK_NAN.
// Thresholds may be infinite and equal, not NaN. No alignment is needed.
//
// column_*: numbers x[0], x[stride], ... in one tree. row_*: x[index[i]] in trees[i].
#pragma once

#include <stdint.h>

#include "kernels/kernel.h"

enum { RANK_FAN = 16, RANK_LEVELS = 4, RANK_MOST = 65000, RANK_NAN = 65535 };

// Levels from the root down, each of whole nodes filled up with infinity: the last has the thresholds, one above it
// the largest of each node but the last.
typedef struct rank_tree {
  const void *level[RANK_LEVELS];  // of float or double
  size_t levels, count;            // thresholds, at most RANK_MOST
} rank_tree;

typedef struct rank_kernel {
  void (*column_f32)(const rank_tree *t, const float *x, size_t stride, size_t n, uint16_t *ranks);
  void (*column_f64)(const rank_tree *t, const double *x, size_t stride, size_t n, uint16_t *ranks);
  void (*row_f32)(const rank_tree *trees, const uint32_t *index, size_t n, const float *x, uint16_t *ranks);
  void (*row_f64)(const rank_tree *trees, const uint32_t *index, size_t n, const double *x, uint16_t *ranks);
} rank_kernel;

// How many numbers `memory` must hold for rank_tree_build, which sets the tree for numbers of type double, or of type
// float: then thresholds are rounded down, which no float can tell from what they were.
size_t rank_tree_numbers(size_t count);
void rank_tree_build(rank_tree *t, void *memory, bool is_double, const double *thresholds, size_t count);

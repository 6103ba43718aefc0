// SPDX-License-Identifier: Apache-2.0
// The judge of rank: counts.
#include "kernels/rank/rank.h"

#define RANKS(column, row, rank, T)                                                                       \
  static uint16_t rank(const rank_tree *t, T x) {                                                         \
    const T *thresholds = t->level[t->levels - 1];                                                        \
    size_t below = 0;                                                                                     \
    for (size_t k = 0; k < t->count; k++) below += thresholds[k] < x;                                     \
    return (uint16_t)(x != x ? RANK_NAN : below);                                                         \
  }                                                                                                       \
  static void column(const rank_tree *t, const T *x, size_t stride, size_t n, uint16_t *ranks) {          \
    for (size_t i = 0; i < n; i++) ranks[i] = rank(t, x[i * stride]);                                     \
  }                                                                                                       \
  static void row(const rank_tree *trees, const uint32_t *index, size_t n, const T *x, uint16_t *ranks) { \
    for (size_t i = 0; i < n; i++) ranks[i] = rank(&trees[i], x[index[i]]);                               \
  }
RANKS(column_f32, row_f32, rank_f32, float)
RANKS(column_f64, row_f64, rank_f64, double)

KERNEL(rank) = {.column_f32 = column_f32, .column_f64 = column_f64, .row_f32 = row_f32, .row_f64 = row_f64};

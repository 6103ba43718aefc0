// SPDX-License-Identifier: Apache-2.0
// The searches of rank, included after below_f32 and below_f64: how many of a node's thresholds are below x. A NaN has
// none below it and goes left; its rank is replaced at the end.
//
// In a column the depth of the tree is known outside of the loop, whose searches then overlap.
#define RANKS(column, row, rank, below, T)                                                                     \
  static inline uint16_t rank(const rank_tree *t, size_t levels, T x) {                                        \
    size_t at = below((const T *)t->level[0], x);                                                              \
    for (size_t l = 1; l < levels; l++) at = at * RANK_FAN + below((const T *)t->level[l] + at * RANK_FAN, x); \
    return (uint16_t)(at | (x != x ? RANK_NAN : 0));                                                           \
  }                                                                                                            \
  static void column(const rank_tree *t, const T *x, size_t stride, size_t n, uint16_t *ranks) {               \
    if (t->levels == 1)                                                                                        \
      for (size_t i = 0; i < n; i++) ranks[i] = rank(t, 1, x[i * stride]);                                     \
    else if (t->levels == 2)                                                                                   \
      for (size_t i = 0; i < n; i++) ranks[i] = rank(t, 2, x[i * stride]);                                     \
    else if (t->levels == 3)                                                                                   \
      for (size_t i = 0; i < n; i++) ranks[i] = rank(t, 3, x[i * stride]);                                     \
    else                                                                                                       \
      for (size_t i = 0; i < n; i++) ranks[i] = rank(t, 4, x[i * stride]);                                     \
  }                                                                                                            \
  static void row(const rank_tree *trees, const uint32_t *index, size_t n, const T *x, uint16_t *ranks) {      \
    for (size_t i = 0; i < n; i++) ranks[i] = rank(&trees[i], trees[i].levels, x[index[i]]);                   \
  }
RANKS(column_f32, row_f32, rank_f32, below_f32, float)
RANKS(column_f64, row_f64, rank_f64, below_f64, double)

KERNEL(rank) = {.column_f32 = column_f32, .column_f64 = column_f64, .row_f32 = row_f32, .row_f64 = row_f64};

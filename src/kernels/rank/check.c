// SPDX-License-Identifier: Apache-2.0
// Numbers among random thresholds, some of them equal to one, in trees of every depth: the same ranks.
#include <math.h>
#include <stdlib.h>

#include "kernels/rank/rank.h"

enum { NUMBERS = 100 };

static int ascending(const void *a, const void *b) {
  double x = *(const double *)a, y = *(const double *)b;
  return (x > y) - (x < y);
}

static double *thresholds_of(kernel_check *k, size_t count) {
  double *t = check_buffer(k, count * sizeof *t, 8);
  const float *f = check_floats(k, count, check_coin(k, 2));
  for (size_t i = 0; t && f && i < count; i++) t[i] = isnan(f[i]) ? 0 : (double)f[i] * (check_coin(k, 2) ? 1 : 1.1);
  if (t) qsort(t, count, sizeof *t, ascending);
  return t;
}

static void run(const rank_kernel *v, bool by_row, const rank_tree *t, bool is_double, const void *x, size_t stride,
                size_t n, uint16_t *ranks) {
  rank_tree trees[NUMBERS];
  uint32_t index[NUMBERS];
  for (size_t i = 0; i < n; i++) trees[i] = *t, index[i] = (uint32_t)(i * stride);
  if (is_double && by_row) v->row_f64(trees, index, n, x, ranks);
  else if (is_double) v->column_f64(t, x, stride, n, ranks);
  else if (by_row) v->row_f32(trees, index, n, x, ranks);
  else v->column_f32(t, x, stride, n, ranks);
}

static bool compare(kernel_check *k, const void *variant, const void *reference) {
  const rank_kernel *v = variant, *r = reference;
  static const size_t most[] = {15, 300, 5000, RANK_MOST};
  size_t count = check_size(k, 1, most[check_coin(k, 20) ? 3 : check_random(k) % 3]), n = check_size(k, 0, NUMBERS);
  size_t stride = 1 + check_random(k) % 3, numbers = rank_tree_numbers(count);
  bool is_double = check_coin(k, 2);
  double *t = thresholds_of(k, count);
  const float *x = check_floats(k, n * stride + 1, check_coin(k, 2));
  void *memory = check_buffer(k, numbers * (is_double ? 8 : 4), 8);
  uint16_t *got = check_buffer(k, n * 2, 2), *want = check_buffer(k, n * 2, 2);
  float *single = check_buffer(k, n * stride * 4, 4);
  double *wide = check_buffer(k, n * stride * 8, 8);
  if (!t || !x || !memory || !got || !want || !single || !wide) return true;
  for (size_t i = 0; i < n * stride; i++) {
    wide[i] = check_coin(k, 3) ? t[check_random(k) % count] : (double)x[i];
    single[i] = (float)wide[i];
  }
  rank_tree tree;
  rank_tree_build(&tree, memory, is_double, t, count);
  run(v, check_coin(k, 2), &tree, is_double, is_double ? (void *)wide : single, stride, n, got);
  run(r, false, &tree, is_double, is_double ? (void *)wide : single, stride, n, want);
  if (check_same(k, got, want, n * 2)) return true;
  check_message(k, "%zu %s among %zu thresholds", n, is_double ? "doubles" : "floats", count);
  return false;
}

static double bench(kernel_check *k, const void *variant, const char **unit) {
  enum { COUNT = 300, N = 256 };
  static double t[COUNT];
  static float memory[COUNT + 64], x[N];
  static uint16_t ranks[N];
  static rank_tree tree;
  if (!tree.count) {
    for (int i = 0; i < COUNT; i++) t[i] = i;
    for (int i = 0; i < N; i++) x[i] = (float)(i * 7919 % 1000) * 0.3f;
    rank_tree_build(&tree, memory, false, t, COUNT);
  }
  ((const rank_kernel *)variant)->column_f32(&tree, x, 1, N, ranks);
  *unit = "numbers among 300";
  return N;
}

KERNEL_CHECK(rank) = {.family = "rank", .compare = compare, .bench = bench};

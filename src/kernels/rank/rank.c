// SPDX-License-Identifier: Apache-2.0
// Lays thresholds out as a tree; see rank.h.
#include "kernels/rank/rank.h"

#include <math.h>

static size_t whole_nodes(size_t count) { return (count + RANK_FAN - 1) / RANK_FAN * RANK_FAN; }

// Sizes of the levels, the thresholds' first. There is room for one more than there are, so that a search for a number
// above all of them ends inside.
static size_t level_sizes(size_t count, size_t *sizes) {
  size_t levels = 1;
  sizes[0] = whole_nodes(count + 1);
  while (sizes[levels - 1] > RANK_FAN) sizes[levels] = whole_nodes(sizes[levels - 1] / RANK_FAN), levels++;
  return levels;
}

size_t rank_tree_numbers(size_t count) {
  size_t sizes[RANK_LEVELS], total = 0;
  for (size_t levels = level_sizes(count, sizes); levels; levels--) total += sizes[levels - 1];
  return total;
}

static float rounded_down(double v) {
  float f = (float)v;
  return (double)f > v ? nextafterf(f, -INFINITY) : f;
}

static void put(void *level, bool is_double, size_t i, double v) {
  if (is_double) ((double *)level)[i] = v;
  else ((float *)level)[i] = rounded_down(v);
}

void rank_tree_build(rank_tree *t, void *memory, bool is_double, const double *thresholds, size_t count) {
  size_t sizes[RANK_LEVELS], levels = level_sizes(count, sizes), step = 1;
  char *at = memory;
  t->levels = levels, t->count = count;
  // Number i of a level is the last threshold below its child i: number (i + 1) * step - 1.
  for (size_t l = 0; l < levels; l++, step *= RANK_FAN) {
    t->level[levels - 1 - l] = at;
    for (size_t i = 0; i < sizes[l]; i++) {
      size_t last = (i + 1) * step - 1;
      put(at, is_double, i, last < count ? thresholds[last] : INFINITY);
    }
    at += sizes[l] * (is_double ? sizeof(double) : sizeof(float));
  }
}

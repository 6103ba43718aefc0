// SPDX-License-Identifier: Apache-2.0
// A forest as trees.c fills it and trees_emit.c hands it over: the lists of TreeEnsemble 5. A leaf's target is its tree
// until it is known how sums are made.
#pragma once

#include "convert/trees.h"

typedef struct list {
  void *at;
  size_t count, capacity;
} list;

struct forest {
  conversion *conversion;
  sdx_dtype dtype;
  size_t element_bytes, width, features;
  list feature, yes, yes_leaf, no, no_leaf, missing;  // int64, of each inner node
  list mode, treatment;                               // bytes
  list split, members;                                // of the type
  list root, first;                                   // int64, of each tree: its first node, its first leaf
  list target;                                        // int64, of each leaf
  list value;                                         // of the type, `width` of each leaf
  list waiting, seen;                                 // of the tree that is added
  bool has_members;
};

static inline double forest_get(const forest *f, const list *l, size_t i) {
  return f->dtype == SDX_DOUBLE ? ((const double *)l->at)[i] : (double)((const float *)l->at)[i];
}
static inline void forest_set(const forest *f, list *l, size_t i, double n) {
  if (f->dtype == SDX_DOUBLE) ((double *)l->at)[i] = n;
  else ((float *)l->at)[i] = (float)n;
}
// Room for `count` more elements.
bool list_grow(list *l, size_t count, size_t element_bytes);

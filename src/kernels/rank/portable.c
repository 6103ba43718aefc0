// SPDX-License-Identifier: Apache-2.0
// rank in plain C: the compiler makes vectors of the count.
#include "kernels/rank/rank.h"

#define BELOW(name, T)                                          \
  static inline size_t name(const T *node, T v) {               \
    unsigned count = 0;                                         \
    for (size_t i = 0; i < RANK_FAN; i++) count += node[i] < v; \
    return count;                                               \
  }
BELOW(below_f32, float)
BELOW(below_f64, double)

#include "kernels/rank/search.inl"

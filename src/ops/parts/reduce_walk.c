// SPDX-License-Identifier: Apache-2.0
// See reduce_walk.h.
#include "ops/parts/reduce_walk.h"

void reduce_walk_init(reduce_walk *w, const tensor *t, const bool *reduce) {
  w->kept_rank = w->reduced_rank = 0;
  w->results = w->terms = 1;
  size_t step = 1;
  int last = -1;  // kind of the dimension inside this one
  size_t kept[TENSOR_MAX_RANK], kept_step[TENSOR_MAX_RANK], reduced[TENSOR_MAX_RANK], reduced_step[TENSOR_MAX_RANK];
  for (size_t i = t->rank; i-- > 0;) {
    size_t n = (size_t)t->dims[i];
    if (n == 1) continue;
    size_t *rank = reduce[i] ? &w->reduced_rank : &w->kept_rank;
    size_t *extents = reduce[i] ? reduced : kept, *steps = reduce[i] ? reduced_step : kept_step;
    if (last == reduce[i]) {
      extents[*rank - 1] *= n;
    } else {
      extents[*rank] = n;
      steps[*rank] = step;
      ++*rank;
    }
    *(reduce[i] ? &w->terms : &w->results) *= n;
    last = reduce[i];
    step *= n;
  }
  if (w->reduced_rank == 0) reduced[0] = 1, reduced_step[0] = 1, w->reduced_rank = 1;
  for (size_t d = 0; d < w->kept_rank; d++) {
    w->kept[d] = kept[w->kept_rank - 1 - d];
    w->kept_step[d] = kept_step[w->kept_rank - 1 - d];
  }
  for (size_t d = 0; d < w->reduced_rank; d++) {
    w->reduced[d] = reduced[w->reduced_rank - 1 - d];
    w->reduced_step[d] = reduced_step[w->reduced_rank - 1 - d];
  }
}

size_t reduce_walk_offset(const reduce_walk *w, size_t index) {
  size_t offset = 0;
  for (size_t d = w->kept_rank; d-- > 0; index /= w->kept[d]) offset += index % w->kept[d] * w->kept_step[d];
  return offset;
}

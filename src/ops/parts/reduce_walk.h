// SPDX-License-Identifier: Apache-2.0
// The walk over a dense tensor that keeps some axes and reduces the others, dimensions of the same kind
// that lie side by side merged: what reductions and normalisations over any set of axes share.
#pragma once

#include "ops/record.h"

typedef struct reduce_walk {
  size_t kept_rank, reduced_rank;  // outermost first; steps in elements
  size_t kept[TENSOR_MAX_RANK], kept_step[TENSOR_MAX_RANK];
  size_t reduced[TENSOR_MAX_RANK], reduced_step[TENSOR_MAX_RANK];
  size_t results, terms;  // number of kept positions, elements of each
} reduce_walk;

// `reduce[i]` says whether axis i is reduced. There is always at least one reduced dimension (of extent 1
// if need be).
void reduce_walk_init(reduce_walk *w, const tensor *t, const bool *reduce);
// Offset of result `index`; then, for runs along the innermost reduced dimension: reduce_run_start gives
// the first run's offset, reduce_run_next the following until false.
size_t reduce_walk_offset(const reduce_walk *w, size_t index);
typedef struct reduce_run {
  size_t at[TENSOR_MAX_RANK], offset;  // offset of the run's first element
} reduce_run;
static inline void reduce_run_start(reduce_run *r, const reduce_walk *w, size_t offset) {
  for (size_t d = 0; d + 1 < w->reduced_rank; d++) r->at[d] = 0;
  r->offset = offset;
}
static inline bool reduce_run_next(reduce_run *r, const reduce_walk *w) {
  for (size_t d = w->reduced_rank - 1; d-- > 0;) {
    r->offset += w->reduced_step[d];
    if (++r->at[d] < w->reduced[d]) return true;
    r->offset -= w->reduced_step[d] * w->reduced[d];
    r->at[d] = 0;
  }
  return false;
}

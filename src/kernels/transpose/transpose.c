// SPDX-License-Identifier: Apache-2.0
// The driver of transpose: drops and merges dimensions, then picks the core. If the innermost dimension stays
// innermost, runs are copied; small runs (2, 4, 8, 16 bytes) become elements of their own. Otherwise the core is
// the 2-D transposition of the source's innermost with the target's innermost dimension.
#include "kernels/transpose/transpose.h"

#include <string.h>

#include "base/pool.h"

typedef struct axis {
  size_t size, from, to;  // strides in elements
} axis;

// Axes in the target's order without those of size 1, neighbours merged where they are neighbours in both.
static size_t merged_axes(size_t rank, const int64_t *dims, const int64_t *perm, axis *axes) {
  size_t strides[TRANSPOSE_MAX_RANK], n = 0, stride = 1;
  for (size_t i = rank; i-- > 0;) strides[i] = stride, stride *= (size_t)dims[i];
  for (size_t i = 0; i < rank; i++) {
    size_t size = (size_t)dims[perm[i]], from = strides[perm[i]];
    if (size == 1) continue;
    if (n > 0 && axes[n - 1].from == from * size) axes[n - 1].size *= size, axes[n - 1].from = from;
    else axes[n++] = (axis){.size = size, .from = from};
  }
  stride = 1;
  for (size_t i = n; i-- > 0;) axes[i].to = stride, stride *= axes[i].size;
  return n;
}

static int log2_of(size_t bytes) {
  for (int i = 0; i < 5; i++)
    if (bytes == (size_t)1 << i) return i;
  return -1;
}

void transpose_init(transpose_plan *p, size_t rank, const int64_t *dims, const int64_t *perm, size_t element) {
  *p = (transpose_plan){.element = element};
  for (size_t i = 0; i < rank; i++)
    if (dims[i] == 0) return;  // nothing to move: run, rows and cols are 0
  axis axes[TRANSPOSE_MAX_RANK];
  size_t n = merged_axes(rank, dims, perm, axes), run = element;
  if (n > 0 && axes[n - 1].from == 1) {  // the innermost stays: it is part of the element
    size_t inner = axes[--n].size;
    run *= inner;
    for (size_t i = 0; i < n; i++) axes[i].from /= inner, axes[i].to /= inner;
  }
  p->element = run;
  size_t row = n;  // the target axis that is innermost in the source
  for (size_t i = 0; i + 1 < n; i++)
    if (axes[i].from == 1) row = i;
  if (log2_of(run) >= 0 && row < n) {
    // Source rows run along the target's innermost axis, source columns along `row`.
    p->block = KERNEL_BEST(transpose)->block[log2_of(run)];
    p->rows = axes[n - 1].size, p->source_stride = axes[n - 1].from;
    p->cols = axes[row].size, p->target_stride = axes[row].to;
    n -= 2;
    memmove(axes + row, axes + row + 1, (n - row) * sizeof *axes);
  } else {
    p->run = run;
  }
  p->rank = n;
  for (size_t i = 0; i < n; i++)
    p->dims[i] = axes[i].size, p->from[i] = axes[i].from * run, p->to[i] = axes[i].to * run;
}

typedef struct job {
  const transpose_plan *plan;
  const char *source;
  char *target;
  size_t loops, piece;  // all outer iterations; how many a task does
  size_t strip;         // columns of the core a task does
} job;

// The bytes from which on a task is worth handing to another thread.
enum { GRAIN_BYTES = 1 << 16 };

static void task(void *context, size_t index, size_t worker) {
  const job *j = context;
  const transpose_plan *p = j->plan;
  size_t strips = p->block ? (p->cols + j->strip - 1) / j->strip : 1;
  size_t first = index / strips * j->piece, last = first + j->piece < j->loops ? first + j->piece : j->loops;
  size_t col = index % strips * j->strip, at[TRANSPOSE_MAX_RANK], rest = first, from = 0, to = 0;
  for (size_t d = p->rank; d-- > 0;) {
    at[d] = rest % p->dims[d], rest /= p->dims[d];
    from += at[d] * p->from[d], to += at[d] * p->to[d];
  }
  for (size_t i = first; i < last; i++) {
    if (p->block)
      p->block(j->source + from + col * p->element, p->source_stride,
               j->target + to + col * p->target_stride * p->element, p->target_stride, p->rows,
               p->cols - col < j->strip ? p->cols - col : j->strip);
    else memcpy(j->target + to, j->source + from, p->run);
    for (size_t d = p->rank; d-- > 0;) {
      from += p->from[d], to += p->to[d];
      if (++at[d] < p->dims[d]) break;
      from -= at[d] * p->from[d], to -= at[d] * p->to[d], at[d] = 0;
    }
  }
}

void transpose_run(const transpose_plan *p, const void *source, void *target, size_t threads) {
  size_t bytes = p->block ? p->rows * p->cols * p->element : p->run;
  if (bytes == 0) return;
  job j = {.plan = p, .source = source, .target = target, .loops = 1, .strip = p->cols};
  for (size_t d = 0; d < p->rank; d++) j.loops *= p->dims[d];
  j.piece = bytes < GRAIN_BYTES ? (GRAIN_BYTES + bytes - 1) / bytes : 1;
  if (p->block && bytes > GRAIN_BYTES) {  // strips of whole cache lines of columns
    size_t strip = GRAIN_BYTES / (p->rows * p->element) / 16 * 16;
    j.strip = strip < 64 ? 64 : strip;
    if (j.strip > p->cols) j.strip = p->cols;
  }
  size_t strips = p->block ? (p->cols + j.strip - 1) / j.strip : 1;
  pool_run(threads, (j.loops + j.piece - 1) / j.piece * strips, task, &j);
}

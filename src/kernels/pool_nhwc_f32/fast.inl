// SPDX-License-Identifier: Apache-2.0
// pool_nhwc_f32 in vectors of channels: results of an output stay in registers while its taps are folded. Where windows
// of a maximum share much of their columns, each column is folded once along the rows and kept in a ring.
#include "kernels/pool_nhwc_f32/lines.inl"
#include "kernels/vec.h"

enum {
  TOGETHER = 4,  // vectors
  RING = 16      // columns: a power of two
};

INLINE vec fold(pool_op op, vec v, vec x) { return op == POOL_OP_MAX ? vec_max(v, x) : vec_add(v, x); }

INLINE void output_part(const line *l, pool_op op, vec_part p, window_columns at, size_t channel, float *y) {
  vec v[TOGETHER];
  UNROLL
  for (int k = 0; k < p.vectors; k++)
    v[k] = !l->rows.first ? vec_part_load(p, y, k) : vec_splat(op == POOL_OP_MAX ? -INFINITY : 0);
  const float *base = l->image->x + at.place + channel;
  for (size_t r = 0; r < l->rows.count; r++) {
    const float *x = base + l->rows.place[r];
    for (int64_t t = 0; t < at.count; t++, x += at.step) UNROLL
    for (int k = 0; k < p.vectors; k++) v[k] = fold(op, v[k], vec_part_load(p, x, k));
  }
  UNROLL
  for (int k = 0; k < p.vectors; k++) vec_part_store(p, y, k, v[k]);
}

INLINE void line_direct(line *l, pool_op op) {
  size_t channels = l->image->channels;
  for (int64_t o = l->begin; o < l->end; o++) {
    window_columns at = window_columns_at(&l->rows, o);
    float *y = l->y + o * (ptrdiff_t)l->image->y_stride;
    size_t c = 0;
    if (line_stopped(l, at.count, channels)) return;
    for (; c + TOGETHER * VECTOR <= channels; c += TOGETHER * VECTOR)
      output_part(l, op, (vec_part){TOGETHER, .whole = true}, at, c, y + c);
    for (; c + VECTOR <= channels; c += VECTOR) output_part(l, op, (vec_part){1, .whole = true}, at, c, y + c);
    if (c < channels) output_part(l, op, (vec_part){1, .chosen = lanes_below((int)(channels - c))}, at, c, y + c);
  }
}

// The maxima of an input column over the line's rows go into the ring.
INLINE void column_part(const line *l, vec_part p, const float *x, float *ring) {
  vec v[TOGETHER];
  UNROLL
  for (int k = 0; k < p.vectors; k++) v[k] = vec_part_load(p, x + l->rows.place[0], k);
  for (size_t r = 1; r < l->rows.count; r++) UNROLL
  for (int k = 0; k < p.vectors; k++) v[k] = vec_max(v[k], vec_part_load(p, x + l->rows.place[r], k));
  UNROLL
  for (int k = 0; k < p.vectors; k++) vec_store(ring + k * VECTOR, v[k]);
}

INLINE void ring_part(line *l, vec_part p, size_t channel) {
  float ring[RING][TOGETHER * VECTOR];
  const float *x = l->image->x + channel;
  ptrdiff_t stride = (ptrdiff_t)l->image->x_stride;
  int64_t next = 0;
  for (int64_t o = l->begin; o < l->end; o++) {
    window_columns at = window_columns_at(&l->rows, o);
    int64_t begin = at.place / stride, end = begin + at.count;
    vec v[TOGETHER];
    if (line_stopped(l, at.count, (size_t)p.vectors * VECTOR)) return;
    for (next = next < begin ? begin : next; next < end; next++)
      column_part(l, p, x + next * stride, ring[next % RING]);
    UNROLL
    for (int k = 0; k < p.vectors; k++) v[k] = vec_splat(-INFINITY);
    for (int64_t c = begin; c < end; c++) UNROLL
    for (int k = 0; k < p.vectors; k++) v[k] = vec_max(v[k], vec_load(ring[c % RING] + k * VECTOR));
    UNROLL
    for (int k = 0; k < p.vectors; k++) vec_part_store(p, l->y + o * (ptrdiff_t)l->image->y_stride + channel, k, v[k]);
  }
}

static void line_ring(line *l) {
  size_t channels = l->image->channels, c = 0;
  for (; c + TOGETHER * VECTOR <= channels; c += TOGETHER * VECTOR)
    ring_part(l, (vec_part){TOGETHER, .whole = true}, c);
  for (; c + VECTOR <= channels; c += VECTOR) ring_part(l, (vec_part){1, .whole = true}, c);
  if (c < channels) ring_part(l, (vec_part){1, .chosen = lanes_below((int)(channels - c))}, c);
}

// Whether an output costs fewer loads and stores so: its new columns, and the ring.
static bool ring_pays(const line *l) {
  const window *w = l->image->window;
  size_t last = w->rank - 1;
  int64_t rows = (int64_t)l->rows.count, kernel = w->kernel[last], stride = w->stride[last];
  return l->rows.first && l->rows.last && rows > 0 && w->dilation[last] == 1 && kernel <= RING && stride < kernel &&
         stride * (rows + 1) + kernel < rows * kernel;
}

static void line_max(line *l) {
  if (ring_pays(l)) line_ring(l);
  else line_direct(l, POOL_OP_MAX);
}

static void line_sum(line *l) { line_direct(l, POOL_OP_SUM); }

static void max(const pool_nhwc_f32_image *i, size_t begin, size_t end) {
  run_lines(i, begin, end, POOL_OP_MAX, (finish){.kind = FINISH_NOT}, line_max);
}

static void average(const pool_nhwc_f32_image *i, size_t begin, size_t end, bool include_pad) {
  run_lines(i, begin, end, POOL_OP_SUM, (finish){.kind = FINISH_AVERAGE, .include_pad = include_pad}, line_sum);
}

KERNEL(pool_nhwc_f32) = {.max = max, .average = average, .lp = lp};

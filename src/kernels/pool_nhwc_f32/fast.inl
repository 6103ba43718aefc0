// SPDX-License-Identifier: Apache-2.0
// pool_nhwc_f32 in vectors of channels: results of an output stay in registers while its taps are folded. Where windows
// of a maximum share much of their columns, each column is folded once along the rows and kept in a ring.
#include "kernels/pool_nhwc_f32/lines.inl"
#include "kernels/vec.h"

enum {
  TOGETHER = 4,  // vectors
  RING = 16      // columns: a power of two
};

// The channels done at once: vectors, or some lanes of one.
typedef struct part {
  int vectors;
  bool whole;
  lanes lanes;
} part;

INLINE vec part_load(part p, const float *x, int k) {
  return p.whole ? vec_load(x + k * VECTOR) : vec_load_lanes(x, p.lanes, vec_splat(0));
}
INLINE void part_store(part p, float *y, int k, vec v) {
  if (p.whole) vec_store(y + k * VECTOR, v);
  else vec_store_lanes(y, p.lanes, v);
}
INLINE vec fold(pool_op op, vec v, vec x) { return op == POOL_OP_MAX ? vec_max(v, x) : vec_add(v, x); }

INLINE void output_part(const line *l, pool_op op, part p, columns at, size_t channel, float *y) {
  vec v[TOGETHER];
#pragma GCC unroll 4
  for (int k = 0; k < p.vectors; k++)
    v[k] = !l->first ? part_load(p, y, k) : vec_splat(op == POOL_OP_MAX ? -INFINITY : 0);
  const float *base = l->image->x + at.first + channel;
  for (size_t r = 0; r < l->row_count; r++) {
    const float *x = base + l->rows[r];
    for (int64_t t = 0; t < at.count; t++, x += at.step)
#pragma GCC unroll 4
      for (int k = 0; k < p.vectors; k++) v[k] = fold(op, v[k], part_load(p, x, k));
  }
#pragma GCC unroll 4
  for (int k = 0; k < p.vectors; k++) part_store(p, y, k, v[k]);
}

INLINE void line_direct(const line *l, pool_op op) {
  size_t channels = l->image->channels;
  for (int64_t o = l->begin; o < l->end; o++) {
    columns at = line_columns(l, o);
    float *y = l->y + o * (ptrdiff_t)l->image->y_stride;
    size_t c = 0;
    for (; c + TOGETHER * VECTOR <= channels; c += TOGETHER * VECTOR)
      output_part(l, op, (part){TOGETHER, .whole = true}, at, c, y + c);
    for (; c + VECTOR <= channels; c += VECTOR) output_part(l, op, (part){1, .whole = true}, at, c, y + c);
    if (c < channels) output_part(l, op, (part){1, .lanes = lanes_below((int)(channels - c))}, at, c, y + c);
  }
}

// The maxima of an input column over the line's rows go into the ring.
INLINE void column_part(const line *l, part p, const float *x, float *ring) {
  vec v[TOGETHER];
#pragma GCC unroll 4
  for (int k = 0; k < p.vectors; k++) v[k] = part_load(p, x + l->rows[0], k);
  for (size_t r = 1; r < l->row_count; r++)
#pragma GCC unroll 4
    for (int k = 0; k < p.vectors; k++) v[k] = vec_max(v[k], part_load(p, x + l->rows[r], k));
#pragma GCC unroll 4
  for (int k = 0; k < p.vectors; k++) vec_store(ring + k * VECTOR, v[k]);
}

INLINE void ring_part(const line *l, part p, size_t channel) {
  float ring[RING][TOGETHER * VECTOR];
  const float *x = l->image->x + channel;
  ptrdiff_t stride = (ptrdiff_t)l->image->x_stride;
  int64_t next = 0;
  for (int64_t o = l->begin; o < l->end; o++) {
    columns at = line_columns(l, o);
    int64_t begin = at.first / stride, end = begin + at.count;
    vec v[TOGETHER];
    for (next = next < begin ? begin : next; next < end; next++)
      column_part(l, p, x + next * stride, ring[next % RING]);
#pragma GCC unroll 4
    for (int k = 0; k < p.vectors; k++) v[k] = vec_splat(-INFINITY);
    for (int64_t c = begin; c < end; c++)
#pragma GCC unroll 4
      for (int k = 0; k < p.vectors; k++) v[k] = vec_max(v[k], vec_load(ring[c % RING] + k * VECTOR));
#pragma GCC unroll 4
    for (int k = 0; k < p.vectors; k++) part_store(p, l->y + o * (ptrdiff_t)l->image->y_stride + channel, k, v[k]);
  }
}

static void line_ring(const line *l) {
  size_t channels = l->image->channels, c = 0;
  for (; c + TOGETHER * VECTOR <= channels; c += TOGETHER * VECTOR) ring_part(l, (part){TOGETHER, .whole = true}, c);
  for (; c + VECTOR <= channels; c += VECTOR) ring_part(l, (part){1, .whole = true}, c);
  if (c < channels) ring_part(l, (part){1, .lanes = lanes_below((int)(channels - c))}, c);
}

// Whether an output costs fewer loads and stores so: its new columns, and the ring.
static bool ring_pays(const line *l) {
  const window *w = l->image->window;
  size_t last = w->rank - 1;
  int64_t rows = (int64_t)l->row_count, kernel = w->kernel[last], stride = w->stride[last];
  return l->first && l->last && rows > 0 && w->dilation[last] == 1 && kernel <= RING && stride < kernel &&
         stride * (rows + 1) + kernel < rows * kernel;
}

static void line_max(const line *l) {
  if (ring_pays(l)) line_ring(l);
  else line_direct(l, POOL_OP_MAX);
}

static void line_sum(const line *l) { line_direct(l, POOL_OP_SUM); }

static void max(const pool_nhwc_f32_image *i, size_t begin, size_t end) {
  run_lines(i, begin, end, POOL_OP_MAX, (finish){.kind = FINISH_NOT}, line_max);
}

static void average(const pool_nhwc_f32_image *i, size_t begin, size_t end, bool include_pad) {
  run_lines(i, begin, end, POOL_OP_SUM, (finish){.kind = FINISH_AVERAGE, .include_pad = include_pad}, line_sum);
}

KERNEL(pool_nhwc_f32) = {.max = max, .average = average, .lp = lp};

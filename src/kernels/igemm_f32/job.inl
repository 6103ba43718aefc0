// SPDX-License-Identifier: Apache-2.0
// What the tiles of a sweep have in common, and the end of those that cannot finish in registers. Included once by a
// tier's file, before tile.inl.
#include <string.h>

#include "kernels/igemm_f32/igemm_f32.h"
#include "kernels/loop.h"
#include "kernels/vec.h"

enum { WIDEST = 48 };  // floats of a panel

// Read for each tile anew, or it would take registers from the sums. `direct`: bias, residual and activation are done
// in registers.
typedef struct job {
  const igemm_f32_sweep *s;
  activation_limits limits;
  bool direct;
  float bias[WIDEST];  // -0 behind the last column, or where there is none
  // The panel's next part is asked for while this one is multiplied, a line for each step of the depth, so that all
  // tiles together have asked for the whole part. Steps: 0 if it is near anyway.
  const char *ahead;
  size_t ahead_step, ahead_tile;
} job;

static void job_init(job *j, const igemm_f32_sweep *s) {
  *j = (job){.s = s, .limits = activation_limits_of(s->act)};
  j->direct = s->last && s->n == s->width && j->limits.enough;
  for (size_t i = 0; i < s->width; i++) j->bias[i] = s->last && s->bias && i < s->n ? s->bias[i] : -0.0f;
  j->ahead_step = s->ahead ? s->width * sizeof(float) / s->tile_count : 0;
  j->ahead_tile = j->ahead_step * s->tap_count * s->depth;
  j->ahead = (const char *)(s->panel + s->tap_count * s->depth * s->width);
}

// The first n floats; pieces of fixed size are plain moves, masked stores are slow on some processors.
INLINE void store_first(float *to, vec v, size_t n) {
  float from[VECTOR];
  const float *at = from;
  vec_store(from, v);
  if (VECTOR > 8 && n & 8) memcpy(to, at, 32), to += 8, at += 8;
  if (VECTOR > 4 && n & 4) memcpy(to, at, 16), to += 4, at += 4;
  if (n & 2) memcpy(to, at, 8), to += 2, at += 2;
  if (n & 1) *to = *at;
}

// Adds bias and residual to a row of sums and limits it, n columns, into y, which may be the row.
INLINE void finish_row(const job *j, const float *row, const float *residual, float *y, size_t n) {
  vec low = vec_splat(j->limits.low), high = vec_splat(j->limits.high), zero = vec_splat(j->limits.zero);
  size_t k = 0;
  for (; k + VECTOR <= n; k += VECTOR) {
    vec v = vec_add(vec_load(row + k), vec_load(j->bias + k));
    if (residual) v = vec_add(v, vec_load(residual + k));
    vec_store(y + k, vec_add(vec_limit(v, low, high), zero));
  }
  if (k == n) return;
  lanes tail = lanes_below((int)(n - k));
  vec v = vec_add(vec_load_lanes(row + k, tail, zero), vec_load_lanes(j->bias + k, tail, zero));
  if (residual) v = vec_add(v, vec_load_lanes(residual + k, tail, zero));
  store_first(y + k, vec_add(vec_limit(v, low, high), zero), n - k);
}

// Where the columns do not fill the panel or the activation is more than limits: rows of sums [count][width], which lie
// in the L1 cache, on their way to y.
static __attribute__((noinline)) void finish(const job *j, const igemm_f32_tile *t, float *sums) {
  const igemm_f32_sweep *s = j->s;
  const size_t y_step = s->pixel_step * s->y_stride, residual_step = s->pixel_step * s->residual_stride;
  float *y = s->y + t->place * s->y_stride;
  const float *residual = s->residual ? s->residual + t->place * s->residual_stride : NULL;
  for (size_t i = 0; i < t->count; i++) {
    const float *r = residual ? residual + i * residual_step : NULL;
    float *row = sums + i * s->width;
    if (j->limits.enough) finish_row(j, row, r, y + i * y_step, s->n);
    else finish_row(j, row, r, row, s->n);
  }
  if (j->limits.enough) return;
  s->activate(sums, sums, t->count * s->width, s->act.a, s->act.b);
  for (size_t i = 0; i < t->count; i++, y += y_step, sums += s->width) {
    size_t k = 0;
    for (; k + VECTOR <= s->n; k += VECTOR) vec_store(y + k, vec_load(sums + k));
    if (k < s->n) store_first(y + k, vec_load_lanes(sums + k, lanes_below((int)(s->n - k)), vec_splat(0)), s->n - k);
  }
}

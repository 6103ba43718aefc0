// SPDX-License-Identifier: Apache-2.0
// Tiles over one vector type; a tier's file includes this once for each type that it uses. A tile's sums stay in
// registers over its part of the depth: a row of the panel is loaded, then each pixel's channel is broadcast and
// multiplied with it. Rows and vectors are constants of each instance. Needs
//   TYPE, LANES, NAME(x): a name of this type's own
//   LOAD(p), STORE(p, v), SPLAT(f), ADD(a, b), FMA(a, b, c) = a * b + c,
//   LIMIT(v, low, high) = v < low ? low : v, then v > high ? high : v
//   IN_REGISTER(v): keeps a broadcast from being folded into multiply-adds, where registers are few

typedef struct NAME(sums) {
  TYPE v[8][3 + (LANES < 8)];
} NAME(sums);

INLINE void NAME(load_sums)(NAME(sums) * a, size_t rows, size_t vectors, bool zero, const float *from) {
  UNROLL for (size_t i = 0; i < rows; i++, from += vectors * LANES) UNROLL for (size_t v = 0; v < vectors; v++)
      a->v[i][v] = zero ? SPLAT(0) : LOAD(from + v * LANES);
}

INLINE void NAME(store_sums)(const NAME(sums) * a, size_t rows, size_t vectors, float *to) {
  UNROLL for (size_t i = 0; i < rows; i++, to += vectors * LANES) UNROLL for (size_t v = 0; v < vectors; v++)
      STORE(to + v * LANES, a->v[i][v]);
}

// One tap. x: behind the last channel of each row. One index runs for all rows; more unrolling would cost registers.
// step: 0, or where what is needed next is asked for, too.
INLINE const char *NAME(multiply)(NAME(sums) * a, size_t rows, size_t vectors, const float *const *x, const float *w,
                                  size_t depth, const char *ahead, size_t step) {
  for (ptrdiff_t k = -(ptrdiff_t)depth; k < 0; k++, w += vectors * LANES) {
    TYPE b[3 + (LANES < 8)];
    if (step) __builtin_prefetch(ahead, 0, 2), ahead += step;
    UNROLL for (size_t v = 0; v < vectors; v++) b[v] = LOAD(w + v * LANES);
    UNROLL for (size_t i = 0; i < rows; i++) {
      TYPE y = SPLAT(x[i][k]);
      IN_REGISTER(y);
      UNROLL for (size_t v = 0; v < vectors; v++) a->v[i][v] = FMA(y, b[v], a->v[i][v]);
    }
  }
  return ahead;
}

// Taps of one channel each: a loop within each of them would be all overhead.
INLINE void NAME(multiply_single)(NAME(sums) * a, size_t rows, size_t vectors, const float *x0,
                                  const igemm_f32_sweep *s) {
  const float *w = s->panel, *x[8];
  const ptrdiff_t *taps = s->taps, *end = taps + s->tap_count;
  x[0] = x0 + s->channel;
  UNROLL for (size_t i = 1; i < rows; i++) x[i] = x[i - 1] + s->step;
  for (; taps < end; taps++, w += vectors * LANES) {
    TYPE b[3 + (LANES < 8)];
    const ptrdiff_t k = *taps;
    UNROLL for (size_t v = 0; v < vectors; v++) b[v] = LOAD(w + v * LANES);
    UNROLL for (size_t i = 0; i < rows; i++) {
      TYPE y = SPLAT(x[i][k]);
      IN_REGISTER(y);
      UNROLL for (size_t v = 0; v < vectors; v++) a->v[i][v] = FMA(y, b[v], a->v[i][v]);
    }
  }
}

INLINE void NAME(multiply_taps)(NAME(sums) * a, size_t rows, size_t vectors, const job *j, const igemm_f32_tile *t) {
  const igemm_f32_sweep *s = j->s;
  const float *w = s->panel, *x[8];
  const size_t depth = s->depth, skip = s->channel + depth;
  const char *ahead = j->ahead + (size_t)(t - s->tiles) * j->ahead_tile;
  for (size_t tap = 0; tap < s->tap_count; tap++, w += depth * vectors * LANES) {
    if (t->x) {
      x[0] = t->x + s->taps[tap] + skip;
      UNROLL for (size_t i = 1; i < rows; i++) x[i] = x[i - 1] + s->step;
    } else {
      const float *const *from = t->rows + (s->tap + tap) * rows;
      if (!from[0]) continue;
      UNROLL for (size_t i = 0; i < rows; i++) x[i] = from[i] + skip;
    }
    if (j->ahead_step) ahead = NAME(multiply)(a, rows, vectors, x, w, depth, ahead, j->ahead_step);
    else NAME(multiply)(a, rows, vectors, x, w, depth, NULL, 0);
  }
}

INLINE void NAME(write_rows)(const NAME(sums) * a, size_t rows, size_t vectors, const job *j, const igemm_f32_tile *t) {
  const igemm_f32_sweep *s = j->s;
  float *y = s->y + t->place * s->y_stride;
  const float *residual = s->residual ? s->residual + t->place * s->residual_stride : NULL;
  TYPE low = SPLAT(j->limits.low), high = SPLAT(j->limits.high), zero = SPLAT(j->limits.zero);
  UNROLL for (size_t i = 0; i < rows; i++, y += s->pixel_step * s->y_stride) {
    UNROLL for (size_t v = 0; v < vectors; v++) {
      TYPE r = ADD(a->v[i][v], LOAD(j->bias + v * LANES));
      if (residual) r = ADD(r, LOAD(residual + v * LANES));
      STORE(y + v * LANES, ADD(LIMIT(r, low, high), zero));
    }
    if (residual) residual += s->pixel_step * s->residual_stride;
  }
}

// Tiles from `t` on as long as they have this many rows; returns the first that has not.
INLINE const igemm_f32_tile *NAME(run)(const job *j, const igemm_f32_tile *t, size_t rows, size_t vectors) {
  const igemm_f32_sweep *s = j->s;
  const igemm_f32_tile *end = s->tiles + s->tile_count;
  do {
    NAME(sums) a;
    float *between = s->sums + t->first * vectors * LANES;
    if (s->last) {  // a row of full vectors is whole lines
      const float *y = s->y + t->place * s->y_stride;
      UNROLL for (size_t i = 0; i < rows; i++, y += s->pixel_step * s->y_stride)
          UNROLL for (size_t v = 0; v < vectors * LANES; v += 16) __builtin_prefetch(y + v, 1);
    }
    NAME(load_sums)(&a, rows, vectors, s->first, between);
    if (s->depth == 1 && t->x) NAME(multiply_single)(&a, rows, vectors, t->x, s);
    else NAME(multiply_taps)(&a, rows, vectors, j, t);
    if (j->direct) {
      NAME(write_rows)(&a, rows, vectors, j, t);
      continue;
    }
    NAME(store_sums)(&a, rows, vectors, between);
    if (s->last) finish(j, t, between);
  } while (++t < end && t->count == rows);
  return t;
}

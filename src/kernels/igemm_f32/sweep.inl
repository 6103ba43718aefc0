// SPDX-License-Identifier: Apache-2.0
// Which instance of tile.inl takes which tiles, and blocks of one row. A tier's file includes this last. Needs
//   UNIT, MAIN, ROWS: the kernel's units; most rows by units, from 0 on
//   INSTANCES(X): X(units, rows) for each instance; RUN(units): the `run` of its type; VECTORS(units): of that type

typedef const igemm_f32_tile *run_fn(const job *j, const igemm_f32_tile *t);

#define INSTANCE(units, rows)                                                                \
  static const igemm_f32_tile *run_##units##x##rows(const job *j, const igemm_f32_tile *t) { \
    return RUN(units)(j, t, rows, VECTORS(units));                                           \
  }
#define PLACE(units, rows) [units][rows] = run_##units##x##rows,
#define ROWS_1_TO_4(X, units) X(units, 1) X(units, 2) X(units, 3) X(units, 4)
#define ROWS_1_TO_6(X, units) ROWS_1_TO_4(X, units) X(units, 5) X(units, 6)
#define ROWS_1_TO_8(X, units) ROWS_1_TO_6(X, units) X(units, 7) X(units, 8)
INSTANCES(INSTANCE)

// ---- one row -------------------------------------------------------------------------------------

// Vectors first .. first + count - 1 of all panels side by side: so many chains at once.
INLINE void row_vectors(const igemm_f32_sweep *s, size_t first, size_t count) {
  const igemm_f32_tile *t = s->tiles;
  const size_t each = s->width / VECTOR;
  const float *w[8];
  vec sum[8];
  UNROLL for (size_t i = 0; i < count; i++) {
    w[i] = s->panel + (first + i) / each * s->panel_stride + (first + i) % each * VECTOR;
    sum[i] = vec_splat(0);
  }
  size_t at = 0;
  for (size_t tap = 0; tap < s->tap_count; tap++, at += s->depth * s->width) {
    const float *x = t->x ? t->x + s->taps[tap] : t->rows[tap];
    if (!x) continue;
    x += s->channel;
    for (size_t k = 0, q = at; k < s->depth; k++, q += s->width) {
      vec y = vec_splat(x[k]);
      UNROLL for (size_t i = 0; i < count; i++) sum[i] = vec_fma(y, vec_load(w[i] + q), sum[i]);
    }
  }
  UNROLL for (size_t i = 0; i < count; i++) vec_store(s->sums + (first + i) * VECTOR, sum[i]);
}

static void row_part(const igemm_f32_sweep *s, size_t first, size_t count) {
  if (count == 1) row_vectors(s, first, 1);
  else if (count == 2) row_vectors(s, first, 2);
  else if (count == 3) row_vectors(s, first, 3);
  else if (count == 4) row_vectors(s, first, 4);
  else if (count == 5) row_vectors(s, first, 5);
  else if (count == 6) row_vectors(s, first, 6);
  else if (count == 7) row_vectors(s, first, 7);
  else row_vectors(s, first, 8);
}

// Then each panel's columns finish by themselves.
static void row(const igemm_f32_sweep *s) {
  const size_t vectors = s->panels * (s->width / VECTOR);
  for (size_t i = 0; i < vectors; i += 8) row_part(s, i, vectors - i);
  for (size_t p = 0, column = 0; p < s->panels; p++, column += s->width) {
    igemm_f32_sweep one = *s;
    one.n = s->n - column < s->width ? s->n - column : s->width, one.y += column;
    if (s->bias) one.bias += column;
    if (s->residual) one.residual += column;
    job j;
    job_init(&j, &one);
    finish(&j, s->tiles, s->sums + column);
  }
}

static void sweep(const igemm_f32_sweep *s) {
  static run_fn *const runs[IGEMM_F32_UNITS + 1][9] = {INSTANCES(PLACE)};
  if (s->panels > 1) {
    row(s);
    return;
  }
  job j;
  job_init(&j, s);
  for (const igemm_f32_tile *t = s->tiles, *end = t + s->tile_count; t < end;)
    t = runs[s->width / UNIT][t->count](&j, t);
}

KERNEL(igemm_f32) = {.unit = UNIT, .main = MAIN, .rows = {ROWS}, .sweep = sweep};

// SPDX-License-Identifier: Apache-2.0
// Tiles over one vector type: sums stay in registers over the whole depth, a vector of the panel is loaded, then each
// row's group of elements is broadcast and multiplied with it. Rows and vectors are constants of each instance. Needs
//   UNIT: columns of a vector; BYTES: of a group of elements; MOST: vectors of the widest panel
//   MULTIPLY(sum, x, w): products of groups added up
//   ints_store, ints_group: of a vector, of a group of elements for all columns
//   WIDTHS(X), INSTANCES(X): X(vectors) for each width, X(vectors, rows) for each instance

// A copy of the tile, as stores of bytes might change the one that callers have.
INLINE void finish_rows(const igemm_u8s8_tile *given, bool plain, const ints *sum, size_t vectors, bool whole) {
  const igemm_u8s8_tile t = *given;
  const size_t together = NARROW_MOST / vectors, n = whole ? vectors * UNIT : t.n;
  floats scale[MOST];
  UNROLL for (size_t v = 0; v < vectors; v++) scale[v] = floats_load(t.scale + v * UNIT);
  size_t i = 0, at = 0;
  for (; i + together <= t.rows; i += together, at += together * t.y_stride, sum += together * vectors)
    narrow(&t.output, plain, sum, scale, vectors, together, t.other ? t.other + at : NULL, t.y + at, t.y_stride, n);
  for (; i < t.rows; i++, at += t.y_stride, sum += vectors)
    narrow(&t.output, plain, sum, scale, vectors, 1, t.other ? t.other + at : NULL, t.y + at, t.y_stride, n);
}

#define FINISH(vectors)                                                             \
  static void finish_##vectors(const igemm_u8s8_tile *t, const ints *sum) {         \
    const bool plain = narrow_is_plain(&t->output), whole = t->n == vectors * UNIT; \
    if (plain && whole) finish_rows(t, true, sum, vectors, true);                   \
    else if (whole) finish_rows(t, false, sum, vectors, true);                      \
    else finish_rows(t, false, sum, vectors, false);                                \
  }
#define FINISH_PLACE(vectors) [vectors] = finish_##vectors,
WIDTHS(FINISH)
static void (*const finishes[MOST + 1])(const igemm_u8s8_tile *, const ints *) = {WIDTHS(FINISH_PLACE)};

INLINE void tile_of(const igemm_u8s8_tile *t, size_t vectors, size_t rows) {
  ints sum[IGEMM_U8S8_ROWS][MOST];
  UNROLL for (size_t v = 0; v < vectors; v++) {
    ints bias = ints_load(t->bias + v * UNIT);
    UNROLL for (size_t i = 0; i < rows; i++) sum[i][v] = bias;
  }
  const char *w = t->panel;
  const ptrdiff_t bytes = (ptrdiff_t)(t->depth * ELEMENT);
  for (size_t tap = 0; tap < t->taps; tap++) {
    const char *x[IGEMM_U8S8_ROWS];
    UNROLL for (size_t i = 0; i < rows; i++) x[i] = (const char *)t->x[i * t->taps + tap] + t->offset + bytes;
    for (ptrdiff_t k = -bytes; k < 0; k += 4, w += vectors * sizeof(ints)) {
      ints b[MOST];
      UNROLL for (size_t v = 0; v < vectors; v++) b[v] = ints_load(w + v * sizeof(ints));
      UNROLL for (size_t i = 0; i < rows; i++) {
        ints a = ints_group(x[i] + k);
        UNROLL for (size_t v = 0; v < vectors; v++) sum[i][v] = MULTIPLY(sum[i][v], a, b[v]);
      }
    }
  }
  ints done[IGEMM_U8S8_ROWS * MOST];
  UNROLL for (size_t i = 0; i < rows; i++) UNROLL for (size_t v = 0; v < vectors; v++)
      ints_store(&done[i * vectors + v], sum[i][v]);
  finishes[vectors](t, done);
}

#define INSTANCE(vectors, rows) \
  static void tile_##vectors##x##rows(const igemm_u8s8_tile *t) { tile_of(t, vectors, rows); }
#define PLACE(vectors, rows) [vectors][rows] = tile_##vectors##x##rows,
#define ROWS_1_TO_6(X, vectors) X(vectors, 1) X(vectors, 2) X(vectors, 3) X(vectors, 4) X(vectors, 5) X(vectors, 6)
#define ROWS_1_TO_8(X, vectors) ROWS_1_TO_6(X, vectors) X(vectors, 7) X(vectors, 8)
INSTANCES(INSTANCE)

static void tile(const igemm_u8s8_tile *t) {
  static void (*const tiles[MOST + 1][IGEMM_U8S8_ROWS + 1])(const igemm_u8s8_tile *) = {INSTANCES(PLACE)};
  tiles[t->vectors][t->rows](t);
}

// SPDX-License-Identifier: Apache-2.0
// Tiles over one vector type: sums stay in registers over the whole depth, a vector of the panel is loaded, then each
// row's group of elements is broadcast and multiplied with it. Rows and vectors are constants of each instance. Needs
//   UNIT: columns of a vector; BYTES: of a group of elements; MOST: vectors of the widest panel
//   MULTIPLY(sum, x, w): products of groups added up
//   floats_load, ints_load, ints_store, ints_group: of a vector, of a group of elements for all columns
//   INSTANCES(X): X(vectors, rows) for each instance

static void finish(const igemm_u8s8_tile *t, size_t vectors, size_t rows, const ints *sum) {
  for (size_t i = 0; i < rows; i++)
    for (size_t v = 0; v < vectors; v++) {
      size_t left = t->n - v * UNIT;
      narrow(*sum++, floats_load(t->scale + v * UNIT), &t->output, t->y + i * t->y_stride + v * UNIT,
             left < UNIT ? left : UNIT);
    }
}

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
  finish(t, vectors, rows, done);
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

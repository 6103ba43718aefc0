// SPDX-License-Identifier: Apache-2.0
// Tiles for fewer rows than a panel has, so that a product of one row does not do the work of MR: the least of ROWS(X)
// that is enough. Needs tile_rows(count, ...) with a constant count.
#define TILE(count)                                                                                          \
  static void tile_##count(size_t groups, const void *a, const void *b, int32_t *c, size_t ldc, size_t rows, \
                           size_t cols) {                                                                    \
    tile_rows(count, groups, a, b, c, ldc, rows, cols);                                                      \
  }
#define TRY(count) \
  if (rows <= count) tile_##count(groups, a, b, c, ldc, rows, cols), rows = MR + 1;

ROWS(TILE)

static void tile(size_t groups, const void *a, const void *b, int32_t *c, size_t ldc, size_t rows, size_t cols) {
  ROWS(TRY)
}

// SPDX-License-Identifier: Apache-2.0
// The 2-D core of transpose in plain C: tiles of 16 x 16 elements, so that both sides stay in the first cache.
#include <string.h>

#include "kernels/loop.h"
#include "kernels/transpose/transpose.h"

enum { TILE = 16 };

// Elements of `bytes`, a constant in each caller. Strides count elements.
INLINE void block(size_t bytes, const char *source, size_t source_stride, char *target, size_t target_stride,
                  size_t rows, size_t cols) {
  for (size_t r0 = 0; r0 < rows; r0 += TILE)
    for (size_t c0 = 0; c0 < cols; c0 += TILE) {
      size_t r1 = rows - r0 < TILE ? rows : r0 + TILE, c1 = cols - c0 < TILE ? cols : c0 + TILE;
      for (size_t c = c0; c < c1; c++)
        for (size_t r = r0; r < r1; r++)
          memcpy(target + (c * target_stride + r) * bytes, source + (r * source_stride + c) * bytes, bytes);
    }
}

static void block1(const void *x, size_t x_stride, void *y, size_t y_stride, size_t rows, size_t cols) {
  block(1, x, x_stride, y, y_stride, rows, cols);
}
static void block2(const void *x, size_t x_stride, void *y, size_t y_stride, size_t rows, size_t cols) {
  block(2, x, x_stride, y, y_stride, rows, cols);
}
static void block4(const void *x, size_t x_stride, void *y, size_t y_stride, size_t rows, size_t cols) {
  block(4, x, x_stride, y, y_stride, rows, cols);
}
static void block8(const void *x, size_t x_stride, void *y, size_t y_stride, size_t rows, size_t cols) {
  block(8, x, x_stride, y, y_stride, rows, cols);
}
static void block16(const void *x, size_t x_stride, void *y, size_t y_stride, size_t rows, size_t cols) {
  block(16, x, x_stride, y, y_stride, rows, cols);
}

KERNEL(transpose) = {.block = {block1, block2, block4, block8, block16}};

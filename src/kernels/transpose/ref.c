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

// Three planes of bytes become pixels of three, as images are: a pixel is stored as four bytes, of which the next pixel
// overwrites the last.
static void interleave3(const uint8_t *x, size_t x_stride, uint8_t *y, size_t pixels) {
  const uint8_t *x1 = x + x_stride, *x2 = x1 + x_stride;
  size_t i = 0;
  for (; i + 1 < pixels; i++) {
    const uint32_t pixel = x[i] | (uint32_t)x1[i] << 8 | (uint32_t)x2[i] << 16;
    memcpy(y + 3 * i, &pixel, sizeof pixel);
  }
  for (; i < pixels; i++) y[3 * i] = x[i], y[3 * i + 1] = x1[i], y[3 * i + 2] = x2[i];
}

static void block1(const void *x, size_t x_stride, void *y, size_t y_stride, size_t rows, size_t cols) {
  if (rows == 3 && y_stride == 3) interleave3(x, x_stride, y, cols);
  else block(1, x, x_stride, y, y_stride, rows, cols);
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

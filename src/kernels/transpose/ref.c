// SPDX-License-Identifier: Apache-2.0
// The 2-D core of transpose in plain C: tiles of 16 x 16 elements, so that both sides stay in the first cache.
#include <string.h>

#include "kernels/transpose/transpose.h"

typedef struct bytes16 {
  uint64_t low, high;
} bytes16;

enum { TILE = 16 };

#define BLOCK(name, type)                                                                                     \
  static void name(const void *source, size_t source_stride, void *target, size_t target_stride, size_t rows, \
                   size_t cols) {                                                                             \
    for (size_t r0 = 0; r0 < rows; r0 += TILE)                                                                \
      for (size_t c0 = 0; c0 < cols; c0 += TILE) {                                                            \
        size_t r1 = rows - r0 < TILE ? rows : r0 + TILE, c1 = cols - c0 < TILE ? cols : c0 + TILE;            \
        for (size_t c = c0; c < c1; c++)                                                                      \
          for (size_t r = r0; r < r1; r++)                                                                    \
            memcpy((char *)target + (c * target_stride + r) * sizeof(type),                                   \
                   (const char *)source + (r * source_stride + c) * sizeof(type), sizeof(type));              \
      }                                                                                                       \
  }
BLOCK(block1, uint8_t)
BLOCK(block2, uint16_t)
BLOCK(block4, uint32_t)
BLOCK(block8, uint64_t)
BLOCK(block16, bytes16)

KERNEL(transpose) = {.block = {block1, block2, block4, block8, block16}};

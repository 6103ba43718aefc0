// SPDX-License-Identifier: Apache-2.0
// igemm_u8s8 as its header defines it, on groups of four bytes.
#include "kernels/igemm_u8s8/igemm_u8s8.h"

enum { UNIT = 8, GROUP = 4 };

static void tile(const igemm_u8s8_tile *t) {
  const int8_t *w = t->panel;
  size_t columns = t->vectors * UNIT;
  for (size_t i = 0; i < t->rows; i++)
    for (size_t j = 0; j < t->n; j++) {
      uint32_t sum = (uint32_t)t->bias[j];
      for (size_t tap = 0; tap < t->taps; tap++) {
        const uint8_t *x = (const uint8_t *)t->x[i * t->taps + tap] + t->offset;
        for (size_t c = 0; c < t->depth; c++)
          sum += (uint32_t)(x[c] * w[((tap * t->depth / GROUP + c / GROUP) * columns + j) * GROUP + c % GROUP]);
      }
      const size_t to = i * t->y_stride + j;
      t->y[to] = igemm_u8s8_byte(&t->output, (int32_t)sum, t->scale[j], t->output.adds ? t->other[to] : 0);
    }
}

KERNEL(igemm_u8s8) = {.group = GROUP, .unit = UNIT, .main = 2, .rows = {0, 4, 4}, .tile = tile};

// SPDX-License-Identifier: Apache-2.0
// conv_dw_nhwc_u8s8 as its header defines it.
#include "kernels/conv_dw_nhwc_u8s8/conv_dw_nhwc_u8s8.h"

enum { UNIT = 16, GROUP = 4 };
static void run(const conv_dw_nhwc_u8s8_line *l);
KERNEL(conv_dw_nhwc_u8s8) = {.group = GROUP, .unit = UNIT, .run = run};

static void run(const conv_dw_nhwc_u8s8_line *l) {
  const conv_dw_nhwc_u8s8_kernel *k = &KERNEL_GLUE(conv_dw_nhwc_u8s8, SDX_VARIANT);
  const int8_t *w = l->w;
  for (size_t i = 0; i < l->count; i++)
    for (size_t c = 0; c < l->channels; c++) {
      const size_t lane = conv_dw_nhwc_u8s8_lane(k, c), to = i * l->y_stride + c;
      uint32_t sum = (uint32_t)l->bias[lane];
      for (size_t t = 0; t < l->taps; t++)
        for (size_t r = 0; r < l->rows; r++) {
          const uint8_t x = ((const uint8_t *)l->x[(i * l->stride + t) * l->rows + r])[c] ^ l->flip;
          sum += (uint32_t)(x * w[conv_dw_nhwc_u8s8_place(k, l->taps, l->rows, c, t, r)]);
        }
      l->y[to] = igemm_u8s8_byte(&l->output, (int32_t)sum, l->scale[lane], l->output.adds ? l->other[to] : 0);
    }
}

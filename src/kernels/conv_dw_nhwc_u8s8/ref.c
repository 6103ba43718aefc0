// SPDX-License-Identifier: Apache-2.0
// conv_dw_nhwc_u8s8 as its header defines it.
#include "kernels/conv_dw_nhwc_u8s8/conv_dw_nhwc_u8s8.h"

static void run(const conv_dw_nhwc_u8s8_pixels *p) {
  const igemm_u8s8_output o = p->output;
  float low = (float)(o.low - o.zero), high = (float)(o.high - o.zero);
  for (size_t i = 0; i < p->count; i++)
    for (size_t c = 0; c < p->channels; c++) {
      uint32_t sum = (uint32_t)p->bias[c];
      for (size_t t = 0; t < p->taps; t++) {
        const uint8_t *x = (const uint8_t *)p->x[i * p->taps + t] + c;
        sum += (uint32_t)((p->x_signed ? (int8_t)*x : *x) * p->w[t * p->channels + c]);
      }
      float v = __builtin_nearbyintf((float)(int32_t)sum * p->scale[c]);
      v = v >= low ? v : low, v = v <= high ? v : high;
      p->y[i * p->y_stride + c] = (uint8_t)((int32_t)v + o.zero);
    }
}

KERNEL(conv_dw_nhwc_u8s8) = {.run = run};

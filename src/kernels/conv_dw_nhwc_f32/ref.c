// SPDX-License-Identifier: Apache-2.0
// The judge of conv_dw_nhwc_f32: each channel of each output by itself, its taps one after the other.
#include "kernels/conv_dw_nhwc_f32/conv_dw_nhwc_f32.h"

static float sum(const conv_dw_nhwc_f32_image *i, const int64_t *at, size_t channel, size_t j) {
  int64_t tap[WINDOW_MAX_RANK] = {0}, place;
  const float *weight = i->packed + j * window_taps(i->window) * i->channels + channel;
  float sum = i->bias ? i->bias[channel * i->multiplier + j] : 0;
  do {
    if (window_place(i->window, i->window->rank, at, tap, &place))
      sum = __builtin_fmaf(*weight, i->x[(size_t)place * i->x_stride + channel], sum);
    weight += i->channels;
  } while (window_next(tap, i->window->kernel, i->window->rank));
  return sum;
}

static void run(const conv_dw_nhwc_f32_image *i, conv_dw_nhwc_f32_part part) {
  size_t last = i->window->rank - 1, width = (size_t)i->window->out[last];
  int64_t at[WINDOW_MAX_RANK];
  for (size_t pixel = part.line_begin * width; pixel < part.line_end * width; pixel++) {
    window_unravel(pixel, i->window->out, i->window->rank, at);
    for (size_t c = part.channel_begin; c < part.channel_end; c++)
      for (size_t j = 0; j < i->multiplier; j++) {
        float *y = i->y + pixel * i->y_stride + c * i->multiplier + j;
        *y = sum(i, at, c, j);
        if (i->activate) i->activate(y, y, 1, i->activation.a, i->activation.b);
      }
  }
}

KERNEL(conv_dw_nhwc_f32) = {.run = run};

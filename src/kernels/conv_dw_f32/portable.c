// SPDX-License-Identifier: Apache-2.0
// conv_dw_f32 for any machine: plane.inl, channel after channel.
#include "kernels/conv_dw_f32/conv_dw_f32.h"
#include "kernels/conv_dw_f32/plane.inl"

static void planes(const window *w, const float *x, const float *weight, const float *bias, float *y, size_t first,
                   size_t count, size_t multiplier) {
  for (size_t c = first; c < first + count; c++)
    plane(w, x + c / multiplier * window_in(w), weight + c * window_taps(w), bias ? bias[c] : 0,
          y + (c - first) * window_out(w));
}

KERNEL(conv_dw_f32) = {.planes = planes};

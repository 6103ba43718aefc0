// SPDX-License-Identifier: Apache-2.0
// The judge of conv_dw_f32: each output by itself, its taps one after the other in row-major order.
#include "kernels/conv_dw_f32/conv_dw_f32.h"

static void plane(const window *w, const float *x, const float *weight, float bias, float *y) {
  int64_t at[WINDOW_MAX_RANK] = {0};
  do {
    int64_t tap[WINDOW_MAX_RANK] = {0}, place;
    const float *k = weight;
    float sum = bias;
    do {
      if (window_place(w, w->rank, at, tap, &place)) sum = __builtin_fmaf(*k, x[place], sum);
      k++;
    } while (window_next(tap, w->kernel, w->rank));
    *y++ = sum;
  } while (window_next(at, w->out, w->rank));
}

static void planes(const window *w, const float *x, const float *weight, const float *bias, float *y, size_t first,
                   size_t count, size_t multiplier) {
  if (window_out(w) == 0) return;
  for (size_t c = first; c < first + count; c++)
    plane(w, x + c / multiplier * window_in(w), weight + c * window_taps(w), bias ? bias[c] : 0,
          y + (c - first) * window_out(w));
}

KERNEL(conv_dw_f32) = {.planes = planes};

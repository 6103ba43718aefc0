// SPDX-License-Identifier: Apache-2.0
// conv_dw_f32 in vectors, for one and two dimensions (fold.inl); other geometry goes to plane.inl.
#include "kernels/conv_dw_f32/conv_dw_f32.h"
#include "kernels/conv_dw_f32/plane.inl"
#include "kernels/fold.inl"

static void planes(const window *w, const float *x, const float *weight, const float *bias, float *y, size_t first,
                   size_t count, size_t multiplier) {
  fold f;
  size_t in = window_in(w), pixels = window_out(w), taps = window_taps(w);
  bool fits = fold_init(&f, w);
  for (size_t c = first; c < first + count && pixels; c++, y += pixels) {
    f.x = x + c / multiplier * in, f.weight = weight + c * taps, f.start = bias ? bias[c] : 0, f.y = y;
    if (fits) fold_plane(&f, FOLD_FMA);
    else plane(w, f.x, f.weight, f.start, y);
  }
}

KERNEL(conv_dw_f32) = {.planes = planes};

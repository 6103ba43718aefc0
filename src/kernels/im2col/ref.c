// SPDX-License-Identifier: Apache-2.0
// The judge of im2col: the place of each element by itself, row after row of the matrix.
#include "kernels/im2col/im2col.h"

static void fill_f32(const window *w, const float *x, float pad, float *panel, size_t stride, size_t k0, size_t ks,
                     size_t n0, size_t ns) {
  size_t taps = window_taps(w);
  for (size_t k = k0; k < k0 + ks; k++, panel += stride) {
    const float *channel = x + k / taps * window_in(w);
    int64_t tap[WINDOW_MAX_RANK], at[WINDOW_MAX_RANK], place;
    window_unravel(k % taps, w->kernel, w->rank, tap);
    window_unravel(n0, w->out, w->rank, at);
    for (size_t n = 0; n < ns; n++, window_next(at, w->out, w->rank))
      panel[n] = window_place(w, w->rank, at, tap, &place) ? channel[place] : pad;
  }
}

static void fill_u8(const window *w, const uint8_t *x, uint8_t pad, uint8_t *panel, size_t stride, size_t k0, size_t ks,
                    size_t n0, size_t ns) {
  size_t taps = window_taps(w);
  for (size_t k = k0; k < k0 + ks; k++, panel += stride) {
    const uint8_t *channel = x + k / taps * window_in(w);
    int64_t tap[WINDOW_MAX_RANK], at[WINDOW_MAX_RANK], place;
    window_unravel(k % taps, w->kernel, w->rank, tap);
    window_unravel(n0, w->out, w->rank, at);
    for (size_t n = 0; n < ns; n++, window_next(at, w->out, w->rank))
      panel[n] = window_place(w, w->rank, at, tap, &place) ? channel[place] : pad;
  }
}

KERNEL(im2col) = {.fill_f32 = fill_f32, .fill_u8 = fill_u8};

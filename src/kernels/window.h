// SPDX-License-Identifier: Apache-2.0
// The geometry of sliding windows, shared by convolution and pooling of any spatial rank: the operator
// fills it once (end padding follows from `out`), kernels and drivers only read it. Static inline only.
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { WINDOW_MAX_RANK = 8 };

// Spatial dimensions, outermost first. in/out/kernel/stride/dilation >= 1 (in and out may be 0); pads >= 0.
// Output o, tap t read input o * stride + t * dilation - pad; what lies outside of [0, in) is padding.
typedef struct window {
  size_t rank;  // 1 .. WINDOW_MAX_RANK
  int64_t in[WINDOW_MAX_RANK], out[WINDOW_MAX_RANK], kernel[WINDOW_MAX_RANK];
  int64_t stride[WINDOW_MAX_RANK], dilation[WINDOW_MAX_RANK];
  int64_t pad[WINDOW_MAX_RANK];      // before the first element
  int64_t pad_end[WINDOW_MAX_RANK];  // after the last: read by average pooling (count_include_pad) only
} window;

// The operator has checked that these products fit.
static inline size_t window_product(const int64_t *dims, size_t rank) {
  size_t n = 1;
  for (size_t i = 0; i < rank; i++) n *= (size_t)dims[i];
  return n;
}
static inline size_t window_in(const window *w) { return window_product(w->in, w->rank); }
static inline size_t window_out(const window *w) { return window_product(w->out, w->rank); }
static inline size_t window_taps(const window *w) { return window_product(w->kernel, w->rank); }

static inline int64_t window_min(int64_t a, int64_t b) { return a < b ? a : b; }

// Flat index -> coordinates.
static inline void window_unravel(size_t flat, const int64_t *dims, size_t rank, int64_t *at) {
  for (size_t i = rank; i-- > 0;) at[i] = (int64_t)(flat % (size_t)dims[i]), flat /= (size_t)dims[i];
}
// Next coordinates in row-major order over dims; false after the last (and back at the first).
static inline bool window_next(int64_t *at, const int64_t *dims, size_t rank) {
  for (size_t i = rank; i-- > 0;) {
    if (++at[i] < dims[i]) return true;
    at[i] = 0;
  }
  return false;
}
// The same over [low, high).
static inline bool window_next_in(int64_t *at, const int64_t *low, const int64_t *high, size_t rank) {
  for (size_t i = rank; i-- > 0;) {
    if (++at[i] < high[i]) return true;
    at[i] = low[i];
  }
  return false;
}
// The place that output `at` reads with tap `tap`, flat over the first `rank` dimensions; false: it is padding.
static inline bool window_place(const window *w, size_t rank, const int64_t *at, const int64_t *tap, int64_t *place) {
  bool inside = true;
  *place = 0;
  for (size_t d = 0; d < rank; d++) {
    int64_t i = at[d] * w->stride[d] + tap[d] * w->dilation[d] - w->pad[d];
    inside = inside && i >= 0 && i < w->in[d];
    *place = *place * w->in[d] + i;
  }
  return inside;
}
// Outputs of one dimension whose tap `t` reads inside the input: [*begin, *end), perhaps empty.
static inline void window_valid(const window *w, size_t d, int64_t t, int64_t *begin, int64_t *end) {
  int64_t s = w->stride[d], offset = t * w->dilation[d] - w->pad[d];
  int64_t low = offset >= 0 ? 0 : (-offset + s - 1) / s;
  int64_t high = w->in[d] - offset <= 0 ? 0 : (w->in[d] - offset + s - 1) / s;
  if (high > w->out[d]) high = w->out[d];
  if (low > high) low = high;
  *begin = low, *end = high;
}
// Taps of output `o` in dimension d that read inside of [low, high): [*begin, *end), perhaps empty. Later outputs have
// the same taps or earlier ones.
static inline void window_taps_in(const window *w, size_t d, int64_t o, int64_t low, int64_t high, int64_t *begin,
                                  int64_t *end) {
  int64_t start = o * w->stride[d] - w->pad[d], step = w->dilation[d];
  if (start >= low && start + (w->kernel[d] - 1) * step < high) {  // nearly all windows: nothing to divide
    *begin = 0, *end = w->kernel[d];
    return;
  }
  int64_t first = start >= low ? 0 : (low - start + step - 1) / step;
  int64_t past = start >= high ? 0 : (high - start + step - 1) / step;
  first = window_min(first, w->kernel[d]), past = window_min(past, w->kernel[d]);
  *begin = first, *end = past > first ? past : first;
}
// A window of rank 1..2 seen as rank 2, and ranks whose outer dimensions are trivial lowered to 2 (1-D
// problems then need no code of their own). Returns false if more than two dimensions matter.
static inline bool window_as_2d(const window *w, window *flat) {
  window f = {.rank = 2};
  for (size_t i = 0; i < 2; i++) {
    bool there = w->rank + i >= 2;
    size_t d = there ? w->rank + i - 2 : 0;
    f.in[i] = there ? w->in[d] : 1, f.out[i] = there ? w->out[d] : 1, f.kernel[i] = there ? w->kernel[d] : 1;
    f.stride[i] = there ? w->stride[d] : 1, f.dilation[i] = there ? w->dilation[d] : 1;
    f.pad[i] = there ? w->pad[d] : 0, f.pad_end[i] = there ? w->pad_end[d] : 0;
  }
  for (size_t d = 0; d + 2 < w->rank; d++)
    if (w->in[d] != 1 || w->out[d] != 1 || w->kernel[d] != 1 || w->pad[d] != 0 || w->pad_end[d] != 0) return false;
  *flat = f;
  return true;
}

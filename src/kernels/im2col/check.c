// SPDX-License-Identifier: Apache-2.0
// Random geometry and parts of the column matrix against the definition, element by element.
#include "kernels/im2col/im2col.h"

// Where the element lies in x, or -1 in the padding.
static int64_t place_of(const window *w, size_t k, size_t n) {
  int64_t at[WINDOW_MAX_RANK], tap[WINDOW_MAX_RANK], place;
  window_unravel(n, w->out, w->rank, at), window_unravel(k % window_taps(w), w->kernel, w->rank, tap);
  if (!window_place(w, w->rank, at, tap, &place)) return -1;
  return (int64_t)(k / window_taps(w) * window_in(w)) + place;
}

static bool compare(kernel_check *k, const void *variant, const void *reference) {
  const im2col_kernel *v = variant;
  window w = {.rank = check_size(k, 1, 3)};
  for (size_t d = 0; d < w.rank; d++) {
    w.kernel[d] = 1 + (int64_t)(check_random(k) % 4), w.stride[d] = 1 + (int64_t)(check_random(k) % 3);
    w.dilation[d] = 1 + (int64_t)(check_random(k) % 3), w.pad[d] = (int64_t)(check_random(k) % 9);
    int64_t reach = (w.kernel[d] - 1) * w.dilation[d] + 1, after = (int64_t)(check_random(k) % 9);
    w.in[d] = 1 + (int64_t)check_size(k, 0, d + 1 == w.rank ? 70 : 7);
    if (w.in[d] + w.pad[d] + after < reach) w.in[d] = reach;
    w.out[d] = (w.in[d] + w.pad[d] + after - reach) / w.stride[d] + 1;
  }
  size_t channels = check_size(k, 1, 4), depth = channels * window_taps(&w), width = window_out(&w);
  size_t k0 = check_random(k) % depth, n0 = check_random(k) % width, ks = check_size(k, 1, depth - k0);
  size_t ns = check_size(k, 1, width - n0 < 200 ? width - n0 : 200), stride = ns + check_random(k) % 5;
  bool bytes = check_coin(k, 2);
  size_t element = bytes ? 1 : 4, count = (ks - 1) * stride + ns;
  void *x = check_buffer(k, channels * window_in(&w) * element, element),
       *got = check_buffer(k, count * element, element);
  if (bytes) v->fill_u8(&w, x, 7, got, stride, k0, ks, n0, ns);
  else v->fill_f32(&w, x, 7, got, stride, k0, ks, n0, ns);
  for (size_t i = 0; i < ks; i++)
    for (size_t j = 0; j < ns; j++) {
      int64_t place = place_of(&w, k0 + i, n0 + j);
      float seven = 7;
      const char *want = place >= 0 ? (const char *)x + (size_t)place * element : bytes ? "\7" : (const char *)&seven;
      if (check_same(k, (const char *)got + (i * stride + j) * element, want, element)) continue;
      check_message(k, "rank %zu, row %zu of %zu, column %zu of %zu", w.rank, k0 + i, depth, n0 + j, width);
      return false;
    }
  return true;
}

static double bench(kernel_check *k, const void *variant, const char **unit) {
  const im2col_kernel *v = variant;
  static const window w = {.rank = 2,
                           .in = {56, 56},
                           .out = {56, 56},
                           .kernel = {3, 3},
                           .stride = {1, 1},
                           .dilation = {1, 1},
                           .pad = {1, 1}};
  enum { KS = 288, NS = 32, PANELS = 8 };
  static float x[32 * 56 * 56], panel[KS * NS];
  for (size_t p = 0; p < PANELS; p++) v->fill_f32(&w, x, 0, panel, NS, 0, KS, 800 + p * NS, NS);
  *unit = "elements of 3x3 panels";
  return (double)PANELS * KS * NS;
}

KERNEL_CHECK(im2col) = {.family = "im2col", .compare = compare, .bench = bench};

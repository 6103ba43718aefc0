// SPDX-License-Identifier: Apache-2.0
// Random geometry of one to three dimensions; tests/kernels/test_pool_f32.c holds the judge to the definition.
#include "kernels/pool_f32/pool_f32.h"

static bool compare(kernel_check *k, const void *variant, const void *reference) {
  const pool_f32_kernel *v = variant, *r = reference;
  window w = {.rank = check_size(k, 1, 3)};
  bool common = check_coin(k, 2);            // 2 x 2 or 3 x 3 with stride 1 or 2
  bool large = !common && check_coin(k, 3);  // on lines longer than a variant may take at once
  if (large && w.rank > 2) w.rank = 2;
  for (size_t d = 0; d < w.rank; d++) {
    w.kernel[d] = (int64_t)(common  ? 2 + check_random(k) % 2
                            : large ? 4 + check_random(k) % 6
                                    : 1 + check_random(k) % 5);
    w.stride[d] = (int64_t)(1 + check_random(k) % (common || large ? 2 : 4));
    w.dilation[d] = common ? 1 : (int64_t)(1 + check_random(k) % 3);
    w.pad[d] = (int64_t)(check_random(k) % 3), w.pad_end[d] = (int64_t)(check_random(k) % 3);
    int64_t reach = (w.kernel[d] - 1) * w.dilation[d] + 1;
    w.in[d] = reach + (int64_t)check_size(k, 0, d + 1 < w.rank ? 12 : large ? 2500 : 120);
    w.out[d] = (w.in[d] + w.pad[d] + w.pad_end[d] - reach) / w.stride[d] + 1;
  }
  size_t out = window_out(&w), bytes = out * sizeof(float), kind = check_random(k) % 4;
  float *x = check_floats(k, window_in(&w), check_coin(k, 3));
  float *got = check_buffer(k, bytes, 4), *want = check_buffer(k, bytes, 4);
  int64_t *got_at = check_buffer(k, out * 8, 8), *want_at = check_buffer(k, out * 8, 8);
  bool with_index = check_coin(k, 2), good = true;
  if (kind < 2) {
    v->max(&w, x, got, with_index ? got_at : NULL), r->max(&w, x, want, with_index ? want_at : NULL);
    good = !with_index || check_same(k, got_at, want_at, out * 8);
  } else if (kind == 2) {
    v->average(&w, x, got, with_index), r->average(&w, x, want, with_index);
  } else {
    int p = 1 + (int)(check_random(k) % 3);
    v->lp(&w, x, got, p), r->lp(&w, x, want, p);
  }
  if (good && check_close(k, got, want, out, 0, kind == 3 ? 1e-5 : 0)) return true;
  check_message(k, "kind %zu, rank %zu, kernel %lld, stride %lld, width %lld", kind, w.rank,
                (long long)w.kernel[w.rank - 1], (long long)w.stride[w.rank - 1], (long long)w.in[w.rank - 1]);
  return false;
}

static double bench(kernel_check *k, const void *variant, const char **unit) {
  const pool_f32_kernel *v = variant;
  static const window w = {.rank = 2,
                           .in = {112, 112},
                           .out = {56, 56},
                           .kernel = {3, 3},
                           .stride = {2, 2},
                           .dilation = {1, 1},
                           .pad = {1, 1},
                           .pad_end = {0, 0}};
  static float x[112 * 112], y[56 * 56];
  v->max(&w, x, y, NULL);
  v->average(&w, x, y, false);
  *unit = "inputs of 3x3 stride 2, max and average";
  return 2.0 * 112 * 112;
}

KERNEL_CHECK(pool_f32) = {.family = "pool_f32", .compare = compare, .bench = bench};

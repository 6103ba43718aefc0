// SPDX-License-Identifier: Apache-2.0
// Random geometry of one to three dimensions; all variants give the same bits.
#include <string.h>

#include "kernels/conv_dw_f32/conv_dw_f32.h"

static bool compare(kernel_check *k, const void *variant, const void *reference) {
  const conv_dw_f32_kernel *v = variant, *r = reference;
  window w = {.rank = check_size(k, 1, 3)};
  bool common = check_coin(k, 2);  // 3 x 3 or 5 x 5 with stride 1 or 2 and padding to match
  size_t size = check_coin(k, 2) ? 3 : 5, stride = check_coin(k, 2) ? 1 : 2;
  for (size_t d = 0; d < w.rank; d++) {
    w.kernel[d] = (int64_t)(common ? size : 1 + check_random(k) % 5);
    w.stride[d] = (int64_t)(common ? stride : 1 + check_random(k) % 4);
    w.dilation[d] = common ? 1 : (int64_t)(1 + check_random(k) % 3);
    w.pad[d] = common ? (w.kernel[d] - 1) / 2 : (int64_t)(check_random(k) % 4);
    int64_t reach = (w.kernel[d] - 1) * w.dilation[d] + 1, after = common ? w.pad[d] : (int64_t)(check_random(k) % 4);
    w.in[d] = reach + (int64_t)check_size(k, 0, d + 1 == w.rank ? 120 : 12);
    w.out[d] = (w.in[d] + w.pad[d] + after - reach) / w.stride[d] + 1;
  }
  size_t multiplier = 1 + check_random(k) % 2, channels = 1 + check_random(k) % 3, first = check_random(k) % 2;
  size_t out = channels * window_out(&w), taps = (first + channels) * window_taps(&w);
  size_t in = (first + channels + multiplier - 1) / multiplier * window_in(&w);
  float *x = check_floats(k, in, check_coin(k, 3)), *weight = check_floats(k, taps, false);
  float *bias = check_floats(k, first + channels, false);
  float *got = check_floats(k, out, false), *want = check_floats(k, out, false);
  memcpy(got, want, out * sizeof(float));
  if (check_coin(k, 4)) bias = NULL;
  v->planes(&w, x, weight, bias, got, first, channels, multiplier);
  r->planes(&w, x, weight, bias, want, first, channels, multiplier);
  if (check_close(k, got, want, out, 0, 0)) return true;
  check_message(k, "rank %zu, kernel %lld, stride %lld, dilation %lld, pad %lld, width %lld", w.rank,
                (long long)w.kernel[w.rank - 1], (long long)w.stride[w.rank - 1], (long long)w.dilation[w.rank - 1],
                (long long)w.pad[w.rank - 1], (long long)w.in[w.rank - 1]);
  return false;
}

static double bench(kernel_check *k, const void *variant, const char **unit) {
  const conv_dw_f32_kernel *v = variant;
  static const window one = {.rank = 2,
                             .in = {28, 28},
                             .out = {28, 28},
                             .kernel = {3, 3},
                             .stride = {1, 1},
                             .dilation = {1, 1},
                             .pad = {1, 1}};
  static const window two = {.rank = 2,
                             .in = {56, 56},
                             .out = {28, 28},
                             .kernel = {3, 3},
                             .stride = {2, 2},
                             .dilation = {1, 1},
                             .pad = {1, 1}};
  enum { CHANNELS = 8 };
  static float x[CHANNELS * 56 * 56], y[CHANNELS * 28 * 28], weight[CHANNELS * 9];
  v->planes(&one, x, weight, NULL, y, 0, CHANNELS, 1);
  v->planes(&two, x, weight, NULL, y, 0, CHANNELS, 1);
  *unit = "flop of 3x3, strides 1 and 2";
  return 2.0 * CHANNELS * 2 * 9 * 28 * 28;
}

KERNEL_CHECK(conv_dw_f32) = {.family = "conv_dw_f32", .compare = compare, .bench = bench};

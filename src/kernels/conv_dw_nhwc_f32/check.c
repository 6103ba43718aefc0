// SPDX-License-Identifier: Apache-2.0
// Random geometry of one to three dimensions, parts of lines and channels; what lies around and between pixels stays as
// it was.
#include <string.h>

#include "kernels/conv_dw_nhwc_f32/conv_dw_nhwc_f32.h"

static window random_window(kernel_check *k) {
  window w = {.rank = check_size(k, 1, 3)};
  bool common = !check_coin(k, 3);  // 3, 5 or 7 taps, stride 1 or 2
  for (size_t d = 0; d < w.rank; d++) {
    w.kernel[d] = (int64_t)(common ? 3 + 2 * (check_random(k) % 3) : 1 + check_random(k) % 4);
    w.stride[d] = (int64_t)(1 + check_random(k) % (common ? 2 : 4));
    w.dilation[d] = common ? 1 : (int64_t)(1 + check_random(k) % 3);
    w.pad[d] = (int64_t)(check_random(k) % 4);
    int64_t reach = (w.kernel[d] - 1) * w.dilation[d] + 1;
    w.in[d] = reach + (int64_t)check_size(k, 0, d + 1 == w.rank ? 30 : 5);
    w.out[d] = (w.in[d] + w.pad[d] + (int64_t)(check_random(k) % 4) - reach) / w.stride[d] + 1;
  }
  if (w.rank == 3 && check_coin(k, 4)) w.kernel[0] = 9, w.kernel[1] = 9, w.pad[0] = w.pad[1] = 9;  // many rows
  return w;
}

static bool compare(kernel_check *k, const void *variant, const void *reference) {
  const conv_dw_nhwc_f32_kernel *v = variant, *r = reference;
  window w = random_window(k);
  conv_dw_nhwc_f32_image i = {.window = &w, .channels = check_size(k, 1, 150)};
  i.multiplier = check_coin(k, 5) ? check_size(k, 2, 4) : 1;
  size_t channels = i.channels * i.multiplier, in = window_in(&w), out = window_out(&w);
  size_t lines = window_product(w.out, w.rank - 1);
  i.x_stride = i.channels + (check_coin(k, 2) ? 0 : check_size(k, 1, 9));
  i.y_stride = channels + (check_coin(k, 2) ? 0 : check_size(k, 1, 9));
  conv_dw_nhwc_f32_part part = {0, lines, 0, i.channels};
  if (check_coin(k, 2)) part.line_begin = check_random(k) % lines, part.line_end = part.line_begin + 1;
  if (check_coin(k, 2)) part.channel_end = 1 + check_random(k) % i.channels;
  if (check_coin(k, 2)) part.channel_begin = check_random(k) % part.channel_end;
  i.x = check_floats(k, (in - 1) * i.x_stride + i.channels, check_coin(k, 4));
  i.packed = check_floats(k, channels * window_taps(&w), false);
  i.bias = check_coin(k, 3) ? NULL : check_floats(k, channels, false);
  i.activation = (activation){(activation_kind)(check_random(k) % (ACTIVATION_HARD_SWISH + 1)), -0.25f, 1.5f};
  if (check_coin(k, 2)) i.activation.kind = ACTIVATION_NONE;
  i.activate = activation_find(i.activation.kind);
  size_t count = (out - 1) * i.y_stride + channels;
  float *got = check_floats(k, count, false), *want = check_buffer(k, count * sizeof(float), 4);
  memcpy(want, got, count * sizeof(float));
  i.y = want, r->run(&i, part);
  i.y = got, v->run(&i, part);
  if (check_close(k, got, want, count, 0, 0)) return true;
  check_message(k,
                "rank %zu, channels %zu x %zu (%zu-%zu), kernel %lld, stride %lld, dilation %lld, width %lld, act %d",
                w.rank, i.channels, i.multiplier, part.channel_begin, part.channel_end, (long long)w.kernel[w.rank - 1],
                (long long)w.stride[w.rank - 1], (long long)w.dilation[w.rank - 1], (long long)w.in[w.rank - 1],
                (int)i.activation.kind);
  return false;
}

static double bench(kernel_check *k, const void *variant, const char **unit) {
  const conv_dw_nhwc_f32_kernel *v = variant;
  enum { CHANNELS = 96 };
  static float x[56 * 56 * CHANNELS], y[28 * 28 * CHANNELS], packed[25 * CHANNELS];
  conv_dw_nhwc_f32_image i = {.channels = CHANNELS, .multiplier = 1, .x = x, .packed = packed, .y = y};
  i.x_stride = i.y_stride = CHANNELS;
  window w = {.rank = 2, .in = {28, 28}, .out = {28, 28}, .kernel = {3, 3}, .stride = {1, 1}, .dilation = {1, 1}};
  w.pad[0] = w.pad[1] = 1, i.window = &w;
  v->run(&i, (conv_dw_nhwc_f32_part){0, 28, 0, CHANNELS});
  w.in[0] = w.in[1] = 56, w.stride[0] = w.stride[1] = 2;
  v->run(&i, (conv_dw_nhwc_f32_part){0, 28, 0, CHANNELS});
  w.in[0] = w.in[1] = 28, w.stride[0] = w.stride[1] = 1, w.kernel[0] = w.kernel[1] = 5, w.pad[0] = w.pad[1] = 2;
  v->run(&i, (conv_dw_nhwc_f32_part){0, 28, 0, CHANNELS});
  *unit = "flop of 3x3, strides 1 and 2, and 5x5";
  return 2.0 * CHANNELS * (9 + 9 + 25) * 28 * 28;
}

KERNEL_CHECK(conv_dw_nhwc_f32) = {.family = "conv_dw_nhwc_f32", .compare = compare, .bench = bench};

// SPDX-License-Identifier: Apache-2.0
// Random geometry of one to three dimensions, parts of the pixels, pixels apart: the same bytes, also between pixels.
#include <string.h>

#include "kernels/pool_nhwc_u8/pool_nhwc_u8.h"

static window random_window(kernel_check *k) {
  window w = {.rank = check_size(k, 1, 3)};
  for (size_t d = 0; d < w.rank; d++) {
    w.kernel[d] = (int64_t)(1 + check_random(k) % 4), w.stride[d] = (int64_t)(1 + check_random(k) % 3);
    w.dilation[d] = (int64_t)(1 + check_random(k) % 2);
    w.pad[d] = (int64_t)(check_random(k) % 3), w.pad_end[d] = (int64_t)(check_random(k) % 3);
    int64_t reach = (w.kernel[d] - 1) * w.dilation[d] + 1;
    w.in[d] = reach + (int64_t)check_size(k, 0, w.rank == 1 ? 60 : 6);
    w.out[d] = (w.in[d] + w.pad[d] + w.pad_end[d] - reach) / w.stride[d] + 1;
  }
  return w;
}

static bool compare(kernel_check *k, const void *variant, const void *reference) {
  window w = random_window(k);
  pool_nhwc_u8_image i = {.window = &w, .channels = check_size(k, 1, 300), .is_signed = check_coin(k, 2)};
  size_t out = window_out(&w), begin = check_random(k) % out, end = begin + 1 + check_random(k) % (out - begin);
  i.x_stride = i.channels + (check_coin(k, 2) ? 0 : check_size(k, 1, 9));
  i.y_stride = i.channels + (check_coin(k, 2) ? 0 : check_size(k, 1, 9));
  i.x = check_buffer(k, (window_in(&w) - 1) * i.x_stride + i.channels, 1);
  size_t count = (out - 1) * i.y_stride + i.channels;
  uint8_t *got = check_buffer(k, count, 1), *want = check_buffer(k, count, 1);
  memcpy(want, got, count);
  bool average = check_coin(k, 2);
  int32_t low = i.is_signed ? INT8_MIN : 0;
  pool_nhwc_u8_mean mean = {.x_zero = low + (int32_t)(check_random(k) % 256),
                            .y_zero = low + (int32_t)(check_random(k) % 256),
                            .scale = (float)(1 + check_random(k) % 300) * 0.01f,
                            .include_pad = check_coin(k, 2)};
  for (int turn = 0; turn < 2; turn++) {
    const pool_nhwc_u8_kernel *kernel = turn ? variant : reference;
    i.y = turn ? got : want;
    if (average) kernel->average(&i, begin, end, &mean);
    else kernel->max(&i, begin, end);
  }
  if (check_same(k, got, want, count)) return true;
  check_message(k, "%s, rank %zu, channels %zu, pixels %zu-%zu", average ? "average" : "max", w.rank, i.channels, begin,
                end);
  return false;
}

// The first pool and the last of ResNet.
static double bench(kernel_check *k, const void *variant, const char **unit) {
  const pool_nhwc_u8_kernel *v = variant;
  static uint8_t x[112 * 112 * 64], y[56 * 56 * 64];
  window w = {.rank = 2, .in = {112, 112}, .out = {56, 56}, .kernel = {3, 3}, .stride = {2, 2}, .dilation = {1, 1}};
  w.pad[0] = w.pad[1] = 1;
  v->max(&(pool_nhwc_u8_image){&w, 64, x, 64, y, 64, false}, 0, 56 * 56);
  w = (window){.rank = 2, .in = {7, 7}, .out = {1, 1}, .kernel = {7, 7}, .stride = {1, 1}, .dilation = {1, 1}};
  v->average(&(pool_nhwc_u8_image){&w, 2048, x, 2048, y, 2048, false}, 0, 1, &(pool_nhwc_u8_mean){.scale = 1});
  *unit = "inputs of a maximum 3x3 stride 2 and of a mean 7x7";
  return 112 * 112 * 64 + 7 * 7 * 2048;
}

KERNEL_CHECK(pool_nhwc_u8) = {.family = "pool_nhwc_u8", .compare = compare, .bench = bench};

// SPDX-License-Identifier: Apache-2.0
// Random geometry of one to three dimensions, parts of the pixels; what lies around and between them stays as it was.
#include <string.h>

#include "kernels/pool_nhwc_f32/pool_nhwc_f32.h"

static window random_window(kernel_check *k) {
  window w = {.rank = check_size(k, 1, 3)};
  bool common = check_coin(k, 2);  // stride 1 or 2, no dilation
  for (size_t d = 0; d < w.rank; d++) {
    w.kernel[d] = (int64_t)(1 + check_random(k) % 5);
    w.stride[d] = (int64_t)(1 + check_random(k) % (common ? 2 : 4));
    w.dilation[d] = common ? 1 : (int64_t)(1 + check_random(k) % 3);
    w.pad[d] = (int64_t)(check_random(k) % 3), w.pad_end[d] = (int64_t)(check_random(k) % 3);
    int64_t reach = (w.kernel[d] - 1) * w.dilation[d] + 1, overhang = check_coin(k, 2) ? w.stride[d] - 1 : 0;
    w.in[d] = reach + (int64_t)check_size(k, 0, w.rank == 1 ? 60 : 6);
    if (check_coin(k, 20)) w.kernel[d] = w.in[d] + 20, w.dilation[d] = 1, w.pad[d] = reach = w.kernel[d];
    w.out[d] = (w.in[d] + w.pad[d] + w.pad_end[d] - reach + overhang) / w.stride[d] + 1;
  }
  return w;
}

static bool compare(kernel_check *k, const void *variant, const void *reference) {
  const pool_nhwc_f32_kernel *v = variant, *r = reference;
  window w = random_window(k);
  pool_nhwc_f32_image i = {.window = &w, .channels = check_size(k, 1, 100)};
  size_t out = window_out(&w), begin = check_random(k) % out, end = begin + 1 + check_random(k) % (out - begin);
  if (check_coin(k, 2)) begin = 0, end = out;
  i.x_stride = i.channels + (check_coin(k, 2) ? 0 : check_size(k, 1, 9));
  i.y_stride = i.channels + (check_coin(k, 2) ? 0 : check_size(k, 1, 9));
  i.x = check_floats(k, (window_in(&w) - 1) * i.x_stride + i.channels, check_coin(k, 3));
  size_t count = (out - 1) * i.y_stride + i.channels, kind = check_random(k) % 4;
  float *got = check_floats(k, count, false), *want = check_buffer(k, count * sizeof(float), 4);
  memcpy(want, got, count * sizeof(float));
  bool include_pad = check_coin(k, 2);
  int p = 1 + (int)(check_random(k) % 3);
  for (int turn = 0; turn < 2; turn++) {
    const pool_nhwc_f32_kernel *kernel = turn ? v : r;
    i.y = turn ? got : want;
    if (kind < 2) kernel->max(&i, begin, end);
    else if (kind == 2) kernel->average(&i, begin, end, include_pad);
    else kernel->lp(&i, begin, end, p);
  }
  if (check_close(k, got, want, count, 0, kind == 3 ? 1e-5 : 0)) return true;
  check_message(k, "kind %zu, rank %zu, channels %zu, kernel %lld, stride %lld, width %lld, pixels %zu-%zu", kind,
                w.rank, i.channels, (long long)w.kernel[w.rank - 1], (long long)w.stride[w.rank - 1],
                (long long)w.in[w.rank - 1], begin, end);
  return false;
}

// The first layers of ResNet, the pyramid of YOLO, the branches of Inception.
static double bench(kernel_check *k, const void *variant, const char **unit) {
  const pool_nhwc_f32_kernel *v = variant;
  static float x[112 * 112 * 64], y[56 * 56 * 64];
  window w = {.rank = 2, .in = {112, 112}, .out = {56, 56}, .kernel = {3, 3}, .stride = {2, 2}, .dilation = {1, 1}};
  w.pad[0] = w.pad[1] = 1;
  v->max(&(pool_nhwc_f32_image){&w, 64, x, 64, y, 64}, 0, 56 * 56);
  w = (window){.rank = 2, .in = {20, 20}, .out = {20, 20}, .kernel = {5, 5}, .stride = {1, 1}, .dilation = {1, 1}};
  w.pad[0] = w.pad[1] = w.pad_end[0] = w.pad_end[1] = 2;
  v->max(&(pool_nhwc_f32_image){&w, 256, x, 256, y, 256}, 0, 20 * 20);
  w = (window){.rank = 2, .in = {17, 17}, .out = {17, 17}, .kernel = {3, 3}, .stride = {1, 1}, .dilation = {1, 1}};
  w.pad[0] = w.pad[1] = w.pad_end[0] = w.pad_end[1] = 1;
  v->average(&(pool_nhwc_f32_image){&w, 384, x, 384, y, 384}, 0, 17 * 17, false);
  *unit = "inputs of maxima 3x3 stride 2, 5x5, averages 3x3";
  return 112 * 112 * 64 + 20 * 20 * 256 + 17 * 17 * 384;
}

KERNEL_CHECK(pool_nhwc_f32) = {.family = "pool_nhwc_f32", .compare = compare, .bench = bench};

// SPDX-License-Identifier: Apache-2.0
// Random pixels, of which several taps may be one.
#include <string.h>

#include "kernels/conv_dw_nhwc_u8s8/conv_dw_nhwc_u8s8.h"

static bool compare(kernel_check *k, const void *variant, const void *reference) {
  const conv_dw_nhwc_u8s8_kernel *v = variant, *r = reference;
  conv_dw_nhwc_u8s8_pixels p = {.count = check_size(k, 1, 9), .taps = check_size(k, 1, 9)};
  p.channels = check_size(k, 1, 70), p.x_signed = check_coin(k, 2);
  const void **at = check_buffer(k, p.count * p.taps * sizeof *at, sizeof *at);
  const uint8_t *x = check_buffer(k, p.count * p.channels, 1);
  for (size_t i = 0; i < p.count * p.taps; i++) at[i] = x + check_random(k) % p.count * p.channels;
  int32_t *w = check_buffer(k, p.taps * p.channels * sizeof *w, sizeof *w);
  for (size_t i = 0; i < p.taps * p.channels; i++) w[i] = (int8_t)w[i];
  int32_t *bias = check_buffer(k, p.channels * sizeof *bias, sizeof *bias);
  float *scale = check_floats(k, p.channels, false);
  for (size_t c = 0; c < p.channels; c++) {
    bias[c] %= 10000, scale[c] *= 1e-3f;
    if (check_coin(k, 40)) scale[c] = __builtin_nanf("");
  }
  bool is_signed = check_coin(k, 2);
  p.output = (igemm_u8s8_output){(int32_t)(check_random(k) % 256) - (is_signed ? 128 : 0), is_signed ? -128 : 0,
                                 is_signed ? 127 : 255};
  p.x = at, p.w = w, p.bias = bias, p.scale = scale, p.y_stride = p.channels + check_random(k) % 3;
  size_t bytes = (p.count - 1) * p.y_stride + p.channels;
  uint8_t *got = check_buffer(k, bytes, 1), *want = check_buffer(k, bytes, 1);
  memcpy(got, want, bytes);
  p.y = got, v->run(&p);
  p.y = want, r->run(&p);
  bool good = check_same(k, got, want, bytes);
  if (!good) check_message(k, "%zu pixels, %zu taps, %zu channels", p.count, p.taps, p.channels);
  return good;
}

static double bench(kernel_check *k, const void *variant, const char **unit) {
  const conv_dw_nhwc_u8s8_kernel *v = variant;
  enum { CHANNELS = 256, TAPS = 9, PIXELS = 8 };
  static const uint8_t x[CHANNELS];
  static const int32_t w[TAPS * CHANNELS], bias[CHANNELS];
  static const float scale[CHANNELS];
  static uint8_t y[PIXELS * CHANNELS];
  const void *at[PIXELS * TAPS];
  for (size_t i = 0; i < PIXELS * TAPS; i++) at[i] = x;
  conv_dw_nhwc_u8s8_pixels p = {.x = at, .count = PIXELS, .taps = TAPS, .channels = CHANNELS};
  p.w = w, p.bias = bias, p.scale = scale, p.output.high = 255, p.y = y, p.y_stride = CHANNELS;
  v->run(&p);
  *unit = "op";
  return 2.0 * TAPS * PIXELS * CHANNELS;
}

KERNEL_CHECK(conv_dw_nhwc_u8s8) = {.family = "conv_dw_nhwc_u8s8", .compare = compare, .bench = bench};

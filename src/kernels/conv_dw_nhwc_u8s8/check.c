// SPDX-License-Identifier: Apache-2.0
// Random lines, of which several taps may be one pixel.
#include <string.h>

#include "kernels/conv_dw_nhwc_u8s8/conv_dw_nhwc_u8s8.h"
#include "kernels/igemm_u8s8/random_output.h"

enum { ROWS_MOST = 9, TAPS_MOST = 5 };

typedef struct problem {
  size_t channels, taps, rows;
  int8_t *w;      // [taps][rows][channels]
  int32_t *bias;  // [channels]
  float *scale;
} problem;

// Weights, bias and scales as the kernel has them.
static void lay(kernel_check *k, const problem *p, const conv_dw_nhwc_u8s8_kernel *v, conv_dw_nhwc_u8s8_line *l) {
  const size_t count = conv_dw_nhwc_u8s8_weights(v, p->channels, p->taps, p->rows), element = v->wide ? 2 : 1;
  const size_t whole = (p->channels + v->unit - 1) / v->unit * v->unit;
  void *w = check_buffer(k, count * element, 64);
  int32_t *bias = check_buffer(k, whole * sizeof *bias, 64);
  float *scale = check_buffer(k, whole * sizeof *scale, 64);
  memset(w, 0, count * element), memset(bias, 0, whole * sizeof *bias), memset(scale, 0, whole * sizeof *scale);
  for (size_t c = 0; c < p->channels; c++) {
    const size_t lane = conv_dw_nhwc_u8s8_lane(v, c);
    bias[lane] = p->bias[c], scale[lane] = p->scale[c];
    for (size_t i = 0; i < p->taps * p->rows; i++) {
      const size_t to = conv_dw_nhwc_u8s8_place(v, p->taps, p->rows, c, i / p->rows, i % p->rows);
      if (v->wide) ((int16_t *)w)[to] = p->w[i * p->channels + c];
      else ((int8_t *)w)[to] = p->w[i * p->channels + c];
    }
  }
  l->w = w, l->bias = bias, l->scale = scale;
}

static bool compare(kernel_check *k, const void *variant, const void *reference) {
  const conv_dw_nhwc_u8s8_kernel *v = variant, *r = reference;
  problem p = {
      .channels = check_size(k, 1, 150), .taps = check_size(k, 1, TAPS_MOST), .rows = check_size(k, 1, ROWS_MOST)};
  conv_dw_nhwc_u8s8_line l = {.count = check_size(k, 1, 9), .stride = check_size(k, 1, 3)};
  l.taps = p.taps, l.rows = p.rows, l.channels = p.channels, l.flip = check_coin(k, 2) ? 0x80 : 0;
  const size_t addresses = ((l.count - 1) * l.stride + l.taps) * l.rows, pixels = 7;
  const void **at = check_buffer(k, addresses * sizeof *at, sizeof *at);
  const uint8_t *x = check_buffer(k, pixels * p.channels, 1);
  for (size_t i = 0; i < addresses; i++) at[i] = x + check_random(k) % pixels * p.channels;
  p.w = check_buffer(k, p.taps * p.rows * p.channels, 1);
  p.bias = check_buffer(k, p.channels * sizeof *p.bias, sizeof *p.bias), p.scale = check_floats(k, p.channels, false);
  for (size_t c = 0; c < p.channels; c++) {
    p.bias[c] %= 10000, p.scale[c] *= 1e-3f;
    if (check_coin(k, 40)) p.scale[c] = check_coin(k, 2) ? __builtin_nanf("") : __builtin_inff();
  }
  l.output = igemm_u8s8_random_output(k);
  l.x = at, l.y_stride = p.channels + check_random(k) % 3;
  const size_t bytes = (l.count - 1) * l.y_stride + p.channels;
  uint8_t *got = check_buffer(k, bytes, 1), *want = check_buffer(k, bytes, 1);
  memcpy(got, want, bytes);
  l.other = check_buffer(k, bytes, 1);
  lay(k, &p, v, &l), l.y = got, v->run(&l);
  lay(k, &p, r, &l), l.y = want, r->run(&l);
  bool good = check_same(k, got, want, bytes);
  if (!good) check_message(k, "%zu pixels, %zu x %zu taps, %zu channels", l.count, p.rows, p.taps, p.channels);
  return good;
}

static double bench(kernel_check *k, const void *variant, const char **unit) {
  const conv_dw_nhwc_u8s8_kernel *v = variant;
  enum { CHANNELS = 256, TAPS = 3, PIXELS = 16 };
  static const uint8_t x[CHANNELS];
  static const int16_t w[TAPS * 4 * CHANNELS];
  static const int32_t bias[CHANNELS];
  static const float scale[CHANNELS];
  static uint8_t y[PIXELS * CHANNELS];
  const void *at[(PIXELS + TAPS - 1) * TAPS];
  for (size_t i = 0; i < sizeof at / sizeof *at; i++) at[i] = x;
  conv_dw_nhwc_u8s8_line l = {.x = at, .count = PIXELS, .stride = 1, .taps = TAPS, .rows = TAPS, .channels = CHANNELS};
  l.w = w, l.bias = bias, l.scale = scale, l.y = y, l.y_stride = CHANNELS;
  v->run(&l);
  *unit = "op";
  return 2.0 * TAPS * TAPS * PIXELS * CHANNELS;
}

KERNEL_CHECK(conv_dw_nhwc_u8s8) = {.family = "conv_dw_nhwc_u8s8", .compare = compare, .bench = bench};

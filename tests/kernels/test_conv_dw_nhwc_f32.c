// SPDX-License-Identifier: Apache-2.0
// conv_dw_nhwc_f32 against conv_dw_f32 on the same batch turned, every variant that can run here: the same bits for any
// number of threads; nothing is written between pixels.
#include <setjmp.h>
#include <stdarg.h>
#include <string.h>
// cmocka wants the three above first
#include <cmocka.h>
#include <math.h>

#include "base/mem.h"
#include "kernels/conv_dw_f32/conv_dw_f32.h"
#include "kernels/conv_dw_nhwc_f32/conv_dw_nhwc_f32.h"
#include "tests/kernels/random.h"

static window random_window(void) {
  window w = {.rank = random_size(1, 3)};
  bool common = random_size(0, 2);
  for (size_t d = 0; d < w.rank; d++) {
    w.kernel[d] = common ? 3 + 2 * (int64_t)random_size(0, 2) : (int64_t)random_size(1, 6);
    w.stride[d] = (int64_t)random_size(1, common ? 2 : 3), w.dilation[d] = common ? 1 : (int64_t)random_size(1, 3);
    w.pad[d] = (int64_t)random_size(0, 3);
    int64_t reach = (w.kernel[d] - 1) * w.dilation[d] + 1;
    w.in[d] = reach + (int64_t)random_size(0, d + 1 == w.rank ? 30 : 6);
    w.out[d] = (w.in[d] + w.pad[d] + (int64_t)random_size(0, 3) - reach) / w.stride[d] + 1;
  }
  return w;
}

static float *floats(size_t n) {
  float *p = mem_alloc(NULL, n * sizeof *p);
  random_floats(p, n);
  return p;
}

typedef struct problem {
  window window;
  size_t batch, channels, multiplier, x_stride, y_stride;
  float *x, *weights, *bias;
} problem;

static problem random_problem(void) {
  problem p = {.window = random_window(), .batch = random_size(1, 3), .channels = random_size(1, 150)};
  p.multiplier = random_size(0, 4) ? 1 : random_size(2, 3);
  p.x_stride = p.channels + random_size(0, 3), p.y_stride = p.channels * p.multiplier + random_size(0, 3);
  p.x = floats(p.batch * window_in(&p.window) * p.x_stride);
  p.weights = floats(p.channels * p.multiplier * window_taps(&p.window));
  p.bias = random_size(0, 2) ? floats(p.channels * p.multiplier) : NULL;
  return p;
}

// The plane of one channel of one image by conv_dw_f32.
static void channel_want(const problem *p, size_t image, size_t channel, float *plane, float *want) {
  size_t in = window_in(&p->window);
  const float *x = p->x + image * in * p->x_stride + channel / p->multiplier;
  for (size_t i = 0; i < in; i++) plane[i] = x[i * p->x_stride];
  const float *weights = p->weights + channel * window_taps(&p->window);
  KERNEL_BEST(conv_dw_f32)->planes(&p->window, plane, weights, p->bias ? p->bias + channel : NULL, want, 0, 1, 1);
}

static void compare(const conv_dw_nhwc_f32_kernel *kernel) {
  problem p = random_problem();
  size_t in = window_in(&p.window), out = window_out(&p.window), channels = p.channels * p.multiplier;
  size_t count = p.batch * out * p.y_stride;
  float *packed = floats(channels * window_taps(&p.window)), *y = floats(count), *plane = floats(in),
        *want = floats(out);
  conv_dw_nhwc_f32_pack(p.weights, window_taps(&p.window), p.channels, p.multiplier, packed);
  conv_dw_nhwc_f32_image i = {.window = &p.window, .channels = p.channels, .multiplier = p.multiplier, .x = p.x};
  i.packed = packed, i.bias = p.bias, i.y = y, i.x_stride = p.x_stride, i.y_stride = p.y_stride;
  i.activation = (activation){ACTIVATION_CLIP, -0.25f, 0.5f}, i.activate = activation_find(ACTIVATION_CLIP);
  for (size_t n = 0; n < count; n++) y[n] = 7;
  conv_dw_nhwc_f32_run(kernel, &i, p.batch, random_size(1, 3));
  for (size_t image = 0; image < p.batch; image++)
    for (size_t c = 0; c < channels; c++) {
      channel_want(&p, image, c, plane, want);
      for (size_t o = 0; o < out; o++)
        assert_true(y[(image * out + o) * p.y_stride + c] == fminf(fmaxf(want[o], -0.25f), 0.5f));
    }
  for (size_t n = 0; n < count; n++) assert_true(n % p.y_stride < channels || y[n] == 7);
  mem_free(packed), mem_free(y), mem_free(plane), mem_free(want);
  mem_free(p.x), mem_free(p.weights), mem_free(p.bias);
}

static void bits_of_planes(void **state) {
  for (size_t i = 0; i < kernel_count(); i++) {
    const kernel_entry *variant = kernel_at(i);
    if (strcmp(variant->family, "conv_dw_nhwc_f32") != 0 || !cpu_isa_enabled(variant->isa)) continue;
    for (int round = 0; round < 40; round++) compare(variant->kernel);
  }
}

int main(void) {
  const struct CMUnitTest tests[] = {cmocka_unit_test(bits_of_planes)};
  return cmocka_run_group_tests(tests, NULL, NULL);
}

// SPDX-License-Identifier: Apache-2.0
// conv_f32 and conv_transpose_f32 against the definition in double precision: random geometry, groups, packed or
// plain weights, residuals; and the same bits for any thread count and batch neighbour.
#include <setjmp.h>
#include <stdarg.h>
#include <string.h>
// cmocka wants the three above first
#include <cmocka.h>
#include <math.h>

#include "base/mem.h"
#include "kernels/conv_f32/conv_f32.h"
#include "kernels/conv_transpose_f32/conv_transpose_f32.h"
#include "tests/kernels/random.h"

static window random_window(void) {
  window w = {.rank = random_size(1, 3)};
  bool pointwise = random_size(0, 3) == 0;
  for (size_t d = 0; d < w.rank; d++) {
    w.kernel[d] = pointwise ? 1 : (int64_t)random_size(1, 4), w.stride[d] = pointwise ? 1 : (int64_t)random_size(1, 3);
    w.dilation[d] = (int64_t)random_size(1, 2), w.pad[d] = pointwise ? 0 : (int64_t)random_size(0, 3);
    int64_t reach = (w.kernel[d] - 1) * w.dilation[d] + 1, end = pointwise ? 0 : (int64_t)random_size(0, 3);
    w.in[d] = reach + (int64_t)random_size(0, w.rank == 1 ? 300 : 14);
    w.out[d] = (w.in[d] + w.pad[d] + end - reach) / w.stride[d] + 1;
  }
  return w;
}

// Where output o and flat tap t read; -1 in the padding.
static int64_t place_of(const window *w, size_t o, size_t t) {
  int64_t at[WINDOW_MAX_RANK], tap[WINDOW_MAX_RANK], place = 0;
  window_unravel(o, w->out, w->rank, at), window_unravel(t, w->kernel, w->rank, tap);
  for (size_t d = 0; d < w->rank; d++) {
    int64_t i = at[d] * w->stride[d] + tap[d] * w->dilation[d] - w->pad[d];
    if (i < 0 || i >= w->in[d]) return -1;
    place = place * w->in[d] + i;
  }
  return place;
}

static void assert_near(const float *got, const double *want, const double *scale, size_t n) {
  for (size_t i = 0; i < n; i++)
    if (!(fabs(got[i] - want[i]) <= 1e-5 * scale[i] + 1e-6)) fail_msg("at %zu: %g, expected %g", i, got[i], want[i]);
}

static float *run_conv(conv_f32_shape s, const float *x, const float *weights, const float *bias, const float *residual,
                       activation act) {
  conv_f32_plan plan;
  assert_true(conv_f32_plan_init(&plan, &s));
  size_t count = s.batch * s.out_channels * window_out(&s.window);
  float *y = mem_alloc(NULL, count * sizeof(float));
  void *scratch = mem_alloc(NULL, plan.scratch_bytes), *packed = mem_alloc(NULL, plan.packed_bytes);
  conv_f32_pack(&plan, weights, packed);
  if (s.residual_is_y) memcpy(y, residual, count * sizeof(float));
  conv_f32_call call = {.x = x, .weights = weights, .bias = bias, .residual = s.residual_is_y ? y : residual};
  if (plan.packed_bytes) call.weights = NULL, call.packed = packed;
  call.activation = act, call.y = y;
  conv_f32_run(&plan, &call, scratch);
  mem_free(scratch), mem_free(packed);
  return y;
}

static void convolution(void **state) {
  for (int round = 0; round < 120; round++) {
    conv_f32_shape s = {.window = random_window(), .batch = random_size(1, 3), .groups = random_size(1, 3)};
    size_t channels = random_size(0, 2) ? random_size(1, 6) : 1, filters = random_size(1, 20);
    s.in_channels = channels * s.groups, s.out_channels = filters * s.groups, s.threads = random_size(1, 3);
    s.constant_weights = random_size(0, 1), s.residual_is_y = random_size(0, 1);
    size_t in = window_in(&s.window), out = window_out(&s.window), taps = window_taps(&s.window);
    size_t count = s.batch * s.out_channels * out;
    float *x = mem_alloc(NULL, s.batch * s.in_channels * in * 4),
          *w = mem_alloc(NULL, s.out_channels * channels * taps * 4);
    float *bias = mem_alloc(NULL, s.out_channels * 4), *residual = mem_alloc(NULL, count * 4);
    double *want = mem_alloc(NULL, count * 8), *scale = mem_alloc(NULL, count * 8);
    random_floats(x, s.batch * s.in_channels * in), random_floats(w, s.out_channels * channels * taps);
    random_floats(bias, s.out_channels), random_floats(residual, count);
    bool with_bias = random_size(0, 1), with_residual = s.residual_is_y || random_size(0, 1);
    activation act = {random_size(0, 1) ? ACTIVATION_RELU : ACTIVATION_NONE, 0, 0};
    for (size_t i = 0; i < count; i++) {
      size_t n = i / out / s.out_channels, f = i / out % s.out_channels;
      want[i] = (with_bias ? bias[f] : 0) + (with_residual ? residual[i] : 0), scale[i] = fabs(want[i]);
      for (size_t k = 0; k < channels * taps; k++) {
        int64_t place = place_of(&s.window, i % out, k % taps);
        if (place < 0) continue;
        size_t channel = n * s.in_channels + f / filters * channels + k / taps;
        double product = (double)w[f * channels * taps + k] * x[channel * in + (size_t)place];
        want[i] += product, scale[i] += fabs(product);
      }
      if (act.kind == ACTIVATION_RELU && want[i] < 0) want[i] = 0;
    }
    float *y = run_conv(s, x, w, with_bias ? bias : NULL, with_residual ? residual : NULL, act);
    assert_near(y, want, scale, count);
    // One thread, last image alone: the same bits.
    conv_f32_shape alone = s;
    alone.threads = 1, alone.batch = 1;
    size_t skip = (s.batch - 1) * s.out_channels * out;
    float *z = run_conv(alone, x + (s.batch - 1) * s.in_channels * in, w, with_bias ? bias : NULL,
                        with_residual ? residual + skip : NULL, act);
    assert_memory_equal(y + skip, z, s.out_channels * out * sizeof(float));
    mem_free(x), mem_free(w), mem_free(bias), mem_free(residual), mem_free(want), mem_free(scale), mem_free(y),
        mem_free(z);
  }
}

static void transposed(void **state) {
  for (int round = 0; round < 100; round++) {
    conv_transpose_f32_shape s = {.window = random_window(), .batch = random_size(1, 2), .groups = random_size(1, 2)};
    size_t channels = random_size(1, 6), filters = random_size(1, random_size(0, 5) ? 5 : 150);
    s.in_channels = channels * s.groups, s.out_channels = filters * s.groups, s.threads = random_size(1, 3);
    s.constant_weights = random_size(0, 1);
    size_t in = window_in(&s.window), out = window_out(&s.window), taps = window_taps(&s.window);
    size_t count = s.batch * s.out_channels * in;
    float *x = mem_alloc(NULL, s.batch * s.in_channels * out * 4),
          *w = mem_alloc(NULL, s.in_channels * filters * taps * 4);
    float *bias = mem_alloc(NULL, s.out_channels * 4), *y = mem_alloc(NULL, count * 4);
    double *want = mem_alloc(NULL, count * 8), *scale = mem_alloc(NULL, count * 8);
    random_floats(x, s.batch * s.in_channels * out), random_floats(w, s.in_channels * filters * taps);
    random_floats(bias, s.out_channels);
    for (size_t i = 0; i < count; i++) want[i] = bias[i / in % s.out_channels], scale[i] = fabs(want[i]);
    for (size_t n = 0; n < s.batch; n++)
      for (size_t c = 0; c < s.in_channels; c++)
        for (size_t f = 0; f < filters; f++)
          for (size_t o = 0; o < out; o++)
            for (size_t t = 0; t < taps; t++) {
              int64_t place = place_of(&s.window, o, t);
              if (place < 0) continue;
              size_t i = (n * s.out_channels + c / channels * filters + f) * in + (size_t)place;
              double product = (double)x[(n * s.in_channels + c) * out + o] * w[(c * filters + f) * taps + t];
              want[i] += product, scale[i] += fabs(product);
            }
    conv_transpose_f32_plan plan;
    assert_true(conv_transpose_f32_plan_init(&plan, &s));
    void *scratch = mem_alloc(NULL, plan.scratch_bytes), *packed = mem_alloc(NULL, plan.packed_bytes);
    conv_transpose_f32_pack(&plan, w, packed);
    conv_transpose_f32_call call = {.x = x, .weights = plan.packed_bytes ? NULL : w, .bias = bias, .y = y};
    if (plan.packed_bytes) call.packed = packed;
    conv_transpose_f32_run(&plan, &call, scratch);
    assert_near(y, want, scale, count);
    mem_free(x), mem_free(w), mem_free(bias), mem_free(y), mem_free(want), mem_free(scale), mem_free(scratch),
        mem_free(packed);
  }
}

int main(void) {
  const struct CMUnitTest tests[] = {cmocka_unit_test(convolution), cmocka_unit_test(transposed)};
  return cmocka_run_group_tests(tests, NULL, NULL);
}

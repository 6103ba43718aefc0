// SPDX-License-Identifier: Apache-2.0
// conv_nhwc_f32 against the definition in double precision, with every variant of its product: random geometry, groups,
// distances between pixels, residuals, activations; and the same bits for any thread count and batch neighbour.
#include <setjmp.h>
#include <stdarg.h>
#include <string.h>
// cmocka wants the three above first
#include <cmocka.h>
#include <math.h>

#include "tests/kernels/nhwc.h"

static window random_window(void) {
  window w = {.rank = random_size(1, 3)};
  bool pointwise = random_size(0, 3) == 0, strided = random_size(0, 1), single = random_size(0, 4) == 0;
  for (size_t d = 0; d < w.rank; d++) {
    w.kernel[d] = pointwise ? 1 : (int64_t)random_size(1, 4);
    w.stride[d] = pointwise && !strided ? 1 : (int64_t)random_size(1, 3);
    w.dilation[d] = (int64_t)random_size(1, 3), w.pad[d] = pointwise ? 0 : (int64_t)random_size(0, 3);
    int64_t reach = (w.kernel[d] - 1) * w.dilation[d] + 1, end = pointwise ? 0 : (int64_t)random_size(0, 3);
    w.in[d] = reach + (single ? 0 : (int64_t)random_size(0, w.rank == 1 ? 300 : 14));
    if (single) w.pad[d] = end = 0;
    w.out[d] = (w.in[d] + w.pad[d] + end - reach) / w.stride[d] + 1;
  }
  return w;
}

static problem random_problem(void) {
  problem p = {.shape = {.window = random_window(), .transposed = random_size(0, 2) == 0, .batch = random_size(1, 3)}};
  conv_nhwc_f32_shape *s = &p.shape;
  s->groups = random_size(0, 2) ? 1 : random_size(2, 4);
  size_t channels = random_size(0, 4) ? random_size(1, random_size(0, 1) ? 4 : 20) : random_size(0, 700),
         filters = random_size(1, 130);
  if (s->groups > 1) channels = channels % 12 + 1, filters = filters % 40 + 1;
  s->in_channels = channels * s->groups, s->out_channels = filters * s->groups, s->threads = random_size(1, 3);
  size_t in = window_in(&s->window), out = window_out(&s->window), places = window_taps(&s->window);
  p.x_pixels = s->transposed ? out : in, p.y_pixels = s->transposed ? in : out;
  p.x_stride = s->in_channels + random_size(0, 1) * random_size(1, 5);
  s->planar = conv_nhwc_f32_reads_planes(s) && random_size(0, 1);
  if (s->planar) p.x_stride = s->in_channels;
  p.y_stride = s->out_channels + random_size(0, 1) * random_size(1, 5);
  p.residual_stride = s->out_channels + random_size(0, 1) * random_size(1, 5);
  p.x = floats(s->batch * p.x_pixels * p.x_stride), p.weights = floats(s->out_channels * channels * places);
  if (random_size(0, 1)) p.bias = floats(s->out_channels);
  p.residual_is_y = random_size(0, 2) == 0;
  if (p.residual_is_y) p.residual_stride = p.y_stride;
  if (p.residual_is_y || random_size(0, 2) == 0) p.residual = floats(s->batch * p.y_pixels * p.residual_stride);
  activation_kind kind = random_size(0, 1) ? (activation_kind)random_size(0, ACTIVATION_COUNT - 1) : ACTIVATION_NONE;
  p.act = (activation){kind, -0.25f, 1.5f};
  return p;
}

// The images from `first` on; what lies between y's pixels is GUARD.
static float *run(const problem *p, size_t first, size_t threads, const kernel_entry *variant) {
  conv_nhwc_f32_shape s = p->shape;
  s.batch -= first, s.threads = threads;
  conv_nhwc_f32_plan plan;
  assert_true(conv_nhwc_f32_plan_with(&plan, &s, variant));
  size_t count = s.batch * p->y_pixels * p->y_stride;
  float *y = mem_alloc(NULL, count * sizeof(float) + 1);
  void *scratch = mem_alloc(NULL, plan.scratch_bytes + 1), *packed = mem_alloc(NULL, plan.packed_bytes + 1);
  memset(y, GUARD, count * sizeof(float) + 1);
  memset(scratch, 0xff, plan.scratch_bytes);
  conv_nhwc_f32_pack(&plan, p->weights, packed);
  const float *residual = p->residual ? p->residual + first * p->y_pixels * p->residual_stride : NULL;
  for (size_t i = 0; p->residual_is_y && i < s.batch * p->y_pixels; i++)
    memcpy(y + i * p->y_stride, residual + i * p->y_stride, s.out_channels * sizeof(float));
  conv_nhwc_f32_call call = {.x = p->x + first * p->x_pixels * p->x_stride, .packed = packed, .bias = p->bias, .y = y};
  call.x_stride = p->x_stride, call.y_stride = p->y_stride, call.residual_stride = p->residual_stride;
  call.residual = p->residual_is_y ? y : residual, call.activation = p->act;
  conv_nhwc_f32_run(&plan, &call, scratch);
  mem_free(scratch), mem_free(packed);
  return y;
}

// Sums and magnitudes of all outputs, [batch][pixel][channel].
static void define(const problem *p, double *sum, double *size) {
  const conv_nhwc_f32_shape *s = &p->shape;
  const window *w = &s->window;
  size_t channels = s->in_channels / s->groups, filters = s->out_channels / s->groups, places = window_taps(w);
  for (size_t i = 0; i < s->batch * p->y_pixels * s->out_channels; i++) sum[i] = size[i] = 0;
  int64_t at[WINDOW_MAX_RANK], tap[WINDOW_MAX_RANK], place;
  for (size_t o = 0; o < window_out(w); o++)
    for (size_t t = 0; t < places; t++) {
      window_unravel(o, w->out, w->rank, at), window_unravel(t, w->kernel, w->rank, tap);
      if (!window_place(w, w->rank, at, tap, &place)) continue;
      size_t from = s->transposed ? o : (size_t)place, to = s->transposed ? (size_t)place : o;
      for (size_t b = 0; b < s->batch; b++)
        for (size_t f = 0; f < s->out_channels; f++)
          for (size_t c = 0; c < channels; c++) {
            size_t channel = f / filters * channels + c;
            size_t weight =
                s->transposed ? (channel * filters + f % filters) * places + t : (f * channels + c) * places + t;
            size_t x = (b * p->x_pixels + from) * p->x_stride + channel;
            if (s->planar) x = (b * s->in_channels + channel) * p->x_pixels + from;
            double product = (double)p->x[x] * p->weights[weight];
            size_t i = (b * p->y_pixels + to) * s->out_channels + f;
            sum[i] += product, size[i] += fabs(product);
          }
    }
}

static void assert_defined(const problem *p, const float *y, const double *sum, const double *size) {
  size_t filters = p->shape.out_channels, bytes = (p->y_stride - filters) * sizeof(float);
  activation_fn activate = activation_find(p->act.kind);
  for (size_t i = 0; i < p->shape.batch * p->y_pixels; i++) {
    for (size_t f = 0; f < filters; f++) {
      double want = sum[i * filters + f], scale = size[i * filters + f];
      double bias = p->bias ? p->bias[f] : 0, residual = p->residual ? p->residual[i * p->residual_stride + f] : 0;
      want += bias + residual, scale += fabs(bias) + fabs(residual);
      float value = (float)want, got = y[i * p->y_stride + f];
      if (activate) activate(&value, &value, 1, p->act.a, p->act.b);
      if (!(fabs((double)got - value) <= 4e-6 * scale + 1e-6))
        fail_msg("pixel %zu, channel %zu: %g, expected %g", i, f, (double)got, (double)value);
    }
    const unsigned char *between = (const unsigned char *)(y + i * p->y_stride + filters);
    for (size_t b = 0; b < bytes; b++) assert_int_equal(between[b], GUARD);
  }
}

static void agrees_with_the_definition(void **state) {
  for (int round = 0; round < 80; round++) {
    problem p = random_problem();
    size_t pixels = p.shape.batch * p.y_pixels, count = pixels * p.shape.out_channels;
    double *sum = mem_alloc(NULL, count * sizeof(double) + 1), *size = mem_alloc(NULL, count * sizeof(double) + 1);
    define(&p, sum, size);
    for (size_t v = 0; v < kernel_count(); v++) {
      const kernel_entry *e = kernel_at(v);
      if (strcmp(e->family, "igemm_f32") != 0 || !cpu_isa_enabled(e->isa)) continue;
      float *y = run(&p, 0, p.shape.threads, e);
      assert_defined(&p, y, sum, size);
      // One thread, the last image alone: the same bits.
      size_t skip = (p.shape.batch - 1) * p.y_pixels * p.y_stride;
      float *alone = run(&p, p.shape.batch - 1, 1, e);
      assert_memory_equal(y + skip, alone, p.y_pixels * p.y_stride * sizeof(float));
      mem_free(y), mem_free(alone);
    }
    problem_release(&p), mem_free(sum), mem_free(size);
  }
}

// Nothing to do, and sums without terms.
static void empty(void **state) {
  window w = {.rank = 1, .in = {4}, .out = {4}, .kernel = {1}, .stride = {1}, .dilation = {1}};
  for (int i = 0; i < 3; i++) {
    conv_nhwc_f32_shape s = {
        .window = w, .batch = i != 0, .groups = 1, .in_channels = 0, .out_channels = i == 1 ? 0 : 2};
    conv_nhwc_f32_plan plan;
    assert_true(conv_nhwc_f32_plan_init(&plan, &s));
    float bias[] = {1, -2}, y[8];
    void *scratch = mem_alloc(NULL, plan.scratch_bytes + 1);
    memset(y, 0, sizeof y);
    conv_nhwc_f32_call call = {.x = y, .packed = bias, .bias = bias, .y = y, .y_stride = 2};
    call.activation.kind = ACTIVATION_RELU;
    conv_nhwc_f32_run(&plan, &call, scratch);
    for (int k = 0; k < 8; k++) assert_true(y[k] == (i == 2 && k % 2 == 0 ? 1 : 0));
    mem_free(scratch);
  }
}

int main(void) {
  const struct CMUnitTest tests[] = {cmocka_unit_test(agrees_with_the_definition), cmocka_unit_test(empty)};
  return cmocka_run_group_tests(tests, NULL, NULL);
}

// SPDX-License-Identifier: Apache-2.0
// winograd_f32 with every variant of its transforms and products: against the definition in double precision; closer to
// it than chains of multiply-adds, or (tiles of 4) not much farther; direct where values are not moderate; the same
// bits for any number of threads and any batch neighbour.
#include <setjmp.h>
#include <stdarg.h>
#include <string.h>
// cmocka wants the three above first
#include <cmocka.h>
#include <math.h>

#include "kernels/winograd_f32/winograd_f32.h"
#include "tests/kernels/nhwc.h"

static problem random_problem(size_t channels, size_t filters) {
  problem p = {.shape = {.batch = random_size(1, 3), .groups = 1}};
  conv_nhwc_f32_shape *s = &p.shape;
  s->in_channels = channels, s->out_channels = filters, s->window.rank = 2;
  for (size_t d = 0; d < 2; d++) {
    window *w = &s->window;
    w->kernel[d] = 3, w->stride[d] = w->dilation[d] = 1;
    w->in[d] = (int64_t)random_size(1, 20), w->pad[d] = (int64_t)random_size(1, 3);
    w->out[d] = w->in[d] + w->pad[d] + (int64_t)random_size(1, 3) - 2;
  }
  p.x_pixels = window_in(&s->window), p.y_pixels = window_out(&s->window);
  p.x_stride = channels + random_size(0, 3), p.y_stride = filters + random_size(0, 3);
  p.residual_is_y = random_size(0, 3) == 0;
  p.residual_stride = p.residual_is_y ? p.y_stride : filters + random_size(0, 3);
  p.x = floats(s->batch * p.x_pixels * p.x_stride), p.weights = floats(channels * filters * 9);
  if (random_size(0, 1)) p.bias = floats(filters);
  if (p.residual_is_y || random_size(0, 1)) p.residual = floats(s->batch * p.y_pixels * p.residual_stride);
  static const activation_kind kinds[] = {ACTIVATION_NONE, ACTIVATION_RELU, ACTIVATION_CLIP, ACTIVATION_LEAKY_RELU};
  p.act = (activation){kinds[random_size(0, 3)], -0.25f, 1.5f};
  return p;
}

// The images from `first` on, by Winograd or (kernel: NULL) directly; what lies between y's pixels is GUARD.
static float *run(const problem *p, size_t first, size_t threads, size_t tile, const winograd_f32_kernel *kernel,
                  const kernel_entry *products) {
  conv_nhwc_f32_shape s = p->shape;
  s.batch -= first, s.threads = threads;
  winograd_f32_plan plan;
  conv_nhwc_f32_plan direct;
  assert_true(winograd_f32_plan_with(&plan, &s, tile, kernel ? kernel : KERNEL_BEST(winograd_f32), products));
  assert_true(conv_nhwc_f32_plan_with(&direct, &s, products));
  size_t count = s.batch * p->y_pixels * p->y_stride;
  float *y = mem_alloc(NULL, count * sizeof(float));
  void *packed = mem_alloc(NULL, plan.packed_bytes + direct.packed_bytes);
  void *scratch = mem_alloc(NULL, plan.scratch_bytes + plan.packed_bytes + direct.scratch_bytes);
  memset(y, GUARD, count * sizeof(float));
  memset(scratch, 0xff, plan.scratch_bytes + plan.packed_bytes + direct.scratch_bytes);
  const float *residual = p->residual ? p->residual + first * p->y_pixels * p->residual_stride : NULL;
  for (size_t i = 0; p->residual_is_y && i < s.batch * p->y_pixels; i++)
    memcpy(y + i * p->y_stride, residual + i * p->y_stride, s.out_channels * sizeof(float));
  conv_nhwc_f32_call call = {.x = p->x + first * p->x_pixels * p->x_stride, .packed = packed, .bias = p->bias, .y = y};
  call.x_stride = p->x_stride, call.y_stride = p->y_stride, call.residual_stride = p->residual_stride;
  call.residual = p->residual_is_y ? y : residual, call.activation = p->act;
  if (kernel) {
    winograd_f32_pack(&plan, p->weights, packed, scratch);
    winograd_f32_run(&plan, &call, p->weights, scratch);
  } else {
    conv_nhwc_f32_pack(&direct, p->weights, packed);
    conv_nhwc_f32_run(&direct, &call, scratch);
  }
  mem_free(packed), mem_free(scratch);
  return y;
}

// The sum of one output in double precision.
static double definition(const problem *p, size_t image, int64_t row, int64_t column, size_t filter) {
  const window *w = &p->shape.window;
  double sum = 0;
  for (int64_t t = 0; t < 9; t++) {
    int64_t r = row + t / 3 - w->pad[0], c = column + t % 3 - w->pad[1];
    if (r < 0 || r >= w->in[0] || c < 0 || c >= w->in[1]) continue;
    const float *x = p->x + (image * p->x_pixels + (size_t)(r * w->in[1] + c)) * p->x_stride;
    for (size_t i = 0; i < p->shape.in_channels; i++)
      sum += (double)x[i] * p->weights[(filter * p->shape.in_channels + i) * 9 + (size_t)t];
  }
  return sum;
}

static double activated(activation a, double v) {
  if (a.kind == ACTIVATION_RELU) return v > 0 ? v : 0;
  if (a.kind == ACTIVATION_CLIP) return fmin(fmax(v, a.a), a.b);
  return a.kind == ACTIVATION_LEAKY_RELU && v < 0 ? a.a * v : v;
}

// Root of the mean square error; every error is below `most`.
static double error_of(const problem *p, const float *y, double most) {
  const window *w = &p->shape.window;
  double squares = 0;
  for (size_t o = 0; o < p->shape.batch * p->y_pixels; o++)
    for (size_t k = 0; k < p->shape.out_channels; k++) {
      int64_t at = (int64_t)(o % p->y_pixels), row = at / w->out[1], column = at % w->out[1];
      double v = definition(p, o / p->y_pixels, row, column, k) + (p->bias ? p->bias[k] : 0);
      v = activated(p->act, v + (p->residual ? p->residual[o * p->residual_stride + k] : 0));
      double error = fabs(y[o * p->y_stride + k] - v);
      assert_true(error <= most);
      squares += error * error;
    }
  return sqrt(squares / (double)(p->shape.batch * p->y_pixels * p->shape.out_channels));
}

static void each_variant(void (*test)(const winograd_f32_kernel *kernel, const kernel_entry *products)) {
  for (size_t i = 0; i < kernel_count(); i++)
    for (size_t j = 0; j < kernel_count(); j++) {
      const kernel_entry *a = kernel_at(i), *b = kernel_at(j);
      if (strcmp(a->family, "winograd_f32") != 0 || strcmp(b->family, "igemm_f32") != 0) continue;
      if (cpu_isa_enabled(a->isa) && a->isa == b->isa && cpu_isa_enabled(b->isa)) test(a->kernel, b);
    }
}

static void matches_once(const winograd_f32_kernel *kernel, const kernel_entry *products) {
  for (int round = 0; round < 12; round++) {
    problem p = random_problem(random_size(1, random_size(0, 1) ? 8 : 40), random_size(1, 60));
    const conv_nhwc_f32_shape *s = &p.shape;
    size_t tile = random_size(0, 1) ? 2 : 4;
    float *y = run(&p, 0, random_size(1, 3), tile, kernel, products);
    // |x| and |w| are at most 1.
    error_of(&p, y, (tile == 2 ? 0x1p-20 : 0x1p-17) * (double)(s->in_channels + 16) * (double)s->in_channels * 9);
    const unsigned char *bytes = (const unsigned char *)y;
    for (size_t i = 0; i < s->batch * p.y_pixels * p.y_stride; i++)
      for (size_t b = 0; i % p.y_stride >= s->out_channels && b < 4; b++) assert_int_equal(bytes[i * 4 + b], GUARD);
    float *alone = run(&p, s->batch - 1, 1, tile, kernel, products);
    size_t count = p.y_pixels * p.y_stride;
    assert_memory_equal(alone, y + (s->batch - 1) * count, count * sizeof(float));
    mem_free(y), mem_free(alone), problem_release(&p);
  }
}

static void close_once(const winograd_f32_kernel *kernel, const kernel_entry *products) {
  problem p = random_problem(64, 16);
  // Where most is padding, chains are short.
  for (; p.shape.window.in[0] < 8 || p.shape.window.in[1] < 8; p = random_problem(64, 16)) problem_release(&p);
  p.act.kind = ACTIVATION_NONE, mem_free(p.bias), mem_free(p.residual);
  p.bias = p.residual = NULL, p.residual_is_y = false;
  float *of_2 = run(&p, 0, 1, 2, kernel, products), *of_4 = run(&p, 0, 1, 4, kernel, products);
  float *direct = run(&p, 0, 1, 2, NULL, products);
  double error = error_of(&p, direct, 1);
  assert_true(error_of(&p, of_2, 1) <= error && error_of(&p, of_4, 1) <= 3 * error);
  mem_free(of_2), mem_free(of_4), mem_free(direct), problem_release(&p);
}

static void direct_once(const winograd_f32_kernel *kernel, const kernel_entry *products) {
  static const float values[] = {NAN, INFINITY, -INFINITY, 3e38f, -0x1p50f};
  for (size_t round = 0; round < 20; round++) {
    problem p = random_problem(random_size(1, 40), random_size(1, 40));
    bool in_weights = round % 4 == 0;  // finite there: padding is 0 * weight, or nothing
    float value = values[in_weights ? random_size(3, 4) : random_size(0, 4)];
    size_t image = random_size(0, p.shape.batch - 1), pixel = image * p.x_pixels + random_size(0, p.x_pixels - 1);
    if (in_weights) p.weights[random_size(0, p.shape.in_channels * p.shape.out_channels * 9 - 1)] = value;
    else p.x[pixel * p.x_stride + random_size(0, p.shape.in_channels - 1)] = value;
    float *y = run(&p, 0, random_size(1, 3), round % 2 ? 2 : 4, kernel, products);
    float *direct = run(&p, 0, 1, 2, NULL, products);
    size_t count = p.y_pixels * p.y_stride, begin = in_weights ? 0 : image * count;
    size_t end = in_weights ? p.shape.batch * count : begin + count;
    for (size_t i = begin; i < end; i++)
      assert_true((isnan(y[i]) && isnan(direct[i])) || memcmp(&y[i], &direct[i], sizeof *y) == 0);
    mem_free(y), mem_free(direct), problem_release(&p);
  }
}

static void matches_definition(void **state) { each_variant(matches_once); }
static void as_close_as_promised(void **state) { each_variant(close_once); }
static void direct_where_not_moderate(void **state) { each_variant(direct_once); }

int main(void) {
  const struct CMUnitTest tests[] = {cmocka_unit_test(matches_definition), cmocka_unit_test(as_close_as_promised),
                                     cmocka_unit_test(direct_where_not_moderate)};
  return cmocka_run_group_tests(tests, NULL, NULL);
}

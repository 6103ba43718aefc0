// SPDX-License-Identifier: Apache-2.0
// conv_nhwc_u8s8 with every variant of its kernels against the definition: ranks, groups, strides, dilations, padding,
// signs and zero points of both operands, sums with another tensor, tables, any number of threads.
#include <setjmp.h>
#include <stdarg.h>
#include <string.h>
// cmocka wants the three above first
#include <cmocka.h>
#include <math.h>

#include "base/mem.h"
#include "kernels/conv_nhwc_u8s8/conv_nhwc_u8s8.h"
#include "tests/kernels/random.h"

enum { GUARD = 0x5c, GUARDED = 64 };

typedef struct problem {
  conv_nhwc_u8s8_shape shape;
  conv_nhwc_u8s8_call call;
  uint8_t *x, *w, *want, *other, *table;
  int32_t *bias;
  float *scale;
  size_t count;  // of y
} problem;

static void *bytes(size_t n) {
  uint8_t *p = mem_alloc(NULL, n + 1);
  for (size_t i = 0; i < n; i++) p[i] = (uint8_t)random_size(0, 255);
  return p;
}

static void random_window(window *w) {
  w->rank = random_size(1, 3);
  for (size_t d = 0; d < w->rank; d++) {
    w->kernel[d] = (int64_t)random_size(1, 3), w->stride[d] = (int64_t)random_size(1, 2);
    w->dilation[d] = (int64_t)random_size(1, 2), w->in[d] = (int64_t)random_size(1, 12);
    w->pad[d] = (int64_t)random_size(0, 2);
    int64_t reach = w->in[d] + w->pad[d] + (int64_t)random_size(0, 2) - (w->kernel[d] - 1) * w->dilation[d] - 1;
    w->out[d] = reach < 0 ? 0 : reach / w->stride[d] + 1;
  }
}

static int32_t value(const uint8_t *p, size_t i, bool is_signed) { return is_signed ? (int8_t)p[i] : p[i]; }

static uint8_t definition(const problem *p, size_t image, size_t pixel, const int64_t *at, size_t filter) {
  const conv_nhwc_u8s8_shape *s = &p->shape;
  const size_t channels = s->in_channels / s->groups, group = filter / (s->out_channels / s->groups);
  const size_t taps = window_taps(&s->window);
  int64_t tap[WINDOW_MAX_RANK] = {0}, place;
  int32_t sum = p->bias ? p->bias[filter] : 0;
  for (size_t t = 0; t < taps; t++, window_next(tap, s->window.kernel, s->window.rank)) {
    if (!window_place(&s->window, s->window.rank, at, tap, &place)) continue;
    for (size_t c = 0; c < channels; c++) {
      size_t x = (image * window_in(&s->window) + (size_t)place) * s->in_channels + group * channels + c;
      sum += (value(p->x, x, s->x_signed) - p->call.x_zero) *
             (value(p->w, (filter * channels + c) * taps + t, s->w_signed) - s->w_zero);
    }
  }
  const size_t to = (image * window_out(&s->window) + pixel) * s->out_channels + filter;
  return igemm_u8s8_byte(&p->call.output, sum, p->scale[filter], p->call.other ? p->call.other[to] : 0);
}

static void random_problem(problem *p) {
  *p = (problem){.shape = {.batch = random_size(1, 3), .groups = random_size(1, 3) == 1 ? random_size(2, 5) : 1}};
  conv_nhwc_u8s8_shape *s = &p->shape;
  bool depthwise = s->groups > 1 && random_size(0, 1);
  if (depthwise) s->groups = random_size(2, 40);
  s->in_channels = s->groups * (depthwise ? 1 : random_size(1, 20));
  s->out_channels = s->groups * (depthwise ? 1 : random_size(1, random_size(0, 1) ? 10 : 150));
  s->x_signed = random_size(0, 1), s->w_signed = random_size(0, 1);
  s->w_zero = s->w_signed ? 0 : 128;
  random_window(&s->window);
  const window *w = &s->window;
  size_t weights = s->out_channels * (s->in_channels / s->groups) * window_taps(w);
  p->x = bytes(s->batch * window_in(w) * s->in_channels), p->w = bytes(weights);
  p->scale = mem_alloc(NULL, s->out_channels * sizeof(float));
  if (random_size(0, 1)) p->bias = mem_alloc(NULL, s->out_channels * sizeof(int32_t));
  for (size_t i = 0; i < s->out_channels; i++) {
    p->scale[i] = (float)random_size(1, 1000) * 1e-5f;
    if (p->bias) p->bias[i] = (int32_t)random_size(0, 2000) - 1000;
  }
  bool y_signed = random_size(0, 1);
  p->call.x_zero = (int32_t)random_size(0, 255) - (s->x_signed ? 128 : 0);
  const int32_t low = y_signed ? INT8_MIN : 0;
  p->call.output = (igemm_u8s8_output){.is_signed = y_signed, .zero = (int32_t)random_size(0, 255) + low};
  p->count = s->batch * window_out(w) * s->out_channels;
  p->want = bytes(p->count);
  if (random_size(0, 1)) p->call.output.table = p->table = bytes(256);
  if (random_size(0, 1)) {
    igemm_u8s8_output *o = &p->call.output;
    p->call.other = p->other = bytes(p->count);
    o->adds = true, o->own_scale = 0.7f, o->other_scale = (float)random_size(1, 2000) * 1e-3f, o->factor = 0.9f;
    o->other_zero = (int32_t)random_size(0, 255) + low, o->sum_zero = (int32_t)random_size(0, 255) + low;
  }
  int64_t at[WINDOW_MAX_RANK] = {0};
  for (size_t i = 0; i < p->count; i++) {
    const size_t pixel = i / s->out_channels;
    p->want[i] = definition(p, pixel / window_out(w), pixel % window_out(w), at, i % s->out_channels);
    if (i % s->out_channels == s->out_channels - 1) window_next(at, w->out, w->rank);
  }
}

static void release(problem *p) {
  mem_free(p->x), mem_free(p->w), mem_free(p->want), mem_free(p->bias), mem_free(p->scale);
  mem_free(p->other), mem_free(p->table);
}

static void check(problem *p, size_t threads, const kernel_entry *variant, const conv_dw_nhwc_u8s8_kernel *depthwise) {
  conv_nhwc_u8s8_plan plan;
  conv_nhwc_u8s8_shape shape = p->shape;
  shape.threads = threads;
  assert_true(conv_nhwc_u8s8_plan_with(&plan, &shape, variant, depthwise));
  void *packed = mem_alloc(NULL, plan.packed_bytes), *scratch = mem_alloc(NULL, plan.scratch_bytes);
  void *bound = mem_alloc(NULL, plan.bound_bytes);
  uint8_t *y = mem_alloc(NULL, p->count + GUARDED);
  memset(scratch, 0xff, plan.scratch_bytes), memset(y, GUARD, p->count + GUARDED);
  conv_nhwc_u8s8_pack(&plan, p->w, packed);
  conv_nhwc_u8s8_call call = p->call;
  conv_nhwc_u8s8_bind(&plan, packed, call.x_zero, p->bias, p->scale, bound);
  call.x = p->x, call.packed = packed, call.bound = bound, call.y = y;
  conv_nhwc_u8s8_run(&plan, &call, scratch);
  assert_memory_equal(y, p->want, p->count);
  for (size_t i = 0; i < GUARDED; i++) assert_int_equal(y[p->count + i], GUARD);
  mem_free(packed), mem_free(bound), mem_free(scratch), mem_free(y);
}

static void matches_definition(void **state) {
  for (int round = 0; round < 150; round++) {
    problem p;
    random_problem(&p);
    for (size_t i = 0; i < kernel_count(); i++)
      for (size_t j = 0; j < kernel_count(); j++) {
        const kernel_entry *a = kernel_at(i), *b = kernel_at(j);
        if (strcmp(a->family, "igemm_u8s8") != 0 || strcmp(b->family, "conv_dw_nhwc_u8s8") != 0) continue;
        if (a->isa != b->isa || !cpu_isa_enabled(a->isa)) continue;
        check(&p, random_size(1, 3), a, b->kernel);
      }
    release(&p);
  }
}

static void weights_that_do_not_fit(void **state) {
  static const uint8_t unsigned_ones[] = {0, 128, 255}, signed_ones[] = {0x80, 0, 0x7f};
  assert_true(conv_nhwc_u8s8_suits(signed_ones, 3, true, 0));
  assert_false(conv_nhwc_u8s8_suits(signed_ones, 3, true, 1));
  assert_true(conv_nhwc_u8s8_suits(unsigned_ones, 3, false, 128));
  assert_false(conv_nhwc_u8s8_suits(unsigned_ones, 3, false, 127));
  assert_true(conv_nhwc_u8s8_suits(unsigned_ones, 2, false, 1));
}

int main(void) {
  const struct CMUnitTest tests[] = {cmocka_unit_test(matches_definition), cmocka_unit_test(weights_that_do_not_fit)};
  return cmocka_run_group_tests(tests, NULL, NULL);
}

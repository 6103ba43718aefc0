// SPDX-License-Identifier: Apache-2.0
// pool_f32 against the definition, every variant that can run here, random geometry; NaN and padding.
#include <setjmp.h>
#include <stdarg.h>
#include <string.h>
// cmocka wants the three above first
#include <cmocka.h>
#include <math.h>

#include "base/mem.h"
#include "kernels/pool_f32/pool_f32.h"
#include "tests/kernels/random.h"

static window random_window(void) {
  window w = {.rank = random_size(1, 3)};
  for (size_t d = 0; d < w.rank; d++) {
    w.kernel[d] = (int64_t)random_size(1, 4), w.stride[d] = (int64_t)random_size(1, 3);
    w.dilation[d] = (int64_t)random_size(1, 2), w.pad[d] = (int64_t)random_size(0, 2),
    w.pad_end[d] = (int64_t)random_size(0, 2);
    int64_t reach = (w.kernel[d] - 1) * w.dilation[d] + 1, overhang = (int64_t)random_size(0, 1) * (w.stride[d] - 1);
    w.in[d] = reach + (int64_t)random_size(0, w.rank == 1 ? 1100 : 20);
    w.out[d] = (w.in[d] + w.pad[d] + w.pad_end[d] - reach + overhang) / w.stride[d] + 1;
  }
  return w;
}

typedef struct want {
  float max, average, padded_average, l2;
  int64_t index;
} want;

static want definition(const window *w, const float *x, size_t o) {
  want r = {.max = -INFINITY, .index = -1};
  float sum = 0, squares = 0;
  int inside_count = 0, padded_count = 0;
  int64_t at[WINDOW_MAX_RANK], tap[WINDOW_MAX_RANK] = {0};
  window_unravel(o, w->out, w->rank, at);
  do {
    bool inside = true, padded = true;
    int64_t place = 0;
    for (size_t d = 0; d < w->rank; d++) {
      int64_t i = at[d] * w->stride[d] + tap[d] * w->dilation[d] - w->pad[d];
      inside = inside && i >= 0 && i < w->in[d];
      padded = padded && i >= -w->pad[d] && i < w->in[d] + w->pad_end[d];
      place = place * w->in[d] + i;
    }
    padded_count += padded, inside_count += inside;
    if (!inside) continue;
    float v = x[place];
    sum += v, squares += v * v;
    if (r.index < 0 || v > r.max || (isnan(v) && !isnan(r.max))) r.max = v, r.index = place;
  } while (window_next(tap, w->kernel, w->rank));
  r.average = sum / (float)inside_count, r.padded_average = sum / (float)padded_count, r.l2 = sqrtf(squares);
  return r;
}

static bool same(float a, float b) { return (isnan(a) && isnan(b)) || a == b; }

static void matches_definition(void **state) {
  for (size_t i = 0; i < kernel_count(); i++) {
    const kernel_entry *variant = kernel_at(i);
    if (strcmp(variant->family, "pool_f32") != 0 || !cpu_isa_enabled(variant->isa)) continue;
    const pool_f32_kernel *kernel = variant->kernel;
    for (int round = 0; round < 60; round++) {
      window w = random_window();
      size_t in = window_in(&w), out = window_out(&w);
      float *x = mem_alloc(NULL, in * 4), *y = mem_alloc(NULL, out * 5 * 4);
      int64_t *index = mem_alloc(NULL, out * 8);
      random_floats(x, in);
      if (round % 3 == 0) x[random_size(0, in - 1)] = NAN, x[random_size(0, in - 1)] = NAN, x[0] = -INFINITY;
      kernel->max(&w, x, y, NULL), kernel->max(&w, x, y + out, index);
      kernel->average(&w, x, y + 2 * out, false), kernel->average(&w, x, y + 3 * out, true);
      kernel->lp(&w, x, y + 4 * out, 2);
      for (size_t o = 0; o < out; o++) {
        want r = definition(&w, x, o);
        assert_true(same(y[o], r.max) && same(y[out + o], r.max));
        assert_int_equal(index[o], r.index);
        assert_true(same(y[2 * out + o], r.average) && same(y[3 * out + o], r.padded_average));
        assert_true(same(y[4 * out + o], r.l2) || fabsf(y[4 * out + o] - r.l2) <= 1e-5f * r.l2);
      }
      mem_free(x), mem_free(y), mem_free(index);
    }
  }
}

// A kernel that is nearly all padding takes no longer than its input is large.
static void kernels_larger_than_the_input(void **state) {
  const int64_t huge = 1 << 30;
  window w = {.rank = 3,
              .in = {2, 3, 2},
              .out = {2, 2, 3},
              .kernel = {huge, huge, huge},
              .stride = {huge, 1, huge / 2},
              .dilation = {1, 1, 1},
              .pad = {huge - 1, huge - 2, huge - 1},
              .pad_end = {huge - 1, huge - 2, huge - 1}};
  float x[12], y[12];
  int64_t index[12];
  for (int i = 0; i < 12; i++) x[i] = (float)(i + 1);
  for (size_t i = 0; i < kernel_count(); i++) {
    const kernel_entry *variant = kernel_at(i);
    if (strcmp(variant->family, "pool_f32") != 0 || !cpu_isa_enabled(variant->isa)) continue;
    const pool_f32_kernel *kernel = variant->kernel;
    kernel->max(&w, x, y, index);
    assert_true(y[0] == 3 && index[0] == 2 && y[1] == 4 && index[1] == 3 && y[11] == 12 && index[11] == 11);
    kernel->lp(&w, x, y, 1);
    assert_true(y[0] == 1 + 3 && y[1] == 1 + 2 + 3 + 4);
    kernel->average(&w, x, y, false);
    assert_true(y[0] == 2 && y[1] == 2.5f);
    w.rank = 2;  // what vectors would do
    kernel->max(&w, x, y, NULL);
    assert_true(y[0] == 2 && y[3] == 6);
    w.rank = 3;
  }
}

int main(void) {
  const struct CMUnitTest tests[] = {cmocka_unit_test(matches_definition),
                                     cmocka_unit_test(kernels_larger_than_the_input)};
  return cmocka_run_group_tests(tests, NULL, NULL);
}

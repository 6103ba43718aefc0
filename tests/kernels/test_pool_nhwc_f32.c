// SPDX-License-Identifier: Apache-2.0
// pool_nhwc_f32 against pool_f32 on the same image turned, every variant that can run here: the same values, whatever
// the parts of the pixels and their distance.
#include <setjmp.h>
#include <stdarg.h>
#include <string.h>
// cmocka wants the three above first
#include <cmocka.h>
#include <math.h>

#include "base/mem.h"
#include "kernels/pool_f32/pool_f32.h"
#include "kernels/pool_nhwc_f32/pool_nhwc_f32.h"
#include "tests/kernels/random.h"

static window random_window(void) {
  window w = {.rank = random_size(1, 3)};
  for (size_t d = 0; d < w.rank; d++) {
    w.kernel[d] = (int64_t)random_size(1, random_size(0, 9) ? 6 : 20), w.stride[d] = (int64_t)random_size(1, 3);
    w.dilation[d] = random_size(0, 2) ? 1 : 2, w.pad[d] = (int64_t)random_size(0, 3);
    w.pad_end[d] = (int64_t)random_size(0, 3);
    int64_t reach = (w.kernel[d] - 1) * w.dilation[d] + 1, overhang = (int64_t)random_size(0, 1) * (w.stride[d] - 1);
    w.in[d] = reach + (int64_t)random_size(0, w.rank == 1 ? 100 : 8);
    w.out[d] = (w.in[d] + w.pad[d] + w.pad_end[d] - reach + overhang) / w.stride[d] + 1;
  }
  return w;
}

enum { MAX, AVERAGE, PADDED_AVERAGE, LP, KINDS };

static void run_first(int kind, const window *w, const float *x, float *y) {
  const pool_f32_kernel *kernel = KERNEL_BEST(pool_f32);
  if (kind == MAX) kernel->max(w, x, y, NULL);
  else if (kind == LP) kernel->lp(w, x, y, 2);
  else kernel->average(w, x, y, kind == PADDED_AVERAGE);
}

static void run_last(int kind, const pool_nhwc_f32_kernel *kernel, const pool_nhwc_f32_image *image) {
  size_t out = window_out(image->window), cut = random_size(0, out);
  for (int part = 0; part < 2; part++) {
    size_t begin = part ? cut : 0, end = part ? out : cut;
    if (kind == MAX) kernel->max(image, begin, end);
    else if (kind == LP) kernel->lp(image, begin, end, 2);
    else kernel->average(image, begin, end, kind == PADDED_AVERAGE);
  }
}

static bool same(float a, float b, int kind) {
  return a == b || (isnan(a) && isnan(b)) || (kind == LP && fabsf(a - b) <= 1e-5f * b);
}

static void compare(const pool_nhwc_f32_kernel *kernel) {
  window w = random_window();
  size_t in = window_in(&w), out = window_out(&w), channels = random_size(1, 90);
  size_t x_stride = channels + random_size(0, 3), y_stride = channels + random_size(0, 3);
  float *x = mem_alloc(NULL, in * x_stride * 4), *y = mem_alloc(NULL, out * y_stride * 4);
  float *plane = mem_alloc(NULL, in * 4), *want = mem_alloc(NULL, out * 4);
  random_floats(x, in * x_stride);
  if (random_size(0, 2) == 0) x[random_size(0, in * x_stride - 1)] = NAN, x[0] = -INFINITY;
  for (int kind = MAX; kind < KINDS; kind++) {
    for (size_t i = 0; i < out * y_stride; i++) y[i] = 7;
    run_last(kind, kernel, &(pool_nhwc_f32_image){&w, channels, x, x_stride, y, y_stride});
    for (size_t c = 0; c < channels; c++) {
      for (size_t i = 0; i < in; i++) plane[i] = x[i * x_stride + c];
      run_first(kind, &w, plane, want);
      for (size_t o = 0; o < out; o++) assert_true(same(y[o * y_stride + c], want[o], kind));
    }
    for (size_t i = 0; i < out * y_stride; i++) assert_true(i % y_stride < channels || y[i] == 7);
  }
  mem_free(x), mem_free(y), mem_free(plane), mem_free(want);
}

static void values_of_planes(void **state) {
  for (size_t i = 0; i < kernel_count(); i++) {
    const kernel_entry *variant = kernel_at(i);
    if (strcmp(variant->family, "pool_nhwc_f32") != 0 || !cpu_isa_enabled(variant->isa)) continue;
    for (int round = 0; round < 60; round++) compare(variant->kernel);
  }
}

// A kernel that is nearly all padding takes no longer than its input is large (but for the judge).
static void kernels_larger_than_the_input(void **state) {
  const int64_t huge = 1 << 30;
  window w = {.rank = 2, .in = {2, 3}, .out = {2, 2}, .kernel = {huge, huge}, .stride = {huge, 1}, .dilation = {1, 1}};
  w.pad[0] = w.pad_end[0] = huge - 1, w.pad[1] = w.pad_end[1] = huge - 2;
  float x[12], y[8];
  for (int i = 0; i < 12; i++) x[i] = (float)(i + 1);
  for (size_t i = 0; i < kernel_count(); i++) {
    const kernel_entry *variant = kernel_at(i);
    if (strcmp(variant->family, "pool_nhwc_f32") != 0 || !cpu_isa_enabled(variant->isa) || variant->isa == CPU_ref)
      continue;
    const pool_nhwc_f32_kernel *kernel = variant->kernel;
    pool_nhwc_f32_image image = {&w, 2, x, 2, y, 2};
    kernel->max(&image, 0, 4);
    assert_true(y[0] == 3 && y[1] == 4 && y[2] == 5 && y[3] == 6 && y[6] == 11 && y[7] == 12);
    kernel->average(&image, 0, 4, false);
    assert_true(y[0] == 2 && y[1] == 3 && y[7] == 10);
  }
}

int main(void) {
  const struct CMUnitTest tests[] = {cmocka_unit_test(values_of_planes),
                                     cmocka_unit_test(kernels_larger_than_the_input)};
  return cmocka_run_group_tests(tests, NULL, NULL);
}

// SPDX-License-Identifier: Apache-2.0
// Random tiles; the driver is tested by tests/kernels/test_winograd_f32.c.
#include <math.h>
#include <string.h>

#include "kernels/winograd_f32/winograd_f32.h"

enum { PIXELS = WINOGRAD_F32_PIXELS, PARTS = WINOGRAD_F32_PARTS };

static bool compare_input(kernel_check *k, const winograd_f32_transforms *v, const winograd_f32_transforms *r, size_t n,
                          size_t tile) {
  const size_t parts = (tile + 2) * (tile + 2);
  const float *pixels[PARTS], *x = check_floats(k, n * parts, false);
  for (size_t i = 0; i < parts; i++) pixels[i] = x + (check_coin(k, 3) ? 0 : i * n);
  float *got = check_buffer(k, n * parts * sizeof(float), 4), *want = check_buffer(k, n * parts * sizeof(float), 4);
  v->input(pixels, n, got), r->input(pixels, n, want);
  return check_same(k, got, want, n * parts * sizeof(float));
}

static bool compare_output(kernel_check *k, const winograd_f32_transforms *v, const winograd_f32_transforms *r,
                           size_t n, size_t tile) {
  const float *parts = check_floats(k, n * (tile + 2) * (tile + 2), false), *bias = check_floats(k, n, false),
              *residual[PIXELS];
  float *got = check_buffer(k, n * tile * tile * sizeof(float), 4),
        *want = check_buffer(k, n * tile * tile * sizeof(float), 4);
  float *to[2][PIXELS];
  const float *other = check_floats(k, n * tile * tile, false);
  bool with_residual = check_coin(k, 2), in_place = check_coin(k, 2);
  if (in_place) memcpy(got, other, n * tile * tile * sizeof(float));
  for (size_t i = 0; i < tile * tile; i++) {
    to[0][i] = got + i * n, to[1][i] = want + i * n;
    residual[i] = other + i * n;
  }
  activation a = {(activation_kind)(check_random(k) % (ACTIVATION_CLIP + 1)), -0.5f, 0.75f};
  activation_limits limits = activation_limits_of(a);
  r->output(parts, n, bias, with_residual ? residual : NULL, &limits, to[1]);
  for (size_t i = 0; in_place && i < tile * tile; i++) residual[i] = to[0][i];
  v->output(parts, n, bias, with_residual ? residual : NULL, &limits, to[0]);
  return check_same(k, got, want, n * tile * tile * sizeof(float));
}

static bool compare(kernel_check *k, const void *variant, const void *reference) {
  const winograd_f32_kernel *v = variant, *r = reference;
  size_t n = check_size(k, 1, 200), kind = check_random(k) % 3;
  bool small = check_coin(k, 2);
  const winograd_f32_transforms *vt = small ? &v->of_2 : &v->of_4, *rt = small ? &r->of_2 : &r->of_4;
  if (kind == 0) return compare_input(k, vt, rt, n, small ? 2 : 4);
  if (kind == 1) return compare_output(k, vt, rt, n, small ? 2 : 4);
  float *x = check_floats(k, n, check_coin(k, 2));
  if (check_coin(k, 3)) x[check_random(k) % n] = check_coin(k, 2) ? -1e30f : NAN;
  bool got = v->below(x, n, 0x1p60f), want = r->below(x, n, 0x1p60f);
  if (got != want) check_message(k, "below gives %d, expected %d", got, want);
  return got == want;
}

static double bench(kernel_check *k, const void *variant, const char **unit) {
  const winograd_f32_kernel *v = variant;
  enum { CHANNELS = 256 };
  static float x[PARTS * CHANNELS], parts[PARTS * CHANNELS], y[PIXELS * CHANNELS], bias[CHANNELS];
  const float *pixels[PARTS];
  float *to[PIXELS];
  for (size_t i = 0; i < PARTS; i++) pixels[i] = x + i * CHANNELS;
  for (size_t i = 0; i < PIXELS; i++) to[i] = y + i * CHANNELS;
  activation_limits limits = activation_limits_of((activation){.kind = ACTIVATION_RELU});
  v->of_2.input(pixels, CHANNELS, parts), v->of_2.output(parts, CHANNELS, bias, NULL, &limits, to);
  v->of_4.input(pixels, CHANNELS, parts), v->of_4.output(parts, CHANNELS, bias, NULL, &limits, to);
  *unit = "values of tiles, in and out";
  return 2.0 * (16 + PARTS) * CHANNELS;
}

KERNEL_CHECK(winograd_f32) = {.family = "winograd_f32", .compare = compare, .bench = bench};

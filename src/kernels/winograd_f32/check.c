// SPDX-License-Identifier: Apache-2.0
// Random tiles; the driver is tested by tests/kernels/test_winograd_f32.c.
#include <math.h>
#include <string.h>

#include "kernels/winograd_f32/winograd_f32.h"

enum { PIXELS = WINOGRAD_F32_TILE * WINOGRAD_F32_TILE, PARTS = WINOGRAD_F32_PARTS };

static bool compare_input(kernel_check *k, const winograd_f32_kernel *v, const winograd_f32_kernel *r, size_t n) {
  const float *pixels[PARTS], *x = check_floats(k, n * PARTS, false);
  for (size_t i = 0; i < PARTS; i++) pixels[i] = x + (check_coin(k, 3) ? 0 : i * n);
  float *got = check_buffer(k, n * PARTS * sizeof(float), 4), *want = check_buffer(k, n * PARTS * sizeof(float), 4);
  v->input(pixels, n, got), r->input(pixels, n, want);
  return check_same(k, got, want, n * PARTS * sizeof(float));
}

static bool compare_output(kernel_check *k, const winograd_f32_kernel *v, const winograd_f32_kernel *r, size_t n) {
  const float *parts = check_floats(k, n * PARTS, false), *bias = check_floats(k, n, false), *residual[PIXELS];
  float *got = check_buffer(k, n * PIXELS * sizeof(float), 4), *want = check_buffer(k, n * PIXELS * sizeof(float), 4);
  float *to[2][PIXELS];
  const float *other = check_floats(k, n * PIXELS, false);
  bool with_residual = check_coin(k, 2), in_place = check_coin(k, 2);
  if (in_place) memcpy(got, other, n * PIXELS * sizeof(float));
  for (size_t i = 0; i < PIXELS; i++) {
    to[0][i] = got + i * n, to[1][i] = want + i * n;
    residual[i] = other + i * n;
  }
  activation a = {(activation_kind)(check_random(k) % (ACTIVATION_CLIP + 1)), -0.5f, 0.75f};
  activation_limits limits = activation_limits_of(a);
  r->output(parts, n, bias, with_residual ? residual : NULL, &limits, to[1]);
  for (size_t i = 0; in_place && i < PIXELS; i++) residual[i] = to[0][i];
  v->output(parts, n, bias, with_residual ? residual : NULL, &limits, to[0]);
  return check_same(k, got, want, n * PIXELS * sizeof(float));
}

static bool compare(kernel_check *k, const void *variant, const void *reference) {
  const winograd_f32_kernel *v = variant, *r = reference;
  size_t n = check_size(k, 1, 200), kind = check_random(k) % 3;
  if (kind == 0 && !compare_input(k, v, r, n)) return false;
  if (kind == 1 && !compare_output(k, v, r, n)) return false;
  if (kind < 2) return true;
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
  v->input(pixels, CHANNELS, parts);
  v->output(parts, CHANNELS, bias, NULL, &limits, to);
  *unit = "values of tiles, in and out";
  return 2.0 * PARTS * CHANNELS;
}

KERNEL_CHECK(winograd_f32) = {.family = "winograd_f32", .compare = compare, .bench = bench};

// SPDX-License-Identifier: Apache-2.0
// Random panels: widened to the same bits; products by the widened panel, each in one chain.
#include "kernels/nbits_f32/nbits_f32.h"

#include <math.h>
#include <string.h>

static bool compare(kernel_check *c, const void *variant, const void *reference) {
  const nbits_f32_kernel *v = variant, *r = reference;
  enum { N = NBITS_COLUMNS };
  size_t k = check_size(c, 1, 200), block = (size_t)16 << check_random(c) % 3, blocks = (k + block - 1) / block;
  nbits_panel p = {.weights = check_buffer(c, k * N / 2, 1),
                   .scales = check_floats(c, blocks * N, false),
                   .zeros = check_coin(c, 2) ? NULL : check_floats(c, blocks * N, false),
                   .block = block};
  size_t first = check_random(c) % N, count = 1 + check_random(c) % (N - first);
  size_t k0 = check_random(c) % k, kc = k - k0;
  float *got = check_floats(c, k * N, false), *want = check_buffer(c, k * N * sizeof *want, sizeof *want);
  memcpy(want, got, k * N * sizeof *want);
  v->widen(&p, k0, kc, first, count, got, N), r->widen(&p, k0, kc, first, count, want, N);
  if (!check_same(c, got, want, k * N * sizeof *got)) return false;
  const float *a = check_floats(c, k, false);
  float *sum = check_buffer(c, N * sizeof *sum, sizeof *sum), scale = 0;
  double exact[N] = {0};
  r->widen(&p, 0, k, 0, N, want, N);
  for (size_t i = 0; i < k; i++)
    for (size_t j = 0; j < N; j++) {
      exact[j] += (double)a[i] * want[i * N + j];
      scale = fmaxf(scale, fabsf(a[i] * want[i * N + j]));
    }
  for (size_t j = 0; j < N; j++) want[j] = (float)exact[j];
  v->multiply(&p, k, a, sum);
  return check_close(c, sum, want, N, (double)scale * (double)k * 6e-8 * 2, 0);
}

static double bench(kernel_check *c, const void *variant, const char **unit) {
  const nbits_f32_kernel *v = variant;
  enum { K = 1024, BLOCK = 32 };
  static const uint8_t weights[K * NBITS_COLUMNS / 2];
  static const float scales[K / BLOCK * NBITS_COLUMNS], a[K];
  static float y[NBITS_COLUMNS];
  v->multiply(&(nbits_panel){.weights = weights, .scales = scales, .block = BLOCK}, K, a, y);
  *unit = "flop";
  return 2.0 * K * NBITS_COLUMNS;
}

KERNEL_CHECK(nbits_f32) = {.family = "nbits_f32", .compare = compare, .bench = bench};

// SPDX-License-Identifier: Apache-2.0
// Random operation, length and values; results must also not depend on where an element stands.
#include <math.h>
#include <string.h>

#include "kernels/unary_f32/unary_f32.h"

static const char *const names[] = {
#define X(name, formula) #name,
    UNARY_F32_LIST(X)
#undef X
};

// Errors of these are measured against |x|: the result may be tiny where the argument is not.
static bool relative_to_x(unary_f32_op op) {
  return op == UNARY_F32_GELU || op == UNARY_F32_GELU_TANH || op == UNARY_F32_SWISH || op == UNARY_F32_MISH;
}

static bool compare(kernel_check *k, const void *variant, const void *reference) {
  const unary_f32_kernel *v = variant, *r = reference;
  unary_f32_op op = (unary_f32_op)(check_random(k) % UNARY_F32_COUNT);
  size_t n = check_size(k, 0, 300);
  float *x = check_floats(k, n, check_coin(k, 2)), *got = check_buffer(k, n * sizeof(float), 4);
  float *want = check_buffer(k, n * sizeof(float), 4);
  bool wide = check_coin(k, 2);
  for (size_t i = 0; i < n; i++)
    if (isfinite(x[i]) && wide) x[i] *= 30;
  float a = 0.5f, b = 2.0f;
  v->fn[op](x, got, n, a, b), r->fn[op](x, want, n, a, b);
  bool exact = op <= UNARY_F32_CLIP;
  float largest = 0;
  for (size_t i = 0; relative_to_x(op) && i < n; i++)
    if (fabsf(x[i]) < 1e6f) largest = fmaxf(largest, fabsf(x[i]));
  if (!check_close(k, got, want, n, exact ? 0 : 0x1p-126 + largest * 0x1p-21, exact ? 0 : 0x1p-21)) {
    check_message(k, "%s of %zu elements", names[op], n);
    return false;
  }
  // In place and shifted: the same bits.
  if (n == 0) return true;
  size_t skip = check_random(k) % n;
  memcpy(want + skip, x + skip, (n - skip) * sizeof(float));
  v->fn[op](want + skip, want + skip, n - skip, a, b);
  if (check_close(k, want + skip, got + skip, n - skip, 0, 0)) return true;
  check_message(k, "%s: values depend on the position of the element or on being in place", names[op]);
  return false;
}

static double bench(kernel_check *k, const void *variant, const char **unit) {
  const unary_f32_kernel *v = variant;
  enum { N = 4096 };
  static float x[N], y[N];
  for (int i = 0; i < N; i++) x[i] = (float)(i % 200 - 100) * 0.05f;
  v->fn[UNARY_F32_GELU](x, y, N, 0, 0);
  *unit = "elements of GELU";
  return N;
}

KERNEL_CHECK(unary_f32) = {.family = "unary_f32", .compare = compare, .bench = bench};

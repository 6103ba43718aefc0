// SPDX-License-Identifier: Apache-2.0
// Random operation, form and length with special values; in place gives the same.
#include <string.h>

#include "kernels/binary_f32/binary_f32.h"

static const char *const names[] = {
#define X(name) #name,
    BINARY_F32_LIST(X)
#undef X
};

static bool compare(kernel_check *k, const void *variant, const void *reference) {
  const binary_f32_kernel *v = variant, *r = reference;
  size_t op = check_random(k) % BINARY_F32_COUNT, form = check_random(k) % BINARY_FORM_COUNT;
  size_t n = check_size(k, 0, 300), bytes = n * sizeof(float);
  float *a = check_floats(k, n + 1, check_coin(k, 2)), *b = check_floats(k, n + 1, check_coin(k, 2));
  float *got = check_buffer(k, bytes, 4), *want = check_buffer(k, bytes, 4);
  v->fn[op][form](a, b, got, n), r->fn[op][form](a, b, want, n);
  double bound = op == BINARY_F32_POW ? 0x1p-23 : 0;
  if (check_close(k, got, want, n, 0, bound)) {
    float *in_place = form == BINARY_SV ? b : a;
    v->fn[op][form](a, b, in_place, n);
    if (check_close(k, in_place, got, n, 0, 0)) return true;
  }
  check_message(k, "%s, form %zu, %zu elements", names[op], form, n);
  return false;
}

static double bench(kernel_check *k, const void *variant, const char **unit) {
  const binary_f32_kernel *v = variant;
  enum { N = 4096 };
  static float x[N], y[N];
  v->fn[BINARY_F32_ADD][BINARY_VV](x, y, y, N);
  *unit = "elements added in place";
  return N;
}

KERNEL_CHECK(binary_f32) = {.family = "binary_f32", .compare = compare, .bench = bench};

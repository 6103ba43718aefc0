// SPDX-License-Identifier: Apache-2.0
// Random bytes and tables, in place or not.
#include <string.h>

#include "kernels/lookup_u8/lookup_u8.h"

static bool compare(kernel_check *k, const void *variant, const void *reference) {
  const lookup_u8_kernel *v = variant, *r = reference;
  size_t n = check_size(k, 0, 300);
  const uint8_t *table = check_buffer(k, 256, 1);
  uint8_t *x = check_buffer(k, n, 1), *want = check_buffer(k, n, 1), *got = check_buffer(k, n, 1);
  r->run(x, table, want, n);
  if (check_coin(k, 2)) memcpy(got, x, n), x = got;
  v->run(x, table, got, n);
  return check_same(k, got, want, n);
}

static double bench(kernel_check *k, const void *variant, const char **unit) {
  const lookup_u8_kernel *v = variant;
  enum { N = 16384 };
  static uint8_t x[N], y[N], table[256];
  for (size_t i = 0; i < 256; i++) x[i * 61] = table[i] = (uint8_t)i;
  v->run(x, table, y, N);
  *unit = "B";
  return N;
}

KERNEL_CHECK(lookup_u8) = {.family = "lookup_u8", .compare = compare, .bench = bench};

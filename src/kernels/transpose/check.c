// SPDX-License-Identifier: Apache-2.0
// 2-D blocks of random size and strides; bytes outside of the block must stay.
#include <string.h>

#include "kernels/transpose/transpose.h"

static bool compare(kernel_check *k, const void *variant, const void *reference) {
  const transpose_kernel *v = variant, *r = reference;
  size_t width = check_random(k) % 5, element = (size_t)1 << width, rows = check_size(k, 1, 90),
         cols = check_size(k, 1, 90);
  if (check_coin(k, 4)) width = check_random(k) % 2, element = (size_t)1 << width, rows = 3;  // images
  size_t from = cols + check_random(k) % 5, to = rows + (check_coin(k, 2) ? 0 : check_random(k) % 5);
  size_t source_bytes = ((rows - 1) * from + cols) * element, bytes = ((cols - 1) * to + rows) * element;
  char *x = check_buffer(k, source_bytes, element), *got = check_buffer(k, bytes, element);
  char *want = check_buffer(k, bytes, element);
  memcpy(got, want, bytes);
  v->block[width](x, from, got, to, rows, cols), r->block[width](x, from, want, to, rows, cols);
  bool good = check_same(k, got, want, bytes);
  for (size_t i = 0; good && i < rows * cols; i++)  // the judge has a short cut of its own
    good =
        check_same(k, want + (i % cols * to + i / cols) * element, x + (i / cols * from + i % cols) * element, element);
  if (good) return true;
  check_message(k, "%zu x %zu elements of %zu bytes", rows, cols, element);
  return false;
}

static double bench(kernel_check *k, const void *variant, const char **unit) {
  const transpose_kernel *v = variant;
  enum { N = 64 };
  static uint64_t x[N * N], y[N * N];
  for (int width = 0; width < 4; width++) v->block[width](x, N, y, N, N, N);
  *unit = "elements of 1, 2, 4, 8 bytes";
  return 4.0 * N * N;
}

KERNEL_CHECK(transpose) = {.family = "transpose", .compare = compare, .bench = bench};

// SPDX-License-Identifier: Apache-2.0
// Checked sizes at their edges; arithmetic on user data that never traps.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
// after the standard headers
#include <cmocka.h>

#include "base/size.h"

static void sums_and_products(void **state) {
  size_t n;
  assert_true(size_add(SIZE_MAX - 1, 1, &n) && n == SIZE_MAX);
  assert_false(size_add(SIZE_MAX, 1, &n));
  assert_true(size_mul(SIZE_MAX / 3, 3, &n));
  assert_false(size_mul(SIZE_MAX / 3 + 1, 3, &n));
  assert_true(size_align(65, 64, &n) && n == 128);
  assert_true(size_align(64, 64, &n) && n == 64);
  assert_true(size_align(0, 64, &n) && n == 0);
  assert_false(size_align(SIZE_MAX - 3, 64, &n));
  int64_t i;
  assert_false(i64_add(INT64_MAX, 1, &i));
  assert_false(i64_mul(INT64_MIN, -1, &i));
  assert_true(i64_mul(INT64_MAX, 1, &i) && i == INT64_MAX);
}

static void products_of_dimensions(void **state) {
  size_t n;
  assert_true(size_product(NULL, 0, &n) && n == 1);
  assert_true(size_product((const int64_t[]){2, 3, 4}, 3, &n) && n == 24);
  assert_false(size_product((const int64_t[]){2, -1}, 2, &n));
  assert_false(size_product((const int64_t[]){INT64_MAX, 3}, 2, &n));
  assert_false(size_product((const int64_t[]){INT64_MAX, 2}, 2, &n));  // fits in a size, but not below half of it
  assert_true(size_product((const int64_t[]){0, INT64_MAX, INT64_MAX}, 3, &n) && n == 0);
  assert_true(size_product((const int64_t[]){INT64_MAX, INT64_MAX, 0}, 3, &n) && n == 0);
  assert_false(size_product((const int64_t[]){0, -5}, 2, &n));
}

static void wrapping(void **state) {
  assert_true(wrap_add(INT64_MAX, 1) == INT64_MIN);
  assert_true(wrap_sub(INT64_MIN, 1) == INT64_MAX);
  assert_true(wrap_mul(INT64_MAX, 2) == -2);
  assert_true(wrap_neg(INT64_MIN) == INT64_MIN);
  assert_true(wrap_div(INT64_MIN, -1) == INT64_MIN);
  assert_true(wrap_div(7, 0) == 0);
  assert_true(wrap_div(-7, 2) == -3);
  assert_true(wrap_rem(INT64_MIN, -1) == 0);
  assert_true(wrap_rem(7, 0) == 0);
  assert_true(wrap_rem(-7, 2) == -1);
  assert_true(i64_min(-1, 1) == -1 && i64_max(-1, 1) == 1);
}

int main(void) {
  const struct CMUnitTest tests[] = {cmocka_unit_test(sums_and_products), cmocka_unit_test(products_of_dimensions),
                                     cmocka_unit_test(wrapping)};
  return cmocka_run_group_tests(tests, NULL, NULL);
}

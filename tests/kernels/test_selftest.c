// SPDX-License-Identifier: Apache-2.0
// The harness over all families, as `sardonyx selftest kernels` runs it.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
// after the standard headers
#include <cmocka.h>

#include "kernels/kernel.h"
#include "kernels/selftest.h"

static char last[200];
static size_t lines;
static void print(const char *line) {
  if (strstr(line, "FAILED")) puts(line);
  snprintf(last, sizeof last, "%s", line);
  lines++;
}

static void every_variant_agrees(void **state) {
  assert_int_equal(kernel_selftest(NULL, 40, false, print), 0);
  assert_non_null(strstr(last, " passed, 0 failed, "));
}

static bool no(const void *kernel) { return false; }

// As the search that halves the table needs it: families in the order of their names, each found from its first row.
static void families_are_found(void **state) {
  for (size_t i = 0; i < kernel_count(); i++) {
    const char *family = kernel_at(i)->family;
    if (i) assert_true(strcmp(kernel_at(i - 1)->family, family) <= 0);
    const kernel_entry *best = kernel_best(family);
    assert_string_equal(best->family, family);
    if (cpu_isa_enabled(kernel_at(i)->isa)) assert_true(best->isa >= kernel_at(i)->isa);
    assert_null(kernel_best_of(family, no));
  }
  assert_null(kernel_best("no such family"));
}

static void filters(void **state) {
  lines = 0;
  assert_int_equal(kernel_selftest("gemm_f32", 1, true, print), 0);
  size_t compared = 0, timed = 0;
  for (size_t i = 0; i < kernel_count(); i++) {
    bool ours = strcmp(kernel_at(i)->family, "gemm_f32") == 0;
    compared += ours && strcmp(kernel_at(i)->variant, "ref") != 0, timed += ours && cpu_isa_enabled(kernel_at(i)->isa);
  }
  assert_int_equal(lines, compared + timed + 1);
}

// A test that compares nothing must not pass.
static void nothing_compared_is_a_failure(void **state) {
  lines = 0;
  assert_int_equal(kernel_selftest("no such family", 1, false, print), 1);
  assert_int_equal(lines, 2);
  assert_string_equal(last, "0 passed, 1 failed, 0 skipped");
}

int main(void) {
  const struct CMUnitTest tests[] = {cmocka_unit_test(every_variant_agrees), cmocka_unit_test(families_are_found),
                                     cmocka_unit_test(filters), cmocka_unit_test(nothing_compared_is_a_failure)};
  return cmocka_run_group_tests(tests, NULL, NULL);
}

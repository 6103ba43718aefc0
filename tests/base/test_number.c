// SPDX-License-Identifier: Apache-2.0
// A host program's locale must not change how numbers are read and written.
#include "base/number.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include "base/str.h"

static void numbers_have_points(void) {
  char *end;
  assert_true(number_parse_double("-2.5e3x", &end) == -2500);
  assert_string_equal(end, "x");
  assert_true(number_parse_float("0.75", NULL) == 0.75f);
  text t = {0};
  text_format(&t, "%g %.2f", 1.5, 0.25);
  assert_string_equal(t.at, "1.5 0.25");
  text_deinit(&t);
}

static void as_it_is(void **state) { numbers_have_points(); }

static void with_decimal_commas(void **state) {
  static const char *const names[] = {"de_DE.UTF-8", "de_DE.utf8", "fr_FR.UTF-8", "ru_RU.UTF-8", "it_IT.UTF-8"};
  const char *found = NULL;
  for (size_t i = 0; i < sizeof names / sizeof *names && !found; i++) found = setlocale(LC_NUMERIC, names[i]);
  if (!found) skip();
  assert_true(strtod("2,5", NULL) == 2.5);
  numbers_have_points();
  assert_true(strtod("2,5", NULL) == 2.5);  // the host's locale is back
  setlocale(LC_NUMERIC, "C");
}

int main(void) {
  const struct CMUnitTest tests[] = {cmocka_unit_test(as_it_is), cmocka_unit_test(with_decimal_commas)};
  return cmocka_run_group_tests(tests, NULL, NULL);
}

// SPDX-License-Identifier: Apache-2.0
// A host program's locale must not change how numbers are read and written.
#include "base/number.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include "base/text.h"

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

static void whole_texts(void **state) {
  int64_t i;
  double d;
  assert_true(number_read_int(STR(" -9223372036854775808\n"), &i) && i == INT64_MIN);
  assert_true(number_read_int(STR("18446744073709551615"), &i) && i == -1);
  assert_false(number_read_int(STR("18446744073709551616"), &i));
  assert_false(number_read_int(STR("1.5"), &i));
  assert_false(number_read_int(STR(""), &i));
  assert_false(number_read_int((str){"1\0002", 3}, &i));
  assert_true(number_read_real(STR("1.5e3 "), false, &d) && d == 1500);
  assert_true(number_read_real(STR("0.1"), true, &d) && d == 0.1f);
  assert_false(number_read_real(STR("1,5"), false, &d));
  assert_false(number_read_real(STR("  "), false, &d));
}

static void shortest_digits(void **state) {
  static const struct {
    double v;
    bool single;
    const char *text;
  } rows[] = {{0.1f, true, "0.1"},    {0.1, false, "0.1"},     {-2, false, "-2"},
              {1e20, false, "1e+20"}, {1e-7, false, "1e-07"},  {123456789, false, "123456789"},
              {-0.0, false, "-0"},    {INFINITY, true, "INF"}, {0.1f, false, "0.10000000149011612"}};
  char out[NUMBER_TEXT];
  for (size_t k = 0; k < sizeof rows / sizeof *rows; k++) {
    number_print(out, rows[k].v, rows[k].single);
    assert_string_equal(out, rows[k].text);
  }
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
  const struct CMUnitTest tests[] = {cmocka_unit_test(as_it_is), cmocka_unit_test(whole_texts),
                                     cmocka_unit_test(shortest_digits), cmocka_unit_test(with_decimal_commas)};
  return cmocka_run_group_tests(tests, NULL, NULL);
}

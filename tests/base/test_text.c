// SPDX-License-Identifier: Apache-2.0
// Text that grows, and JSON values in it: strings whatever their bytes, numbers with the fewest digits.
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
// after the standard headers
#include <cmocka.h>

#include "base/text.h"

static void text_grows(void **state) {
  text t = {0};
  for (int i = 0; i < 1000; i++) text_format(&t, "%d,", i);
  assert_false(t.failed);
  assert_int_equal(t.size, 10 * 2 + 90 * 3 + 900 * 4);
  assert_memory_equal(t.at, "0,1,2,", 6);
  assert_int_equal(t.at[t.size], 0);
  text_deinit(&t);
}

static void text_remembers_failure(void **state) {
  mem_account account;
  mem_account_init(&account, 1000, NULL);
  text t = {.account = &account};
  for (int i = 0; i < 1000; i++) text_append(&t, "0123456789", 10);
  assert_true(t.failed);
  text_deinit(&t);
  assert_int_equal(account.used, 0);
}

static void text_stops_at_its_limit(void **state) {
  text t = {.limit = 4};
  text_put(&t, "1234");
  assert_false(t.failed);
  text_put(&t, "5");
  assert_true(t.failed);
  text_deinit(&t);
  t = (text){.limit = 300};
  text_put(&t, "x");  // takes room beyond the limit, which must not be written to
  text_format(&t, "%0299d", 7);
  assert_false(t.failed);
  text_format(&t, "%d", 7);
  assert_true(t.failed);
  assert_int_equal(t.size, 300);
  assert_int_equal(t.at[300], 0);
  text_deinit(&t);
}

static void json_escapes(void **state) {
  static const struct {
    str in;
    const char *out;
  } cases[] = {
      {STR("plain"), "\"plain\""},
      {STR("q\" b\\ \n\t\r\x01\x7f"), "\"q\\\" b\\\\ \\n\\t\\r\\u0001\\u007f\""},
      {STR("\xc3\xa4"), "\"\xc3\xa4\""},
      {STR("\xf0\x9f\x98\x80"), "\"\xf0\x9f\x98\x80\""},
      {STR("\xff"), "\"\xef\xbf\xbd\""},                                  // no UTF-8
      {STR("\xc0\x80"), "\"\xef\xbf\xbd\xef\xbf\xbd\""},                  // overlong
      {STR("\xed\xa0\x80"), "\"\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd\""},  // surrogate
      {STR("\xe4\xb8"), "\"\xef\xbf\xbd\xef\xbf\xbd\""},                  // cut off
      {{"a\0b", 3}, "\"a\\u0000b\""},
  };
  for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
    text t = {0};
    text_json_string(&t, cases[i].in);
    assert_string_equal(t.at, cases[i].out);
    text_deinit(&t);
  }
}

static void known_numbers(void **state) {
  static const struct {
    double value;
    const char *text;
  } rows[] = {{0, "0"},           {-0.0, "-0"},         {1, "1"},
              {-1.5, "-1.5"},     {0.1, "0.1"},         {1e21, "1e21"},
              {1e16, "1e16"},     {123456, "123456"},   {0.3, "0.3"},
              {1e-7, "1e-7"},     {2.5e-5, "0.000025"}, {1.0 / 3, "0.3333333333333333"},
              {1e300, "1e300"},   {5e-324, "5e-324"},   {1.7976931348623157e308, "1.7976931348623157e308"},
              {INFINITY, "null"}, {NAN, "null"}};
  for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
    text t = {0};
    text_json_f64(&t, rows[i].value);
    assert_string_equal(t.at, rows[i].text);
    text_deinit(&t);
  }
  text t = {0};
  text_json_i64(&t, INT64_MIN);
  text_json_u64(&t, UINT64_MAX);
  text_json_f32(&t, 1e-45f);
  text_json_f32(&t, 3.4028235e38f);
  assert_string_equal(t.at, "-9223372036854775808184467440737095516151e-453.4028235e38");
  text_deinit(&t);
}

// Significant digits of a written number.
static size_t digits_of(const char *number) {
  size_t count = 0, zeros = 0;
  for (; *number && *number != 'e'; number++) {
    if (*number < '0' || *number > '9' || (count == 0 && *number == '0')) continue;
    zeros = *number == '0' ? zeros + 1 : 0;
    count++;
  }
  return count - zeros;
}

// Of what printf offers; beside a power of two there may be less.
static size_t fewest_digits(double v, bool single) {
  char line[64];
  for (int n = 1;; n++) {
    snprintf(line, sizeof line, "%.*e", n - 1, v);
    if (single ? strtof(line, NULL) == (float)v : strtod(line, NULL) == v) return digits_of(line);
  }
}

static void check_written(const char *written, double v, bool single) {
  if (single ? strtof(written, NULL) != (float)v : strtod(written, NULL) != v) fail_msg("%a %s", v, written);
  if (digits_of(written) > fewest_digits(v, single)) fail_msg("%a %s", v, written);
}

static void random_numbers(void **state) {
  enum { ROUNDS = 50000 };
  uint64_t seed = 1234567;
  text t = {0};
  for (int i = 0; i < ROUNDS; i++) {
    seed ^= seed << 13, seed ^= seed >> 7, seed ^= seed << 17;
    uint32_t low = (uint32_t)(seed >> 16);
    float f;
    double d;
    memcpy(&f, &low, 4);
    memcpy(&d, &seed, 8);
    if (i & 1) f = (float)(low % 100000) / 1000, d = (double)(low % 1000000) / 1000;
    if (i % 8 == 0) f = ldexpf(1, (int)(low % 277) - 149), d = ldexp(1, (int)(low % 2098) - 1074);
    t.size = 0;
    text_json_f32(&t, f);
    if (isfinite(f) && f != 0) check_written(t.at, (double)f, true);
    t.size = 0;
    text_json_f64(&t, d);
    if (isfinite(d) && d != 0) check_written(t.at, d, false);
  }
  text_deinit(&t);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(text_grows),
      cmocka_unit_test(text_remembers_failure),
      cmocka_unit_test(text_stops_at_its_limit),
      cmocka_unit_test(json_escapes),
      cmocka_unit_test(known_numbers),
      cmocka_unit_test(random_numbers),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}

// SPDX-License-Identifier: Apache-2.0
// UTF-8 decoding, encoding, and case pairs.
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
// after the standard headers
#include <cmocka.h>

#include "base/unicode.h"

static void round_trip(void **state) {
  for (int32_t code = 0; code <= 0x10ffff; code++) {
    if (code >= 0xd800 && code < 0xe000) continue;
    char bytes[4];
    size_t n = utf8_put(bytes, code), at = 0;
    assert_int_equal(utf8_next((str){bytes, n}, &at), code);
    assert_int_equal(at, n);
  }
}

static void invalid(void **state) {
  static const char *const bad[] = {
      "\x80", "\xc0\x80", "\xc3", "\xe0\x80\x80", "\xed\xa0\x80", "\xf0\x80\x80\x80", "\xf4\x90\x80\x80",
      "\xff", "\xe2\x82"};
  for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
    size_t at = 0;
    assert_int_equal(utf8_next(str_from(bad[i]), &at), -1);
    assert_int_equal(at, 1);
  }
}

static void cases(void **state) {
  static const int32_t pairs[][2] = {{'A', 'a'},         {'Z', 'z'},      {0xc4, 0xe4},   {0x100, 0x101},
                                     {0x178, 0xff},      {0x3a9, 0x3c9},  {0x42f, 0x44f}, {0x1e9e, 0x1e9e},
                                     {0x10400, 0x10428}, {0xff21, 0xff41}};
  for (size_t i = 0; i < sizeof pairs / sizeof *pairs; i++) {
    assert_int_equal(unicode_lower(pairs[i][0]), pairs[i][1]);
    assert_int_equal(unicode_upper(pairs[i][1]), pairs[i][0]);
  }
  for (int32_t code = 0; code <= 0x10ffff; code++)
    if (unicode_lower(code) != code) assert_int_equal(unicode_upper(unicode_lower(code)), code);
  assert_int_equal(unicode_lower('1'), '1');
  assert_int_equal(unicode_upper(0x4e00), 0x4e00);
}

int main(void) {
  const struct CMUnitTest tests[] = {cmocka_unit_test(round_trip), cmocka_unit_test(invalid), cmocka_unit_test(cases)};
  return cmocka_run_group_tests(tests, NULL, NULL);
}

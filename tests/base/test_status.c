// SPDX-License-Identifier: Apache-2.0
// Messages: kept, prefixed, cut to fit, free of control characters.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
// after the standard headers
#include <cmocka.h>

#include "base/status.h"

static void first_message_is_kept(void **state) {
  error e = {0};
  assert_int_equal(error_set(&e, SDX_NOT_FOUND, "no file '%s'", "a"), SDX_NOT_FOUND);
  assert_int_equal(error_set(&e, SDX_INTERNAL, "later"), SDX_INTERNAL);
  assert_int_equal(e.status, SDX_NOT_FOUND);
  assert_string_equal(e.message, "no file 'a'");
  error_prefix(&e, "node %d", 3);
  assert_string_equal(e.message, "node 3: no file 'a'");
  error_clear(&e);
  assert_int_equal(e.status, SDX_OK);
  error_prefix(&e, "nothing is set");
  assert_string_equal(e.message, "");
  assert_int_equal(error_set(NULL, SDX_IO_ERROR, "nobody listens"), SDX_IO_ERROR);
  error_prefix(NULL, "x");
}

static void long_messages_are_cut(void **state) {
  error e = {0};
  char text[3000];
  memset(text, 'x', sizeof text - 1);
  text[sizeof text - 1] = 0;
  error_set(&e, SDX_INVALID_MODEL, "%s", text);
  assert_int_equal(strlen(e.message), sizeof e.message - 1);
  error_prefix(&e, "place");  // long enough: the cause and its nearest places stay
  assert_memory_equal(e.message, "xxx", 3);
  error_clear(&e);
  error_set(&e, SDX_INVALID_MODEL, "%.200s", text);
  error_prefix(&e, "place");
  assert_memory_equal(e.message, "place: xxx", 10);
  assert_int_equal(strlen(e.message), 207);
  error_prefix(&e, "%s", text);  // no room for this one
  assert_memory_equal(e.message, "place: xxx", 10);
}

static void control_characters_do_not_pass(void **state) {
  error e = {0};
  error_set(&e, SDX_INVALID_MODEL, "name '\x1b[31m\n\x7f'");
  assert_string_equal(e.message, "name '?[31m?\?'");
  error_prefix(&e, "a\tb");
  assert_string_equal(e.message, "a?b: name '?[31m?\?'");
}

static void every_status_has_its_facts(void **state) {
  assert_string_equal(status_name(SDX_OK), "OK");
  assert_int_equal(status_http(SDX_DEADLINE_EXCEEDED), 504);
  for (int s = 0; s < SDX_STATUS_COUNT; s++) {
    assert_true(strlen(status_name((sdx_status)s)) > 1);
    assert_true(strlen(status_text((sdx_status)s)) > 5);
    assert_in_range(status_http((sdx_status)s), 200, 599);
  }
  assert_string_equal(status_name((sdx_status)999), "?");
  assert_int_equal(status_http((sdx_status)999), 500);
}

static void no_memory_says_how_much(void **state) {
  error e = {0};
  assert_int_equal(error_no_memory(&e, 12345), SDX_NO_MEMORY);
  assert_non_null(strstr(e.message, "12345 bytes"));
  error_clear(&e);
  error_no_memory(&e, (size_t)-4);  // a product that ran over
  assert_string_equal(e.message, "no memory for more bytes than can be addressed: the memory budget is spent");
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(first_message_is_kept),          cmocka_unit_test(long_messages_are_cut),
      cmocka_unit_test(control_characters_do_not_pass), cmocka_unit_test(every_status_has_its_facts),
      cmocka_unit_test(no_memory_says_how_much),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}

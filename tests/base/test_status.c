// SPDX-License-Identifier: Apache-2.0
// Errors: kept, placed, worded, cut to fit, free of control characters; their fields as JSON.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
// after the standard headers
#include <cmocka.h>

#include "base/status.h"
#include "base/text.h"

static void first_message_is_kept(void **state) {
  error e = {0};
  assert_int_equal(error_set(&e, SDX_NOT_FOUND, "no file '%s'", "a"), SDX_NOT_FOUND);
  assert_int_equal(error_set(&e, SDX_INTERNAL, "later"), SDX_INTERNAL);
  assert_int_equal(e.status, SDX_NOT_FOUND);
  assert_string_equal(e.message, "no file 'a'");
  error_within(&e, "trip %d", 3);
  assert_string_equal(e.message, "trip 3: no file 'a'");
  error copy = {0};
  assert_int_equal(error_copy(&copy, &e), SDX_NOT_FOUND);
  assert_string_equal(copy.message, e.message);
  error_clear(&e);
  assert_int_equal(e.status, SDX_OK);
  error_within(&e, "nothing is set");
  error_node(&e, 0, STR("n"), STR("Add"));
  error_in_part(&e, at_input(0));
  error_hint(&e, "none");
  error_offset(&e, 1);
  error_code(&e, "none");
  assert_string_equal(e.message, "");
  assert_int_equal(error_set(NULL, SDX_IO_ERROR, "nobody listens"), SDX_IO_ERROR);
  error_within(NULL, "x");
  assert_int_equal(error_copy(&copy, &e), SDX_OK);
  assert_string_equal(copy.message, "trip 3: no file 'a'");
}

static void places_are_put_in_front(void **state) {
  error e = {0};
  char place[ERROR_PLACE];
  error_at(&e, at_input(1), SDX_OUT_OF_RANGE, "is %d at %d, expected %d to %d", 9, 0, 0, 3);
  assert_string_equal(e.message, "input 1 is 9 at 0, expected 0 to 3");
  assert_string_equal(error_place(&e, place), "input 1");
  error_part_of_record(&e, 1, STR("indices"));
  error_node(&e, -1, STR("g"), STR("Gather"));
  error_node(&e, -1, STR("outer"), STR("Loop"));  // the inner one stays
  error_within(&e, "trip 3");
  error_within(&e, "pass fold");
  error_hint(&e, "look");
  assert_string_equal(e.message,
                      "pass fold: trip 3: node 'g' (Gather): input 1 ('indices') is 9 at 0, expected 0 to 3; look");
  assert_string_equal(error_place(&e, place), "pass fold: trip 3: node 'g' (Gather)");
  error_clear(&e);
  error_at(&e, at_file(STR("w.bin")), SDX_IO_ERROR, "ended");
  error_offset(&e, 12);
  error_in_part(&e, part_named(PART_INITIALIZER, STR("w")));
  assert_string_equal(e.message, "initializer 'w': byte 12: file 'w.bin' ended");
  assert_string_equal(error_place(&e, place), "initializer 'w'");
  error_clear(&e);
  error_set(&e, SDX_INVALID_GRAPH, "it has no operator");
  error_node(&e, 4, STR(""), STR(""));
  assert_string_equal(e.message, "node 4 '': it has no operator");
  error_clear(&e);
  error_at(&e, at_attribute("pads"), SDX_OUT_OF_RANGE, "[%d] is %d", 2, -1);
  error_in_part(&e, at_attribute("pads"));  // the same part is not named twice
  assert_string_equal(e.message, "attribute 'pads'[2] is -1");
}

// What a model calls its things is not taken for structure.
static void found_and_expected_come_from_the_format(void **state) {
  error e = {0};
  text t = {0};
  error_at(&e, (error_part){PART_INPUT, 0, STR("x")}, SDX_INVALID_SHAPE, "is %s, expected %s", "a, expected b",
           "c, expected d");
  error_code(&e, "input-type");
  error_code(&e, "later");
  assert_string_equal(e.message, "input 'x' is a, expected b, expected c, expected d");
  error_json(&t, &e);
  assert_string_equal(
      t.at,
      "\"status\":\"INVALID_SHAPE\",\"code\":\"input-type\",\"place\":\"input 'x'\",\"message\":"
      "\"input 'x' is a, expected b, expected c, expected d\",\"hint\":\"\",\"input\":\"x\",\"index\":0,"
      "\"found\":\"a, expected b\",\"expected\":\"c, expected d\"");
  text_deinit(&t);
  error_clear(&e);
  error_set(&e, SDX_INVALID_SHAPE, "has %d rows, expected %s: %s", 2, "b: c", "the inner dimensions differ");
  char *reason = error_object(&e);
  assert_non_null(strstr(reason, "\"found\":\"2 rows\",\"expected\":\"b: c\"}"));
  assert_string_equal(e.message, "has 2 rows, expected b: c: the inner dimensions differ");
  mem_free(reason);
  error_clear(&e);
  error_set(&e, SDX_INVALID_SHAPE, "%d channels do not divide into %d groups", 3, 2);
  char *json = error_object(&e);
  assert_string_equal(json,
                      "{\"status\":\"INVALID_SHAPE\",\"code\":\"INVALID_SHAPE\",\"place\":\"\",\"message\":"
                      "\"3 channels do not divide into 2 groups\",\"hint\":\"\"}");
  mem_free(json);
  error_clear(&e);
  assert_null(error_object(&e));
}

static void long_texts_are_cut(void **state) {
  error e = {0};
  char text[3000], place[ERROR_PLACE];
  memset(text, 'x', sizeof text - 1);
  text[sizeof text - 1] = 0;
  str name = str_from(text);
  error_at(&e, part_named(PART_INITIALIZER, name), SDX_INVALID_MODEL, "%s, expected %s", text, text);
  assert_int_equal(e.expected_at, 0);  // it was cut away
  error_node(&e, 3, name, name);
  error_hint(&e, "%s", text);
  error_within(&e, "%s", text);  // no room for this one
  error_within(&e, "trip 1");
  assert_memory_equal(e.message, "trip 1: node 3 'xxx", 18);
  assert_int_equal(strlen(e.message), sizeof e.message - 1);
  assert_true(strlen(error_place(&e, place)) < sizeof place);
  char *json = error_object(&e);
  assert_non_null(json);
  mem_free(json);
  assert_true(sizeof e <= 4096);
}

static void control_characters_do_not_pass(void **state) {
  error e = {0};
  error_set(&e, SDX_INVALID_MODEL, "name '\x1b[31m\n\x7f'");
  assert_string_equal(e.message, "name '?[31m?\?'");
  error_within(&e, "a\tb");
  assert_string_equal(e.message, "a?b: name '?[31m?\?'");
  error_node(&e, -1, STR("n\n"), STR("O\x01"));
  assert_string_equal(e.message, "a?b: node 'n?' (O?): name '?[31m?\?'");
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
  assert_non_null(strstr(e.message, "12.1 KiB"));
  error_clear(&e);
  error_no_memory(&e, (size_t)-4);  // a product that ran over
  static const struct {
    size_t bytes;
    const char *text;
  } sizes[] = {{0, "0 bytes"},
               {1023, "1023 bytes"},
               {1024, "1 KiB"},
               {1536, "1.5 KiB"},
               {10239, "10 KiB"},
               {123456, "121 KiB"},
               {(1 << 20) - 1, "1 MiB"},
               {1 << 30, "1 GiB"},
               {(size_t)1 << 40, "1 TiB"},
               {(size_t)1 << 62, "4 EiB"},
               {PTRDIFF_MAX, "8 EiB"}};
  for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++)
    assert_string_equal(bytes_text(sizes[i].bytes, (char[BYTES_TEXT]){0}), sizes[i].text);
  assert_string_equal(e.message, "no memory for more bytes than can be addressed: the memory budget is spent");
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(first_message_is_kept),
      cmocka_unit_test(places_are_put_in_front),
      cmocka_unit_test(found_and_expected_come_from_the_format),
      cmocka_unit_test(long_texts_are_cut),
      cmocka_unit_test(control_characters_do_not_pass),
      cmocka_unit_test(every_status_has_its_facts),
      cmocka_unit_test(no_memory_says_how_much),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}

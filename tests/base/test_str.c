// SPDX-License-Identifier: Apache-2.0
// Strings, name map, nearest name.
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
// after the standard headers
#include <cmocka.h>

#include "base/str.h"

static void equality(void **state) {
  assert_true(str_equal(STR("ab"), STR("ab")));
  assert_false(str_equal(STR("ab"), STR("abc")));
  assert_false(str_equal(((str){"a\0b", 3}), ((str){"a\0c", 3})));
  assert_true(str_equal((str){0}, STR("")));
  assert_true(str_is(STR("x"), "x"));
  assert_true(str_is((str){0}, NULL));
}

static void map_finds_what_was_put(void **state) {
  arena a;
  arena_init(&a, NULL);
  str_map m;
  str_map_init(&m, &a);
  uint32_t value = 7;
  assert_false(str_map_find(&m, STR("x"), &value));
  assert_int_equal(value, 7);
  for (uint32_t i = 0; i < 3000; i++) {
    const char *name = arena_format(&a, "name%u", i);
    assert_true(str_map_put(&m, str_from(name), i));
  }
  assert_true(str_map_put(&m, STR("name5"), 99));
  assert_true(str_map_put(&m, (str){0}, 1));  // the empty name is a name
  assert_int_equal(m.count, 3001);
  for (uint32_t i = 0; i < 3000; i++) {
    char name[20];
    snprintf(name, sizeof name, "name%u", i);
    assert_true(str_map_find(&m, str_from(name), &value));
    assert_int_equal(value, i == 5 ? 99 : i);
  }
  assert_true(str_map_find(&m, STR(""), &value));
  assert_false(str_map_find(&m, STR("name3000"), NULL));
  arena_deinit(&a);
}

static const char *hint(const char *wanted, const char *const *names, char *buffer) {
  str_nearest n;
  str_nearest_init(&n, str_from(wanted));
  for (; *names; names++) str_nearest_offer(&n, str_from(*names));
  return str_nearest_hint(&n, buffer, 100);
}

static void nearest_name(void **state) {
  static const char *const names[] = {"Relu", "Gelu", "Softmax", "MatMul", "GlobalAveragePool", NULL};
  char buffer[100];
  assert_string_equal(hint("relu", names, buffer), "did you mean 'Relu'?");
  assert_string_equal(hint("Softmaks", names, buffer), "did you mean 'Softmax'?");
  assert_string_equal(hint("GlobalAvgPool", names, buffer), "did you mean 'GlobalAveragePool'?");
  assert_string_equal(hint("global", names, buffer), "did you mean 'GlobalAveragePool'?");  // a beginning
  assert_string_equal(hint("Gl", names, buffer), "");
  assert_string_equal(hint("Conv", names, buffer), "");
  assert_string_equal(hint("", names, buffer), "");
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(equality),
      cmocka_unit_test(map_finds_what_was_put),
      cmocka_unit_test(nearest_name),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}

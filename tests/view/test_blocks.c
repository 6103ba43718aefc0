// SPDX-License-Identifier: Apache-2.0
// What folds: scopes of names, repeats and repeats within repeats. Letters stand for operators.
#include "view/blocks.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static json_t *named(const char *const *names) {
  json_t *nodes = json_array();
  for (; *names; names++) json_array_append_new(nodes, json_pack("{s:s,s:s}", "op", "Add", "name", *names));
  return nodes;
}

static json_t *spelled(const char *letters) {
  json_t *nodes = json_array();
  for (; *letters; letters++) json_array_append_new(nodes, json_pack("{s:s%}", "op", letters, (size_t)1));
  return nodes;
}

static void test_scopes(void **unused) {
  const char *const names[] = {"/a/b/x", "/a/b/y", "/a/c/z", "/a/w", "plain", NULL};
  json_t *nodes = named(names);
  blocks b;
  assert_true(blocks_by_scope(nodes, &b));
  assert_int_equal(b.count, 2);  // c holds one node: nothing to fold
  assert_string_equal(b.at[0].label, "a");
  assert_int_equal(b.at[0].count, 4);
  assert_string_equal(b.at[1].label, "b");
  assert_int_equal(b.at[1].parent, 0);
  const int32_t of[] = {1, 1, 0, 0, -1};
  assert_memory_equal(b.of_node, of, sizeof of);
  blocks_free(&b);
  json_decref(nodes);
}

static void test_no_scopes(void **unused) {
  const char *const names[] = {"x", "y", "", "/", "//", NULL};
  json_t *nodes = named(names);
  blocks b;
  assert_true(blocks_by_scope(nodes, &b));
  assert_int_equal(b.count, 0);
  blocks_free(&b);
  json_decref(nodes);
}

static size_t turns_of(const char *letters, uint32_t *period, uint32_t *first) {
  json_t *nodes = spelled(letters);
  blocks b;
  assert_true(blocks_by_repeat(nodes, &b));
  size_t turns = b.count ? b.at[0].turns : 0;
  if (turns) *period = b.at[0].count, *first = b.at[0].first;
  for (size_t i = 0; i < b.count; i++) assert_true(b.at[i].first + b.at[i].count <= strlen(letters));
  blocks_free(&b);
  json_decref(nodes);
  return turns;
}

static void test_repeats(void **unused) {
  uint32_t period, first;
  assert_int_equal(turns_of("xabcdabcdabcdy", &period, &first), 3);
  assert_int_equal(period, 4);
  assert_int_equal(first, 1);
  assert_int_equal(turns_of("abcabdabeabf", &period, &first), 0);
  assert_int_equal(turns_of("", &period, &first), 0);
  assert_int_equal(turns_of("a", &period, &first), 0);
  assert_int_equal(turns_of("ababab", &period, &first), 0);  // too little to fold
}

static void test_nested_repeats(void **unused) {
  json_t *nodes = spelled("abcabcabcxyabcabcabcxy");
  blocks b;
  assert_true(blocks_by_repeat(nodes, &b));
  assert_int_equal(b.count, 8);  // two turns of three each
  assert_int_equal(b.at[0].turns, 2);
  assert_int_equal(b.at[1].parent, 0);
  assert_int_equal(b.at[1].turns, 3);
  assert_int_equal(b.at[7].turn, 3);
  assert_int_equal(b.of_node[9], 0);
  blocks_free(&b);
  json_decref(nodes);
}

// Attributes tell nodes apart.
static void test_attributes(void **unused) {
  json_t *nodes = json_array();
  for (int i = 0; i < 12; i++)
    json_array_append_new(nodes, json_pack("{s:s,s:[{s:s,s:i}]}", "op", "Gemm", "attributes", "name", "n", "value", i));
  blocks b;
  assert_true(blocks_by_repeat(nodes, &b));
  assert_int_equal(b.count, 0);
  blocks_free(&b);
  json_decref(nodes);
}

int main(void) {
  const struct CMUnitTest tests[] = {cmocka_unit_test(test_scopes), cmocka_unit_test(test_no_scopes),
                                     cmocka_unit_test(test_repeats), cmocka_unit_test(test_nested_repeats),
                                     cmocka_unit_test(test_attributes)};
  return cmocka_run_group_tests(tests, NULL, NULL);
}

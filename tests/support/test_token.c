// SPDX-License-Identifier: Apache-2.0
// Tokens: taken while they last, refused once a bit of them differs. One of another maker, checked against a fixed key,
// holds the format.
#include "support/token.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static const char key[] = "a key of enough characters";

static bool good(const char *token) { return token_good(key, token, strlen(token)); }

static void test_made_and_taken(void **state) {
  char *token = token_make(key, "digits", 60);
  assert_non_null(token);
  assert_true(good(token));
  assert_false(token_good("another key", token, strlen(token)));
  free(token);
}

static void test_ended(void **state) {
  for (int64_t seconds = -5; seconds <= 0; seconds += 5) {
    char *token = token_make(key, "digits", seconds);
    assert_false(good(token));
    free(token);
  }
}

static void test_each_character_counts(void **state) {
  char *token = token_make(key, "digits", 60);
  size_t size = strlen(token);
  for (size_t i = 0; i < size; i++) {
    char kept = token[i];
    // The last character of 32 bytes has two bits that mean nothing; ours are compared as text.
    token[i] = kept == 'A' ? 'B' : 'A';
    assert_false(good(token));
    token[i] = kept;
  }
  for (size_t shorter = 0; shorter < size; shorter++) assert_false(token_good(key, token, shorter));
  free(token);
}

// By PyJWT: jwt.encode({"aud": "digits", "exp": 4102444800}, key, "HS256"); "none" and a claim that is missing.
static void test_of_others(void **state) {
  assert_true(
      good("eyJhbGciOiJIUzI1NiIsInR5cCI6IkpXVCJ9.eyJhdWQiOiJkaWdpdHMiLCJleHAiOjQxMDI0NDQ4MDB9."
           "QfDCGLjmOcp0tvLseMsSgZ185i8a9mtb8jVp9zOSR5U"));
  assert_false(
      good("eyJhbGciOiJIUzI1NiIsInR5cCI6IkpXVCJ9.eyJhdWQiOiJkaWdpdHMifQ.UWqT0oQG7sZZ5AADXycbUNiHz0iTaNJbbHH95zWRwyE"));
  assert_false(good("eyJhbGciOiJub25lIiwidHlwIjoiSldUIn0.eyJhdWQiOiJkaWdpdHMiLCJleHAiOjQxMDI0NDQ4MDB9."));
  assert_false(good(""));
  assert_false(good(".."));
}

int main(void) {
  const struct CMUnitTest tests[] = {cmocka_unit_test(test_made_and_taken), cmocka_unit_test(test_ended),
                                     cmocka_unit_test(test_each_character_counts), cmocka_unit_test(test_of_others)};
  return cmocka_run_group_tests(tests, NULL, NULL);
}

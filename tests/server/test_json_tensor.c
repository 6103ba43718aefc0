// SPDX-License-Identifier: Apache-2.0
// The JSON reader, the tensor reader and the number writer of the server.
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "server/json_tensor.h"

typedef struct source {
  char *bytes;
  json j;
} source;

// The reader gets an exact heap copy, so that a sanitizer sees one byte too far.
static source open_text(const char *literal, size_t size) {
  source t = {malloc(size ? size : 1), {0}};
  memcpy(t.bytes, literal, size);
  json_init(&t.j, t.bytes, size, 32, 10000);
  return t;
}

static bool skip_all(const char *literal, size_t size) {
  source t = open_text(literal, size);
  bool good = json_skip(&t.j) && json_end(&t.j);
  assert_int_equal(good, !t.j.failed);
  free(t.bytes);
  return good;
}

// clang-format off
static const char *const good[] = {
    "0", "-0", "-0.0e-0", "1e5", "1E+5", "12.25", "[]", "{}", " [ ] ", "[[],{}]", "\"\"",
    "\"\\u00e9\\ud83d\\ude00\\n\"", "true", "false", "null", "[1,2,[3]]", "{\"a\":1,\"a\":[{}]}", "\"\xc3\xa9\"",
    "[1,\r\n\t2]", "\"\\/\"", "\"\x7f\""};
static const char *const bad[] = {
    "", " ", "+1", "01", "-", "-a", "1.", ".5", "1e", "1e+", "0x1", "NaN", "Infinity", "-Infinity", "[1,]", "[,1]",
    "[1", "]", "[1}", "{\"a\"}", "{\"a\":}", "{a:1}", "{\"a\":1,}", "{1:2}", "\"", "\"\\\"", "\"\\x\"", "\"\\ud800\"",
    "\"\\udc00\"", "\"\\ud800\\u0041\"", "\"\\u12g4\"", "\"\n\"", "\"\x01\"", "\"\xff\"", "\"\xc0\x80\"",
    "\"\xed\xa0\x80\"", "\"\xf4\x90\x80\x80\"", "\"\xe2\x82\"", "tru", "truex", "nul", "1 2", "[1 2]",
    "\xef\xbb\xbf[1]", "{\"a\":1 \"b\":2}", "'a'", "[1]//", "{,}"};
// clang-format on

static void test_grammar(void **state) {
  for (size_t i = 0; i < sizeof good / sizeof *good; i++)
    if (!skip_all(good[i], strlen(good[i]))) fail_msg("refused: %s", good[i]);
  for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
    if (skip_all(bad[i], strlen(bad[i]))) fail_msg("accepted: %s", bad[i]);
  assert_false(skip_all("[\0]", 3));
  assert_false(skip_all("1\0", 2));
}

static void test_words_are_numbers_where_asked_for(void **state) {
  static const char text[] = "[NaN, Infinity, -Infinity, -1, {\"a\": NaN}]";
  source t = open_text(text, sizeof text - 1);
  t.j.words = true;
  number_decimal n;
  double want[] = {NAN, INFINITY, -INFINITY, -1};
  bool first = true;
  assert_true(json_open(&t.j, '[', "it"));
  for (int i = 0; i < 4; i++) {
    assert_true(json_more(&t.j, '[', &first) && json_number_read(&t.j, &n, "it"));
    double got = number_from_decimal(&n);
    assert_true(got == want[i] || (isnan(got) && isnan(want[i])));
  }
  assert_true(json_more(&t.j, '[', &first) && json_skip(&t.j));
  assert_true(!json_more(&t.j, '[', &first) && json_end(&t.j));
  free(t.bytes);
}

static void test_depth_and_count(void **state) {
  char nest[200];
  memset(nest, '[', 100);
  memset(nest + 100, ']', 100);
  assert_true(skip_all(nest + 100 - 32, 64));
  assert_false(skip_all(nest + 100 - 33, 66));
  char *many = malloc(30000);
  size_t n = 0;
  many[n++] = '[';
  for (int i = 0; i < 9999; i++) n += (size_t)sprintf(many + n, i ? ",1" : "1");
  many[n] = ']';
  assert_true(skip_all(many, n + 1));
  n += (size_t)sprintf(many + n, ",1]");
  assert_false(skip_all(many, n));
  free(many);
}

static void test_every_cut(void **state) {
  const char *whole = "{\"a\": [1.5e3, \"x\\u00e9\\n\", true], \"b\": {\"c\": null, \"d\": -0.25}}";
  for (size_t cut = 0; cut < strlen(whole); cut++) assert_false(skip_all(whole, cut));
  assert_true(skip_all(whole, strlen(whole)));
}

static void test_strings_decode(void **state) {
  const char *literal = "\"a\\\"\\\\\\u0000\\u00e9\\ud83d\\ude00\xc3\xa9\"";
  source t = open_text(literal, strlen(literal));
  str s;
  assert_true(json_string_read(&t.j, &s, "it"));
  const char expected[] = "a\"\\\0\xc3\xa9\xf0\x9f\x98\x80\xc3\xa9";
  assert_int_equal(s.size, sizeof expected - 1);
  assert_memory_equal(s.at, expected, s.size);
  free(t.bytes);
}

static double read_f64(const char *literal) {
  source t = open_text(literal, strlen(literal));
  number_decimal n;
  assert_true(json_number_read(&t.j, &n, "it"));
  double value = number_from_decimal(&n);
  free(t.bytes);
  return value;
}
static float read_f32(const char *literal) {
  source t = open_text(literal, strlen(literal));
  number_decimal n;
  assert_true(json_number_read(&t.j, &n, "it"));
  float value = number_from_decimal_f32(&n);
  free(t.bytes);
  return value;
}

static void test_numbers_round_once(void **state) {
  static const char *const cases[] = {"0.1",
                                      "1e23",
                                      "9007199254740993",
                                      "9007199254740993.0",
                                      "1.00000005960464477539062500",
                                      "1.0000000596046447753906250000000000001",
                                      "8.5899345920000001e9",
                                      "16777217",
                                      "16777219",
                                      "1e-45",
                                      "7e-46",
                                      "1.17549435e-38",
                                      "3.4028235e38",
                                      "3.4028236e38",
                                      "1.7976931348623157e308",
                                      "4.9e-324",
                                      "123456789012345678901234567890",
                                      "0.000000000000000000000000000000000000001",
                                      "5e-324",
                                      "1e-400",
                                      "0.30000001192092896",
                                      "2.2250738585072011e-308",
                                      "1.0000001788139343261718750",
                                      "0.5000000298023223876953125"};
  for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
    assert_true(read_f64(cases[i]) == strtod(cases[i], NULL));
    assert_true(read_f32(cases[i]) == strtof(cases[i], NULL));
  }
  uint64_t seed = 88172645463325252u;
  char literal[64];
  for (int i = 0; i < 200000; i++) {
    seed ^= seed << 13, seed ^= seed >> 7, seed ^= seed << 17;
    int digits = 1 + (int)(seed % 19), exponent = (int)(seed >> 32 & 63) - 40;
    uint64_t value = seed >> 3;
    for (int d = 19; d > digits; d--) value /= 10;
    snprintf(literal, sizeof literal, "%s%llu.%llue%d", i & 1 ? "-" : "", (unsigned long long)value,
             (unsigned long long)(seed & 0xFFFF), exponent);
    if (read_f64(literal) != strtod(literal, NULL) || read_f32(literal) != strtof(literal, NULL))
      fail_msg("%s", literal);
  }
}

// Reads `literal` as `dtype`; on success the caller frees.
static bool read_tensor(const char *literal, sdx_dtype dtype, json_tensor *t, char message[400]) {
  source x = open_text(literal, strlen(literal));
  *t = (json_tensor){.dtype = dtype, .path = "data", .max_count = 100};
  bool good = json_tensor_read(&x.j, t) && json_end(&x.j);
  snprintf(message, 400, "%s", x.j.message);
  if (!good) json_tensor_free(t);
  if (dtype != SDX_STRING || !good) free(x.bytes);
  return good;
}

static void test_tensor_shapes(void **state) {
  static const struct {
    const char *text;
    size_t rank;
    int64_t shape[3];
  } cases[] = {{"5", 0, {0}},
               {"[1,2,3]", 1, {3}},
               {"[[1,2],[3,4],[5,6]]", 2, {3, 2}},
               {"[]", 1, {0}},
               {"[[],[]]", 2, {2, 0}},
               {"[[[1]],[[2]]]", 3, {2, 1, 1}},
               {" [ [ 1 , 2 ] , [ 3 , 4 ] ] ", 2, {2, 2}}};
  char message[400];
  for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
    json_tensor t;
    if (!read_tensor(cases[i].text, SDX_FLOAT, &t, message)) fail_msg("%s: %s", cases[i].text, message);
    assert_int_equal(t.rank, cases[i].rank);
    for (size_t d = 0; d < t.rank; d++) assert_int_equal(t.shape[d], cases[i].shape[d]);
    for (size_t k = 0; k < t.count; k++) assert_true(((float *)t.data)[k] == (t.rank ? (float)(k + 1) : 5));
    assert_int_equal((uintptr_t)t.data % 64, 0);
    json_tensor_free(&t);
  }
}

static void test_tensor_errors(void **state) {
  static const struct {
    const char *text;
    sdx_dtype dtype;
    const char *message;
  } cases[] = {
      {"[[1,2],[3]]", SDX_FLOAT, "data[1]: found a list of 1, the lists before it have 2"},
      {"[[1,2],3]", SDX_FLOAT, "data[1]: found a number, expected a list as before it"},
      {"[1,[2]]", SDX_FLOAT, "data[1]: found a list, expected a number as before it"},
      {"[[],[1]]", SDX_FLOAT, "data[1]: found a list of 1, the lists before it have 0"},
      {"[[1],[]]", SDX_FLOAT, "data[1]: found a list of 0, the lists before it have 1"},
      {"[1,\"2\"]", SDX_FLOAT, "data[1]: found a string, expected float"},
      {"[1,nan]", SDX_FLOAT, "data[1]: found a word that is no number; NaN, Infinity, -Infinity and null are"},
      {"[1,-Inf]", SDX_DOUBLE, "data[1]: found a word that is no number; NaN, Infinity, -Infinity and null are"},
      {"[1,NaN]", SDX_INT32, "data[1]: found NaN or Infinity (no JSON number), expected int32"},
      {"[null]", SDX_INT64, "data[0]: found null, expected int64"},
      {"[-Infinite]", SDX_FLOAT, "data[0]: found a word that is no number; NaN, Infinity, -Infinity and null are"},
      {"[true]", SDX_FLOAT, "data[0]: found true or false, expected float"},
      {"[1.5]", SDX_INT64, "data[0]: 1.5 is not a whole number, expected int64"},
      {"[0,300]", SDX_UINT8, "data[1]: 300 is out of range of uint8"},
      {"[-1]", SDX_UINT8, "data[0]: -1 is out of range of uint8"},
      {"[9223372036854775808]", SDX_INT64, "data[0]: 9223372036854775808 is out of range of int64"},
      {"[1e400]", SDX_FLOAT, "data[0]: 1e400 is out of range of float"},
      {"[1e39]", SDX_FLOAT, "data[0]: 1e39 is out of range of float"},
      {"[1e400]", SDX_DOUBLE, "data[0]: 1e400 is out of range of double"},
      {"[65520]", SDX_FLOAT16, "data[0]: 65520 is out of range of float16"},
      {"[2]", SDX_BOOL, "data[0]: 2 is out of range of bool"},
      {"[1]", SDX_STRING, "data[0]: found a number, expected a string"},
      {"[1]", SDX_COMPLEX64, "data: complex64 has no JSON form, send it as binary data"},
      {"{}", SDX_FLOAT, "data: found an object, expected float"},
      {"", SDX_FLOAT, "data: found the end of the text, expected float"},
      {"[1,2", SDX_FLOAT, "byte 4: data[1]: expected ',' or ']' after it, found the end of the text"},
      {"[1 2]", SDX_FLOAT, "byte 3: data[0]: expected ',' or ']' after it, found a number"},
      {"[1,]", SDX_FLOAT, "data[1]: found something that is not JSON, expected float"}};
  char message[400];
  for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
    json_tensor t;
    if (read_tensor(cases[i].text, cases[i].dtype, &t, message)) fail_msg("accepted: %s", cases[i].text);
    assert_string_equal(message, cases[i].message);
  }
}

// NaN, infinities and null stand for values of every real type.
static void test_tensor_words(void **state) {
  static const char words[] = "[NaN, null, Infinity, -Infinity, 1]";
  char message[400];
  json_tensor t;
  assert_true(read_tensor(words, SDX_FLOAT, &t, message));
  const float *f = t.data;
  assert_true(isnan(f[0]) && isnan(f[1]) && f[2] == INFINITY && f[3] == -INFINITY && f[4] == 1);
  json_tensor_free(&t);
  assert_true(read_tensor(words, SDX_DOUBLE, &t, message));
  const double *d = t.data;
  assert_true(isnan(d[0]) && isnan(d[1]) && d[2] == (double)INFINITY && d[3] == -(double)INFINITY && d[4] == 1);
  json_tensor_free(&t);
  assert_true(read_tensor(words, SDX_FLOAT16, &t, message));
  const uint16_t *h = t.data;
  assert_true((h[0] & 0x7FFF) > 0x7C00 && (h[1] & 0x7FFF) > 0x7C00 && h[2] == 0x7C00 && h[3] == 0xFC00);
  json_tensor_free(&t);
  assert_true(read_tensor(words, SDX_BFLOAT16, &t, message));
  const uint16_t *b = t.data;
  assert_true((b[0] & 0x7FFF) > 0x7F80 && (b[1] & 0x7FFF) > 0x7F80 && b[2] == 0x7F80 && b[3] == 0xFF80);
  json_tensor_free(&t);
}

static void test_tensor_types(void **state) {
  char message[400];
  json_tensor t;
  assert_true(read_tensor("[-9223372036854775808, 9223372036854775807, 5.0, 5e0, -0]", SDX_INT64, &t, message));
  const int64_t wanted[] = {INT64_MIN, INT64_MAX, 5, 5, 0};
  assert_memory_equal(t.data, wanted, sizeof wanted);
  json_tensor_free(&t);
  assert_true(read_tensor("[0, 18446744073709551615]", SDX_UINT64, &t, message));
  assert_true(((uint64_t *)t.data)[1] == UINT64_MAX);
  json_tensor_free(&t);
  assert_true(read_tensor("[true, false, 1, 0]", SDX_BOOL, &t, message));
  assert_memory_equal(t.data, ((uint8_t[]){1, 0, 1, 0}), 4);
  json_tensor_free(&t);
  assert_true(read_tensor("[1, -2, 65504, 6e-8, 0.1]", SDX_FLOAT16, &t, message));
  assert_memory_equal(t.data, ((uint16_t[]){0x3C00, 0xC000, 0x7BFF, 0x0001, 0x2E66}), 10);
  json_tensor_free(&t);
  assert_true(read_tensor("[1, -2, 3.389e38]", SDX_BFLOAT16, &t, message));
  assert_memory_equal(t.data, ((uint16_t[]){0x3F80, 0xC000, 0x7F7F}), 6);
  json_tensor_free(&t);
}

static void test_tensor_limits(void **state) {
  const char *literal = "[1,2,3]";
  source x = open_text(literal, strlen(literal));
  json_tensor t = {.dtype = SDX_FLOAT, .path = "data", .max_count = 2};
  assert_false(json_tensor_read(&x.j, &t));
  assert_string_equal(x.j.message, "data[2]: more than 2 elements");
  json_init(&x.j, x.bytes, strlen(literal), 32, 100);
  t = (json_tensor){.dtype = SDX_FLOAT, .path = "data", .max_count = (size_t)1 << 50, .expect_count = (size_t)1 << 50};
  assert_false(json_tensor_read(&x.j, &t));
  assert_non_null(strstr(x.j.message, "the text that is left holds at most 4"));
  free(x.bytes);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_grammar),         cmocka_unit_test(test_words_are_numbers_where_asked_for),
      cmocka_unit_test(test_depth_and_count), cmocka_unit_test(test_every_cut),
      cmocka_unit_test(test_strings_decode),  cmocka_unit_test(test_numbers_round_once),
      cmocka_unit_test(test_tensor_shapes),   cmocka_unit_test(test_tensor_errors),
      cmocka_unit_test(test_tensor_words),    cmocka_unit_test(test_tensor_types),
      cmocka_unit_test(test_tensor_limits)};
  return cmocka_run_group_tests(tests, NULL, NULL);
}

// SPDX-License-Identifier: Apache-2.0
// Models that are only looked at: nodes as the file has them, types where they can be known, constants by number, no
// runs. What is wrong is a warning; what is no model is an error.
#include <stdlib.h>
#include <unistd.h>

#include "tests/model.h"

static sdx_session *read_text(const char *source, sdx_status expected) {
  text bytes = model_bytes(source);
  char path[] = "/tmp/sardonyx-read-XXXXXX";
  int fd = mkstemp(path);
  assert_true(fd >= 0 && write(fd, bytes.at, bytes.size) == (ssize_t)bytes.size);
  close(fd);
  text_deinit(&bytes);
  sdx_session *s;
  assert_int_equal(sdx_session_read_file(path, NULL, &s), expected);
  unlink(path);
  return s;
}

static void contains(const sdx_session *s, const char *what, const char *part) {
  char *all = sdx_session_describe(s, what);
  assert_non_null(all);
  if (!strstr(all, part)) fail_msg("no %s in\n%s", part, all);
  sdx_string_free(all);
}

static const char source[] =
    "graph g(%x: float[2,3]) -> (%y) {"
    "  const %w: float[2,3]{1, 2, 3, 4, 5, 6}"
    "  %a = Identity(%x)"
    "  %b = Add(%a, %w)"
    "  %y = my::Riddle<depth=3, names=[\"p\", \"q\"]>(%b)"
    "}";

static void test_described(void **unused) {
  sdx_session *s = read_text(source, SDX_OK);
  contains(s, "graph", "\"op\":\"Identity\"");  // passes would have removed it
  contains(s, "graph", "\"name\":\"b\",\"type\":\"float[2,3]\"");
  contains(s, "graph", "{\"name\":\"depth\",\"kind\":\"int\",\"value\":3}");
  contains(s, "graph", "\"count\":2,\"value\":[\"p\",\"q\"]");
  contains(s, "summary", "\"Riddle\":1");
  assert_non_null(strstr(sdx_session_warnings(s), "Riddle"));
  sdx_session_destroy(s);
}

static void test_constants(void **unused) {
  sdx_session *s = read_text(source, SDX_OK);
  contains(s, "graph", "\"constant\":0,\"bytes\":24");
  sdx_value *w = sdx_session_constant(s, 0);
  assert_non_null(w);
  assert_int_equal(sdx_tensor_count(w), 6);
  assert_true(((const float *)sdx_tensor_data(w))[5] == 6);
  sdx_value_release(w);
  assert_null(sdx_session_constant(s, 1));
  assert_null(sdx_session_constant(s, SIZE_MAX));
  sdx_session_destroy(s);
}

static void test_no_runs(void **unused) {
  sdx_session *s = read_text(source, SDX_OK);
  sdx_run *run;
  assert_int_equal(sdx_run_create(s, &run), SDX_INVALID_ARGUMENT);
  assert_null(run);
  contains(s, "plan", "read to be looked at");
  sdx_session_destroy(s);
}

static void test_no_model(void **unused) {
  sdx_session *s;
  assert_int_equal(sdx_session_read_file(__FILE__, NULL, &s), SDX_INVALID_MODEL);
  assert_true(*sdx_session_error(s));
  assert_null(sdx_session_describe(s, "graph"));
  assert_null(sdx_session_constant(s, 0));
  sdx_session_destroy(s);
  assert_int_equal(sdx_session_read_file("/tmp/no such file", NULL, &s), SDX_NOT_FOUND);
  sdx_session_destroy(s);
}

// What a load numbers: the constants that passes have left.
static void test_loaded(void **unused) {
  text bytes = model_bytes("graph g(%x: float[2]) -> (%y) { const %w: float[2]{1, 2} %y = Add(%x, %w) }");
  sdx_session *s;
  assert_int_equal(sdx_session_load_bytes(bytes.at, bytes.size, false, NULL, &s), SDX_OK);
  sdx_value *w = sdx_session_constant(s, 0);
  assert_non_null(w);
  assert_true(((const float *)sdx_tensor_data(w))[1] == 2);
  sdx_value_release(w);
  sdx_session_destroy(s);
  text_deinit(&bytes);
}

int main(void) {
  const struct CMUnitTest tests[] = {cmocka_unit_test(test_described), cmocka_unit_test(test_constants),
                                     cmocka_unit_test(test_no_runs), cmocka_unit_test(test_no_model),
                                     cmocka_unit_test(test_loaded)};
  return cmocka_run_group_tests(tests, NULL, NULL);
}

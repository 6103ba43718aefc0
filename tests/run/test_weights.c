// SPDX-License-Identifier: Apache-2.0
// Weights are held once: what is packed is let go, and brought back when other shapes want it in another form. What a
// process holds at most: test_peak.c.
#include <fcntl.h>
#include <stdlib.h>
#include <unistd.h>

#include "tests/run/convolutions.h"

static char folder[] = "/tmp/sardonyx-weights-XXXXXX";

static const char *in_folder(const char *name) {
  static char path[200];
  snprintf(path, sizeof path, "%s/%s", folder, name);
  return path;
}

static sdx_session *load(const char *path, const char *settings) {
  sdx_options *o = model_options(settings);
  sdx_session *s;
  if (sdx_session_load_file(path, o, &s)) fail_msg("%s", sdx_session_error(s));
  sdx_options_destroy(o);
  return s;
}

// The one result of a picture of 3x3 is not worth a reorder to channels-last, which has a packed form of its own.
enum { SMALL = 3, LARGE = 64 };

static void other_shapes_bring_weights_back(void **state) {
  convolutions_save(in_folder("a.onnx"), 1, 64, -1, 0, 1);
  sdx_session *s = load(in_folder("a.onnx"), "");
  sdx_value *first = convolutions_run(s, SMALL, NULL, 0);
  size_t packed = s->packs.made, gone = s->weights.gone_bytes;
  assert_int_equal(packed, 1);
  assert_true(gone > 64 * 64 * 9 * sizeof(float) - 8192);
  sdx_value *second = convolutions_run(s, LARGE, NULL, 0), *again = convolutions_run(s, SMALL, NULL, 0);
  assert_int_equal(s->packs.made, 2);
  assert_int_equal(s->weights.gone_bytes, 0);
  convolutions_expect_same(again, first);
  sdx_session *fresh = load(in_folder("a.onnx"), "");
  sdx_value *expected = convolutions_run(fresh, LARGE, NULL, 0);
  convolutions_expect_same(second, expected);
  sdx_value *all[] = {first, second, again, expected};
  for (int i = 0; i < 4; i++) sdx_value_release(all[i]);
  sdx_session_destroy(fresh);
  sdx_session_destroy(s);
}

static void a_file_that_is_gone_still_gives_them(void **state) {
  convolutions_save(in_folder("a.onnx"), 1, 64, -1, 0, 1);
  sdx_session *s = load(in_folder("a.onnx"), "");
  sdx_value_release(convolutions_run(s, SMALL, NULL, 0));
  unlink(in_folder("a.onnx"));
  sdx_value_release(convolutions_run(s, LARGE, NULL, 0));
  sdx_session_destroy(s);
}

static void a_file_that_changed_is_an_error(void **state) {
  char message[400] = "";
  convolutions_save(in_folder("a.onnx"), 1, 64, -1, 0, 1);
  convolutions_save(in_folder("b.onnx"), 1, 64, -1, 0, 2);
  sdx_session *s = load(in_folder("a.onnx"), "");
  sdx_value_release(convolutions_run(s, SMALL, NULL, 0));
  char command[500];
  snprintf(command, sizeof command, "cat %s/b.onnx > %s/a.onnx", folder, folder);
  assert_int_equal(system(command), 0);
  assert_null(convolutions_run(s, LARGE, message, sizeof message));
  assert_non_null(strstr(message, "other weights are in it now"));
  sdx_value *y = convolutions_run(s, SMALL, NULL, 0);  // what is packed goes on
  assert_non_null(y);
  sdx_value_release(y);
  sdx_session_destroy(s);
  unlink(in_folder("b.onnx"));
  unlink(in_folder("a.onnx"));
}

static void what_cannot_come_back_stays(void **state) {
  convolutions_save(in_folder("a.onnx"), 1, 64, -1, 0, 1);
  text bytes = file_bytes(in_folder("a.onnx")), before = file_bytes(in_folder("a.onnx"));
  for (int lent = 0; lent < 2; lent++) {
    sdx_session *s;
    assert_int_equal(sdx_session_load_bytes(bytes.at, bytes.size, lent, NULL, &s), SDX_OK);
    sdx_value_release(convolutions_run(s, SMALL, NULL, 0));
    assert_int_equal(s->weights.gone_bytes, 0);
    sdx_session_destroy(s);
    assert_memory_equal(bytes.at, before.at, bytes.size);
  }
  text_deinit(&bytes);
  text_deinit(&before);
  unlink(in_folder("a.onnx"));
}

static void what_is_read_as_it_is_stays(void **state) {
  static const char model[] =
      "graph g(%x: float[1,64,H,W]) -> (%y, %z) {\n"
      "  const %w: float[64,64,3,3]{...}\n"
      "  %y = Conv(%x, %w)\n"
      "  %z = Neg(%w)\n"
      "}\n";
  text bytes = model_bytes(model);
  FILE *f = fopen(in_folder("read.onnx"), "we");
  fwrite(bytes.at, 1, bytes.size, f);
  fclose(f);
  text_deinit(&bytes);
  sdx_session *s = load(in_folder("read.onnx"), "optimize=none");
  sdx_value_release(convolutions_run(s, SMALL, NULL, 0));
  assert_int_equal(s->packs.made, 1);
  assert_int_equal(s->weights.gone_bytes, 0);
  sdx_session_destroy(s);
  unlink(in_folder("read.onnx"));
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(other_shapes_bring_weights_back), cmocka_unit_test(a_file_that_is_gone_still_gives_them),
      cmocka_unit_test(a_file_that_changed_is_an_error), cmocka_unit_test(what_cannot_come_back_stays),
      cmocka_unit_test(what_is_read_as_it_is_stays),
  };
  if (!mkdtemp(folder)) return 1;
  int failed = cmocka_run_group_tests(tests, NULL, NULL);
  return rmdir(folder) || failed;
}

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

// A corner of x whose size is fed: what follows is prepared when it is known.
static const char model_of_data[] =
    "graph g(%x: float[1,64,64,64], %ends: int64[2]) -> (%y) {\n"
    "  const %starts: int64[2]{0, 0}\n"
    "  const %axes: int64[2]{2, 3}\n"
    "  const %w: float[64,64,3,3]{...}\n"
    "  %part = Slice(%x, %starts, %ends, %axes)\n"
    "  %y = Conv(%part, %w)\n"
    "}\n";

static sdx_value *run_corner(sdx_session *s, int64_t side) {
  sdx_run *r = model_run(s, 1);
  int64_t *ends = sdx_tensor_data(r->inputs[1]);
  ends[0] = ends[1] = side;
  if (sdx_run_execute(r)) fail_msg("%s", sdx_run_error(r));
  sdx_value *y = sdx_value_retain(sdx_run_output(r, 0));
  sdx_run_destroy(r);
  return y;
}

// {...} are zeros, as are pages that are gone.
static void write_weights(text *bytes, size_t count) {
  char *at = bytes->at;
  while (memcmp(at, (char[4096]){0}, 4096) != 0) at++;
  for (size_t k = 0; k < count; k++) {
    float number = (float)(k % 31) / 31;
    memcpy(at + k * sizeof number, &number, sizeof number);
  }
}

static void steps_that_depend_on_data_find_their_packs(void **state) {
  char source[100], target[100];
  snprintf(source, sizeof source, "%s/data.onnx", folder);
  snprintf(target, sizeof target, "%s/data.sdx", folder);
  text bytes = model_bytes(model_of_data);
  write_weights(&bytes, 64 * 64 * 9);
  FILE *f = fopen(source, "we");
  fwrite(bytes.at, 1, bytes.size, f);
  fclose(f);
  sdx_session *all, *s = load(source, ""), *kept;
  assert_int_equal(sdx_session_load_bytes(bytes.at, bytes.size, false, NULL, &all), SDX_OK);  // lets nothing go
  assert_int_equal(sdx_optimize_file(source, target, NULL, &kept), SDX_OK);
  sdx_session_destroy(kept);
  kept = load(target, "");
  for (int64_t side = 64; side > 2; side /= 4) {
    sdx_value *y[] = {run_corner(s, side), run_corner(all, side), run_corner(kept, side)};
    convolutions_expect_same(y[0], y[1]);
    convolutions_expect_same(y[2], y[1]);
    for (int i = 0; i < 3; i++) sdx_value_release(y[i]);
    if (side < 64) continue;
    assert_int_equal(s->packs.made, 1);
    assert_int_equal(kept->packs.made, 0);
    assert_true(s->weights.gone_bytes > 64 * 64 * 9 * sizeof(float) - 8192);
  }
  error err = {0};
  const weight *first = &s->weights.at[0], *there = &all->weights.at[0];
  assert_int_equal(weights_pin(&s->weights, first->data, &err), SDX_OK);  // as a step does that packs nothing after all
  assert_int_equal(s->weights.gone_bytes, 0);
  assert_memory_equal(first->data, there->data, there->bytes);
  sdx_session_destroy(kept);
  sdx_session_destroy(all);
  sdx_session_destroy(s);
  text_deinit(&bytes);
  unlink(source);
  unlink(target);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(other_shapes_bring_weights_back), cmocka_unit_test(a_file_that_is_gone_still_gives_them),
      cmocka_unit_test(a_file_that_changed_is_an_error), cmocka_unit_test(what_cannot_come_back_stays),
      cmocka_unit_test(what_is_read_as_it_is_stays),     cmocka_unit_test(steps_that_depend_on_data_find_their_packs),
  };
  if (!mkdtemp(folder)) return 1;
  int failed = cmocka_run_group_tests(tests, NULL, NULL);
  return rmdir(folder) || failed;
}

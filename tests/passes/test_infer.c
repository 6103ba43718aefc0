// SPDX-License-Identifier: Apache-2.0
// Declared types against inferred ones: another element type is refused, another shape gives way with a warning.
#include "tests/model.h"

static void guesses_give_way(void **state) {
  static const struct {
    const char *source;
    int64_t shape[3];
    size_t rank;
  } cases[] = {
      // skl2onnx: one column for as many as there are, a vector for a column
      {"graph(%x: float[N,4]) -> (%y) {\n  %y: float[N,1] = Relu(%x)\n}\n", {3, 4}, 2},
      {"graph(%x: float[N,4]) -> (%y) {\n  %y: int64[N] = ArgMax<axis=1>(%x)\n}\n", {3, 1}, 2},
      {"graph(%x: float[N,4]) -> (%y) {\n  %a: float[N,4,1] = Relu(%x)\n  %y = Neg(%a)\n}\n", {3, 4}, 2},
      {"graph(%x: float[3,4]) -> (%y) {\n  %y: float[3,5] = Relu(%x)\n}\n", {3, 4}, 2},
      {"graph(%x: float[3,4]) -> (%y) {\n  %y: float[12] = Relu(%x)\n}\n", {3, 4}, 2},
  };
  for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
    sdx_session *s = model_load(cases[i].source, "threads=1");
    assert_non_null(strstr(sdx_session_warnings(s), "is declared"));
    sdx_run *r = model_run(s, 3);
    if (sdx_run_execute(r) != SDX_OK) fail_msg("%s", sdx_run_error(r));
    const sdx_value *y = sdx_run_output(r, 0);
    assert_int_equal(sdx_tensor_rank(y), cases[i].rank);
    assert_memory_equal(sdx_tensor_shape(y), cases[i].shape, cases[i].rank * sizeof(int64_t));
    sdx_run_destroy(r);
    sdx_session_destroy(s);
  }
}

static void contradictions_are_refused(void **state) {
  static const struct {
    const char *source, *settings;
  } cases[] = {
      {"graph(%x: float[N,4]) -> (%y) {\n  %y: double[N,4] = Relu(%x)\n}\n", ""},
      {"graph(%x: float[N,4]) -> (%y) {\n  %y: seq(float[N,4]) = Relu(%x)\n}\n", ""},
      {"graph(%x: float[3,4]) -> (%y) {\n  %y: float[3,5] = Relu(%x)\n}\n", "strict_dims=1"},
      {"graph(%x: float[3,4]) -> (%y) {\n  %y: float[12] = Relu(%x)\n}\n", "strict_dims=1"},
      {"graph(%x: float[N,4]) -> (%y) {\n  %y: float[N,1] = Relu(%x)\n}\n", "strict_dims=1"},
  };
  for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
    text bytes = model_bytes(cases[i].source);
    sdx_options *o = model_options(cases[i].settings);
    sdx_session *s;
    assert_int_equal(sdx_session_load_bytes(bytes.at, bytes.size, false, o, &s), SDX_INVALID_GRAPH);
    assert_non_null(strstr(sdx_session_error(s), "output 'y' is declared"));
    sdx_session_destroy(s);
    sdx_options_destroy(o);
    text_deinit(&bytes);
  }
}

static sdx_status refuse(void *user, sdx_op_context *c) { return sdx_op_fail(c, SDX_NOT_SUPPORTED, "never runs"); }

// What a result is said to be: what is proved; where nothing is, what the model declares.
static void results_are_described_by_what_is_proved(void **state) {
  static const struct {
    const char *source;
    int64_t shape[3];
    const char *first;  // name of dimension 0
  } cases[] = {
      {"graph(%x: float[N,4]) -> (%y) {\n  %y: float[batch,M] = Relu(%x)\n}\n", {-1, 4}, "N"},
      {"graph(%x: float[N,4]) -> (%y) {\n  %y: float[1,M] = Relu(%x)\n}\n", {-1, 4}, "N"},
      {"graph(%x: float[N,4], %s: int64[2]) -> (%y) {\n  %y: float[batch,7] = Reshape(%x, %s)\n}\n", {-1, 7}, "batch"},
      {"graph(%x: float[2,3]) -> (%y) {\n  %y: float[K,3] = my::Own(%x)\n}\n", {-1, 3}, "K"},
  };
  for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
    text bytes = model_bytes(cases[i].source);
    sdx_options *o = sdx_options_create();
    sdx_session *s;
    sdx_options_add_op(o, &(sdx_custom_op){sizeof(sdx_custom_op), "my", "Own", 1, 1, 1, 1, NULL, NULL, refuse});
    if (sdx_session_load_bytes(bytes.at, bytes.size, false, o, &s) != SDX_OK) fail_msg("%s", sdx_session_error(s));
    const sdx_io *y = sdx_session_output(s, 0);
    assert_int_equal(y->rank, 2);
    if (memcmp(y->shape, cases[i].shape, 2 * sizeof *y->shape) != 0 || strcmp(y->symbols[0], cases[i].first) != 0)
      fail_msg("%s: [%lld,%lld] %s", cases[i].source, (long long)y->shape[0], (long long)y->shape[1], y->symbols[0]);
    sdx_session_destroy(s);
    sdx_options_destroy(o);
    text_deinit(&bytes);
  }
}

int main(void) {
  const struct CMUnitTest tests[] = {cmocka_unit_test(guesses_give_way), cmocka_unit_test(contradictions_are_refused),
                                     cmocka_unit_test(results_are_described_by_what_is_proved)};
  return cmocka_run_group_tests(tests, NULL, NULL);
}

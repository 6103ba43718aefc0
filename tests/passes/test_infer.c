// SPDX-License-Identifier: Apache-2.0
// Declared types against inferred ones: what says more is kept, what contradicts is refused, and a guess about a
// shape with free dimensions gives way with a warning.
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
  static const char *const sources[] = {
      "graph(%x: float[3,4]) -> (%y) {\n  %y: float[3,5] = Relu(%x)\n}\n",
      "graph(%x: float[3,4]) -> (%y) {\n  %y: float[12] = Relu(%x)\n}\n",
      "graph(%x: float[N,4]) -> (%y) {\n  %y: double[N,4] = Relu(%x)\n}\n",
      "graph(%x: float[N,4]) -> (%y) {\n  %y: seq(float[N,4]) = Relu(%x)\n}\n",
  };
  for (size_t i = 0; i < sizeof sources / sizeof *sources; i++) {
    text bytes = model_bytes(sources[i]);
    sdx_session *s;
    assert_int_equal(sdx_session_load_bytes(bytes.at, bytes.size, false, NULL, &s), SDX_INVALID_GRAPH);
    assert_non_null(strstr(sdx_session_error(s), "output 'y' is declared"));
    sdx_session_destroy(s);
    text_deinit(&bytes);
  }
}

int main(void) {
  const struct CMUnitTest tests[] = {cmocka_unit_test(guesses_give_way), cmocka_unit_test(contradictions_are_refused)};
  return cmocka_run_group_tests(tests, NULL, NULL);
}

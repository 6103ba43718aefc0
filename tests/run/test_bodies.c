// SPDX-License-Identifier: Apache-2.0
// Bodies of Loop and Scan: what comes out where there is no trip, and what may be believed of values that go round.
#include "tests/locks.h"
#include "tests/model.h"

// A Loop of %n trips over %x: float[K]; `body` makes %s, which is stacked into %z, of the carried %a.
static const char *loop_of(char *source, size_t size, const char *declared, const char *body) {
  snprintf(source, size,
           "graph(%%x: float[K], %%n: int64[]) -> (%%y, %%z) {\n  %%y, %%z = Loop<body=graph body(%%i: int64[], %%c: "
           "bool[], %%a: %s) -> (%%c2, %%a2, %%s) {\n%s    %%a2 = Identity(%%a)\n    %%c2 = Identity(%%c)\n  }>(%%n, "
           "_, %%x)\n}\n",
           declared, body);
  return source;
}

static sdx_run *looped(sdx_session *s, int64_t size, int64_t trips) {
  sdx_run *r = model_run(s, size);
  sdx_value *n = sdx_tensor_create(SDX_INT64, 0, NULL);
  *(int64_t *)sdx_tensor_data(n) = trips;
  sdx_run_set_input(r, 1, n);
  sdx_value_release(n);
  if (sdx_run_execute(r) != SDX_OK) fail_msg("%s", sdx_run_error(r));
  return r;
}

static void without_trips_results_keep_their_shape(void **state) {
  static const struct {
    const char *declared, *body;
    size_t rank;
    int64_t shape[4];
    sdx_dtype dtype;
  } cases[] = {
      {"float", "    %s: float[5] = Identity(%a)\n", 2, {0, 5}, SDX_FLOAT},  // the graph of a removed node
      {"float[9]", "    %s: float[7] = Neg(%a)\n", 2, {0, 5}, SDX_FLOAT},    // stale: the body would give [5]
      {"float", "    %s = Cast<to=7>(%a)\n", 2, {0, 5}, SDX_INT64},          // nothing is declared
      {"float", "    %s: int64[2] = Shape(%i)\n", 2, {0, 0}, SDX_INT64},
      {"float", "    %t = NonZero(%a)\n    %s: int64[1,8] = Neg(%t)\n", 3, {0, 1, 8}, SDX_INT64},  // depends on data
      {"float", "    %t = NonZero(%a)\n    %s: int64[1,L] = Neg(%t)\n", 3, {0, 1, 0}, SDX_INT64},
      {"float", "    const %k: int64[2]{5, 1}\n    %s = Reshape(%a, %k)\n", 3, {0, 5, 1}, SDX_FLOAT},
      {"float",  // bodies of the body
       "    %s = If<then_branch=graph t() -> (%p) {\n      outer %a = %a\n      %p: float[9] = Neg(%a)\n    }, "
       "else_branch=graph f() -> (%q) {\n      outer %a = %a\n      %q = Abs(%a)\n    }>(%c)\n",
       2,
       {0, 5},
       SDX_FLOAT},
      {"float",
       "    const %k: int64[]{3}\n    %s = Loop<body=graph d(%j, %g, %b) -> (%h, %l) {\n      outer %a = %a\n"
       "      %h = Identity(%g)\n      %l = Add(%b, %a)\n    }>(%k, _, %a)\n",
       2,
       {0, 5},
       SDX_FLOAT},
  };
  for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
    for (int level = 0; level < 2; level++) {
      char source[900];
      sdx_session *s = model_load(loop_of(source, sizeof source, cases[i].declared, cases[i].body),
                                  level ? "optimize=all" : "optimize=none");
      sdx_run *r = looped(s, 5, 0);
      const sdx_value *z = sdx_run_output(r, 1);
      if (sdx_tensor_rank(z) != cases[i].rank || sdx_tensor_dtype(z) != cases[i].dtype ||
          memcmp(sdx_tensor_shape(z), cases[i].shape, cases[i].rank * sizeof(int64_t)) != 0)
        fail_msg("%s: rank %zu, [%lld,%lld]", source, sdx_tensor_rank(z), (long long)sdx_tensor_shape(z)[0],
                 (long long)sdx_tensor_shape(z)[1]);
      sdx_run_destroy(r);
      sdx_session_destroy(s);
    }
}

// Nor does it matter how many shapes a session has met.
static void without_trips_the_past_does_not_count(void **state) {
  char source[700];
  sdx_session *s = model_load(loop_of(source, sizeof source, "float", "    %s = Neg(%a)\n"), "");
  for (int64_t size = 1; size < 9; size++) sdx_run_destroy(looped(s, size, 2));
  sdx_run *r = looped(s, 10, 0);
  assert_int_equal(sdx_tensor_shape(sdx_run_output(r, 1))[1], 10);
  sdx_run_destroy(r);
  sdx_session_destroy(s);
}

// Carried values that change their shape, whatever the body declares of them.
static void carried_shapes_are_not_believed(void **state) {
  static const char *const declared[] = {"float", "float[K]", "float[3]", "float[1]"};
  for (size_t i = 0; i < sizeof declared / sizeof *declared; i++) {
    char source[800];
    snprintf(
        source, sizeof source,
        "graph(%%x: float[K], %%n: int64[]) -> (%%y) {\n  %%y = Loop<body=graph body(%%i: int64[], %%c: bool[], "
        "%%a: %s) -> (%%c2, %%a2) {\n    const %%one: int64[1]{3}\n    %%e: %s = Expand(%%a, %%one)\n    %%r: %s = "
        "Relu(%%e)\n    %%a2: %s = Concat<axis=0>(%%r, %%e)\n    %%c2 = Identity(%%c)\n  }>(%%n, _, %%x)\n}\n",
        declared[i], declared[i], declared[i], declared[i]);
    const int64_t trips = 1;
    for (int level = 0; level < 2; level++) {
      sdx_session *s = model_load(source, level ? "optimize=all" : "optimize=none");
      sdx_run *r = looped(s, 1, trips);
      assert_int_equal(sdx_tensor_shape(sdx_run_output(r, 0))[0], 6);
      sdx_run_destroy(r);
      sdx_session_destroy(s);
    }
  }
}

// What the body keeps in every trip is known of the result.
static void carried_shapes_are_proved(void **state) {
  sdx_session *s = model_load(
      "graph(%x: float[2,N], %n: int64[]) -> (%y, %z) {\n  %y, %z = Loop<body=graph body(%i: int64[], %c: bool[], %a: "
      "float, %b: float) -> (%c2, %a2, %b2) {\n    %a2 = Relu(%a)\n    %b2 = Concat<axis=1>(%b, %b)\n    %c2 = "
      "Identity(%c)\n  }>(%n, _, %x, %x)\n}\n",
      "");
  const sdx_io *y = sdx_session_output(s, 0), *z = sdx_session_output(s, 1);
  assert_int_equal(y->rank, 2);
  assert_int_equal(y->shape[0], 2);
  assert_string_equal(y->symbols[1], "N");
  assert_int_equal(z->rank, 2);
  assert_int_equal(z->shape[0], 2);
  assert_null(z->symbols[1]);
  sdx_session_destroy(s);
}

// Trips take no lock, and those of a static body no memory: as many locks and blocks are taken for four as for three
// hundred, once the first shaped what there is.
static void trips_take_no_lock_and_no_memory(void **state) {
  static const char *const bodies[] = {
      "    %a2 = Neg(%a)\n",
      "    %t = Neg(%a)\n    %a2 = Add(%t, %x)\n    outer %x = %x\n",
      ("    %a2 = If<then_branch=graph p() -> (%u) {\n      outer %a = %a\n      %u = Neg(%a)\n    }, "
       "else_branch=graph q() -> (%v) {\n      outer %a = %a\n      %v = Abs(%a)\n    }>(%c)\n"),
  };
  for (size_t i = 0; i < sizeof bodies / sizeof *bodies; i++) {
    char source[1200];
    snprintf(source, sizeof source,
             "graph(%%x: float[K], %%n: int64[]) -> (%%y) {\n  %%y = Loop<body=graph body(%%i: int64[], %%c: bool[], "
             "%%a: float[K]) -> (%%c2, %%a2) {\n%s    %%c2 = Identity(%%c)\n  }>(%%n, _, %%x)\n}\n",
             bodies[i]);
    sdx_session *s = model_load(source, "threads=1");
    sdx_run *r = looped(s, 5, 3);
    uint64_t taken[2], locks[2];
    for (int k = 0; k < 2; k++) {
      sdx_value *n = sdx_tensor_create(SDX_INT64, 0, NULL);
      *(int64_t *)sdx_tensor_data(n) = k ? 300 : 4;
      sdx_run_set_input(r, 1, n);
      sdx_value_release(n);
      uint64_t before = mem_alloc_count(), locks_before = locks_taken;
      assert_int_equal(sdx_run_execute(r), SDX_OK);
      taken[k] = mem_alloc_count() - before;
      locks[k] = locks_taken - locks_before;
    }
    if (locks[1] != locks[0])
      fail_msg("body %zu: %llu locks for 4 trips, %llu for 300", i, (unsigned long long)locks[0],
               (unsigned long long)locks[1]);
    bool is_static = !strstr(bodies[i], "If");
    if (is_static && taken[1] != taken[0])
      fail_msg("body %zu: %llu blocks for 4 trips, %llu for 300", i, (unsigned long long)taken[0],
               (unsigned long long)taken[1]);
    sdx_run_destroy(r);
    sdx_session_destroy(s);
  }
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(trips_take_no_lock_and_no_memory),
      cmocka_unit_test(without_trips_results_keep_their_shape),
      cmocka_unit_test(without_trips_the_past_does_not_count),
      cmocka_unit_test(carried_shapes_are_not_believed),
      cmocka_unit_test(carried_shapes_are_proved),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}

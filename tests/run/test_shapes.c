// SPDX-License-Identifier: Apache-2.0
// Sizes that a session has not seen before: results are those of a session that begins with them, what making their
// plan allocates does not grow with the number of nodes, and nothing is left of plans that had to go.
#include <inttypes.h>

#include "run/session.h"
#include "tests/model.h"

enum { ROWS_MOST = 240, WIDTH = 8 };

// So many layers, each with the shape arithmetic that exporters write around a Reshape.
static text chain(int layers) {
  text t = {0};
  text_format(&t, "graph(%%v0: float[N,8]) -> (%%v%d) {\n  const %%i: int64[1]{0}\n  const %%m: int64[2]{-1, 8}\n",
              layers);
  text_format(&t, "  const %%w: float[8]{1, 2, 3, 4, 5, 6, 7, 8}\n  const %%e: int64[1]{8}\n");
  for (int k = 0; k < layers; k++)
    text_format(&t,
                "  %%s%d = Shape(%%v%d)\n  %%n%d = Gather<axis=0>(%%s%d, %%i)\n  %%t%d = Concat<axis=0>(%%e, %%n%d)\n"
                "  %%a%d = Reshape(%%v%d, %%t%d)\n  %%b%d = Relu(%%a%d)\n  %%c%d = Reshape(%%b%d, %%m)\n"
                "  %%v%d = Add(%%c%d, %%w)\n",
                k, k, k, k, k, k, k, k, k, k, k, k, k, k + 1, k);
  text_format(&t, "}\n");
  return t;
}

static sdx_run *open(int layers, sdx_session **session) {
  text source = chain(layers);
  *session = model_load(source.at, "threads=1");
  sdx_run *r;
  assert_int_equal(sdx_run_create(*session, &r), SDX_OK);
  text_deinit(&source);
  return r;
}

static void feed(sdx_run *r, int64_t rows) {
  static float numbers[ROWS_MOST * WIDTH];
  for (size_t i = 0; i < ROWS_MOST * WIDTH; i++) numbers[i] = (float)(i % 17) - 8;
  sdx_value *x = sdx_tensor_borrow(SDX_FLOAT, 2, (int64_t[]){rows, WIDTH}, numbers, NULL, NULL);
  sdx_run_set_input(r, 0, x);
  sdx_value_release(x);
  if (sdx_run_execute(r) != SDX_OK) fail_msg("%s", sdx_run_error(r));
}

static void results_are_those_of_a_fresh_session(void **state) {
  sdx_session *old, *fresh;
  sdx_run *r = open(5, &old);
  for (int64_t k = 0; k < 60; k++) {
    int64_t rows = 1 + k * 37 % (ROWS_MOST - 1);
    sdx_run *other = open(5, &fresh);
    feed(r, rows);
    feed(other, rows);
    const tensor *got = &sdx_run_output(r, 0)->value.tensor, *want = &sdx_run_output(other, 0)->value.tensor;
    assert_true(tensor_same_shape(got, want));
    assert_memory_equal(got->data, want->data, want->bytes);
    sdx_run_destroy(other);
    sdx_session_destroy(fresh);
  }
  sdx_run_destroy(r);
  sdx_session_destroy(old);
}

// A result may be overwritten by the next run only while nobody else holds it.
static void held_results_stay(void **state) {
  sdx_session *s;
  sdx_run *r = open(3, &s);
  for (int64_t rows = ROWS_MOST; rows > 1; rows /= 2) {
    feed(r, rows);
    sdx_value *held = value_retain(sdx_run_output(r, 0));
    const tensor *t = &held->value.tensor;
    float first = ((const float *)t->data)[0], last = ((const float *)t->data)[t->count - 1];
    memset(t->data, 0x7f, t->bytes);
    feed(r, rows - 1);
    assert_ptr_not_equal(sdx_run_output(r, 0), held);
    assert_int_equal(t->dims[0], rows);
    for (size_t i = 0; i < t->bytes; i++) assert_int_equal(((const char *)t->data)[i], 0x7f);
    value_release(held);
    feed(r, rows);
    const tensor *again = &sdx_run_output(r, 0)->value.tensor;
    assert_true(((const float *)again->data)[0] == first && ((const float *)again->data)[again->count - 1] == last);
  }
  sdx_run_destroy(r);
  sdx_session_destroy(s);
}

static uint64_t allocations_of_a_new_shape(int layers) {
  sdx_session *s;
  sdx_run *r = open(layers, &s);
  for (int64_t rows = 1; rows < 20; rows++) feed(r, rows);
  uint64_t before = mem_alloc_count();
  feed(r, 100);
  before = mem_alloc_count() - before;
  sdx_run_destroy(r);
  sdx_session_destroy(s);
  return before;
}

// Neither the results of the sizes before nor the room they were computed in take what the next ones need.
static void former_sizes_leave_the_budget(void **state) {
  static const int64_t sizes[][2] = {{8, 1000000}, {2000000, 8}, {4750000, 8}, {1187500, 6250000}};
  static const int64_t limits[] = {10000000, 10000000, 40000000, 40000000};
  sdx_session *s = model_load(
      "graph(%x: float[N], %z: float[M]) -> (%r, %y) {\n  %s = Softmax(%x)\n  %r = ReduceSum(%s)\n"
      "  %y = Neg(%z)\n}\n",
      "threads=1");
  sdx_run *r;
  assert_int_equal(sdx_run_create(s, &r), SDX_OK);
  for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
    for (size_t k = 0; k < 2; k++) {
      sdx_value *in = sdx_tensor_create(SDX_FLOAT, 1, &sizes[i][k]);
      sdx_run_set_input(r, k, in);
      sdx_value_release(in);
    }
    sdx_run_set_memory_limit_bytes(r, limits[i]);
    for (int again = 0; again < 2; again++)  // the second one charges the results of the first
      if (sdx_run_execute(r) != SDX_OK) fail_msg("sizes %zu: %s", i, sdx_run_error(r));
  }
  sdx_run_destroy(r);
  sdx_session_destroy(s);
}

static void a_plan_takes_no_memory_by_the_node(void **state) {
  uint64_t few = allocations_of_a_new_shape(10), many = allocations_of_a_new_shape(300);
  if (many > few + 60) fail_msg("%" PRIu64 " allocations for 10 layers, %" PRIu64 " for 300", few, many);
}

static void shapes_leave_nothing_behind(void **state) {
  sdx_session *s;
  sdx_run *r = open(20, &s);
  size_t used[2];
  uint64_t live[2];
  for (int pass = 0; pass < 2; pass++) {
    for (int64_t k = 0; k < 200; k++) feed(r, 1 + k * 101 % (ROWS_MOST - 1));
    used[pass] = atomic_load(&s->account.used), live[pass] = mem_live_count();
  }
  assert_int_equal(used[0], used[1]);
  assert_int_equal(live[0], live[1]);
  sdx_run_destroy(r);
  sdx_session_destroy(s);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(results_are_those_of_a_fresh_session), cmocka_unit_test(held_results_stay),
      cmocka_unit_test(former_sizes_leave_the_budget), cmocka_unit_test(a_plan_takes_no_memory_by_the_node),
      cmocka_unit_test(shapes_leave_nothing_behind)};
  return cmocka_run_group_tests(tests, NULL, NULL);
}

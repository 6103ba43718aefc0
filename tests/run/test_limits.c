// SPDX-License-Identifier: Apache-2.0
// What bounds a session and its runs: a body with a new shape in every trip, results against the budget, constant
// folding against the deadline of the load, nodes with more inputs than a short integer counts, branches that read
// more values than a square of them would allow, very many bodies, types that show only in the run.
#include "base/host.h"
#include "run/session.h"
#include "tests/model.h"
#include "tests/process.h"

static sdx_value *number(sdx_dtype dtype, int64_t value) {
  sdx_value *v = sdx_tensor_create(dtype, 0, NULL);
  if (dtype == SDX_INT64) *(int64_t *)sdx_tensor_data(v) = value;
  else *(uint8_t *)sdx_tensor_data(v) = (uint8_t)value;
  return v;
}

// However few plans a session keeps, a body that grows its state runs in a handful of frames.
static void a_body_of_ever_new_shapes_gets_one_plan(void **state) {
  static const char source[] =
      "graph(%n: int64[], %go: bool[], %x: float[N]) -> (%y) {\n"
      "  %y = Loop<body=graph body(%i: int64[], %c: bool[], %s: float[M]) -> (%more, %next) {\n"
      "    const %k: float[1]{1}\n    %more = Identity(%c)\n    %next = Concat<axis=0>(%s, %k)\n  }>(%n, %go, %x)\n}\n";
  static const char *const settings[] = {"plan_cache=1", "plan_cache=2", "plan_cache=8"};
  for (size_t i = 0; i < sizeof settings / sizeof *settings; i++) {
    sdx_session *s = model_load(source, settings[i]);
    sdx_run *r;
    assert_int_equal(sdx_run_create(s, &r), SDX_OK);
    sdx_value *in[] = {number(SDX_INT64, 100), number(SDX_BOOL, 1), sdx_tensor_create(SDX_FLOAT, 1, (int64_t[]){2})};
    for (size_t k = 0; k < 3; k++) {
      sdx_run_set_input(r, k, in[k]);
      sdx_value_release(in[k]);
    }
    if (sdx_run_execute(r) != SDX_OK) fail_msg("%s", sdx_run_error(r));
    assert_int_equal(sdx_tensor_count(sdx_run_output(r, 0)), 102);
    size_t frames = 0;
    for (size_t c = 0; c < CHAINS; c++)
      for (const body_frame *b = r->bodies[c]; b; b = b->next) frames++;
    assert_in_range(frames, 1, 5);
    sdx_run_destroy(r);
    sdx_session_destroy(s);
  }
}

// Each result fits, all of them together do not.
static void results_count_together(void **state) {
  sdx_session *s = model_load(
      "graph(%x: float[N]) -> (%a, %b, %c, %d) {\n  %a = Neg(%x)\n  %b = Abs(%x)\n"
      "  %c = Ceil(%x)\n  %d = Floor(%x)\n}\n",
      "");
  sdx_run *r = model_run(s, 1 << 20);
  sdx_run_set_memory_limit_bytes(r, 10 << 20);
  assert_int_equal(sdx_run_execute(r), SDX_NO_MEMORY);
  sdx_run_set_memory_limit_bytes(r, 20 << 20);
  for (int i = 0; i < 3; i++)
    if (sdx_run_execute(r) != SDX_OK) fail_msg("%s", sdx_run_error(r));
  sdx_run_destroy(r);
  sdx_session_destroy(s);
}

// Strings that double, of constants only: what is too long to fold is the run's to pay for.
static void strings_are_charged_to_the_run(void **state) {
  text source = {0};
  text_format(&source, "graph() -> (%%y) {\n  const %%s0: string[1]{\"0123456789abcdef\"}\n");
  for (int i = 0; i < 20; i++) text_format(&source, "  %%s%d = StringConcat(%%s%d, %%s%d)\n", i + 1, i, i);
  text_format(&source, "  %%y = Identity(%%s20)\n}\n");
  sdx_session *s = model_load(source.at, "fold_limit_bytes=1000 run_memory_limit_bytes=1000000");
  sdx_run *r;
  assert_int_equal(sdx_run_create(s, &r), SDX_OK);
  assert_int_equal(sdx_run_execute(r), SDX_NO_MEMORY);
  assert_true(atomic_load(&s->account.peak) < 2000000);
  sdx_run_destroy(r);
  sdx_session_destroy(s);
  text_deinit(&source);
}

// Products of constants, each of which takes a good part of the time.
static void folding_heeds_the_deadline(void **state) {
  enum { PRODUCTS = 60 };
  text source = {0};
  text_format(&source,
              "graph() -> (%%y) {\n  const %%m: int64[2]{500, 20000}\n  const %%n: int64[2]{20000, 500}\n"
              "  %%a = ConstantOfShape(%%m)\n  %%b = ConstantOfShape(%%n)\n");
  for (int i = 0; i < PRODUCTS; i++) text_format(&source, "  %%p%d = MatMul(%%a, %%b)\n", i);
  text_format(&source, "  %%y = Sum(%%p0");
  for (int i = 1; i < PRODUCTS; i++) text_format(&source, ", %%p%d", i);
  text_format(&source, ")\n}\n");
  text bytes = model_bytes(source.at);
  sdx_options *o = model_options("load_timeout_ms=300 fold_limit_bytes=100000000");
  sdx_session *s;
  uint64_t start = clock_ns();
  assert_int_equal(sdx_session_load_bytes(bytes.at, bytes.size, true, o, &s), SDX_DEADLINE_EXCEEDED);
  assert_true(clock_ns() - start < 2000000000u);
  sdx_session_destroy(s);
  sdx_options_destroy(o);
  text_deinit(&bytes);
  text_deinit(&source);
}

static void a_node_may_have_very_many_inputs(void **state) {
  enum { INPUTS = 65536 + 2 };
  text source = {0};
  text_format(&source, "graph(%%x: float[1]) -> (%%y) {\n  %%y = Sum(%%x");
  for (int i = 1; i < INPUTS; i++) text_append(&source, ", %x", 4);
  text_format(&source, ")\n}\n");
  sdx_session *s = model_load(source.at, "");
  sdx_run *r;
  assert_int_equal(sdx_run_create(s, &r), SDX_OK);
  sdx_value *x = sdx_tensor_create(SDX_FLOAT, 1, (int64_t[]){1});
  *(float *)sdx_tensor_data(x) = 1;
  sdx_run_set_input(r, 0, x);
  if (sdx_run_execute(r) != SDX_OK) fail_msg("%s", sdx_run_error(r));
  assert_true(*(float *)sdx_tensor_data(sdx_run_output(r, 0)) == (float)INPUTS);
  sdx_value_release(x);
  sdx_run_destroy(r);
  sdx_session_destroy(s);
  text_deinit(&source);
}

// Planning a branch must not take longer than reading the file: captures are looked up, not searched for.
static void a_body_may_read_very_many_values(void **state) {
  enum { VALUES = 60000 };
  text source = {0};
  text_format(&source, "graph(%%x: float[1], %%c: bool[]) -> (%%y) {\n");
  for (int i = 0; i < VALUES; i++) text_format(&source, "  %%a%d = Relu(%%x)\n", i);
  for (int branch = 0; branch < 2; branch++) {
    text_format(&source,
                branch ? ", else_branch=graph e() -> (%%r) {\n" : "  %%y = If<then_branch=graph t() -> (%%r) {\n");
    for (int i = 0; i < VALUES; i++) text_format(&source, "    outer %%a%d = %%a%d\n", i, i);
    text_format(&source, "    %%r = Sum(%%a0");
    for (int i = 1; i < VALUES; i++) text_format(&source, ", %%a%d", i);
    text_format(&source, ")\n  }");
  }
  text_format(&source, ">(%%c)\n}\n");
  sdx_session *s = model_load(source.at, "optimize=none");
  sdx_run *r = model_run(s, 1);
  uint64_t start = clock_ns();
  if (sdx_run_execute(r) != SDX_OK) fail_msg("%s", sdx_run_error(r));
  assert_true(clock_ns() - start < 3000000000u);
  sdx_run_destroy(r);
  sdx_session_destroy(s);
  text_deinit(&source);
}

// What the model leaves open is checked when it is there: M must be int64.
// The plan and the frame of a body are looked up, too.
static void there_may_be_very_many_bodies(void **state) {
  enum { BODIES = 16000 };
  text source = {0};
  text_format(&source, "graph(%%a0: float[1], %%c: bool[]) -> (%%a%d) {\n", BODIES);
  for (int i = 0; i < BODIES; i++)
    text_format(&source,
                "  %%a%d = If<then_branch=graph t() -> (%%r) {\n    outer %%a%d = %%a%d\n    %%r = Neg(%%a%d)\n  }, "
                "else_branch=graph e() -> (%%r) {\n    outer %%a%d = %%a%d\n    %%r = Abs(%%a%d)\n  }>(%%c)\n",
                i + 1, i, i, i, i, i, i);
  text_format(&source, "}\n");
  sdx_session *s = model_load(source.at, "");
  sdx_run *r = model_run(s, 1);
  uint64_t start = clock_ns();
  for (int i = 0; i < 2; i++)
    if (sdx_run_execute(r) != SDX_OK) fail_msg("%s", sdx_run_error(r));
  assert_true(clock_ns() - start < 4000000000u);
  sdx_run_destroy(r);
  sdx_session_destroy(s);
  text_deinit(&source);
}

static void a_loop_checks_types_in_the_run(void **state) {
  sdx_session *s = model_load(
      "graph(%s: seq(?), %x: float[1]) -> (%y) {\n  const %zero: int64[]{0}\n"
      "  %m = SequenceAt(%s, %zero)\n"
      "  %y = Loop<body=graph b(%i: int64[], %c: bool[], %v: float[1]) -> (%go, %next) {\n"
      "    %go = Identity(%c)\n    %next = Neg(%v)\n  }>(%m, _, %x)\n}\n",
      "");
  sdx_run *r;
  assert_int_equal(sdx_run_create(s, &r), SDX_OK);
  sdx_value *m = number(SDX_UINT8, 3), *items = sdx_sequence_create(1, &m);
  sdx_value *x = sdx_tensor_create(SDX_FLOAT, 1, (int64_t[]){1});
  sdx_run_set_input(r, 0, items);
  sdx_run_set_input(r, 1, x);
  assert_int_equal(sdx_run_execute(r), SDX_INVALID_SHAPE);
  assert_non_null(strstr(sdx_run_error(r), "Loop"));
  sdx_value_release(m);
  sdx_value_release(items);
  sdx_value_release(x);
  sdx_run_destroy(r);
  sdx_session_destroy(s);
}

// Exporters declare the trip number as one element of rank 1, and slice with it.
static void a_loop_counts_in_the_shape_its_body_declares(void **state) {
  sdx_session *s = model_load(
      "graph(%x: int64[N]) -> (%y) {\n  const %m: int64[]{3}\n"
      "  %y = Loop<body=graph b(%i: int64[1], %c: bool[], %v: int64[M]) -> (%go, %next) {\n"
      "    %go = Identity(%c)\n    %next = Concat<axis=0>(%v, %i)\n  }>(%m, _, %x)\n}\n",
      "");
  sdx_run *r = model_run(s, 2);
  if (sdx_run_execute(r) != SDX_OK) fail_msg("%s", sdx_run_error(r));
  assert_int_equal(sdx_tensor_count(sdx_run_output(r, 0)), 5);
  sdx_run_destroy(r);
  sdx_session_destroy(s);
}

// Dimensions whose product fits nothing, but for the zero beside them.
static void empty_slices_of_any_shape(void **state) {
  sdx_session *s = model_load(
      "graph(%x: float[3]) -> (%y) {\n"
      "  %y = Scan<num_scan_inputs=1, scan_output_axes=[2], body=graph b(%v: float[]) -> (%e) {\n"
      "    const %huge: int64[3]{1099511627776, 1099511627776, 0}\n"
      "    %e = Expand(%v, %huge)\n  }>(%x)\n}\n",
      "");
  sdx_run *r = model_run(s, 3);
  if (sdx_run_execute(r) != SDX_OK) fail_msg("%s", sdx_run_error(r));
  assert_int_equal(sdx_tensor_shape(sdx_run_output(r, 0))[2], 3);
  sdx_run_destroy(r);
  sdx_session_destroy(s);
}

// With strict_dims a name means one size, in the first inputs and in the last ones alike.
static void every_input_shares_its_dimensions(void **state) {
  enum { INPUTS = 150 };
  text source = {0};
  text_put(&source, "graph(");
  for (int i = 0; i < INPUTS; i++) text_format(&source, "%s%%x%d: float[N,own%d]", i ? ", " : "", i, i / 2);
  text_put(&source, ") -> (%y) {\n  %y = Identity(%x0)\n}\n");
  sdx_session *s = model_load(source.at, "strict_dims=1");
  const int wrong[] = {1, 63, 64, 65, INPUTS - 1};
  for (size_t w = 0; w < sizeof wrong / sizeof *wrong; w++)
    for (int axis = 0; axis < 2; axis++) {
      sdx_run *r = model_run(s, 4);
      int64_t shape[2] = {axis ? 4 : 5, axis ? 5 : 4};
      sdx_value *v = sdx_tensor_create(SDX_FLOAT, 2, shape);
      sdx_run_set_input(r, (size_t)wrong[w], v);
      sdx_value_release(v);
      char place[40];
      snprintf(place, sizeof place, "'x%d'", wrong[w]);
      bool alone = axis == 1 && wrong[w] == 64;  // its own dimension is shared with the next input, which is named then
      sdx_status status = sdx_run_execute(r);
      if (status != SDX_INVALID_SHAPE || (!alone && !strstr(sdx_run_error(r), place)))
        fail_msg("input %d, axis %d: %s", wrong[w], axis, sdx_run_error(r));
      sdx_run_destroy(r);
    }
  sdx_run *r = model_run(s, 4);
  if (sdx_run_execute(r) != SDX_OK) fail_msg("%s", sdx_run_error(r));
  sdx_run_destroy(r);
  sdx_session_destroy(s);
  text_deinit(&source);
}

// The deadline ends one execution as well: with less to do, or without one, the same run comes to its end.
static void a_deadline_ends_a_run(void **unused) {
  sdx_session *s = model_load(
      "graph(%n: int64[], %x: float[2]) -> (%y) {\n  const %true: bool[]{1}\n"
      "  %y = Loop<body=graph body(%i: int64[], %c: bool[], %s: float[2]) -> (%go, %next) {\n    %go = Identity(%c)\n"
      "    %next = Neg(%s)\n  }>(%n, %true, %x)\n}\n",
      "threads=1 max_loop_trips=9223372036854775807");
  sdx_run *r = model_run(s, 2);
  sdx_value *n = sdx_tensor_create(SDX_INT64, 0, NULL);
  sdx_run_set_input(r, 0, n);
  int64_t *trips = sdx_tensor_data(n);
  *trips = INT64_MAX;
  sdx_run_set_timeout_ms(r, 30);
  uint64_t start = clock_ns();
  assert_int_equal(sdx_run_execute(r), SDX_DEADLINE_EXCEEDED);
  assert_in_range(clock_ns() - start, 30000000u, process_sanitized() ? 10000000000u : 1000000000u);
  assert_non_null(strstr(sdx_run_error(r), "(Loop): the run passed its deadline"));
  assert_null(sdx_run_output(r, 0));
  *trips = 3;
  if (sdx_run_execute(r) != SDX_OK) fail_msg("%s", sdx_run_error(r));
  sdx_run_set_timeout_ms(r, 0);
  if (sdx_run_execute(r) != SDX_OK) fail_msg("%s", sdx_run_error(r));
  sdx_value_release(n);
  sdx_run_destroy(r);
  sdx_session_destroy(s);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(a_body_of_ever_new_shapes_gets_one_plan),
      cmocka_unit_test(results_count_together),
      cmocka_unit_test(strings_are_charged_to_the_run),
      cmocka_unit_test(folding_heeds_the_deadline),
      cmocka_unit_test(a_node_may_have_very_many_inputs),
      cmocka_unit_test(a_body_may_read_very_many_values),
      cmocka_unit_test(there_may_be_very_many_bodies),
      cmocka_unit_test(a_loop_checks_types_in_the_run),
      cmocka_unit_test(empty_slices_of_any_shape),
      cmocka_unit_test(a_loop_counts_in_the_shape_its_body_declares),
      cmocka_unit_test(every_input_shares_its_dimensions),
      cmocka_unit_test(a_deadline_ends_a_run),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}

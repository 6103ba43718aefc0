// SPDX-License-Identifier: Apache-2.0
// The public functions as a C program uses them: the three ways to load, values and who frees them, bound
// and unwanted outputs, an operator of the caller.
#include "tests/model.h"

static const char two_outputs[] =
    "graph g(%x: float[N,2]) -> (%y, %z) {\n"
    "  %y: float[N,2] = Add(%x, %x)\n"
    "  %z: float[N,2] = Mul(%x, %x)\n"
    "}\n";

static sdx_value *row(float a, float b) {
  sdx_value *v = sdx_tensor_create(SDX_FLOAT, 2, (int64_t[]){1, 2});
  assert_non_null(v);
  memcpy(sdx_tensor_data(v), (float[]){a, b}, 2 * sizeof(float));
  return v;
}

static void expect(const sdx_value *v, float a, float b) {
  assert_non_null(v);
  assert_int_equal(sdx_tensor_count(v), 2);
  const float *at = sdx_tensor_data(v);
  assert_true(at[0] == a && at[1] == b);
}

// ---- loading --------------------------------------------------------------------------------

typedef struct source {
  text bytes;
  size_t at;
  bool breaks;
} source;

static int64_t read_some(void *context, void *buffer, size_t size) {
  source *s = context;
  size_t left = s->bytes.size - s->at, n = left < 7 ? left : 7;
  if (s->breaks && s->at > 20) return -1;
  if (n > size) n = size;
  memcpy(buffer, s->bytes.at + s->at, n);
  s->at += n;
  return (int64_t)n;
}

static void loads_from_a_reader(void **state) {
  source from = {.bytes = model_bytes(two_outputs)};
  sdx_session *s;
  assert_int_equal(sdx_session_load_reader(read_some, &from, NULL, &s), SDX_OK);
  assert_int_equal(sdx_session_output_count(s), 2);
  assert_int_equal(sdx_session_find_output(s, "z"), 1);
  assert_int_equal(sdx_session_find_input(s, "z"), -1);
  sdx_session_destroy(s);
  from.at = 0;
  from.breaks = true;
  assert_int_equal(sdx_session_load_reader(read_some, &from, NULL, &s), SDX_IO_ERROR);
  assert_true(strlen(sdx_session_error(s)) > 0);
  sdx_session_destroy(s);
  text_deinit(&from.bytes);
}

static float sum_of_weights(sdx_session *s) {
  sdx_run *r = model_run(s, 1);
  if (sdx_run_execute(r) != SDX_OK) fail_msg("%s", sdx_run_error(r));
  float sum = *(const float *)sdx_tensor_data(sdx_run_output(r, 0));
  sdx_run_destroy(r);
  return sum;
}

// Borrowed bytes are the weights; of others a copy is kept, which nobody can change.
static void loads_borrowed_bytes(void **state) {
  for (int borrow = 0; borrow < 2; borrow++) {
    text bytes = model_bytes(
        "graph(%x: float[N]) -> (%y) {\n  const %w: float[4]{1.25, 1.25, 1.25, 1.25}\n"
        "  %z = Mul(%x, %w)\n  %d = Sub(%z, %z)\n  %p = Add(%d, %w)\n  %y = ReduceSum<keepdims=0>(%p)\n}\n");
    // Moved so that the weights lie as floats must: what lies askew is copied.
    _Alignas(64) char moved[2000];
    float weights[4] = {1.25f, 1.25f, 1.25f, 1.25f};
    char *at = memmem(bytes.at, bytes.size, weights, sizeof weights);
    assert_non_null(at);
    size_t place = (size_t)(at - bytes.at), shift = 64 - place % 64;
    assert_true(shift + bytes.size <= sizeof moved);
    memcpy(moved + shift, bytes.at, bytes.size);
    sdx_options *o = model_options("optimize=none");
    sdx_session *s;
    assert_int_equal(sdx_session_load_bytes(moved + shift, bytes.size, borrow, o, &s), SDX_OK);
    assert_true(sum_of_weights(s) == 5);
    for (int i = 0; i < 4; i++) weights[i] = 2;
    memcpy(moved + shift + place, weights, sizeof weights);
    assert_true(sum_of_weights(s) == (borrow ? 8 : 5));
    sdx_session_destroy(s);
    sdx_options_destroy(o);
    text_deinit(&bytes);
  }
}

// ---- values ---------------------------------------------------------------------------------

static void count_release(void *context) { ++*(int *)context; }

static void borrowed_memory_is_released_once(void **state) {
  int released = 0;
  float data[2] = {1, 2};
  sdx_value *v = sdx_tensor_borrow(SDX_FLOAT, 1, (int64_t[]){2}, data, count_release, &released);
  assert_ptr_equal(sdx_tensor_data(v), data);
  sdx_value *list = sdx_sequence_create(2, (sdx_value *[]){v, v});
  sdx_value_release(v);
  assert_int_equal(released, 0);
  assert_int_equal(sdx_value_kind(list), SDX_KIND_SEQUENCE);
  assert_int_equal(sdx_value_item_count(list), 2);
  assert_ptr_equal(sdx_value_item(list, 1), v);
  assert_null(sdx_value_item(list, 2));
  sdx_value_release(list);
  assert_int_equal(released, 1);
}

static void constructors_refuse(void **state) {
  assert_null(sdx_tensor_create(SDX_FLOAT, 1, (int64_t[]){-1}));
  assert_null(sdx_tensor_create(SDX_DOUBLE, 2, (int64_t[]){INT64_MAX, 8}));
  assert_null(sdx_tensor_create((sdx_dtype)99, 0, NULL));
  assert_null(sdx_tensor_borrow(SDX_STRING, 0, NULL, "text", NULL, NULL));
  sdx_value *keys = sdx_tensor_create(SDX_INT64, 1, (int64_t[]){3}), *one = row(1, 2);
  assert_null(sdx_map_create(keys, one));
  assert_null(sdx_map_create(keys, NULL));
  sdx_value_release(keys);
  sdx_value_release(one);
  sdx_value_release(NULL);
}

static void types_nest_to_a_depth(void **state) {
  char type[1000] = "", message[200];
  for (int i = 0; i < 64; i++) strcat(type, "seq(");
  strcat(type, "tensor(float");
  for (int i = 0; i < 65; i++) strcat(type, ")");
  sdx_value *v;
  assert_int_equal(sdx_value_from_pb("", 0, type, &v, message, sizeof message), SDX_INVALID_ARGUMENT);
  assert_non_null(strstr(message, "deeper than 64"));
  assert_null(v);
  assert_int_equal(sdx_value_from_pb("", 0, type + 4, &v, message, sizeof message), SDX_OK);  // an empty sequence
  assert_int_equal(sdx_value_kind(v), SDX_KIND_SEQUENCE);
  sdx_value_release(v);
}

static void strings_hold_any_bytes(void **state) {
  sdx_value *v = sdx_tensor_create(SDX_STRING, 1, (int64_t[]){2});
  size_t length = 9;
  assert_string_equal(sdx_tensor_string(v, 0, &length), "");
  assert_int_equal(length, 0);
  assert_int_equal(sdx_tensor_set_string(v, 1, "a\0b", 3), SDX_OK);
  assert_memory_equal(sdx_tensor_string(v, 1, &length), "a\0b", 3);
  assert_int_equal(length, 3);
  assert_int_not_equal(sdx_tensor_set_string(v, 2, "x", 1), SDX_OK);
  assert_null(sdx_tensor_string(v, 2, &length));
  assert_null(sdx_tensor_data(v));
  sdx_value_release(v);
}

// ---- outputs --------------------------------------------------------------------------------

static void results_go_where_the_caller_says(void **state) {
  sdx_session *s = model_load(two_outputs, "threads=1");
  sdx_run *r;
  assert_int_equal(sdx_run_create(s, &r), SDX_OK);
  sdx_value *x = row(3, 4), *mine = row(0, 0), *wrong = sdx_tensor_create(SDX_FLOAT, 1, (int64_t[]){3});
  assert_int_equal(sdx_run_set_input(r, 0, x), SDX_OK);
  assert_int_not_equal(sdx_run_set_input(r, 1, x), SDX_OK);
  assert_int_equal(sdx_run_set_output(r, 1, mine), SDX_OK);
  assert_int_equal(sdx_run_want_output(r, 0, false), SDX_OK);
  assert_int_equal(sdx_run_execute(r), SDX_OK);
  assert_null(sdx_run_output(r, 0));
  expect(mine, 9, 16);
  assert_int_equal(sdx_run_set_output(r, 1, wrong), SDX_OK);
  assert_int_not_equal(sdx_run_execute(r), SDX_OK);
  assert_non_null(strstr(sdx_run_error(r), "z"));
  sdx_run_set_output(r, 1, NULL);
  sdx_run_want_output(r, 0, true);
  assert_int_equal(sdx_run_execute(r), SDX_OK);
  sdx_value *kept = sdx_value_retain(sdx_run_output(r, 0));
  sdx_run_destroy(r);
  sdx_session_destroy(s);
  expect(kept, 6, 8);  // a retained result outlives run and session
  sdx_value_release(kept);
  sdx_value_release(x);
  sdx_value_release(mine);
  sdx_value_release(wrong);
}

// Memory that was bound once is the caller's again: later results go elsewhere.
static void unbound_memory_is_left_alone(void **state) {
  sdx_session *s = model_load(two_outputs, "threads=1");
  sdx_run *r;
  float mine[2] = {0, 0};
  assert_int_equal(sdx_run_create(s, &r), SDX_OK);
  for (int i = 0; i < 2; i++) {
    sdx_value *x = row(3.0f + (float)i, 4), *bound = NULL;
    if (i == 0) bound = sdx_tensor_borrow(SDX_FLOAT, 2, (int64_t[]){1, 2}, mine, NULL, NULL);
    sdx_run_set_input(r, 0, x);
    sdx_run_set_output(r, 0, bound);
    sdx_value_release(x);
    sdx_value_release(bound);
    assert_int_equal(sdx_run_execute(r), SDX_OK);
  }
  expect(sdx_run_output(r, 0), 8, 8);
  assert_true(mine[0] == 6 && mine[1] == 8);
  sdx_run_destroy(r);
  sdx_session_destroy(s);
}

// A session that did not load holds its error, and nothing that points into the model.
static void a_failed_session_has_no_model(void **state) {
  text bytes = model_bytes("graph(%x: float[2]) -> (%y) {\n  %y = Nonsense(%x)\n}\n");
  sdx_session *s;
  sdx_run *r;
  assert_int_equal(sdx_session_load_bytes(bytes.at, bytes.size, false, NULL, &s), SDX_NOT_SUPPORTED);
  assert_int_equal(sdx_run_create(s, &r), SDX_INVALID_ARGUMENT);
  assert_null(sdx_session_describe(s, "graph"));
  sdx_session_destroy(s);
  text_deinit(&bytes);
}

// ---- an operator of the caller ---------------------------------------------------------------

static sdx_status scale_infer(void *user, sdx_op_context *c) {
  const sdx_value *x = sdx_op_input(c, 0);
  if (!x) return SDX_OK;
  bool ok = sdx_op_set_output(c, 0, sdx_tensor_dtype(x), sdx_tensor_rank(x), sdx_tensor_shape(x)) != NULL;
  return ok ? SDX_OK : SDX_NO_MEMORY;
}

static sdx_status scale_compute(void *user, sdx_op_context *c) {
  const sdx_value *x = sdx_op_input(c, 0);
  float by = 1;
  size_t length;
  const char *mood = sdx_op_attr_string(c, "mood", &length);
  if (mood && length == 3 && !memcmp(mood, "bad", 3)) return sdx_op_fail(c, SDX_OUT_OF_RANGE, "the mood is bad");
  if (!sdx_op_attr_float(c, "by", &by)) return sdx_op_fail(c, SDX_INVALID_ARGUMENT, "'by' is missing");
  float *y = sdx_op_set_output(c, 0, SDX_FLOAT, sdx_tensor_rank(x), sdx_tensor_shape(x));
  if (!y) return SDX_NO_MEMORY;
  for (size_t i = 0; i < sdx_tensor_count(x); i++) y[i] = by * ((const float *)sdx_tensor_data(x))[i];
  ++*(int *)user;
  return SDX_OK;
}

// Looks at every kind of attribute and says what it saw in its result.
static sdx_status attributes_compute(void *user, sdx_op_context *c) {
  int64_t i = 0;
  float f = 0;
  size_t ints = 0, floats = 0, length = 0;
  const int64_t *all_ints = sdx_op_attr_ints(c, "ints", &ints);
  const float *all_floats = sdx_op_attr_floats(c, "floats", &floats);
  bool absent = sdx_op_attr_int(c, "f", &i) || sdx_op_attr_float(c, "none", &f) || sdx_op_attr_string(c, "i", &length);
  const sdx_value *x = sdx_op_input(c, 0);
  float *y = sdx_op_set_output(c, 0, SDX_FLOAT, 2, sdx_tensor_shape(x));
  if (absent || !y || !sdx_op_attr_int(c, "i", &i) || !sdx_op_attr_float(c, "f", &f) || ints != 2 || floats != 2)
    return sdx_op_fail(c, SDX_INTERNAL, "attributes are not what the node has");
  if (sdx_op_input_count(c) != 1 || sdx_op_output_count(c) != 1 || sdx_op_input(c, 1) || sdx_op_check(c))
    return sdx_op_fail(c, SDX_INTERNAL, "one input, one output");
  if (sdx_op_charge(c, 1000) != SDX_OK || sdx_op_charge(c, (size_t)1 << 60) != SDX_NO_MEMORY)
    return sdx_op_fail(c, SDX_INTERNAL, "the budget");
  y[0] = (float)(i + all_ints[0] + all_ints[1]);
  y[1] = f + all_floats[0] + all_floats[1];
  return SDX_OK;
}

static void an_operator_of_the_caller_sees_its_node(void **state) {
  sdx_custom_op op = {sizeof(sdx_custom_op), "my", "Attributes", 1, 1, 1, 1, NULL, NULL, attributes_compute};
  sdx_options *o = sdx_options_create();
  assert_int_equal(sdx_options_add_op(o, &op), SDX_OK);
  assert_int_equal(sdx_options_set(o, "run_memory_limit_bytes", "1000000"), SDX_OK);
  text bytes = model_bytes(
      "graph g(%x: float[1,2]) -> (%y) {\n"
      "  %y = my::Attributes<i=3, f=0.5, ints=[10, 20], floats=[0.25, 4.0]>(%x)\n}\n");
  sdx_session *s;
  sdx_run *r;
  if (sdx_session_load_bytes(bytes.at, bytes.size, false, o, &s) != SDX_OK) fail_msg("%s", sdx_session_error(s));
  assert_int_equal(sdx_run_create(s, &r), SDX_OK);
  sdx_value *x = row(2, 4);
  sdx_run_set_input(r, 0, x);
  if (sdx_run_execute(r) != SDX_OK) fail_msg("%s", sdx_run_error(r));
  expect(sdx_run_output(r, 0), 33, 4.75f);
  sdx_value_release(x);
  sdx_run_destroy(r);
  sdx_session_destroy(s);
  text_deinit(&bytes);
  sdx_options_destroy(o);
}

static void an_operator_of_the_caller_runs(void **state) {
  int calls = 0;
  sdx_custom_op op = {sizeof(sdx_custom_op), "my", "Scale", 1, 1, 1, 1, &calls, scale_infer, scale_compute};
  sdx_options *o = sdx_options_create();
  sdx_custom_op foreign = op;
  foreign.size += 8;
  assert_int_equal(sdx_options_add_op(o, &foreign), SDX_INVALID_ARGUMENT);
  assert_non_null(strstr(sdx_options_error(o), "set it to sizeof(sdx_custom_op)"));
  assert_int_equal(sdx_options_add_op(o, &op), SDX_OK);
  static const struct {
    const char *attributes;
    sdx_status status;
    const char *says;
  } cases[] = {{"by=2.5", SDX_OK, ""},
               {"mood=\"fine\"", SDX_INVALID_ARGUMENT, "'by' is missing"},
               {"by=1.0, mood=\"bad\"", SDX_OUT_OF_RANGE, "the mood is bad"}};
  for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
    char source[200];
    snprintf(source, sizeof source, "graph g(%%x: float[N,2]) -> (%%y) {\n  %%y = my::Scale<%s>(%%x) as \"mine\"\n}\n",
             cases[i].attributes);
    text bytes = model_bytes(source);
    sdx_session *s;
    sdx_run *r;
    if (sdx_session_load_bytes(bytes.at, bytes.size, false, o, &s) != SDX_OK) fail_msg("%s", sdx_session_error(s));
    assert_int_equal(sdx_run_create(s, &r), SDX_OK);
    sdx_value *x = row(2, 4);
    sdx_run_set_input(r, 0, x);
    assert_int_equal(sdx_run_execute(r), cases[i].status);
    if (cases[i].status == SDX_OK) expect(sdx_run_output(r, 0), 5, 10);
    else if (!strstr(sdx_run_error(r), cases[i].says) || !strstr(sdx_run_error(r), "mine"))
      fail_msg("%s", sdx_run_error(r));
    sdx_value_release(x);
    sdx_run_destroy(r);
    sdx_session_destroy(s);
    text_deinit(&bytes);
  }
  assert_int_equal(calls, 1);
  op.domain = "";
  op.name = "Add";
  assert_int_equal(sdx_options_add_op(o, &op), SDX_INVALID_ARGUMENT);
  assert_non_null(strstr(sdx_options_error(o), "built in"));
  sdx_options_destroy(o);
}

int main(void) {
  const struct CMUnitTest tests[] = {cmocka_unit_test(loads_from_a_reader),
                                     cmocka_unit_test(loads_borrowed_bytes),
                                     cmocka_unit_test(borrowed_memory_is_released_once),
                                     cmocka_unit_test(constructors_refuse),
                                     cmocka_unit_test(types_nest_to_a_depth),
                                     cmocka_unit_test(strings_hold_any_bytes),
                                     cmocka_unit_test(results_go_where_the_caller_says),
                                     cmocka_unit_test(unbound_memory_is_left_alone),
                                     cmocka_unit_test(a_failed_session_has_no_model),
                                     cmocka_unit_test(an_operator_of_the_caller_runs),
                                     cmocka_unit_test(an_operator_of_the_caller_sees_its_node)};
  return cmocka_run_group_tests(tests, NULL, NULL);
}

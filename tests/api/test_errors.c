// SPDX-License-Identifier: Apache-2.0
// Errors as fields, from each layer of the engine: what sdx_session_error_json and its like say of a model that is
// wrong in one place (docs/errors.md).
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
// after the standard headers
#include <cmocka.h>

#include "tests/model.h"

// Each of `members`, separated by spaces, is in the object, which `message` words.
static void expect(char *json, const char *message, const char *said, const char *members) {
  if (!json) fail_msg("no fields; %s", said);
  if (!strstr(said, message)) fail_msg("'%s' lacks '%s'", said, message);
  char words[600], *rest = NULL;
  snprintf(words, sizeof words, "%s", members);
  for (char *word = strtok_r(words, "|", &rest); word; word = strtok_r(NULL, "|", &rest))
    if (!strstr(json, word)) fail_msg("%s lacks %s", json, word);
  sdx_string_free(json);
}

static const char *const head = "graph(%x: float[2,3]) -> (%y) {\n";

static void loads_say_the_place(void **state) {
  static const struct {
    const char *layer, *body, *options, *message, *members;
  } cases[] = {
      {"bind: operator", "%y = Reluu(%x)", "",
       "operator 'Reluu' of domain 'ai.onnx' is not known; did you mean 'Relu'?",
       "\"status\":\"NOT_SUPPORTED\"|\"code\":\"unknown-operator\"|\"node\":\"y\"|\"operator\":\"Reluu\"|"
       "\"hint\":\"did you mean 'Relu'?\"|\"place\":\"node 'y' (Reluu)\""},
      {"bind: attribute", "%y = Cast(%x)", "", "node 'y' (Cast): attribute 'to' is required",
       "\"code\":\"missing-attribute\"|\"attribute\":\"to\"|\"operator\":\"Cast\""},
      {"bind: kind", "%y = Softmax<axis=1.5>(%x)", "", "attribute 'axis' is of kind float, expected int",
       "\"code\":\"attribute-kind\"|\"found\":\"of kind float\"|\"expected\":\"int\"|\"attribute\":\"axis\""},
      {"bind: arity", "%y = Gemm(%x)", "", "input 1 ('B') is required, but only 1 is given",
       "\"code\":\"arity\"|\"input\":\"B\"|\"index\":1|\"node\":\"y\""},
      {"params", "%y = LRN<size=0>(%x)", "", "attribute 'size' is 0, expected at least 1",
       "\"attribute\":\"size\"|\"found\":\"0\"|\"expected\":\"at least 1\"|\"operator\":\"LRN\""},
      {"infer: type", "%y = Not(%x)", "", "node 'y' (Not): input 0 ('X') has element type float, expected one of bool",
       "\"status\":\"INVALID_SHAPE\"|\"code\":\"type-or-shape\"|\"input\":\"X\"|\"index\":0|\"found\":\"element type "
       "float\"|"
       "\"expected\":\"one of bool\""},
      {"infer: shape", "%y = MatMul(%x, %x)", "", "input 1 ('B') has 2 rows, expected 3",
       "\"code\":\"type-or-shape\"|\"input\":\"B\"|\"index\":1|\"found\":\"2 "
       "rows\"|\"expected\":\"3\"|\"node\":\"y\"|\"operator\":\"MatMul\""},
      {"infer: declared", "%y: double[2,3] = Relu(%x)", "",
       "output 'y' is declared double[2,3] but comes out as float[2,3]",
       "\"status\":\"INVALID_GRAPH\"|\"output\":\"y\"|\"index\":0|\"node\":\"y\""},
      {"infer: body",
       "const %t: bool[]{1}\n %y = If<then_branch=graph() -> (%a) { outer %x = %x %a = Neg(%x) }, "
       "else_branch=graph() -> (%b) { outer %x = %x %b = Bad(%x) }>(%t)",
       "", "operator 'Bad'", "\"code\":\"unknown-operator\"|\"node\":\"b\"|\"operator\":\"Bad\""},
      {"options", "%y = Relu(%x)", "disable_passes=fuse_mtamul_add", "option 'disable_passes' names no pass",
       "\"option\":\"disable_passes\"|\"hint\":\"did you mean"},
  };
  for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
    char source[600];
    snprintf(source, sizeof source, "%s %s\n}\n", head, cases[i].body);
    text bytes = model_bytes(source);
    sdx_options *o = model_options(cases[i].options);
    sdx_session *s;
    if (sdx_session_load_bytes(bytes.at, bytes.size, false, o, &s) == SDX_OK) fail_msg("%s loads", cases[i].layer);
    expect(sdx_session_error_json(s), cases[i].message, sdx_session_error(s), cases[i].members);
    sdx_session_destroy(s);
    sdx_options_destroy(o);
    text_deinit(&bytes);
  }
}

static void files_say_the_byte(void **state) {
  text bytes = model_bytes("graph(%x: float[2,3]) -> (%y) {\n %y = Relu(%x)\n}\n");
  sdx_session *s;
  assert_int_equal(sdx_session_load_bytes(bytes.at, bytes.size - 1, false, NULL, &s), SDX_INVALID_MODEL);
  expect(sdx_session_error_json(s), "is the file cut short?", sdx_session_error(s),
         "\"offset\":|\"hint\":\"is the file cut short?\"|\"status\":\"INVALID_MODEL\"");
  sdx_session_destroy(s);
  text_deinit(&bytes);
  assert_int_equal(sdx_session_load_file("/nowhere/m.onnx", NULL, &s), SDX_NOT_FOUND);
  expect(sdx_session_error_json(s), "file '/nowhere/m.onnx' cannot be opened", sdx_session_error(s),
         "\"file\":\"/nowhere/m.onnx\"|\"code\":\"missing-file\"");
  sdx_session_destroy(s);
}

static void feed(sdx_run *r, sdx_dtype dtype, size_t rank, const int64_t *shape) {
  sdx_value *v = sdx_tensor_create(dtype, rank, shape);
  assert_int_equal(sdx_run_set_input(r, 0, v), SDX_OK);
  sdx_value_release(v);
}

static void feeds_say_the_input(void **state) {
  sdx_session *s = model_load("graph(%x: float[N,3]) -> (%y) {\n %y = Relu(%x)\n}\n", "");
  sdx_run *r;
  assert_int_equal(sdx_run_create(s, &r), SDX_OK);
  assert_null(sdx_run_error_json(r));
  assert_int_equal(sdx_run_execute(r), SDX_INVALID_ARGUMENT);
  expect(sdx_run_error_json(r), "input 'x' is not given", sdx_run_error(r),
         "\"code\":\"missing-input\"|\"input\":\"x\"|\"index\":0|\"place\":\"input 'x'\"");
  feed(r, SDX_DOUBLE, 2, (int64_t[]){1, 3});
  assert_int_equal(sdx_run_execute(r), SDX_INVALID_ARGUMENT);
  expect(sdx_run_error_json(r), "input 'x' is tensor(double), expected tensor(float)", sdx_run_error(r),
         "\"code\":\"input-type\"|\"input\":\"x\"|\"found\":\"tensor(double)\"|\"expected\":\"tensor(float)\"");
  feed(r, SDX_FLOAT, 1, (int64_t[]){3});
  assert_int_equal(sdx_run_execute(r), SDX_INVALID_SHAPE);
  expect(sdx_run_error_json(r), "input 'x' has shape [3], expected [?,3]", sdx_run_error(r),
         "\"code\":\"input-rank\"|\"found\":\"shape [3]\"|\"expected\":\"[?,3]\"");
  feed(r, SDX_FLOAT, 2, (int64_t[]){2, 4});
  assert_int_equal(sdx_run_execute(r), SDX_INVALID_SHAPE);
  expect(sdx_run_error_json(r), "input 'x' has shape [2,4], expected [?,3]", sdx_run_error(r),
         "\"code\":\"input-shape\"");
  assert_int_equal(sdx_run_set_input(r, 7, NULL), SDX_INVALID_ARGUMENT);
  expect(sdx_run_error_json(r), "input 7 does not exist", sdx_run_error(r), "\"index\":7");
  feed(r, SDX_FLOAT, 2, (int64_t[]){2, 3});
  sdx_value *wrong = sdx_tensor_create(SDX_FLOAT, 1, (int64_t[]){6});
  assert_int_equal(sdx_run_set_output(r, 0, wrong), SDX_OK);
  assert_int_equal(sdx_run_execute(r), SDX_INVALID_SHAPE);
  expect(sdx_run_error_json(r), "output 'y' is bound to a tensor float[6], expected float[2,3]", sdx_run_error(r),
         "\"output\":\"y\"|\"index\":0|\"expected\":\"float[2,3]\"");
  sdx_run_set_output(r, 0, NULL);
  sdx_value_release(wrong);
  assert_int_equal(sdx_run_execute(r), SDX_OK);
  assert_null(sdx_run_error_json(r));
  sdx_run_destroy(r);
  sdx_session_destroy(s);
}

// Planning infers anew, now with sizes; kernels see the values.
static void runs_say_the_node(void **state) {
  static const struct {
    const char *source, *message, *members;
    sdx_status status;
    int64_t fed;
  } cases[] = {
      {"graph(%i: int64[N]) -> (%y) {\n const %d: float[3]{1, 2, 3}\n %y = Gather(%d, %i)\n}\n",
       "node 'y' (Gather): input 1 ('indices') is 9 at 0, expected within [-3, 3)",
       "\"node\":\"y\"|\"operator\":\"Gather\"|\"input\":\"indices\"|\"index\":1|\"found\":\"9 at "
       "0\"|\"expected\":\"within "
       "[-3, 3)\"|\"code\":\"OUT_OF_RANGE\"",
       SDX_OUT_OF_RANGE, 9},
      {"graph(%i: int64[N]) -> (%y) {\n const %d: int64[3]{1, 2, 3}\n %y = Div(%d, %i)\n}\n", "input 1 ('B') is 0 at 0",
       "\"input\":\"B\"|\"index\":1|\"operator\":\"Div\"", SDX_OUT_OF_RANGE, 0},
      {"graph(%i: int64[N]) -> (%y) {\n const %d: int64[3]{1, 2, 3}\n %y = Reshape(%d, %i)\n}\n",
       "node 'y' (Reshape): input 1 ('shape') is [2]",
       "\"input\":\"shape\"|\"index\":1|\"node\":\"y\"|\"operator\":\"Reshape\"", SDX_INVALID_SHAPE, 2},
      {"graph(%i: int64[N]) -> (%y) {\n const %t: bool[]{1}\n const %m: int64[]{4}\n const %d: float[3]{1, 2, 3}\n"
       " %y = Loop<body=graph(%k: int64[], %c: bool[], %s: int64[N]) -> (%go, %next, %out) {\n"
       "  outer %d = %d\n  %go = Identity(%c)\n  %out = Gather(%d, %s)\n  %next = Add(%s, %s)\n }>(%m, %t, %i)\n}\n",
       "trip 2: ", "\"node\":\"out\"|\"operator\":\"Gather\"|\"within\":\"trip 2\"|\"found\":\"4 at 0\"",
       SDX_OUT_OF_RANGE, 1},
  };
  for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
    sdx_session *s = model_load(cases[i].source, "");
    sdx_run *r;
    assert_int_equal(sdx_run_create(s, &r), SDX_OK);
    sdx_value *v = sdx_tensor_create(SDX_INT64, 1, (int64_t[]){1});
    *(int64_t *)sdx_tensor_data(v) = cases[i].fed;
    sdx_run_set_input(r, 0, v);
    sdx_status status = sdx_run_execute(r);
    if (status != cases[i].status) fail_msg("%s\n%s", cases[i].source, sdx_run_error(r));
    expect(sdx_run_error_json(r), cases[i].message, sdx_run_error(r), cases[i].members);
    sdx_value_release(v);
    sdx_run_destroy(r);
    sdx_session_destroy(s);
  }
}

static void plans_say_the_node(void **state) {
  sdx_session *s = model_load("graph(%x: float[N,3], %w: float[M,3]) -> (%y) {\n %y = Add(%x, %w)\n}\n", "");
  sdx_run *r;
  assert_int_equal(sdx_run_create(s, &r), SDX_OK);
  feed(r, SDX_FLOAT, 2, (int64_t[]){2, 3});
  sdx_value *w = sdx_tensor_create(SDX_FLOAT, 2, (int64_t[]){5, 3});
  sdx_run_set_input(r, 1, w);
  assert_int_equal(sdx_run_execute(r), SDX_INVALID_SHAPE);
  expect(sdx_run_error_json(r), "node 'y' (Add): input 1 ('B') has 5 in dimension 2 from the right, expected 1 or 2",
         sdx_run_error(r), "\"node\":\"y\"|\"operator\":\"Add\"|\"input\":\"B\"|\"index\":1");
  sdx_run_set_memory_limit_bytes(r, 1);
  feed(r, SDX_FLOAT, 2, (int64_t[]){5, 3});
  assert_int_equal(sdx_run_execute(r), SDX_NO_MEMORY);
  expect(sdx_run_error_json(r), "memory", sdx_run_error(r), "\"status\":\"NO_MEMORY\"");
  sdx_value_release(w);
  sdx_run_destroy(r);
  sdx_session_destroy(s);
}

static void options_say_their_name(void **state) {
  sdx_options *o = sdx_options_create();
  assert_null(sdx_options_error_json(o));
  assert_int_equal(sdx_options_set(o, "thraeds", "1"), SDX_INVALID_ARGUMENT);
  expect(sdx_options_error_json(o), "option 'thraeds' does not exist; did you mean 'threads'?", sdx_options_error(o),
         "\"code\":\"unknown-option\"|\"option\":\"thraeds\"|\"hint\":\"did you mean 'threads'?\"");
  assert_int_equal(sdx_options_set(o, "threads", "-3"), SDX_INVALID_ARGUMENT);
  expect(sdx_options_error_json(o), "option 'threads' is -3, expected 0 to", sdx_options_error(o), "\"found\":\"-3\"");
  sdx_options_destroy(o);
}

static void checks_say_all_of_them(void **state) {
  text bytes = model_bytes("graph(%x: float[2,3]) -> (%y) {\n %a = Reluu(%x)\n %y = Concat<axis=5>(%x, %x)\n}\n");
  char *json = sdx_check_bytes(bytes.at, bytes.size, NULL);
  for (const char *const *member = (const char *[]){"\"severity\":\"error\"", "\"operator\":\"Reluu\"",
                                                    "\"attribute\":\"axis\"", "\"expected\":\"within [-2, 2)", NULL};
       *member; member++)
    if (!strstr(json, *member)) fail_msg("%s lacks %s", json, *member);
  sdx_string_free(json);
  text_deinit(&bytes);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(loads_say_the_place),    cmocka_unit_test(files_say_the_byte),
      cmocka_unit_test(feeds_say_the_input),    cmocka_unit_test(runs_say_the_node),
      cmocka_unit_test(plans_say_the_node),     cmocka_unit_test(options_say_their_name),
      cmocka_unit_test(checks_say_all_of_them),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}

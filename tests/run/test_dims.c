// SPDX-License-Identifier: Apache-2.0
// Names of dimensions, and shapes that the model declares of its results: callers may differ from both, with one
// warning, as long as the operators take what they get; the option strict_dims refuses.
#include "tests/model.h"

static void feed(sdx_run *r, size_t input, size_t rank, const int64_t *shape) {
  sdx_value *v = sdx_tensor_create(SDX_FLOAT, rank, shape);
  sdx_run_set_input(r, input, v);
  sdx_value_release(v);
}

// Two inputs of rank 2; the same sizes feed a model of one input.
typedef struct dims_case {
  const char *source;
  int64_t first[2], second[2];
  const char *warning;  // NULL: none
} dims_case;

static void run_case(const dims_case *d, const char *settings, sdx_status expected) {
  sdx_session *s = model_load(d->source, settings);
  sdx_run *r;
  assert_int_equal(sdx_run_create(s, &r), SDX_OK);
  feed(r, 0, 2, d->first);
  if (sdx_session_input_count(s) > 1) feed(r, 1, 2, d->second);
  sdx_status status = sdx_run_execute(r);
  if (status != expected) fail_msg("%s\n%s: %s", d->source, settings, sdx_run_error(r));
  const char *said = expected ? sdx_run_error(r) : sdx_run_warning(r);
  if (d->warning ? !strstr(said, d->warning) : *said) fail_msg("%s\n%s: said '%s'", d->source, settings, said);
  sdx_run_destroy(r);
  sdx_session_destroy(s);
}

static const dims_case sharing[] = {
    {"graph(%x: float[N,3], %z: float[N,3]) -> (%y) {\n  %y = Add(%x, %z)\n}\n", {4, 3}, {1, 3}, "dimension 'N' is 1"},
    {"graph(%x: float[N,3], %z: float[N,3]) -> (%y) {\n  %y = Concat<axis=0>(%x, %z)\n}\n",
     {4, 3},
     {2, 3},
     "dimension 'N' is 2 in input 'z' but 4 in input 'x'"},
    {"graph(%x: float[N,N]) -> (%y) {\n  %y = Relu(%x)\n}\n", {2, 3}, {0, 0}, "dimension 'N'"},
};

static void sizes_may_differ_under_one_name(void **state) {
  for (size_t i = 0; i < sizeof sharing / sizeof *sharing; i++) {
    run_case(&sharing[i], "", SDX_OK);
    run_case(&sharing[i], "optimize=none", SDX_OK);
    run_case(&sharing[i], "strict_dims=1", SDX_INVALID_SHAPE);
  }
  dims_case same = sharing[0];
  memcpy(same.second, same.first, sizeof same.second);
  same.warning = NULL;
  run_case(&same, "", SDX_OK);
  run_case(&same, "strict_dims=1", SDX_OK);
}

static void placeholders_stand_for_themselves(void **state) {
  static const char *const names[] = {"None",    "?",       "-1", "unk__12", "DynamicDimension.0",
                                      "unknown", "Unknown", "*",  "null",    "none",
                                      "dynamic", "unk_3",   "?_1"};
  for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
    char source[200];
    snprintf(source, sizeof source, "graph(%%x: float[\"%s\",\"%s\"]) -> (%%y) {\n  %%y = Relu(%%x)\n}\n", names[i],
             names[i]);
    dims_case d = {source, {2, 3}, {0, 0}, NULL};
    run_case(&d, "", SDX_OK);
    run_case(&d, "strict_dims=1", SDX_OK);
  }
}

// Nothing may be fused or removed on the word of a name: x[1] is broadcast.
static void names_prove_nothing(void **state) {
  static const char source[] =
      "graph(%x: float[N,2,1,1], %r: float[N,2,1,1]) -> (%y) {\n  const %w: float[2,2,1,1]{1, 0, 0, 1}\n"
      "  %c = Conv(%x, %w)\n  %s = Add(%c, %r)\n  %y = Relu(%s)\n}\n";
  sdx_session *s = model_load(source, "");
  for (int64_t batch = 1; batch <= 3; batch += 2) {
    sdx_run *r;
    assert_int_equal(sdx_run_create(s, &r), SDX_OK);
    feed(r, 0, 4, (int64_t[]){3, 2, 1, 1});
    feed(r, 1, 4, (int64_t[]){batch, 2, 1, 1});
    if (sdx_run_execute(r) != SDX_OK) fail_msg("%s", sdx_run_error(r));
    assert_int_equal(sdx_tensor_shape(sdx_run_output(r, 0))[0], 3);
    assert_int_equal(*sdx_run_warning(r) != 0, batch == 1);
    sdx_run_destroy(r);
  }
  sdx_session_destroy(s);
}

static void results_may_differ_from_what_is_declared(void **state) {
  static const dims_case cases[] = {
      // known from the operators: the load warns; from data: the run does
      {"graph(%x: float[M,3]) -> (%y) {\n  const %k: int64[1]{0}\n  %n = NonZero(%x)\n  %y: float[2,9] = "
       "Cast<to=1>(%n)\n}\n",
       {1, 3},
       {0, 0},
       "output 'y' is declared [2,9] but is [2,0]"},
  };
  for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
    run_case(&cases[i], "", SDX_OK);
    run_case(&cases[i], "strict_dims=1", SDX_INVALID_SHAPE);
  }
  // A name of the inputs in a result.
  dims_case named = {
      "graph(%x: float[N,3]) -> (%y) {\n  %n = NonZero(%x)\n  %t = Transpose(%n)\n  %y: float[N,2] = "
      "Cast<to=1>(%t)\n}\n",
      {1, 3},
      {0, 0},
      NULL};
  run_case(&named, "", SDX_OK);
  named.warning = "output 'y'";
  run_case(&named, "strict_dims=1", SDX_INVALID_SHAPE);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(sizes_may_differ_under_one_name),
      cmocka_unit_test(placeholders_stand_for_themselves),
      cmocka_unit_test(names_prove_nothing),
      cmocka_unit_test(results_may_differ_from_what_is_declared),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}

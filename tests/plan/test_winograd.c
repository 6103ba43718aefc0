// SPDX-License-Identifier: Apache-2.0
// Where a session multiplies by Winograd's algorithm: convolutions 3 x 3 of stride 1 large enough for it, with tiles as
// large as the precision allows. Results are those of direct convolution, those of values that are not finite included.
#include <stdlib.h>

#include "run/session.h"
#include "tests/model.h"

static const char *source =
    "graph(%x: float[2,32,22,21]) -> (%y) {\n"
    "  const %zero: float[]{0}\n  const %one: float[]{1}\n  const %sixteenth: float[]{0.0625}\n"
    "  const %end: float[]{13824}\n  const %dims: int64[4]{48, 32, 3, 3}\n"
    "  %range = Range(%zero, %end, %one)\n  %sines = Sin(%range)\n  %flat = Mul(%sines, %sixteenth)\n"
    "  %w = Reshape(%flat, %dims)\n  %a = Conv<pads=[1,1,1,1]>(%x, %w)\n  %y = Relu(%a)\n}\n";

enum { OUTPUTS = 2 * 48 * 22 * 21 };

static const char *kernel_of_convolution(const sdx_session *s) {
  const plan *p = s->plans[chain_of(NULL)];
  for (uint32_t i = 0; i < p->step_count; i++)
    if (str_is(p->steps[i].step.node->op_type, "FusedConv")) return p->steps[i].step.kernel;
  fail_msg("no convolution");
  return "";
}

// y for an x with `value` in the first image, by a kernel whose name holds `kernel`.
static void run(const char *settings, const char *kernel, float value, float *y) {
  sdx_session *s = model_load(source, settings);
  sdx_run *r = model_run(s, 1);
  sdx_value *x = model_input(sdx_session_input(s, 0), 1);
  ((float *)sdx_tensor_data(x))[5 * 22 * 21 + 200] = value;
  assert_int_equal(sdx_run_set_input(r, 0, x), SDX_OK);
  sdx_value_release(x);
  assert_int_equal(sdx_run_execute(r), SDX_OK);
  const char *name = kernel_of_convolution(s);
  if (!strstr(name, kernel)) fail_msg("%s: kernel %s, expected %s", settings, name, kernel);
  memcpy(y, sdx_tensor_data((sdx_value *)sdx_run_output(r, 0)), OUTPUTS * sizeof(float));
  sdx_run_destroy(r);
  sdx_session_destroy(s);
}

static void check(float value) {
  static float direct[OUTPUTS], of_2[OUTPUTS], of_4[OUTPUTS];
  run("threads=2 layouts=0", "", value, direct);
  run("threads=2", "F(2,3)", value, of_2);
  run("threads=2 precision=high", "F(4,3)", value, of_4);
  for (size_t i = 0; i < OUTPUTS; i++) {
    if (isfinite(direct[i])) assert_true(fabsf(of_2[i] - direct[i]) < 2e-6f && fabsf(of_4[i] - direct[i]) < 2e-5f);
    else if (isnan(direct[i])) assert_true(isnan(of_2[i]) && isnan(of_4[i]));
    else assert_true(of_2[i] == direct[i] && of_4[i] == direct[i]);
  }
}

static void tiles_follow_the_precision(void **state) { check(1); }

static void values_that_are_not_finite(void **state) {
  check(NAN);
  check(INFINITY);
  check(-INFINITY);
}

int main(void) {
  const struct CMUnitTest tests[] = {cmocka_unit_test(tiles_follow_the_precision),
                                     cmocka_unit_test(values_that_are_not_finite)};
  return cmocka_run_group_tests(tests, NULL, NULL);
}

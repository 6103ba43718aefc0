// SPDX-License-Identifier: Apache-2.0
// eliminate: nodes that hand their input through go, all others stay.
#include "tests/passes/rewrite.h"

#define PASS "eliminate"

static void identity_in_the_middle(void **state) {
  rewrites(PASS,
           "graph(%x: float[N,3]) -> (%y) {\n  %a = Neg(%x)\n  %b = Identity(%a)\n  %c = Identity(%b)\n"
           "  %y = Abs(%c)\n}\n",
           "graph test(%x: float[N,3]) -> (%y) {\n  %a = Neg(%x)\n  %y = Abs(%a)\n}\n");
}

static void graph_inputs_and_outputs_may_meet(void **state) {
  rewrites(PASS, "graph(%x: float[N,3]) -> (%y, %z) {\n  %y = Identity(%x)\n  %z = Identity(%y)\n}\n",
           "graph test(%x: float[N,3]) -> (%x, %x) {\n}\n");
}

static void nothing_moves(void **state) {
  static const char *const nodes[] = {"Cast<to=1>(%x)",
                                      "Transpose<perm=[0, 1, 2]>(%x)",
                                      "Concat<axis=1>(%x)",
                                      "Sum(%x)",
                                      "Max(%x)",
                                      "Min(%x)",
                                      "Mean(%x)",
                                      "Dropout(%x)",
                                      "Reshape(%x, %same)",
                                      "Expand(%x, %ones)",
                                      "Squeeze(%x, %none)"};
  for (size_t i = 0; i < sizeof nodes / sizeof *nodes; i++) {
    char source[300];
    snprintf(source, sizeof source,
             "graph(%%x: float[2,1,3]) -> (%%y) {\n  const %%same: int64[3]{2, 1, 3}\n  const %%ones: int64[3]{1, 1, "
             "1}\n  const %%none: int64[0]{}\n  %%a = %s\n  %%y = Neg(%%a)\n}\n",
             nodes[i]);
    rewrites(PASS, source, "graph test(%x: float[2,1,3]) -> (%y) {\n  %y = Neg(%x)\n}\n");
  }
}

static void something_moves(void **state) {
  leaves_alone(PASS, "graph(%x: float[2,3]) -> (%y) {\n  %y = Transpose<perm=[1, 0]>(%x)\n}\n");
  leaves_alone(PASS, "graph(%x: float[2,3]) -> (%y) {\n  %y = Transpose(%x)\n}\n");
  leaves_alone(PASS, "graph(%x: float[2,3]) -> (%y) {\n  %y = Cast<to=11>(%x)\n}\n");
  leaves_alone(PASS, "graph(%x: float[2,3]) -> (%y) {\n  %y = Concat<axis=1>(%x, %x)\n}\n");
  leaves_alone(PASS,
               "graph(%x: float[2,3], %s: int64[4]) -> (%y) {\n  const %p: int64[4]{1, 1, 1, 1}\n  const %l: "
               "int64[1]{1}\n  %m = Max(%s, %l)\n  %n = Min(%m, %p)\n  %y = Expand(%x, %n)\n}\n");
  leaves_alone(PASS,
               "graph(%x: float[?,3]) -> (%y) {\n  const %s: int64[2]{-1, 3}\n  %a = Neg(%x)\n"
               "  %y = Reshape(%a, %s)\n}\n");
}

// A declared dimension is a guess of the exporter; the result here is as long as %s says.
static void declared_shapes_prove_nothing(void **state) {
  static const char *const nodes[] = {"%y: float[N] = Expand(%x, %s)", "%y: float[N] = Reshape(%x, %s)",
                                      "%y: float[2] = Expand(%x, %s)"};
  for (size_t i = 0; i < 3; i++) {
    char source[200];
    snprintf(source, sizeof source, "graph(%%x: float[%s], %%s: int64[1]) -> (%%y) {\n  %s\n}\n", i == 2 ? "2" : "N",
             nodes[i]);
    sdx_session *s = rewrite_session(PASS, source);
    if (s->main->node_count != 1) fail_msg("%s", source);
    sdx_session_destroy(s);
  }
}

static void dropout_whose_mask_nobody_reads(void **state) {
  rewrites(PASS, "graph(%x: float[2,3]) -> (%y) {\n  %a, %mask = Dropout(%x)\n  %y = Neg(%a)\n}\n",
           "graph test(%x: float[2,3]) -> (%y) {\n  %y = Neg(%x)\n}\n");
  rewrites(PASS,
           "graph(%x: float[2,3]) -> (%y) {\n  const %r: float[]{0.5}\n  const %t: bool[]{0}\n"
           "  %a = Dropout(%x, %r, %t)\n  %y = Neg(%a)\n}\n",
           "graph test(%x: float[2,3]) -> (%y) {\n  %y = Neg(%x)\n}\n");
  leaves_alone(PASS, "graph(%x: float[2,3]) -> (%y, %mask) {\n  %y, %mask = Dropout(%x)\n}\n");
  leaves_alone(
      PASS, "graph(%x: float[2,3], %t: bool[]) -> (%y) {\n  const %r: float[]{0.5}\n  %y = Dropout(%x, %r, %t)\n}\n");
}

static void inside_of_bodies(void **state) {
  rewrites(PASS,
           "graph(%x: float[2], %c: bool[]) -> (%y) {\n  %a = Identity(%x)\n"
           "  %y = If<then_branch=graph t() -> (%r) {\n    outer %a = %a\n    %b = Identity(%a)\n    %r = Neg(%b)\n"
           "  }, else_branch=graph e() -> (%q) {\n    outer %a = %a\n    %q = Identity(%a)\n  }>(%c)\n}\n",
           "graph test(%x: float[2], %c: bool[]) -> (%y) {\n"
           "  %y = If<then_branch=graph t() -> (%r) {\n    outer %a = %x\n    %r = Neg(%a)\n"
           "  }, else_branch=graph e() -> (%a) {\n    outer %a = %x\n  }>(%c)\n}\n");
}

static void empty_inputs(void **state) {
  rewrites(PASS, "graph(%x: float[0,3]) -> (%y) {\n  %a = Identity(%x)\n  %y = Neg(%a)\n}\n",
           "graph test(%x: float[0,3]) -> (%y) {\n  %y = Neg(%x)\n}\n");
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(identity_in_the_middle),
      cmocka_unit_test(graph_inputs_and_outputs_may_meet),
      cmocka_unit_test(nothing_moves),
      cmocka_unit_test(something_moves),
      cmocka_unit_test(declared_shapes_prove_nothing),
      cmocka_unit_test(dropout_whose_mask_nobody_reads),
      cmocka_unit_test(inside_of_bodies),
      cmocka_unit_test(empty_inputs),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}

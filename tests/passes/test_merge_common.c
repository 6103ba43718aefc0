// SPDX-License-Identifier: Apache-2.0
// merge_common and remove_dead: what is computed twice, and what nobody reads.
#include "tests/passes/rewrite.h"

#define PASS "merge_common"

static void equal_expressions(void **state) {
  rewrites(PASS,
           "graph(%x: float[N,3]) -> (%y) {\n  %a = Abs(%x)\n  %b = Abs(%x)\n  %c = Neg(%a)\n  %d = Neg(%b)\n"
           "  %y = Add(%c, %d)\n}\n",
           "graph test(%x: float[N,3]) -> (%y) {\n  %a = Abs(%x)\n  %c = Neg(%a)\n  %y = Add(%c, %c)\n}\n");
}

static void both_are_results(void **state) {
  rewrites(PASS, "graph(%x: float[3]) -> (%a, %b) {\n  %a = Abs(%x)\n  %b = Abs(%x)\n}\n",
           "graph test(%x: float[3]) -> (%a, %a) {\n  %a = Abs(%x)\n}\n");
}

static void several_results(void **state) {
  rewrites(PASS,
           "graph(%x: float[4]) -> (%y) {\n  %a, %b = Split<num_outputs=2>(%x)\n  %c, %d = Split<num_outputs=2>(%x)\n"
           "  %y = Add(%a, %d)\n}\n",
           "graph test(%x: float[4]) -> (%y) {\n  %a, %b = Split<num_outputs=2>(%x)\n  %y = Add(%a, %b)\n}\n");
  leaves_alone(PASS,
               "graph(%x: float[2,3]) -> (%a, %c, %m) {\n  %a = MaxPool<kernel_shape=[1]>(%q)\n"
               "  %c, %m = MaxPool<kernel_shape=[1]>(%q)\n  %q = Reshape(%x, %s)\n  const %s: int64[3]{1, 2, 3}\n}\n");
}

static void differences_count(void **state) {
  leaves_alone(PASS, "graph(%x: float[3]) -> (%a, %b) {\n  %a = Elu<alpha=1.0>(%x)\n  %b = Elu<alpha=2.0>(%x)\n}\n");
  leaves_alone(PASS,
               "graph(%x: float[2,2]) -> (%a, %b) {\n  %a = Sub(%x, %z)\n  %b = Sub(%z, %x)\n  %z = Neg(%x)\n}\n");
  leaves_alone(PASS, "graph(%x: float[2]) -> (%a, %b) {\n  %a = Cast<to=6>(%x)\n  %b = Cast<to=7>(%x)\n}\n");
}

static void random_numbers_and_bodies_stay(void **state) {
  sdx_session *s = rewrite_session(PASS,
                                   "graph() -> (%a, %b) {\n  %a = RandomNormal<shape=[2]>()\n"
                                   "  %b = RandomNormal<shape=[2]>()\n}\n");
  assert_int_equal(s->main->node_count, 2);
  sdx_session_destroy(s);
  leaves_alone(PASS,
               "graph(%x: float[2], %c: bool[]) -> (%y, %z) {\n"
               "  %y = If<then_branch=graph t() -> (%r) {\n    outer %x = %x\n    %r = Neg(%x)\n  }, "
               "else_branch=graph e() -> (%q) {\n    outer %x = %x\n    %q = Abs(%x)\n  }>(%c)\n"
               "  %z = If<then_branch=graph t() -> (%r) {\n    outer %x = %x\n    %r = Neg(%x)\n  }, "
               "else_branch=graph e() -> (%q) {\n    outer %x = %x\n    %q = Abs(%x)\n  }>(%c)\n}\n");
}

static void read_by_a_body(void **state) {
  rewrites(PASS,
           "graph(%x: float[2], %c: bool[]) -> (%y) {\n  %a = Neg(%x)\n  %b = Neg(%x)\n"
           "  %y = If<then_branch=graph t() -> (%r) {\n    outer %a = %a\n    %r = Abs(%a)\n  }, "
           "else_branch=graph e() -> (%q) {\n    outer %b = %b\n    %q = Neg(%b)\n    %w = Neg(%b)\n  }>(%c)\n}\n",
           "graph test(%x: float[2], %c: bool[]) -> (%y) {\n  %a = Neg(%x)\n"
           "  %y = If<then_branch=graph t() -> (%r) {\n    outer %a = %a\n    %r = Abs(%a)\n  }, "
           "else_branch=graph e() -> (%q) {\n    outer %b = %a\n    %q = Neg(%b)\n  }>(%c)\n}\n");
}

static void dead_nodes(void **state) {
  rewrites("remove_dead",
           "graph(%x: float[2]) -> (%y) {\n  %a = Neg(%x)\n  %b = Abs(%a)\n  %c, %d = Split<num_outputs=2>(%x)\n"
           "  %y = Neg(%d)\n}\n",
           "graph test(%x: float[2]) -> (%y) {\n  %c, %d = Split<num_outputs=2>(%x)\n  %y = Neg(%d)\n}\n");
  leaves_alone("remove_dead",
               "graph(%x: float[2], %c: bool[]) -> (%y) {\n  %a = Neg(%x)\n"
               "  %y = If<then_branch=graph t() -> (%a) {\n    outer %a = %a\n  }, "
               "else_branch=graph e() -> (%q) {\n    outer %x = %x\n    %q = Abs(%x)\n  }>(%c)\n}\n");
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(equal_expressions),
      cmocka_unit_test(both_are_results),
      cmocka_unit_test(several_results),
      cmocka_unit_test(differences_count),
      cmocka_unit_test(random_numbers_and_bodies_stay),
      cmocka_unit_test(read_by_a_body),
      cmocka_unit_test(dead_nodes),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}

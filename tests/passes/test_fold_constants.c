// SPDX-License-Identifier: Apache-2.0
// fold_constants: what depends on constants only is computed at load, within its budget.
#include "tests/passes/rewrite.h"

#define PASS "fold_constants"

static void folds(void **state) {
  rewrites(PASS,
           "graph(%x: float[2]) -> (%y) {\n  const %w: float[2]{1, 2}\n  %a = Neg(%w)\n  %b = Add(%a, %w)\n"
           "  %c = Sub(%a, %b)\n  %y = Add(%x, %c)\n}\n",
           "graph test(%x: float[2]) -> (%y) {\n  const %c: float[2]{-1, -2}\n  %y = Add(%x, %c)\n}\n");
  rewrites(PASS, "graph() -> (%y) {\n  %y = Constant<value=tensor float[2]{3, 4}>()\n}\n",
           "graph test() -> (%y) {\n  const %y: float[2]{3, 4}\n}\n");
  rewrites(PASS,
           "graph(%x: float[2], %c: bool[]) -> (%y) {\n"
           "  %y = If<then_branch=graph t() -> (%r) {\n    const %k: float[2]{1, 2}\n    %r = Neg(%k)\n  }, "
           "else_branch=graph e() -> (%q) {\n    outer %x = %x\n    %q = Abs(%x)\n  }>(%c)\n}\n",
           "graph test(%x: float[2], %c: bool[]) -> (%y) {\n"
           "  %y = If<then_branch=graph t() -> (%r) {\n    const %r: float[2]{-1, -2}\n  }, "
           "else_branch=graph e() -> (%q) {\n    outer %x = %x\n    %q = Abs(%x)\n  }>(%c)\n}\n");
}

static void leaves_what_is_no_constant(void **state) {
  leaves_alone(PASS, "graph(%x: float[2]) -> (%y) {\n  const %w: float[2]{1, 2}\n  %y = Add(%x, %w)\n}\n");
  sdx_session *s = rewrite_session(PASS, "graph() -> (%a) {\n  %a = RandomNormal<shape=[2]>()\n}\n");
  assert_int_equal(s->main->node_count, 1);
  sdx_session_destroy(s);
}

// A node that fails stays, and fails where it always did: in the run.
static void leaves_what_fails(void **state) {
  sdx_session *s = rewrite_session(PASS,
                                   "graph() -> (%y) {\n  const %x: float[2]{1, 2}\n  const %i: int64[1]{7}\n"
                                   "  %y = Gather(%x, %i)\n}\n");
  sdx_run *r = model_run(s, 1);
  assert_int_not_equal(sdx_run_execute(r), SDX_OK);
  assert_non_null(strstr(sdx_run_error(r), "Gather"));
  sdx_run_destroy(r);
  sdx_session_destroy(s);
}

static void obeys_its_budget(void **state) {
  static const char source[] =
      "graph() -> (%y) {\n  const %n: int64[1]{100}\n  %a = ConstantOfShape(%n)\n  %y = Neg(%a)\n}\n";
  sdx_session *s = model_load(source, "fold_limit_bytes=399");
  assert_int_equal(s->main->node_count, 2);
  sdx_session_destroy(s);
  s = model_load(source, "fold_limit_bytes=400");
  assert_int_equal(s->main->node_count, 0);
  sdx_session_destroy(s);
}

static void strings_count_in_full(void **state) {
  static const char source[] =
      "graph() -> (%y) {\n  const %s: string[1]{\"0123456789012345678901234567890123456789\"}\n"
      "  %y = StringConcat(%s, %s)\n}\n";
  sdx_session *s = model_load(source, "fold_limit_bytes=95");  // 16 for the element, 80 for what it points at
  assert_int_equal(s->main->node_count, 1);
  sdx_session_destroy(s);
  s = model_load(source, "fold_limit_bytes=96");
  assert_int_equal(s->main->node_count, 0);
  sdx_session_destroy(s);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(folds),
      cmocka_unit_test(leaves_what_is_no_constant),
      cmocka_unit_test(leaves_what_fails),
      cmocka_unit_test(obeys_its_budget),
      cmocka_unit_test(strings_count_in_full),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}

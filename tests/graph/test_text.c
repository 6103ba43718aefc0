// SPDX-License-Identifier: Apache-2.0
// The text form: print(parse(text)) == text for everything a graph can hold; errors say where.
#include "graph/graph.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

static mem_account account;

static void expect_same(const char *source) {
  arena memory;
  graph *g;
  error err = {0};
  text out = {.account = &account};
  mem_account_init(&account, (size_t)1 << 26, NULL);
  arena_init(&memory, &account);
  sdx_status status = graph_parse(&memory, str_from(source), &g, &err);
  if (status != SDX_OK) fail_msg("%s\n%s", err.message, source);
  graph_print(g, &out);
  assert_false(out.failed);
  assert_string_equal(out.at, source);
  text_deinit(&out);
  arena_deinit(&memory);
  assert_int_equal(atomic_load(&account.used), 0);
}

static void expect_error(const char *source, const char *part) {
  arena memory;
  graph *g;
  error err = {0};
  mem_account_init(&account, (size_t)1 << 26, NULL);
  arena_init(&memory, &account);
  assert_int_not_equal(graph_parse(&memory, str_from(source), &g, &err), SDX_OK);
  if (!strstr(err.message, part)) fail_msg("'%s' lacks '%s'", err.message, part);
  arena_deinit(&memory);
  assert_int_equal(atomic_load(&account.used), 0);
}

static void small_graphs(void **state) {
  expect_same("graph() -> () {\n}\n");
  expect_same("graph g(%x) -> (%x) {\n}\n");
  expect_same("graph g(%x: float[1,N,?], %y: ?[2]) -> (%z) {\n  %z: float = Add@14(%x, %y) as \"an add\"\n}\n");
  expect_same("graph(%x) -> (%a) {\n  %a, _, %b = com.microsoft::Split(%x, _)\n  () = Sink(%b) as s\n}\n");
  expect_same(
      "graph(%0) -> (%\"odd \\\"\\\\\\x00\\xff name\") {\n  %\"odd \\\"\\\\\\x00\\xff name\" = \"Op::x\"(%0)\n}\n");
}

static void types(void **state) {
  expect_same(
      "graph(%a: seq(map(int64,float[N,3])), %b: optional(seq(string[])), %c: sparse(double[4,4]), %d: seq(?), "
      "%e: float[\"10\",#3,\"?\"], %f: bfloat16) -> () {\n}\n");
}

static void constants(void **state) {
  expect_same(
      "graph() -> (%f, %i, %s, %e, %b) {\n"
      "  const %f: float[7]{0, -0, 1.5, 0.1, nan, -inf, 0x7fc00001}\n"
      "  const %i: int64[2,2]{-9223372036854775808, 9223372036854775807, 0, -1}\n"
      "  const %s: string[2]{\"a\\x00b\", \"\"}\n"
      "  const %e: float[0]{}\n"
      "  const %b: float[100,100]{...}\n}\n");
}

static void every_element_type_keeps_its_bits(void **state) {
  expect_same(
      "graph() -> (%a, %b, %c, %d, %e, %f, %g, %h, %i, %j, %k, %l, %m, %n) {\n"
      "  const %a: float16[3]{0.1, 65504, 0x7c01}\n"
      "  const %b: bfloat16[3]{0.1, 3.38953e+38, nan}\n"
      "  const %c: double[2]{0.1, 0.30000000000000004}\n"
      "  const %d: complex64[1]{1, -2.5}\n"
      "  const %e: int4[3]{-8, 7, -1}\n"
      "  const %f: uint4[3]{0, 15, 8}\n"
      "  const %g: int2[5]{-2, 1, 0, -1, 1}\n"
      "  const %h: uint2[5]{0, 1, 2, 3, 0}\n"
      "  const %i: float8e4m3fn[2]{0x0, 0xff}\n"
      "  const %j: float4e2m1[3]{0x1, 0xf, 0x8}\n"
      "  const %k: bool[2]{0, 1}\n"
      "  const %l: uint64[1]{18446744073709551615}\n"
      "  const %m: int8[2]{-128, 127}\n"
      "  const %n: uint16[1]{65535}\n}\n");
}

static void attributes(void **state) {
  expect_same(
      "graph(%x) -> (%y) {\n"
      "  %y = Op<i=-3, f=1.0, g=1.5, n=nan, e=1e+20, s=\"t\\x0a\", is=[1, 2], fs=[1.0, inf], ss=[\"a\", \"\"], "
      "no=ints[], nf=floats[], ns=strings[], t=tensor float[2]{1, 2}, ts=tensors[int8[]{1}, string[1]{\"x\"}], "
      "nt=tensors[], ty=type seq(float[N]), tys=types[float, ?], sp=sparse [4] float[1]{2} int64[1]{3}, "
      "sps=sparses[], \"odd name\"=0>(%x)\n}\n");
}

static void subgraphs(void **state) {
  expect_same(
      "graph main(%x, %c: bool[]) -> (%y) {\n"
      "  const %w: float[1]{2}\n"
      "  %t = Relu(%x)\n"
      "  %y = If<then_branch=graph yes() -> (%r) {\n"
      "    outer %t: float[1] = %t\n"
      "    %r = Loop<body=graph() -> (%q) {\n"
      "      outer %in = %t\n"
      "      %q = Neg(%in)\n"
      "    }>()\n"
      "  }, else_branch=graph no() -> (%w) {\n"
      "    outer %w = %w\n"
      "  }>(%c)\n"
      "}\n");
}

static void a_value_may_be_read_before_it_is_made(void **state) {
  arena memory;
  graph *g;
  error err = {0};
  arena_init(&memory, NULL);
  assert_int_equal(graph_parse(&memory, STR("graph(%x) -> (%z) { %z = B(%y)  %y = A(%x) }"), &g, &err), SDX_OK);
  assert_true(str_is(g->nodes[0]->op_type, "A"));
  arena_deinit(&memory);
}

static void errors_say_where(void **state) {
  expect_error("", "line 1, column 1");
  expect_error("graph", "expected");
  expect_error("graph(%x) -> (%y) {\n  %y = Relu(%x\n}", "line 3, column 1: expected ,");
  expect_error("graph(%x) -> (%y) {\n}\n", "%y is read but never made");
  expect_error("graph(%x) -> (%x) {\n  %x = Relu(%x)\n}", "line 2, column 4: expected a name that is not taken yet");
  expect_error("graph() -> (%a) {\n  %a = A(%b)\n  %b = B(%a)\n}", "cycle of 2 nodes");
  expect_error("graph() -> (%a) {\n  const %a: float[2]{1}\n}", "line 2, column 23");
  expect_error("graph() -> (%a) {\n  const %a: float[2]{1, x}\n}", "an element of this type");
  expect_error("graph() -> (%a) {\n  const %a: int8[1]{128}\n}", "an element of this type");
  expect_error("graph() -> (%a) {\n  const %a: float[4611686018427387904,4]{...}\n}", "more bytes than");
  expect_error("graph() -> (%a) {\n  const %a: float[100000000000]{...}\n}", "no memory");
  expect_error("graph(%x: flot) -> () {}", "an element type");
  expect_error("graph(%x: float[-1]) -> () {}", "a dimension");
  expect_error("graph() -> () {\n  outer %x = %y\n}", "outermost");
  expect_error("graph() -> () {} more", "nothing more");
  expect_error("graph(%x) -> () {\n () = A<a=[1, 2.0]>()\n}", "elements of one kind");
}

static void nesting_is_limited(void **state) {
  text deep = {0};
  for (int i = 0; i < 5000; i++) text_format(&deep, "graph() -> () { () = If<b=");
  expect_error(deep.at, "nested less deep");
  deep.size = 0;
  text_format(&deep, "graph(%%x: ");
  for (int i = 0; i < 5000; i++) text_format(&deep, "seq(");
  expect_error(deep.at, "nested less deep");
  text_deinit(&deep);
}

int main(void) {
  const struct CMUnitTest tests[] = {cmocka_unit_test(small_graphs),
                                     cmocka_unit_test(types),
                                     cmocka_unit_test(constants),
                                     cmocka_unit_test(every_element_type_keeps_its_bits),
                                     cmocka_unit_test(attributes),
                                     cmocka_unit_test(subgraphs),
                                     cmocka_unit_test(a_value_may_be_read_before_it_is_made),
                                     cmocka_unit_test(errors_say_where),
                                     cmocka_unit_test(nesting_is_limited)};
  return cmocka_run_group_tests(tests, NULL, NULL);
}

// SPDX-License-Identifier: Apache-2.0
// Local functions of a model: expansion, scopes, what is refused, calls in circles, bombs.
#include "tests/onnx/make.h"

static void functions_are_expanded(void **state) {
  wire_out t = {0};
  size_t g = begin_small(&t), n, f;
  n = begin_node(&t, 1, "local:F", "x", "y");
  put_attr_int(&t, "given", 5);
  wire_end(&t, n);
  put_node(&t, 1, "local:F", "y -", "z same");  // required "given" is left out: so is the attribute
  wire_end(&t, g);
  f = begin_function(&t, "F", "in other", "out through");
  put(&t, 6, "given");
  size_t d = wire_begin(&t, 11);  // default
  put(&t, 1, "defaulted");
  wire_put_int(&t, 3, 9);
  wire_put_int(&t, 20, ATTR_INT);
  wire_end(&t, d);
  put_opset(&t, 9, "", 13);
  n = begin_node(&t, 7, "Op", "in other", "tmp");
  put_attr_ref(&t, "a", "given");
  put_attr_ref(&t, "b", "defaulted");
  wire_end(&t, n);
  put_node(&t, 7, "local:G", "tmp", "out");
  put_node(&t, 7, "Neg", "in", "through");
  wire_end(&t, f);
  f = begin_function(&t, "G", "a", "b");
  put_node(&t, 7, "Relu", "a", "b");
  wire_end(&t, f);
  expect_nodes(&t,
               "graph(%x: float[4]) -> (%y) {\n"
               "  %tmp = Op@13<a=5, b=9>(%x, _)\n"
               "  %y: float[4] = Relu@17(%tmp)\n"
               "  %through = Neg@13(%x)\n"
               "  %tmp_1 = Op@13<b=9>(%y, _)\n"
               "  %z = Relu@17(%tmp_1)\n"
               "  %same = Neg@13(%y)\n}\n");
}

static void an_input_that_is_an_output_is_carried_over(void **state) {
  wire_out t = {0};
  size_t g = begin_small(&t), f;
  put_node(&t, 1, "local:F", "x", "y");
  wire_end(&t, g);
  f = begin_function(&t, "F", "a", "a");
  wire_end(&t, f);
  expect_nodes(&t, "graph(%x: float[4]) -> (%y) {\n  %y: float[4] = Identity@17(%x)\n}\n");
}

static void a_function_comes_before_an_operator(void **state) {
  wire_out t = {0};
  size_t g = begin_small(&t), f;
  put_node(&t, 1, "Gelu", "x", "y");
  wire_end(&t, g);
  f = wire_begin(&t, 25);
  put(&t, 1, "Gelu");
  put(&t, 10, "ai.onnx");
  put(&t, 4, "a");
  put(&t, 5, "b");
  put_node(&t, 7, "Erf", "a", "b");
  wire_end(&t, f);
  expect_nodes(&t, "graph(%x: float[4]) -> (%y) {\n  %y: float[4] = Erf@17(%x)\n}\n");
}

static void subgraphs_of_functions_see_the_function(void **state) {
  wire_out t = {0};
  size_t g = begin_small(&t), f;
  put_node(&t, 1, "local:F", "x", "y");
  wire_end(&t, g);
  f = begin_function(&t, "F", "a", "b");
  size_t n = begin_node(&t, 7, "If", "a", "b"), a = wire_begin(&t, 5), b;
  put(&t, 1, "body");
  b = wire_begin(&t, 6);
  put_node(&t, 1, "local:G", "a", "o");  // a call inside a subgraph inside a function
  put_value(&t, 12, "o", -1);
  wire_end(&t, b);
  wire_end(&t, a);
  wire_end(&t, n);
  wire_end(&t, f);
  f = begin_function(&t, "G", "p", "q");
  put_node(&t, 7, "Neg", "p", "q");
  wire_end(&t, f);
  expect_nodes(&t,
               "graph(%x: float[4]) -> (%y) {\n  %y: float[4] = If@17<body=graph() -> (%o) {\n"
               "    outer %x: float[4] = %x\n    %o = Neg@17(%x)\n  }>(%x)\n}\n");
}

static void wrong_functions_are_refused(void **state) {
  static const struct {
    const char *call[2];              // inputs, outputs
    const char *op, *in, *out, *ref;  // the body's node
    sdx_status status;
    const char *part;
  } cases[] = {{{"x x", "y"}, "Neg", "a", "b", NULL, SDX_INVALID_GRAPH, "called with 2 inputs but has 1"},
               {{"x", "y z"}, "Neg", "a", "b", NULL, SDX_INVALID_GRAPH, "called with 2 outputs but has 1"},
               {{"x", "y"}, "Neg", "a", "c", NULL, SDX_INVALID_GRAPH, "never makes its output 'b'"},
               {{"x", "y"}, "Neg", "x", "b", NULL, SDX_INVALID_GRAPH, "input 'x' is made by no node"},
               {{"x", "y"}, "Neg", "a", "a", NULL, SDX_INVALID_GRAPH, "made twice in a function"},
               {{"x", "y"}, "local:F", "a", "b", NULL, SDX_INVALID_GRAPH, "in a circle: F -> F"},
               {{"x", "y"}, "Neg", "a", "b", "nothing", SDX_INVALID_GRAPH, "which function 'F' does not have"}};
  for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
    wire_out t = {0};
    size_t g = begin_small(&t), f, n;
    put_node(&t, 1, "local:F", cases[i].call[0], cases[i].call[1]);
    wire_end(&t, g);
    f = begin_function(&t, "F", "a", "b");
    n = begin_node(&t, 7, cases[i].op, cases[i].in, cases[i].out);
    if (cases[i].ref) put_attr_ref(&t, "r", cases[i].ref);
    wire_end(&t, n);
    wire_end(&t, f);
    expect_model(&t, cases[i].status, cases[i].part);
  }
}

static void circles_of_calls_are_found_even_unused(void **state) {
  wire_out t = {0};
  size_t g = begin_small(&t), f;
  put_node(&t, 1, "Relu", "x", "y");
  wire_end(&t, g);
  static const char *const ring[] = {"A", "B", "C"};
  for (int i = 0; i < 3; i++) {
    char callee[16];
    snprintf(callee, sizeof callee, "local:%s", ring[(i + 1) % 3]);
    f = begin_function(&t, ring[i], "a", "b");
    if (i == 2) {  // only through a branch
      size_t n = begin_node(&t, 7, "If", "a", "b"), a = wire_begin(&t, 5), b;
      put(&t, 1, "then_branch");
      b = wire_begin(&t, 6);
      put_node(&t, 1, callee, "a", "o");
      wire_end(&t, b);
      wire_end(&t, a);
      wire_end(&t, n);
    } else {
      put_node(&t, 7, callee, "a", "b");
    }
    wire_end(&t, f);
  }
  expect_model(&t, SDX_INVALID_GRAPH, "functions call each other in a circle: A -> B -> C -> A");
  for (int i = 0; i < 2; i++) {
    if (i == 0) wire_end(&t, begin_small(&t));
    wire_end(&t, begin_function(&t, "A", "a", "a"));
  }
  expect_model(&t, SDX_INVALID_GRAPH, "function 'A' of domain 'local' (overload '') is defined twice");
}

static void a_bomb_of_functions_stops_at_the_limit(void **state) {
  wire_out t = {0};
  imported r;
  size_t g = begin_small(&t), f;
  put_node(&t, 1, "local:f13", "x", "y");
  wire_end(&t, g);
  for (int k = 0; k < 14; k++) {
    char name[16], callee[32];
    snprintf(name, sizeof name, "f%d", k);
    snprintf(callee, sizeof callee, k ? "local:f%d" : "Relu", k - 1);
    f = begin_function(&t, name, "a", "e");
    put_node(&t, 7, callee, "a", "b");
    put_node(&t, 7, callee, "b", "c");
    put_node(&t, 7, callee, "c", "d");
    put_node(&t, 7, callee, "d", "e");
    wire_end(&t, f);
  }
  assert_true(t.kept.size < 1700);
  import_bytes(&r, t.kept.at, t.kept.size, (import_options){.limits = {.max_nodes = 20000}});
  assert_int_equal(r.status, SDX_LIMIT_EXCEEDED);
  assert_non_null(strstr(r.err.message, "more than 20000 nodes"));
  assert_true(atomic_load(&r.account.peak) < (32u << 20));
  drop(&r);
  import_bytes(&r, t.kept.at, t.kept.size, (import_options){0});
  assert_int_equal(r.status, SDX_LIMIT_EXCEEDED);
  assert_non_null(strstr(r.err.message, "the limit for a file of its size"));
  assert_true(atomic_load(&r.account.peak) < (32u << 20));
  drop(&r);
  import_bytes(&r, t.kept.at, t.kept.size, (import_options){.deadline_ns = 1});
  assert_int_equal(r.status, SDX_DEADLINE_EXCEEDED);
  drop(&r);
  import_bytes(&r, t.kept.at, t.kept.size, (import_options){.max_function_depth = 13});
  assert_int_equal(r.status, SDX_LIMIT_EXCEEDED);
  assert_non_null(strstr(r.err.message, "nested 14 deep"));
  drop(&r);
  wire_out_deinit(&t);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(functions_are_expanded),
      cmocka_unit_test(an_input_that_is_an_output_is_carried_over),
      cmocka_unit_test(a_function_comes_before_an_operator),
      cmocka_unit_test(subgraphs_of_functions_see_the_function),
      cmocka_unit_test(wrong_functions_are_refused),
      cmocka_unit_test(circles_of_calls_are_found_even_unused),
      cmocka_unit_test(a_bomb_of_functions_stops_at_the_limit),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}

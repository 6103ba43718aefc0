// SPDX-License-Identifier: Apache-2.0
// The verifier: one graph for each rule that it keeps, and all problems at once through a sink.
#include "graph/graph.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

static const graph_limits generous = {
    .max_nodes = 1000, .max_rank = 64, .max_subgraph_depth = 32, .max_name_bytes = 1000};

static arena memory;
static graph *g;
static error err;

static int setup(void **state) {
  arena_init(&memory, NULL);
  err = (error){0};
  return graph_parse(&memory, STR("graph(%x: float[2,3]) -> (%z) { %y = Relu(%x)  %z = Neg(%y) }"), &g, &err);
}
static int teardown(void **state) {
  arena_deinit(&memory);
  return 0;
}

static void expect(sdx_status status, const char *part) {
  assert_int_equal(graph_verify(g, &generous, NULL, &err), status);
  if (!strstr(err.message, part)) fail_msg("'%s' lacks '%s'", err.message, part);
}

static void a_good_graph_passes(void **state) { assert_int_equal(graph_verify(g, &generous, NULL, &err), SDX_OK); }

static void an_unmade_input_is_named(void **state) {
  g->nodes[1]->inputs[0] = graph_add_value(g, STR("ghost"));
  expect(SDX_INVALID_GRAPH, "node 1 '' (Neg): input 'ghost' is made by no node");
}

static void an_unmade_output_is_named(void **state) {
  g->outputs[0] = graph_add_value(g, STR("ghost"));
  expect(SDX_INVALID_GRAPH, "output 'ghost' is made by no node");
}

static void ids_out_of_range_are_found(void **state) {
  g->nodes[0]->inputs[0] = 999;
  expect(SDX_INTERNAL, "999");
}

static void a_wrong_order_is_found(void **state) {
  node *first = g->nodes[0];
  g->nodes[0] = g->nodes[1];
  g->nodes[1] = first;
  g->values[g->nodes[0]->outputs[0]].producer = 1;
  g->values[g->nodes[1]->outputs[0]].producer = 2;
  expect(SDX_INVALID_GRAPH, "does not come before");
}

static void two_makers_are_found(void **state) {
  g->nodes[1]->outputs[0] = g->nodes[0]->outputs[0];
  expect(SDX_INVALID_GRAPH, "already an input, a constant or the output of another node");
}

static void an_input_listed_twice_is_found(void **state) {
  g->inputs = (value_id[]){g->inputs[0], g->inputs[0]};
  g->input_count = 2;
  expect(SDX_INVALID_GRAPH, "'x' is listed twice");
}

static void limits_hold_on_both_sides(void **state) {
  graph_limits limits = generous;
  limits.max_nodes = 2;
  limits.max_rank = 2;
  limits.max_name_bytes = 1;
  assert_int_equal(graph_verify(g, &limits, NULL, &err), SDX_OK);
  limits.max_rank = 1;
  assert_int_equal(graph_verify(g, &limits, NULL, &err), SDX_LIMIT_EXCEEDED);
  limits.max_rank = 2;
  limits.max_nodes = 1;
  assert_int_equal(graph_verify(g, &limits, NULL, &err), SDX_LIMIT_EXCEEDED);
  limits.max_nodes = 2;
  limits.max_name_bytes = 0;
  assert_int_equal(graph_verify(g, &limits, NULL, &err), SDX_LIMIT_EXCEEDED);
}

static void a_body_may_read_only_what_its_node_captures(void **state) {
  assert_int_equal(
      graph_parse(&memory, STR("graph(%x) -> (%y) { %y = If<b=graph() -> (%o) { outer %o = %x }>() }"), &g, &err),
      SDX_OK);
  g->nodes[0]->capture_count = 0;
  expect(SDX_INTERNAL, "does not capture");
}

static void count_problem(void *context, bool warning, const error *problem) { ++*(int *)context; }

static void a_sink_gets_all_problems(void **state) {
  int count = 0;
  problem_sink sink = {count_problem, &count};
  g->nodes[0]->inputs[0] = graph_add_value(g, STR("ghost"));
  g->nodes[0]->op_type = STR("");
  g->outputs[0] = graph_add_value(g, STR("phantom"));
  assert_int_equal(graph_verify(g, &generous, &sink, &err), SDX_OK);
  assert_int_equal(count, 3);
}

int main(void) {
#define T(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
  const struct CMUnitTest tests[] = {T(a_good_graph_passes),
                                     T(an_unmade_input_is_named),
                                     T(an_unmade_output_is_named),
                                     T(ids_out_of_range_are_found),
                                     T(a_wrong_order_is_found),
                                     T(two_makers_are_found),
                                     T(an_input_listed_twice_is_found),
                                     T(limits_hold_on_both_sides),
                                     T(a_body_may_read_only_what_its_node_captures),
                                     T(a_sink_gets_all_problems)};
  return cmocka_run_group_tests(tests, NULL, NULL);
}

// SPDX-License-Identifier: Apache-2.0
// Building and editing graphs: values, order, cycles, uses, captures; linear on huge graphs; clean
// when memory runs out at any allocation.
#include "graph/graph.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>

#include <cmocka.h>

typedef struct fixture {
  mem_account account;
  arena memory;
  graph *g;
  error err;
} fixture;

static int setup(void **state) {
  static fixture f;
  f = (fixture){0};
  mem_account_init(&f.account, SIZE_MAX, NULL);
  arena_init(&f.memory, &f.account);
  f.g = graph_create(&f.memory, NULL);
  *state = &f;
  return f.g ? 0 : -1;
}

static int teardown(void **state) {
  fixture *f = *state;
  arena_deinit(&f->memory);
  return atomic_load(&f->account.used) == 0 ? 0 : -1;
}

static value_id named(fixture *f, const char *name) {
  value_id id = graph_find(f->g, str_from(name));
  return id ? id : graph_add_value(f->g, str_from(name));
}

static node *add(fixture *f, const char *op, const char *in, const char *out) {
  value_id i = named(f, in), o = named(f, out);
  return graph_add_node(f->g, STR(""), str_from(op), 1, &i, 1, &o, &f->err);
}

static void values_have_unique_names(void **state) {
  fixture *f = *state;
  value_id a = graph_add_value(f->g, STR("a")), b = graph_add_value(f->g, STR("a")), c = graph_add_value(f->g, STR(""));
  assert_true(a && b && c && a != b && b != c);
  assert_int_equal(graph_find(f->g, STR("a")), a);
  assert_false(str_equal(f->g->values[b].name, f->g->values[a].name));
  assert_true(f->g->values[c].name.size > 0);
  assert_int_equal(graph_find(f->g, STR("nobody")), 0);
}

static void constants_have_types(void **state) {
  fixture *f = *state;
  value_id i = graph_constant_i64(f->g, (int64_t[]){3, -1}, 2), h = graph_constant_scalar(f->g, SDX_FLOAT16, 0.5);
  const tensor *t = f->g->values[i].constant, *s = f->g->values[h].constant;
  assert_true(t && t->rank == 1 && t->count == 2 && ((const int64_t *)t->data)[1] == -1);
  assert_true(s && s->rank == 0 && *(const uint16_t *)s->data == 0x3800);
  assert_int_equal(f->g->values[i].type.dtype, SDX_INT64);
  assert_int_equal(f->g->values[h].type.rank, 0);
  t = f->g->values[graph_constant_scalar(f->g, SDX_INT64, 0x1p63)].constant;
  assert_true(*(const int64_t *)t->data == INT64_MAX);
  for (int d = 1; d < SDX_DTYPE_COUNT; d++)
    assert_int_equal(graph_constant_scalar(f->g, (sdx_dtype)d, 0) != 0, d != SDX_STRING);
}

static void sort_restores_order_and_drops_the_dead(void **state) {
  fixture *f = *state;
  add(f, "C", "b", "c");
  add(f, "B", "a", "b");
  add(f, "Dead", "a", "d")->dead = true;
  add(f, "A", "x", "a");
  assert_int_equal(graph_sort(f->g, &f->err), SDX_OK);
  assert_int_equal(f->g->node_count, 3);
  assert_true(str_is(f->g->nodes[0]->op_type, "A"));
  assert_true(str_is(f->g->nodes[2]->op_type, "C"));
  assert_int_equal(f->g->values[named(f, "c")].producer, 3);
  assert_int_equal(f->g->values[named(f, "d")].producer, 0);
}

static void sort_keeps_what_is_in_order(void **state) {
  fixture *f = *state;
  add(f, "P", "x", "p");
  add(f, "Q", "x", "q");
  add(f, "R", "late", "r");
  add(f, "S", "p", "s");
  add(f, "Late", "x", "late");
  assert_int_equal(graph_sort(f->g, &f->err), SDX_OK);
  const char *order[] = {"P", "Q", "Late", "R", "S"};
  for (int i = 0; i < 5; i++) assert_true(str_is(f->g->nodes[i]->op_type, order[i]));
}

// A node that leaves out all it might read and make is all there is: nothing has a name, nothing a value.
static void a_graph_without_values_is_sorted(void **state) {
  fixture *f = *state;
  graph *g = graph_create(f->g->memory, NULL);
  value_id none = VALUE_ABSENT;
  assert_non_null(graph_add_node(g, STR(""), STR("Relu"), 1, &none, 1, &none, &f->err));
  assert_int_equal(graph_sort(g, &f->err), SDX_OK);
  assert_int_equal(g->node_count, 1);
}

static void a_cycle_names_its_path(void **state) {
  fixture *f = *state;
  add(f, "Before", "x", "w");
  add(f, "A", "c", "a");
  add(f, "B", "a", "b");
  add(f, "C", "b", "c");
  assert_int_equal(graph_sort(f->g, &f->err), SDX_INVALID_GRAPH);
  assert_non_null(strstr(f->err.message, "cycle of 3 nodes"));
  assert_non_null(strstr(f->err.message, "B 'b' -> C 'c' -> A 'a' -> B"));
  assert_null(strstr(f->err.message, "Before"));
}

static void a_node_that_reads_itself_is_a_cycle(void **state) {
  fixture *f = *state;
  add(f, "A", "a", "a");
  assert_int_equal(graph_sort(f->g, &f->err), SDX_INVALID_GRAPH);
  assert_non_null(strstr(f->err.message, "cycle of 1 node:"));
}

static void two_makers_of_a_value_are_refused(void **state) {
  fixture *f = *state;
  add(f, "A", "x", "a");
  add(f, "B", "x", "a");
  assert_int_equal(graph_sort(f->g, &f->err), SDX_INVALID_GRAPH);
  assert_non_null(strstr(f->err.message, "'a' is made by two nodes"));
}

// A node whose body reads `name` of the graph.
static node *add_with_body(fixture *f, const char *name, const char *out) {
  node *n = add(f, "If", "x", out);
  graph *body = graph_create(&f->memory, f->g);
  value_id inner = graph_add_value(body, str_from(name));
  body->values[inner].outer = named(f, name);
  assert_int_equal(node_set_attr(f->g, n, (attr){.name = STR("body"), .kind = ATTR_GRAPH, .graph = body}), SDX_OK);
  assert_int_equal(node_collect_captures(f->g, n), SDX_OK);
  return n;
}

static void captures_order_nodes_and_make_cycles(void **state) {
  fixture *f = *state;
  node *n = add_with_body(f, "a", "b");
  add(f, "A", "x", "a");
  assert_int_equal(n->capture_count, 1);
  assert_int_equal(graph_sort(f->g, &f->err), SDX_OK);
  assert_ptr_equal(f->g->nodes[1], n);
  add_with_body(f, "z", "z");
  assert_int_equal(graph_sort(f->g, &f->err), SDX_INVALID_GRAPH);
}

static void uses_are_replaced_everywhere(void **state) {
  fixture *f = *state;
  add(f, "A", "old", "a");
  node *n = add_with_body(f, "old", "b");
  value_id old = named(f, "old"), new = named(f, "new");
  f->g->outputs = &(value_id){old};
  f->g->output_count = 1;
  uint32_t *uses = graph_count_uses(f->g, &f->memory);
  assert_int_equal(uses[old], 3);
  value_id *to = arena_array(&f->memory, f->g->value_count, sizeof *to);
  to[old] = new;
  graph_replace_many(f->g, to);
  assert_int_equal(f->g->nodes[0]->inputs[0], new);
  assert_int_equal(n->captures[0], new);
  assert_int_equal(n->attrs[0].graph->values[1].outer, new);
  assert_int_equal(f->g->outputs[0], new);
  uses = graph_count_uses(f->g, &f->memory);
  assert_int_equal(uses[old], 0);
  assert_int_equal(uses[new], 3);
}

static void many_uses_are_replaced_along_chains(void **state) {
  fixture *f = *state;
  add(f, "A", "u", "a");
  node *n = add_with_body(f, "u", "b");
  value_id u = named(f, "u"), v = named(f, "v"), w = named(f, "w");
  value_id *to = arena_array(&f->memory, f->g->value_count, sizeof *to);
  to[u] = v;
  to[v] = w;
  graph_replace_many(f->g, to);
  assert_int_equal(f->g->nodes[0]->inputs[0], w);
  assert_int_equal(n->captures[0], w);
  assert_int_equal(n->attrs[0].graph->values[1].outer, w);
}

static void attributes_are_set_replaced_and_removed(void **state) {
  fixture *f = *state;
  node *n = add(f, "A", "x", "a");
  node_set_attr(f->g, n, (attr){.name = STR("p"), .kind = ATTR_INT, .i = 1});
  node_set_attr(f->g, n, (attr){.name = STR("q"), .kind = ATTR_FLOAT, .f = 2});
  node_set_attr(f->g, n, (attr){.name = STR("p"), .kind = ATTR_INT, .i = 3});
  assert_int_equal(n->attr_count, 2);
  assert_int_equal(node_attr_int(n, "p", 0), 3);
  assert_true(node_attr_float(n, "q", 0) == 2);
  assert_int_equal(node_attr_int(n, "q", 7), 7);  // of another kind
  node_remove_attr(n, "p");
  assert_null(node_attr(n, "p"));
  assert_non_null(node_attr(n, "q"));
}

static void symbols_belong_to_the_root(void **state) {
  fixture *f = *state;
  graph *body = graph_create(&f->memory, f->g);
  int64_t n = graph_symbol(body, STR("N"));
  assert_true(n > 0);
  assert_int_equal(graph_symbol(f->g, STR("N")), n);
  assert_int_equal(graph_symbol(f->g, STR("")), 0);
  assert_true(str_is(graph_symbol_name(body, ~n), "N"));
  assert_int_equal(graph_symbol_name(f->g, DIM_UNKNOWN).size, 0);
  assert_int_equal(graph_symbol_name(f->g, 5).size, 0);
  assert_int_equal(graph_symbol_name(f->g, -1000000).size, 0);
  char text[100];
  type_info *t = type_tensor(&f->memory, SDX_FLOAT, 3, (int64_t[]){2, ~n, DIM_UNKNOWN});
  assert_string_equal(type_describe(f->g, t, text, sizeof text), "float[2,N,?]");
  type_info seq = {.kind = TYPE_SEQUENCE, .element = &(type_info){.kind = TYPE_MAP, .dtype = SDX_INT64, .element = t}};
  assert_string_equal(type_describe(f->g, &seq, text, sizeof text), "seq(map(int64,float[2,N,?]))");
  assert_string_equal(type_describe(f->g, &seq, text, 8), "seq(map");
}

static void a_reversed_chain_of_200000_nodes_is_sorted(void **state) {
  fixture *f = *state;
  enum { COUNT = 200000 };
  assert_true(graph_reserve(f->g, COUNT + 1, COUNT));
  value_id first = graph_add_value(f->g, STR("")), last = first;
  for (int i = 0; i < COUNT; i++) last = graph_add_value(f->g, STR(""));
  for (value_id v = last; v > first; v--)
    assert_non_null(graph_add_node(f->g, STR(""), STR("Relu"), 1, &(value_id){v - 1}, 1, &v, &f->err));
  size_t before = atomic_load(&f->account.used);
  assert_int_equal(graph_sort(f->g, &f->err), SDX_OK);
  assert_int_equal(f->g->nodes[0]->inputs[0], first);
  assert_int_equal(f->g->nodes[COUNT - 1]->outputs[0], last);
  assert_int_equal(atomic_load(&f->account.used), before);  // scratch memory is given back
}

static void memory_may_run_out_anywhere(void **state) {
  for (uint64_t nth = 1;; nth++) {
    mem_account account;
    arena memory;
    error err = {0};
    mem_account_init(&account, SIZE_MAX, NULL);
    arena_init(&memory, &account);
    mem_fail_at(nth, true);
    graph *g = graph_create(&memory, NULL);
    bool good = g != NULL;
    for (int i = 0; good && i < 100; i++) {
      value_id in = graph_constant_i64(g, &(int64_t){i}, 1), out = graph_add_value(g, STR(""));
      node *n = in && out ? graph_add_node(g, STR(""), STR("Relu"), 1, &in, 1, &out, &err) : NULL;
      good = n && node_set_attr(g, n, (attr){.name = STR("a"), .kind = ATTR_INT}) == SDX_OK;
    }
    if (good) good = graph_sort(g, &err) == SDX_OK && graph_count_uses(g, &memory);
    mem_fail_at(0, false);
    arena_deinit(&memory);
    assert_int_equal(atomic_load(&account.used), 0);
    if (good) break;
    assert_true(nth < 10000);
  }
}

int main(void) {
#define T(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
  const struct CMUnitTest tests[] = {T(values_have_unique_names),
                                     T(constants_have_types),
                                     T(sort_restores_order_and_drops_the_dead),
                                     T(sort_keeps_what_is_in_order),
                                     T(a_graph_without_values_is_sorted),
                                     T(a_cycle_names_its_path),
                                     T(a_node_that_reads_itself_is_a_cycle),
                                     T(two_makers_of_a_value_are_refused),
                                     T(captures_order_nodes_and_make_cycles),
                                     T(uses_are_replaced_everywhere),
                                     T(many_uses_are_replaced_along_chains),
                                     T(attributes_are_set_replaced_and_removed),
                                     T(symbols_belong_to_the_root),
                                     T(a_reversed_chain_of_200000_nodes_is_sorted),
                                     cmocka_unit_test(memory_may_run_out_anywhere)};
  return cmocka_run_group_tests(tests, NULL, NULL);
}

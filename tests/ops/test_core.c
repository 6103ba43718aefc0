// SPDX-License-Identifier: Apache-2.0
// Binding nodes to operator records: versions, upgrades, attributes, arity, hints, the texts of records.
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "ops/infer.h"
#include "ops/schema.h"

typedef struct bound {
  arena memory;
  graph *g;
  error err;
  sdx_status status;
} bound;

// Parses the text and binds it at an opset.
static bound bind(const char *text, int64_t opset) {
  bound b = {0};
  arena_init(&b.memory, NULL);
  if (graph_parse(&b.memory, str_from(text), &b.g, &b.err) != SDX_OK) fail_msg("%s", b.err.message);
  opset_import import = {STR(""), opset};
  b.status = ops_bind_graph(b.g, &import, 1, NULL, NULL, NULL, &b.err);
  return b;
}

static void refused(const char *text, int64_t opset, sdx_status status, const char *part) {
  bound b = bind(text, opset);
  if (b.status != status || !strstr(b.err.message, part))
    fail_msg("%s\n  wanted %s with '%s'\n  got %s: %s", text, status_name(status), part, status_name(b.status),
             b.err.message);
  arena_deinit(&b.memory);
}

static bound accepted(const char *text, int64_t opset) {
  bound b = bind(text, opset);
  if (b.status != SDX_OK) fail_msg("%s\n  %s", text, b.err.message);
  for (uint32_t i = 0; i < b.g->node_count; i++) {
    assert_non_null(b.g->nodes[i]->op);
    assert_int_equal(b.g->nodes[i]->version, 0);
  }
  return b;
}

static void finds_operators(void **state) {
  assert_non_null(op_find(STR(""), STR("Reshape")));
  assert_ptr_equal(op_find(STR("ai.onnx"), STR("Reshape")), op_find(STR(""), STR("Reshape")));
  assert_non_null(op_find(STR(""), STR("Crop")));  // retired
  assert_null(op_find(STR(""), STR("Reshap")));
  assert_null(op_find(STR(""), STR("")));
  assert_null(op_find(STR("nowhere"), STR("Reshape")));
  for (size_t i = 1; i < op_count(); i++) {
    const op_def *a = op_at(i - 1), *b = op_at(i);
    int c = strcmp(a->domain, b->domain);
    assert_true(c < 0 || (c == 0 && strcmp(a->name, b->name) < 0));
  }
  char hint[100];
  assert_non_null(strstr(op_hint(STR(""), STR("Reshap"), hint, sizeof hint), "'Reshape'"));
}

static void resolves_versions(void **state) {
  const op_def *op = op_find(STR(""), STR("Slice"));
  assert_int_equal(op_version_at(op, 1), 1);
  assert_int_equal(op_version_at(op, 9), 1);
  assert_int_equal(op_version_at(op, 12), 11);
  assert_int_equal(op_version_at(op, 1000), 13);
  assert_int_equal(op_version_at(op_find(STR(""), STR("Range")), 10), 0);
}

// Every record's texts can be read: kinds, defaults, newest version first.
// Of inputs and outputs.
static size_t distinct_types(const op_def *op) {
  str types[200];
  size_t count = 0;
  schema_formal f;
  const char *const formals[] = {op->inputs, op->outputs};
  for (size_t i = 0; i < 2; i++)
    for (const char *cursor = formals[i]; schema_next_formal(&cursor, &f);) {
      size_t k = 0;
      while (k < count && !str_equal(types[k], f.type)) k++;
      if (k == count && count < sizeof types / sizeof *types) types[count++] = f.type;
    }
  return count;
}

static void records_are_well_formed(void **state) {
  for (size_t i = 0; i < op_count(); i++) {
    const op_def *op = op_at(i);
    const char *cursor;
    schema_attr a;
    schema_formal f;
    if (!op->versions || op_version_at(op, INT64_MAX) != op->since)
      fail_msg("%s: versions '%s' do not begin with %d", op->name, op->versions ? op->versions : "", op->since);
    for (int old = 0; old < 2; old++)
      for (cursor = old ? op->attrs_old : op->attrs; schema_next_attr(&cursor, &a);)
        if (!a.kind || !a.name.size) fail_msg("%s: attribute '%.*s' has no kind", op->name, STR_ARG(a.name));
    for (cursor = op->inputs; schema_next_formal(&cursor, &f);)
      if (!f.name.size || !f.type.size) fail_msg("%s: input '%.*s'", op->name, STR_ARG(f.name));
    if (distinct_types(op) > SCHEMA_MOST_VARIABLES) fail_msg("%s has more type variables than are checked", op->name);
    if (!op->compute && !op->upgrade) fail_msg("%s has no compute", op->name);
  }
}

static void refuses_bad_nodes(void **state) {
  refused("graph g(%x: float[4]) -> (%y) { %y = Reluu(%x) }", 13, SDX_NOT_SUPPORTED, "did you mean 'Relu'");
  refused("graph g(%x: float[4]) -> (%y) { %y = com.example::Relu(%x) }", 13, SDX_NOT_SUPPORTED, "domain 'ai.onnx'");
  refused("graph g(%x: float[4]) -> (%y) { %y = Range(%x, %x, %x) }", 10, SDX_INVALID_GRAPH, "since opset 11");
  refused("graph g(%x: float[4]) -> (%y) { %y = Concat(%x, %x) }", 13, SDX_INVALID_GRAPH, "'axis' is required");
  refused("graph g(%x: float[4]) -> (%y) { %y = Concat<axs=0>(%x, %x) }", 13, SDX_INVALID_GRAPH, "did you mean 'axis'");
  refused("graph g(%x: float[4]) -> (%y) { %y = Concat<axis=0.5>(%x, %x) }", 13, SDX_INVALID_GRAPH, "expected int");
  refused("graph g(%x: float[4]) -> (%y) { %y = Gather(%x) }", 13, SDX_INVALID_GRAPH, "'indices'");
  refused("graph g(%x: float[4]) -> (%y) { %y = Gather(_, %x) }", 13, SDX_INVALID_GRAPH, "'data'");
  refused("graph g(%x: float[4]) -> (%y) { %y = Flatten(%x, %x) }", 13, SDX_INVALID_GRAPH, "at most 1");
  refused("graph g(%x: float[4]) -> (%y, %z) { %y, %z = Flatten(%x) }", 13, SDX_INVALID_GRAPH, "at most 1");
  refused("graph g(%x: float[4]) -> (%y) { %y = Squeeze<axes=[0]>(%x) }", 13, SDX_INVALID_GRAPH, "'axes'");
  refused("graph g(%x: float[4]) -> (%y) { %y = Dropout<_mask_as_data=1>(%x) }", 13, SDX_INVALID_GRAPH,
          "'_mask_as_data'");
  refused("graph g(%x: float[4], %k: int64[1]) -> (%i) { _, %i = TopK(%x, %k) }", 13, SDX_INVALID_GRAPH,
          "output 0 ('Values') is required");
  refused("graph g(%x: float[4]) -> (%y) { %y = Transpose<perm=[0, 0]>(%x) }", 13, SDX_INVALID_GRAPH, "permutation");
  refused("graph g(%x: float[4]) -> (%y) { %y = Pad<mode=\"mirror\">(%x, %x) }", 13, SDX_INVALID_GRAPH, "'mirror'");
}

static void drops_trailing_absent(void **state) {
  bound b = accepted("graph g(%x: float[4]) -> (%y) { %y = Squeeze(%x, _) }", 13);
  assert_int_equal(b.g->nodes[0]->input_count, 1);
  arena_deinit(&b.memory);
}

// Caffe2's in-place hints belong to the versions whose schemas name them; stray ones only to files without opsets.
static void attributes_of_the_first_versions(void **state) {
  bound b = accepted("graph g(%x: float[4]) -> (%y) { %y = Relu<consumed_inputs=[0]>(%x) }", 5);
  assert_int_equal(b.g->nodes[0]->attr_count, 0);
  arena_deinit(&b.memory);
  b = accepted("graph g(%x: float[4]) -> (%y) { %y = Relu<is_test=1>(%x) }", 1);
  assert_int_equal(b.g->nodes[0]->attr_count, 0);
  arena_deinit(&b.memory);
  refused("graph g(%x: float[4]) -> (%y) { %y = Relu<consumed_inputs=[0]>(%x) }", 6, SDX_INVALID_GRAPH,
          "'consumed_inputs'");
  refused("graph g(%x: float[4]) -> (%y) { %y = Flatten<consumed_inputs=[0]>(%x) }", 5, SDX_INVALID_GRAPH,
          "'consumed_inputs'");
  refused("graph g(%x: float[4]) -> (%y) { %y = Relu<is_test=1>(%x) }", 2, SDX_INVALID_GRAPH, "'is_test'");
}

static void upgrades(void **state) {
  bound b = accepted("graph g(%x: float[4,1]) -> (%y) { %y = Squeeze<axes=[1]>(%x) }", 11);
  node *n = b.g->nodes[0];
  assert_int_equal(n->input_count, 2);
  assert_int_equal(n->attr_count, 0);
  const tensor *axes = b.g->values[n->inputs[1]].constant;
  assert_int_equal(axes->count, 1);
  assert_int_equal(tensor_index_at(axes, 0), 1);
  arena_deinit(&b.memory);

  b = accepted("graph g(%x: float[4]) -> (%y) { %y = Slice<starts=[1], ends=[3]>(%x) }", 9);
  assert_int_equal(b.g->nodes[0]->input_count, 3);
  arena_deinit(&b.memory);

  b = accepted("graph g(%x: float[4], %i: int64[2]) -> (%y) { %y = Scatter(%x, %i, %x) }", 9);
  assert_true(str_is(b.g->nodes[0]->op_type, "ScatterElements"));
  arena_deinit(&b.memory);

  b = accepted("graph g(%x: float[4]) -> (%y) { %y = Cast<to=\"INT32\">(%x) }", 5);
  assert_int_equal(node_attr_int(b.g->nodes[0], "to", 0), SDX_INT32);
  arena_deinit(&b.memory);
}

// A node that an upgrade inserts is bound too and stands in front of its reader.
static void upgrades_insert_nodes(void **state) {
  bound b = accepted("graph g(%x: float16[4]) -> (%y) { %y = Pad<pads=[1, 1], value=2.5>(%x) }", 2);
  assert_int_equal(b.g->node_count, 2);
  assert_string_equal(b.g->nodes[0]->op->name, "CastLike");
  assert_string_equal(b.g->nodes[1]->op->name, "Pad");
  assert_int_equal(b.g->nodes[1]->inputs[2], b.g->nodes[0]->outputs[0]);
  arena_deinit(&b.memory);
}

static void binds_subgraphs(void **state) {
  refused(
      "graph g(%c: bool[], %x: float[4]) -> (%y) {\n"
      "  %y = If<then_branch=graph a() -> (%t) {\n outer %x = %x\n %t = Relux(%x)\n}, "
      "else_branch=graph b() -> (%e) {\n outer %x = %x\n %e = Relu(%x)\n}>(%c)\n}",
      13, SDX_NOT_SUPPORTED, "Relux");
}

typedef struct count {
  int problems;
} count;
static void counts(void *context, bool warning, const error *problem) {
  ((count *)context)->problems++;
  assert_false(warning);
  assert_true(problem->code && problem->has_node && *problem->message);
}

static void reports_every_problem(void **state) {
  arena memory;
  graph *g;
  error err = {0};
  count c = {0};
  arena_init(&memory, NULL);
  const char *text = "graph g(%x: float[4]) -> (%y) {\n %a = Foo(%x)\n %b = Flatten<axs=1>(%a)\n %y = Concat(%b)\n}";
  assert_int_equal(graph_parse(&memory, str_from(text), &g, &err), SDX_OK);
  problem_sink sink = {counts, &c};
  assert_int_not_equal(ops_bind_graph(g, &(opset_import){STR(""), 13}, 1, NULL, &sink, NULL, &err), SDX_OK);
  assert_int_equal(c.problems, 3);
  arena_deinit(&memory);
}

static void checks_types(void **state) {
  const op_def op = {.name = "Toy", .inputs = "X:T Y:T i:int64", .types = "T=float,double"};
  node n = {.name = STR("n"), .op_type = STR("Toy"), .op = &op};
  type_info f = {.kind = TYPE_TENSOR, .dtype = SDX_FLOAT}, d = {.kind = TYPE_TENSOR, .dtype = SDX_DOUBLE},
            i = {.kind = TYPE_TENSOR, .dtype = SDX_INT64}, s = {.kind = TYPE_SEQUENCE};
  error err = {0};
  assert_int_equal(schema_check_types(&op, &n, 3, (const type_info *[]){&f, &f, &i}, &err), SDX_OK);
  assert_int_equal(schema_check_types(&op, &n, 3, (const type_info *[]){&f, NULL, &i}, &err), SDX_OK);
  assert_int_not_equal(schema_check_types(&op, &n, 2, (const type_info *[]){&f, &d}, &err), SDX_OK);
  assert_non_null(strstr(err.message, "'Y'"));
  error_clear(&err);
  assert_int_not_equal(schema_check_types(&op, &n, 2, (const type_info *[]){&i, &d}, &err), SDX_OK);
  assert_non_null(strstr(err.message, "float,double"));
  error_clear(&err);
  assert_int_not_equal(schema_check_types(&op, &n, 1, (const type_info *[]){&s}, &err), SDX_OK);
  assert_string_equal(err.name, "X");
  op_def many = {.name = "Many", .inputs = "X:T+", .types = "T=float,double"};
  assert_int_not_equal(schema_check_types(&many, &n, 2, (const type_info *[]){&f, &d}, &err), SDX_OK);
  many.flags = OP_MIXED;
  assert_int_equal(schema_check_types(&many, &n, 2, (const type_info *[]){&f, &d}, &err), SDX_OK);
}

static sdx_status same_as_first(op_step *c) { return infer_same(c, 0, 0); }

// A node that was inferred before is not looked up again, unless its element types are others now.
static void other_types_are_checked_again(void **state) {
  const op_def op = {
      .name = "Toy", .inputs = "X:T Y:T?", .outputs = "Z:T", .types = "T=float,double", .infer = same_as_first};
  value_id ids[] = {1, 2, 3};
  node n = {.name = STR("n"), .op_type = STR("Toy"), .op = &op, .input_count = 2, .output_count = 1};
  n.inputs = ids, n.outputs = ids + 2;
  static const sdx_dtype pairs[][3] = {{SDX_FLOAT, SDX_FLOAT, true},      {SDX_FLOAT, SDX_DOUBLE, false},
                                       {SDX_DOUBLE, SDX_DOUBLE, true},    {SDX_DOUBLE, SDX_UNDEFINED, true},
                                       {SDX_DOUBLE, SDX_FLOAT, false},    {SDX_FLOAT, SDX_FLOAT, true},
                                       {SDX_INT64, SDX_INT64, false},     {SDX_UNDEFINED, SDX_FLOAT, true},
                                       {SDX_UNDEFINED, SDX_INT64, false}, {SDX_FLOAT, SDX_INT64, false}};
  for (size_t k = 0; k < sizeof pairs / sizeof *pairs; k++) {
    arena memory;
    op_step c;
    error err = {0};
    arena_init(&memory, NULL);
    assert_true(step_init(&c, &n, STEP_TYPES, &memory));
    type_info in[2];
    for (size_t i = 0; i < 2; i++) {
      in[i] = (type_info){.kind = TYPE_TENSOR, .dtype = (uint8_t)pairs[k][i]};
      c.in_types[i] = pairs[k][i] || i == 0 ? &in[i] : NULL;
    }
    c.err = &err;
    if ((step_infer(&c) == SDX_OK) != pairs[k][2]) fail_msg("pair %zu: '%s'", k, err.message);
    arena_deinit(&memory);
  }
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(finds_operators),
      cmocka_unit_test(other_types_are_checked_again),
      cmocka_unit_test(resolves_versions),
      cmocka_unit_test(records_are_well_formed),
      cmocka_unit_test(refuses_bad_nodes),
      cmocka_unit_test(drops_trailing_absent),
      cmocka_unit_test(upgrades),
      cmocka_unit_test(attributes_of_the_first_versions),
      cmocka_unit_test(upgrades_insert_nodes),
      cmocka_unit_test(binds_subgraphs),
      cmocka_unit_test(reports_every_problem),
      cmocka_unit_test(checks_types),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}

// SPDX-License-Identifier: Apache-2.0
// Large models, and models that are cut, bit by bit flipped, or starved of memory; all problems at once; what is
// exported comes back.
#include "tests/onnx/make.h"

// ---- size -----------------------------------------------------------------------------------------------

static void memory_stays_near_the_size_of_the_file(void **state) {
  enum { MANY = 300000 };
  static const struct {
    uint32_t at, field;  // message around (7 graph, 1 node in it, 0 model), field that is empty many times
  } cases[] = {{7, 1}, {7, 5}, {7, 11}, {7, 12}, {7, 13}, {7, 15}, {1, 1},
               {1, 2}, {1, 5}, {0, 8},  {0, 14}, {0, 20}, {0, 25}};
  for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
    wire_out t = {0};
    imported r;
    size_t g = begin_small(&t), n = 0;
    put_node(&t, 1, "Relu", "x", "y");
    if (cases[i].at == 1) n = begin_node(&t, 1, "Op", "", "");
    if (cases[i].at == 0) wire_end(&t, g);
    for (int k = 0; k < MANY; k++) put(&t, cases[i].field, "");
    if (cases[i].at == 1) wire_end(&t, n);
    if (cases[i].at) wire_end(&t, g);
    import_bytes(&r, t.kept.at, t.kept.size, (import_options){0});
    assert_true(atomic_load(&r.account.peak) <= 8 * t.kept.size + (1u << 20));
    drop(&r);
    wire_out_deinit(&t);
  }
}

static void a_chain_of_200000_nodes(void **state) {
  enum { COUNT = 200000 };
  wire_out t = {0};
  imported r;
  char in[32], out[32];
  size_t g = begin_model(&t);
  put_value(&t, 11, "x0", 4);
  for (int i = 0; i < COUNT; i++) {
    snprintf(in, sizeof in, "x%d", i);
    snprintf(out, sizeof out, "x%d", i + 1);
    put_node(&t, 1, "Relu", in, out);
  }
  put_value(&t, 12, out, 4);
  wire_end(&t, g);
  import_bytes(&r, t.kept.at, t.kept.size, (import_options){0});
  assert_int_equal(r.status, SDX_OK);
  assert_int_equal(r.m->graph->node_count, COUNT);
  assert_true(atomic_load(&r.account.peak) <= 8 * t.kept.size + (16u << 20));
  drop(&r);
  wire_out_deinit(&t);
}

// ---- damage ---------------------------------------------------------------------------------------------

// A model with a bit of everything.
static void put_rich_model(wire_out *t) {
  size_t g = begin_small(t), n, f, s;
  put(t, 2, "main");
  put_floats(t, 5, "w", 3);
  put_value(t, 13, "h", 4);
  s = wire_begin(t, 15);
  put_floats(t, 1, "sp", 1);
  size_t i = wire_begin(t, 2);
  wire_put_int(t, 1, 1);
  wire_put_int(t, 2, SDX_INT64);
  wire_put_ints(t, 7, (int64_t[]){2}, 1);
  wire_end(t, i);
  wire_put_ints(t, 3, (int64_t[]){4}, 1);
  wire_end(t, s);
  n = begin_node(t, 1, "local:F", "x w", "h");
  put_attr_int(t, "k", 3);
  wire_end(t, n);
  put_with_body(t, "y", "h", "o");
  wire_end(t, g);
  f = begin_function(t, "F", "a b", "c");
  put(t, 6, "k");
  n = begin_node(t, 7, "Op", "a b", "c");
  put_attr_ref(t, "k", "k");
  wire_end(t, n);
  wire_end(t, f);
  s = wire_begin(t, 14);
  put(t, 1, "key");
  put(t, 2, "value");
  wire_end(t, s);
}

static void cut_anywhere(void **state) {
  wire_out t = {0};
  imported r;
  put_rich_model(&t);
  for (size_t size = 0; size <= t.kept.size; size++) {
    char *copy = malloc(size ? size : 1);  // exactly as long, so that the sanitizer sees a step too far
    memcpy(copy, t.kept.at, size);
    import_bytes(&r, copy, size, (import_options){0});
    if (r.status != SDX_OK) assert_true(strstr(r.err.message, "byte ") || strstr(r.err.message, "not an ONNX model"));
    if (size == t.kept.size) assert_int_equal(r.status, SDX_OK);
    drop(&r);
    free(copy);
  }
  wire_out_deinit(&t);
}

static void any_bit_flipped(void **state) {
  wire_out t = {0};
  imported r;
  put_rich_model(&t);
  for (size_t bit = 0; bit < 8 * t.kept.size; bit++) {
    char *copy = malloc(t.kept.size);
    memcpy(copy, t.kept.at, t.kept.size);
    copy[bit / 8] ^= (char)(1 << bit % 8);
    import_bytes(&r, copy, t.kept.size, (import_options){0});
    assert_true(r.status == SDX_OK || r.err.message[0]);
    assert_true(atomic_load(&r.account.peak) < (1u << 20));
    drop(&r);
    free(copy);
  }
  wire_out_deinit(&t);
}

static void memory_may_run_out_anywhere(void **state) {
  wire_out t = {0};
  imported r;
  put_rich_model(&t);
  for (int ever = 0; ever < 2; ever++)
    for (uint64_t nth = 1;; nth++) {
      mem_fail_at(nth, ever);
      import_bytes(&r, t.kept.at, t.kept.size, (import_options){0});
      mem_fail_at(0, false);
      sdx_status status = r.status;
      drop(&r);
      if (status == SDX_OK) break;
      assert_int_equal(status, SDX_NO_MEMORY);
      assert_true(nth < 200);
    }
  wire_out_deinit(&t);
}

typedef struct seen {
  int count;
  char codes[400];
} seen;
static void note(void *context, bool warning, const error *problem) {
  seen *s = context;
  s->count++;
  strncat(s->codes, problem->code, sizeof s->codes - strlen(s->codes) - 2);
  strcat(s->codes, " ");
}

static void a_sink_gets_all_problems(void **state) {
  wire_out t = {0};
  mem_account account;
  model *m;
  error err = {0};
  seen s = {0};
  problem_sink sink = {note, &s};
  mem_account_init(&account, SIZE_MAX, NULL);
  size_t g = begin_small(&t), n;
  put_floats(&t, 5, "w", 1);
  put_floats(&t, 5, "w", 1);
  put_node(&t, 1, "Relu", "ghost", "a");
  put_node(&t, 1, "Relu", "x", "a");
  n = begin_node(&t, 1, "Relu", "x", "y");
  put_attr_int(&t, "p", 1);
  put_attr_int(&t, "p", 1);
  wire_end(&t, n);
  put_value(&t, 12, "phantom", 1);
  wire_end(&t, g);
  assert_int_equal(onnx_import(t.kept.at, t.kept.size, &(import_options){.account = &account}, &sink, &m, &err),
                   SDX_OK);
  assert_int_equal(s.count, 5);
  assert_string_equal(s.codes, "initializer duplicate-name unknown-value attribute value ");
  assert_non_null(m);
  model_destroy(m);
  assert_int_equal(atomic_load(&account.used), 0);
  wire_out_deinit(&t);
}

static void export_and_import_agree(void **state) {
  wire_out t = {0}, out = {0}, again = {0};
  imported r, back;
  put_rich_model(&t);
  import_bytes(&r, t.kept.at, t.kept.size, (import_options){0});
  assert_int_equal(r.status, SDX_OK);
  assert_int_equal(onnx_export(r.m, NULL, &out), SDX_OK);
  import_bytes(&back, out.kept.at, out.kept.size, (import_options){0});
  if (back.status != SDX_OK) fail_msg("%s", back.err.message);
  assert_int_equal(back.m->metadata_count, 1);
  assert_true(str_is(back.m->metadata[0].value, "value"));
  assert_int_equal(onnx_export(back.m, NULL, &again), SDX_OK);
  assert_int_equal(again.kept.size, out.kept.size);
  assert_memory_equal(again.kept.at, out.kept.at, out.kept.size);
  drop(&r);
  drop(&back);
  wire_out_deinit(&t);
  wire_out_deinit(&out);
  wire_out_deinit(&again);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(memory_stays_near_the_size_of_the_file),
      cmocka_unit_test(a_chain_of_200000_nodes),
      cmocka_unit_test(cut_anywhere),
      cmocka_unit_test(any_bit_flipped),
      cmocka_unit_test(memory_may_run_out_anywhere),
      cmocka_unit_test(a_sink_gets_all_problems),
      cmocka_unit_test(export_and_import_agree),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}

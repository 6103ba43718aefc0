// SPDX-License-Identifier: Apache-2.0
// Optimized models give what their sources give, bit for bit, without packing; damaged and foreign ones are refused by
// name, whatever part of them is wrong.
#include <dirent.h>

#include "base/cpu.h"
#include "run/optimized.h"
#include "tests/passes/models.h"
#include "tests/run/convolutions.h"

static char folder[] = "/tmp/sardonyx-optimized-XXXXXX";

static const char *in_folder(const char *name) {
  static char path[2][200];
  static int turn;
  turn = !turn;
  snprintf(path[turn], sizeof path[turn], "%s/%s", folder, name);
  return path[turn];
}

static sdx_session *load(const char *path) {
  sdx_session *s;
  if (sdx_session_load_file(path, NULL, &s)) fail_msg("%s: %s", path, sdx_session_error(s));
  return s;
}

static void optimize(const char *source, const char *target) {
  sdx_session *s;
  if (sdx_optimize_file(source, target, NULL, &s)) fail_msg("%s: %s", source, sdx_session_error(s));
  sdx_session_destroy(s);
}

// ---- the same ---------------------------------------------------------------------------------------

static void expect_same_io(const sdx_io *a, const sdx_io *b) {
  assert_string_equal(a->name, b->name);
  assert_string_equal(a->type, b->type);
  assert_int_equal(a->has_shape, b->has_shape);
  assert_int_equal(a->rank, b->rank);
  for (size_t i = 0; i < a->rank; i++) {
    assert_int_equal(a->shape[i], b->shape[i]);
    assert_string_equal(a->symbols[i] ? a->symbols[i] : "", b->symbols[i] ? b->symbols[i] : "");
  }
}

static void expect_same_face(const sdx_session *a, const sdx_session *b) {
  assert_int_equal(a->input_count, b->input_count);
  assert_int_equal(a->output_count, b->output_count);
  for (size_t i = 0; i < a->input_count; i++) expect_same_io(&a->inputs[i], &b->inputs[i]);
  for (size_t i = 0; i < a->output_count; i++) expect_same_io(&a->outputs[i], &b->outputs[i]);
  assert_string_equal(sdx_session_warnings(a), sdx_session_warnings(b));
  assert_int_equal(a->metadata_count, b->metadata_count);
  for (size_t i = 0; i < 2 * a->metadata_count; i++) assert_string_equal(a->metadata[i], b->metadata[i]);
}

static void every_model_comes_back(void **state) {
  static const int64_t sizes[] = {1, 512, 0};
  for (size_t i = 0; i < model_count; i++) {
    sdx_session *s = load(models[i]);
    optimize(models[i], in_folder("m.sdx"));
    sdx_session *o = load(in_folder("m.sdx"));
    unlink(in_folder("m.sdx"));
    expect_same_face(s, o);
    sdx_run *expected = NULL, *r = NULL;
    bool declared = true;  // run for the shapes that it was packed for
    for (const int64_t *size = sizes; *size && !expected; size++) {
      declared = *size == 1;
      if ((expected = models_run(s, *size, 0, false))) r = models_run(o, *size, 0, true);
    }
    if (expected && !r) fail_msg("%s does not run once it is optimized", models[i]);
    if (expected) models_compare(models[i], "optimized", s, 1, expected, r, 0);
    if (expected && declared && o->packs.made) fail_msg("%s: %zu weights were packed again", models[i], o->packs.made);
    sdx_run_destroy(expected);
    sdx_run_destroy(r);
    sdx_session_destroy(s);
    sdx_session_destroy(o);
    free(models[i]);
  }
}

static void save(const char *model, const char *path) {
  text bytes = model_bytes(model);
  FILE *f = fopen(path, "we");
  fwrite(bytes.at, 1, bytes.size, f);
  fclose(f);
  text_deinit(&bytes);
}

// Operators that only passes make are read again: Lookup and FusedQLinearConv.
static void operators_of_passes_come_back(void **state) {
  save(
      "graph g(%x: int8[1,4,6,6]) -> (%y) {\n"
      "  const %s: float[]{0.125}\n  const %z: int8[]{0}\n  const %w: int8[2,4,1,1]{1, -2, 3, 4, -5, 6, 7, -8}\n"
      "  %a = DequantizeLinear(%x, %s, %z)\n  %b = HardSwish(%a)\n  %c = QuantizeLinear(%b, %s, %z)\n"
      "  %d = DequantizeLinear(%c, %s, %z)\n  %e = DequantizeLinear(%w, %s, %z)\n  %f = Conv(%d, %e)\n"
      "  %g = Relu(%f)\n  %y = QuantizeLinear(%g, %s, %z)\n}\n",
      in_folder("q.onnx"));
  optimize(in_folder("q.onnx"), in_folder("q.sdx"));
  sdx_session *s = load(in_folder("q.onnx")), *o = load(in_folder("q.sdx"));
  assert_int_equal(o->main->node_count, 2);
  sdx_run *expected = models_run(s, 1, 0, true), *r = models_run(o, 1, 0, true);
  models_compare("q.onnx", "optimized", s, 1, expected, r, 0);
  sdx_run_destroy(expected);
  sdx_run_destroy(r);
  sdx_session_destroy(s);
  sdx_session_destroy(o);
  unlink(in_folder("q.onnx"));
  unlink(in_folder("q.sdx"));
}

static void bodies_are_packed_too(void **state) {
  static const char model[] =
      "graph g(%x: float[4,64], %c: bool[]) -> (%y) {\n"
      "  %y = If<then_branch=graph a() -> (%t) {\n"
      "    outer %x = %x\n"
      "    const %v: float[64,64]{...}\n"
      "    %t = MatMul(%x, %v)\n"
      "  }, else_branch=graph b() -> (%e) {\n"
      "    outer %x = %x\n"
      "    const %w: float[64,32]{...}\n"
      "    %e = MatMul(%x, %w)\n"
      "  }>(%c)\n"
      "}\n";
  save(model, in_folder("if.onnx"));
  optimize(in_folder("if.onnx"), in_folder("if.sdx"));
  sdx_session *s = load(in_folder("if.sdx"));
  assert_int_equal(s->packs.count, 2);
  for (int c = 0; c < 2; c++) {
    sdx_run *r = model_run(s, 1);
    *(bool *)sdx_tensor_data(r->inputs[1]) = c;
    assert_int_equal(sdx_run_execute(r), SDX_OK);
    sdx_run_destroy(r);
  }
  assert_int_equal(s->packs.made, 0);
  sdx_session_destroy(s);
  unlink(in_folder("if.onnx"));
  unlink(in_folder("if.sdx"));
}

static void one_of_an_optimized_one_is_the_same(void **state) {
  convolutions_save(in_folder("a.onnx"), 2, 64, 8, 1, 1);
  optimize(in_folder("a.onnx"), in_folder("a.sdx"));
  optimize(in_folder("a.sdx"), in_folder("b.sdx"));
  sdx_session *a = load(in_folder("a.onnx")), *b = load(in_folder("b.sdx"));
  sdx_value *x = convolutions_run(a, 1, NULL, 0), *y = convolutions_run(b, 1, NULL, 0);
  convolutions_expect_same(x, y);
  assert_int_equal(b->packs.made, 0);
  sdx_value_release(x);
  sdx_value_release(y);
  sdx_session_destroy(a);
  sdx_session_destroy(b);
  unlink(in_folder("b.sdx"));
}

// ---- refused ----------------------------------------------------------------------------------------

// Head and parts have the hashes they need, so that what is wrong in them is looked at.
static void sign(text *t) {
  optimized_head h;
  memcpy(&h, t->at, sizeof h);
  hash parts;
  hash_init(&parts, h.seed);
  const file_part order[] = {h.model, h.outputs, h.warnings, h.files, h.packs};
  for (int i = 0; i < 5; i++)
    if (order[i].offset <= t->size && order[i].size <= t->size - order[i].offset)
      hash_add(&parts, t->at + order[i].offset, order[i].size);
  h.parts_hash = hash_end(&parts);
  h.head_hash = optimized_head_hash(&h);
  memcpy(t->at, &h, sizeof h);
}

static void expect_refused(const text *t, sdx_status status, const char *message) {
  sdx_session *s;
  assert_int_equal(sdx_session_load_bytes(t->at, t->size, false, NULL, &s), status);
  if (!strstr(sdx_session_error(s), message)) fail_msg("'%s' lacks '%s'", sdx_session_error(s), message);
  sdx_session_destroy(s);
}

static text whole(void) { return file_bytes(in_folder("a.sdx")); }

static void what_it_was_made_for_is_named(void **state) {
  text t = whole();
  optimized_head *h = (optimized_head *)t.at;
  snprintf(h->tier, sizeof h->tier, "abacus");
  sign(&t);
  expect_refused(&t, SDX_NOT_SUPPORTED, "made for kernels of 'abacus', this machine runs those of '");
  snprintf(h->library, sizeof h->library, "9.8.7");
  sign(&t);
  expect_refused(&t, SDX_NOT_SUPPORTED, "made by version '9.8.7', this is version " SDX_VERSION);
  h->version++;
  sign(&t);
  expect_refused(&t, SDX_NOT_SUPPORTED, "sardonyx optimize MODEL -o FILE");
  text_deinit(&t);
}

static void every_byte_but_data_is_hashed(void **state) {
  text t = whole();
  optimized_head h;
  memcpy(&h, t.at, sizeof h);
  for (size_t i = sizeof OPTIMIZED_MAGIC - 1; i < t.size; i += i < sizeof h ? 1 : 3) {
    if (i >= sizeof h && i < h.model.offset) i = h.model.offset;
    if (i >= h.files.offset + h.files.size && i < h.packs.offset) continue;  // padding
    t.at[i] ^= 1;
    sdx_session *s;
    sdx_status status = sdx_session_load_bytes(t.at, t.size, true, NULL, &s);
    if (status != SDX_INVALID_MODEL && status != SDX_NOT_SUPPORTED) fail_msg("byte %zu of %zu is not read", i, t.size);
    sdx_session_destroy(s);
    t.at[i] ^= 1;
  }
  text_deinit(&t);
}

static void data_is_checked_where_it_is_asked_for(void **state) {
  text t = whole();
  optimized_head h;
  memcpy(&h, t.at, sizeof h);
  t.at[h.data.offset + h.data.size / 4] ^= 1;
  FILE *f = fopen(in_folder("bad.sdx"), "we");
  fwrite(t.at, 1, t.size, f);
  fclose(f);
  char *problems = sdx_check_file(in_folder("bad.sdx"), NULL), *none = sdx_check_file(in_folder("a.sdx"), NULL);
  assert_non_null(strstr(problems, "weights and packs do not have the hash"));
  assert_null(strstr(none, "message"));
  sdx_string_free(problems);
  sdx_string_free(none);
  unlink(in_folder("bad.sdx"));
  text_deinit(&t);
}

static void cut_files_are_refused(void **state) {
  text t = whole();
  size_t size = t.size;
  for (size_t cut = 8; cut < size; cut += cut < 4096 ? 13 : 9973) {
    t.size = cut;
    expect_refused(&t, SDX_INVALID_MODEL, "damaged");
  }
  t.size = size;
  text_deinit(&t);
}

static void places_outside_are_refused(void **state) {
  for (int i = 0; i < 16; i++) {
    text t = whole();
    optimized_head *h = (optimized_head *)t.at;
    file_part *parts[] = {&h->data, &h->model, &h->outputs, &h->warnings, &h->files, &h->packs};
    pack_record *r = (pack_record *)(t.at + h->packs.offset);
    if (i < 6) parts[i]->offset = UINT64_MAX - 3;
    else if (i < 12) parts[i - 6]->size = t.size;
    else if (i == 12) r->offset = UINT64_MAX - 63;
    else if (i == 13) r->source = h->data.size - 8;
    else if (i == 14) r->bytes = UINT64_MAX / 2;
    else r->rank = 65;
    sign(&t);
    expect_refused(&t, SDX_INVALID_MODEL, "damaged");
    text_deinit(&t);
  }
}

static void a_pack_of_another_size_is_not_used(void **state) {
  text t = whole();
  optimized_head *h = (optimized_head *)t.at;
  ((pack_record *)(t.at + h->packs.offset))->bytes -= 64;
  sign(&t);
  sdx_session *s, *a = load(in_folder("a.onnx"));
  assert_int_equal(sdx_session_load_bytes(t.at, t.size, false, NULL, &s), SDX_OK);
  sdx_value *x = convolutions_run(a, 1, NULL, 0), *y = convolutions_run(s, 1, NULL, 0);
  convolutions_expect_same(x, y);
  assert_int_equal(s->packs.made, 1);
  sdx_value_release(x);
  sdx_value_release(y);
  sdx_session_destroy(s);
  sdx_session_destroy(a);
  text_deinit(&t);
}

static void a_failed_write_leaves_nothing(void **state) {
  sdx_session *s;
  assert_int_equal(sdx_optimize_file(in_folder("a.onnx"), in_folder("none/b.sdx"), NULL, &s), SDX_IO_ERROR);
  assert_non_null(strstr(sdx_session_error(s), "cannot create a file in"));
  sdx_session_destroy(s);
  unlink(in_folder("a.onnx"));
  unlink(in_folder("a.sdx"));
  assert_int_equal(rmdir(folder), 0);
}

int main(int count, char **arguments) {
  static const char *const folders[] = {"examples", "../shared/models/seed", "../shared/models/tabular", NULL};
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(every_model_comes_back),
      cmocka_unit_test(operators_of_passes_come_back),
      cmocka_unit_test(bodies_are_packed_too),
      cmocka_unit_test(one_of_an_optimized_one_is_the_same),
      cmocka_unit_test(what_it_was_made_for_is_named),
      cmocka_unit_test(every_byte_but_data_is_hashed),
      cmocka_unit_test(data_is_checked_where_it_is_asked_for),
      cmocka_unit_test(cut_files_are_refused),
      cmocka_unit_test(places_outside_are_refused),
      cmocka_unit_test(a_pack_of_another_size_is_not_used),
      cmocka_unit_test(a_failed_write_leaves_nothing),
  };
  models_find(count, arguments, folders);
  if (!mkdtemp(folder)) return 1;
  return cmocka_run_group_tests(tests, NULL, NULL);
}

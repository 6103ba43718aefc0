// SPDX-License-Identifier: Apache-2.0
// Models made through include/sardonyx/build.h are loaded and run; wrong ones are refused with the place; a failed save
// leaves nothing behind; memory may end anywhere.
#include <dirent.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "builder/builder.h"
#include "tests/model.h"

static char folder[] = "/tmp/sardonyx-build-XXXXXX";

static const char *in_folder(const char *name) {
  static char path[200];
  snprintf(path, sizeof path, "%s/%s", folder, name);
  return path;
}

static int files_in_folder(void) {
  int count = 0;
  DIR *d = opendir(folder);
  for (struct dirent *e; (e = readdir(d));) count += e->d_name[0] != '.';
  closedir(d);
  return count;
}

#define VECTOR(name_, dtype_)             \
  (&(sdx_io){.name = name_,               \
             .dtype = dtype_,             \
             .has_shape = true,           \
             .rank = 2,                   \
             .shape = (int64_t[]){-1, 2}, \
             .symbols = (const char *[]){"N", NULL}})
#define SCALAR(name_, dtype_) (&(sdx_io){.name = name_, .dtype = dtype_, .has_shape = true})

static float weights[] = {1, 2, 3, 4};

static sdx_value *borrowed(void) { return sdx_tensor_borrow(SDX_FLOAT, 2, (int64_t[]){2, 2}, weights, NULL, NULL); }

static sdx_status fill_weights(void *context, void *bytes, size_t size) {
  int *calls = context;
  if (*calls < 0) return SDX_IO_ERROR;
  ++*calls;
  memcpy(bytes, weights, size);
  return SDX_OK;
}

// y = (x w + 1) w', with w' made when it is written.
static sdx_builder *small(int *calls) {
  sdx_builder *b = sdx_builder_create(0);
  if (!b) return NULL;
  sdx_graph *g = sdx_builder_graph(b);
  sdx_builder_describe(b, "producer_name", "test");
  sdx_builder_add_metadata(b, "key", "old");
  sdx_builder_add_metadata(b, "key", "new");
  sdx_ref x = sdx_graph_add_input(g, VECTOR("x", SDX_FLOAT));
  sdx_ref w = sdx_graph_add_initializer(g, "w", borrowed());
  sdx_ref again = sdx_graph_add_filled(g, "w", SDX_FLOAT, 2, (int64_t[]){2, 2}, fill_weights, calls);
  sdx_ref h = sdx_graph_add_node(g, "Gemm", "dense", SDX_REFS(x, w));
  sdx_graph_set_float(g, "alpha", 1);
  h = sdx_graph_add_node(g, "Add", "dense", SDX_REFS(h, sdx_graph_add_scalar(g, SDX_FLOAT, 1)));
  sdx_graph_add_output(g, sdx_graph_add_node(g, "MatMul", NULL, SDX_REFS(h, again)), VECTOR("y", SDX_FLOAT));
  return b;
}

static void expect_run(sdx_session *s) {
  sdx_run *r;
  sdx_value *x = sdx_tensor_create(SDX_FLOAT, 2, (int64_t[]){1, 2});
  memcpy(sdx_tensor_data(x), (float[]){1, -1}, 8);
  assert_int_equal(sdx_run_create(s, &r), SDX_OK);
  assert_int_equal(sdx_run_set_input(r, 0, x), SDX_OK);
  if (sdx_run_execute(r)) fail_msg("%s", sdx_run_error(r));
  const float *y = sdx_tensor_data(sdx_run_output(r, 0));  // (-2, -2) + 1 = (-1, -1)
  assert_true(y[0] == -4 && y[1] == -6);
  sdx_value_release(x);
  sdx_run_destroy(r);
}

static void expect_file(const char *path) {
  sdx_session *s;
  if (sdx_session_load_file(path, NULL, &s)) fail_msg("%s", sdx_session_error(s));
  expect_run(s);
  const char *value;
  assert_string_equal(sdx_session_metadata(s, "producer_name"), "test");
  assert_string_equal(sdx_session_custom_metadata(s, 0, &value), "key");
  assert_string_equal(value, "new");
  assert_int_equal(sdx_session_custom_metadata_count(s), 1);
  sdx_session_destroy(s);
}

static void a_model_is_saved_and_runs(void **state) {
  int calls = 0;
  sdx_builder *b = small(&calls);
  if (sdx_builder_save(b, in_folder("a.onnx"))) fail_msg("%s", sdx_builder_error(b));
  assert_int_equal(calls, 1);
  expect_file(in_folder("a.onnx"));
  size_t size;
  char *bytes = sdx_builder_bytes(b, &size);
  sdx_session *s;
  assert_int_equal(sdx_session_load_bytes(bytes, size, true, NULL, &s), SDX_OK);
  expect_run(s);
  sdx_session_destroy(s);
  struct stat info;
  assert_int_equal(stat(in_folder("a.onnx"), &info), 0);
  assert_int_equal(info.st_size, size);
  sdx_string_free(bytes);
  sdx_builder_destroy(b);
  assert_int_equal(files_in_folder(), 1);
  unlink(in_folder("a.onnx"));
}

static void weights_go_beside_a_model_that_is_too_large(void **state) {
  enum { COUNT = 1 << 16 };
  float *large = calloc(COUNT, sizeof *large);
  sdx_builder *b = sdx_builder_create(0);
  b->most_inside = 4096;
  sdx_graph *g = sdx_builder_graph(b);
  sdx_ref x = sdx_graph_add_input(g, VECTOR("x", SDX_FLOAT)), sum = x;
  for (int i = 0; i < 2; i++) {
    large[COUNT - 1] = 7;
    sdx_value *v = sdx_tensor_borrow(SDX_FLOAT, 1, (int64_t[]){COUNT - i}, large + i, NULL, NULL);
    sdx_ref w = sdx_graph_add_initializer(g, "large", v);
    sdx_ref last = sdx_graph_add_node(g, "Gather", NULL, SDX_REFS(w, sdx_graph_add_scalar(g, SDX_INT64, -1)));
    sum = sdx_graph_add_node(g, "Add", NULL, SDX_REFS(sum, last));
  }
  sdx_graph_add_output(g, sum, VECTOR("y", SDX_FLOAT));
  if (sdx_builder_save(b, in_folder("b.onnx"))) fail_msg("%s", sdx_builder_error(b));
  struct stat info;
  assert_int_equal(stat(in_folder("b.onnx"), &info), 0);
  assert_true(info.st_size < 4096);
  assert_int_equal(stat(in_folder("b.onnx.data"), &info), 0);
  assert_int_equal(info.st_size, 4 * (2 * COUNT - 1));  // the second begins at a multiple of a page
  sdx_session *s;
  if (sdx_session_load_file(in_folder("b.onnx"), NULL, &s)) fail_msg("%s", sdx_session_error(s));
  sdx_run *r;
  sdx_value *v = sdx_tensor_create(SDX_FLOAT, 2, (int64_t[]){1, 2});
  assert_int_equal(sdx_run_create(s, &r), SDX_OK);
  assert_int_equal(sdx_run_set_input(r, 0, v), SDX_OK);
  assert_int_equal(sdx_run_execute(r), SDX_OK);
  assert_true(*(const float *)sdx_tensor_data(sdx_run_output(r, 0)) == 14);
  sdx_value_release(v);
  sdx_run_destroy(r);
  sdx_session_destroy(s);
  sdx_builder_destroy(b);
  assert_int_equal(files_in_folder(), 2);
  unlink(in_folder("b.onnx"));
  unlink(in_folder("b.onnx.data"));
  free(large);
}

static void a_failed_save_leaves_the_old_file(void **state) {
  int calls = 0;
  sdx_builder *b = small(&calls);
  assert_int_equal(sdx_builder_save(b, in_folder("c.onnx")), SDX_OK);
  sdx_builder_destroy(b);
  calls = -1;  // the constant cannot be read
  b = small(&calls);
  assert_int_equal(sdx_builder_save(b, in_folder("c.onnx")), SDX_IO_ERROR);
  assert_string_equal(sdx_builder_error(b), "a constant could not be read");
  sdx_builder_destroy(b);
  expect_file(in_folder("c.onnx"));
  assert_int_equal(files_in_folder(), 1);
  calls = 0;
  b = small(&calls);
  assert_int_equal(sdx_builder_save(b, in_folder("no/c.onnx")), SDX_IO_ERROR);
  assert_non_null(strstr(sdx_builder_error(b), "cannot create a file in"));
  sdx_builder_destroy(b);
  unlink(in_folder("c.onnx"));
}

// ---- bodies -------------------------------------------------------------------------------------------

// A Loop in a Loop reads values of both graphs around it.
static void bodies_read_what_is_around_them(void **state) {
  sdx_builder *b = sdx_builder_create(0);
  sdx_graph *g = sdx_builder_graph(b), *around = g;
  sdx_ref x = sdx_graph_add_input(g, SCALAR("x", SDX_FLOAT)), outer_sum = 0;
  sdx_ref trips = sdx_graph_add_scalar(g, SDX_INT64, 3), yes = sdx_graph_add_scalar(g, SDX_BOOL, 1);
  sdx_graph *bodies[2];
  for (int i = 0; i < 2; i++) {
    around = bodies[i] = sdx_graph_create(around);
    sdx_graph_add_input(around, SCALAR(i ? "trip2" : "trip", SDX_INT64));
    sdx_ref go = sdx_graph_add_input(around, SCALAR(i ? "go2" : "go", SDX_BOOL));
    sdx_graph_add_output(around, go, SCALAR(i ? "on2" : "on", SDX_BOOL));
    sdx_ref sum = sdx_graph_add_input(around, SCALAR(i ? "sum2" : "sum", SDX_FLOAT));
    if (i == 0) outer_sum = sum;
    else
      sdx_graph_add_output(
          around,
          sdx_graph_add_node(
              around, "Add", NULL,
              SDX_REFS(sum, sdx_graph_add_node(around, "Max", NULL, SDX_REFS(x, sdx_graph_find(around, "sum"))))),
          SCALAR("next2", SDX_FLOAT));
  }
  sdx_ref inner = sdx_graph_add_node(bodies[0], "Loop", "inner", SDX_REFS(trips, yes, outer_sum));
  sdx_graph_set_graph(bodies[0], "body", bodies[1]);
  sdx_graph_add_output(bodies[0], inner, SCALAR("next", SDX_FLOAT));
  sdx_ref start = sdx_graph_add_scalar(g, SDX_FLOAT, 0);
  sdx_ref result = sdx_graph_add_node(g, "Loop", "outer", SDX_REFS(trips, yes, start));
  sdx_graph_set_graph(g, "body", bodies[0]);
  sdx_graph_rename(g, x, "renamed");
  sdx_graph_add_output(g, result, SCALAR("y", SDX_FLOAT));
  size_t size;
  char *bytes = sdx_builder_bytes(b, &size);
  if (!bytes) fail_msg("%s", sdx_builder_error(b));
  sdx_session *s;
  if (sdx_session_load_bytes(bytes, size, true, NULL, &s)) fail_msg("%s", sdx_session_error(s));
  assert_string_equal(sdx_session_input(s, 0)->name, "renamed");
  sdx_run *r;
  sdx_value *v = sdx_tensor_create(SDX_FLOAT, 0, NULL);
  *(float *)sdx_tensor_data(v) = 1;
  assert_int_equal(sdx_run_create(s, &r), SDX_OK);
  assert_int_equal(sdx_run_set_input(r, 0, v), SDX_OK);
  if (sdx_run_execute(r)) fail_msg("%s", sdx_run_error(r));
  assert_true(*(const float *)sdx_tensor_data(sdx_run_output(r, 0)) == 48);  // 0, 3, 12, 48
  sdx_value_release(v);
  sdx_run_destroy(r);
  sdx_session_destroy(s);
  sdx_string_free(bytes);
  sdx_builder_destroy(b);
}

// ---- names and outputs ----------------------------------------------------------------------------------

static void names_are_kept_or_made_unique(void **state) {
  sdx_builder *b = sdx_builder_create(0);
  sdx_graph *g = sdx_builder_graph(b);
  sdx_ref x = sdx_graph_add_input(g, VECTOR("x", SDX_FLOAT));
  sdx_ref a = sdx_graph_add_node(g, "Relu", "scope/relu", SDX_REFS(x));
  sdx_ref c = sdx_graph_add_node(g, "Relu", "scope/relu", SDX_REFS(a));
  sdx_ref d = sdx_graph_add_node(g, "Relu", NULL, SDX_REFS(c));
  assert_string_equal(sdx_graph_name(g, a), "scope/relu");
  assert_string_equal(sdx_graph_name(g, c), "scope/relu_1");
  assert_string_equal(sdx_graph_name(g, d), "Relu");
  assert_int_equal(sdx_graph_find(g, "nothing"), 0);
  sdx_graph_add_output(g, d, VECTOR("y", SDX_FLOAT));
  sdx_graph_add_output(g, d, VECTOR("twice", SDX_FLOAT));    // an Identity: d is "y" already
  sdx_graph_add_output(g, x, VECTOR("through", SDX_FLOAT));  // an input keeps its name
  sdx_graph_add_output(g, a, VECTOR("scope/relu", SDX_FLOAT));
  size_t size;
  char *bytes = sdx_builder_bytes(b, &size);
  if (!bytes) fail_msg("%s", sdx_builder_error(b));
  sdx_session *s;
  if (sdx_session_load_bytes(bytes, size, true, NULL, &s)) fail_msg("%s", sdx_session_error(s));
  static const char *const names[] = {"y", "twice", "through", "scope/relu"};
  for (size_t i = 0; i < 4; i++) assert_string_equal(sdx_session_output(s, i)->name, names[i]);
  sdx_session_destroy(s);
  sdx_string_free(bytes);
  sdx_builder_destroy(b);
}

static void versions_follow_the_release(void **state) {
  static const struct {
    int64_t opset, ir, ml;
  } expected[] = {{7, 4, 1}, {9, 4, 1}, {13, 7, 2}, {17, 8, 3}, {21, 10, 5}, {ONNX_NEWEST_OPSET, 14, 5}};
  for (size_t i = 0; i < sizeof expected / sizeof *expected; i++) {
    sdx_builder *b = sdx_builder_create(expected[i].opset);
    sdx_graph *g = sdx_builder_graph(b);
    sdx_ref x = sdx_graph_add_input(g, VECTOR("x", SDX_FLOAT));
    x = sdx_graph_add_node(g, "ai.onnx.ml::Scaler", NULL, SDX_REFS(x));
    sdx_graph_set_floats(g, "offset", 1, (float[]){0});
    sdx_graph_set_floats(g, "scale", 1, (float[]){1});
    sdx_graph_add_output(g, x, VECTOR("y", SDX_FLOAT));
    size_t size;
    char *bytes = sdx_builder_bytes(b, &size);
    if (!bytes) fail_msg("%s", sdx_builder_error(b));
    assert_int_equal(b->model.ir_version, expected[i].ir);
    assert_int_equal(sdx_builder_opset(b, "ai.onnx.ml"), expected[i].ml);
    sdx_session *s;
    if (sdx_session_load_bytes(bytes, size, true, NULL, &s)) fail_msg("%s", sdx_session_error(s));
    char text[20];
    snprintf(text, sizeof text, "%d", (int)expected[i].ir);
    assert_string_equal(sdx_session_metadata(s, "ir_version"), text);
    sdx_session_destroy(s);
    sdx_string_free(bytes);
    sdx_builder_destroy(b);
  }
}

static void values_that_are_no_tensors(void **state) {
  sdx_builder *b = sdx_builder_create(0);
  sdx_graph *g = sdx_builder_graph(b);
  sdx_ref x = sdx_graph_add_input(g, &(sdx_io){.name = "x", .type = "seq(tensor(float))"});
  sdx_graph_add_output(g, sdx_graph_add_node(g, "SequenceLength", NULL, SDX_REFS(x)), SCALAR("n", SDX_INT64));
  sdx_ref strings = sdx_graph_add_node(g, "Constant", NULL, 0, NULL);
  sdx_graph_set_strings(g, "value_strings", 2, (const char *[]){"a", "b"});
  sdx_graph_add_output(g, strings, &(sdx_io){.name = "s", .dtype = SDX_STRING});
  size_t size;
  char *bytes = sdx_builder_bytes(b, &size);
  if (!bytes) fail_msg("%s", sdx_builder_error(b));
  sdx_session *s;
  if (sdx_session_load_bytes(bytes, size, true, NULL, &s)) fail_msg("%s", sdx_session_error(s));
  assert_string_equal(sdx_session_input(s, 0)->type, "seq(tensor(float))");
  sdx_session_destroy(s);
  sdx_string_free(bytes);
  sdx_builder_destroy(b);
}

// ---- what edit.h does to a model that no file holds -------------------------------------------------------

static void a_model_is_raised_and_rewritten_before_it_is_saved(void **state) {
  sdx_builder *b = sdx_builder_create(11);
  sdx_graph *g = sdx_builder_graph(b);
  sdx_ref x = sdx_graph_add_node(g, "Identity", NULL, SDX_REFS(sdx_graph_add_input(g, VECTOR("x", SDX_FLOAT))));
  sdx_graph_add_output(g, sdx_graph_add_node(g, "Relu", NULL, SDX_REFS(x)), VECTOR("y", SDX_FLOAT));
  if (sdx_builder_raise(b, 21) || sdx_builder_rewrite(b, "shrink")) fail_msg("%s", sdx_builder_error(b));
  assert_int_equal(sdx_builder_opset(b, ""), 21);
  char *said = sdx_builder_summary(b);
  assert_non_null(strstr(said, "\"nodes\":1,"));
  sdx_string_free(said);
  sdx_graph_rename(g, sdx_graph_input(g, 0), "renamed");
  assert_int_equal(sdx_graph_find(g, "x"), 0);
  assert_int_equal(sdx_graph_find(g, "renamed"), sdx_graph_input(g, 0));
  sdx_builder_destroy(b);
  int calls = 0;
  b = small(&calls);
  assert_int_equal(sdx_builder_raise(b, 0), SDX_NOT_SUPPORTED);
  assert_non_null(strstr(sdx_builder_error(b), "'w_1' is made when the model is written"));
  sdx_builder_destroy(b);
}

// ---- what is refused ------------------------------------------------------------------------------------

static void wrong(int kind, sdx_builder *b) {
  sdx_graph *g = sdx_builder_graph(b);
  sdx_ref x = sdx_graph_add_input(g, VECTOR("x", SDX_FLOAT)), y = 0;
  sdx_graph *body;
  switch (kind) {
    case 0:
      sdx_graph_add_input(g, VECTOR("x", SDX_FLOAT));
      break;
    case 1:
      y = sdx_graph_add_node(g, "Conf", "layer", SDX_REFS(x, x));
      break;
    case 2:
      y = sdx_graph_add_node(g, "Gemm", "layer", SDX_REFS(x, x));
      sdx_graph_set_int(g, "transA ", 1);
      break;
    case 3:
      y = sdx_graph_add_node(g, "Gemm", "layer", SDX_REFS(x, x));
      sdx_graph_set_int(g, "alpha", 1);
      break;
    case 4:
      y = sdx_graph_add_node(g, "Gemm", "layer", SDX_REFS(x));
      break;
    case 5:
      y = sdx_graph_add_node(g, "Relu", "layer", SDX_REFS(99));
      break;
    case 6:
      body = sdx_graph_create(g);
      y = sdx_graph_add_node(g, "Relu", "layer", SDX_REFS(sdx_graph_add_input(body, SCALAR("i", SDX_FLOAT))));
      break;
    case 7:
      y = sdx_graph_add_node(g, "Cast", "layer", SDX_REFS(x));
      break;
    case 8:
      sdx_graph_add_output(g, 0, VECTOR("y", SDX_FLOAT));
      break;
    case 9:
      sdx_graph_set_int(g, "axis", 1);
      break;
    case 10:
      y = x;
      sdx_graph_add_output(g, x, &(sdx_io){.name = "open"});
      break;
    case 11:
      sdx_graph_add_input(g, &(sdx_io){.name = "t", .type = "tensors(float)"});
      break;
    case 12:
      y = sdx_graph_add_filled(g, "w", SDX_FLOAT, 2, (int64_t[]){-1, 2}, fill_weights, NULL);
      break;
    case 13:
      body = sdx_graph_create(g);
      y = sdx_graph_add_node(g, "Identity", NULL, SDX_REFS(x));
      sdx_graph_set_graph(g, "a", body);
      sdx_graph_set_graph(g, "b", body);
      break;
    case 14:
      sdx_builder_describe(b, "author", "nobody");
      break;
    case 15:
      y = sdx_graph_add_node(g, "some.domain::Op", NULL, SDX_REFS(x));
      break;
    default:
      sdx_graph_add_initializer(g, "w", NULL);
  }
  if (y) sdx_graph_add_output(g, y, VECTOR("y", SDX_FLOAT));
}

static void wrong_models_are_refused_with_the_place(void **state) {
  static const char *const parts[] = {
      "input 'x': the name is taken",
      "node 'layer' (Conf): operator 'Conf' of domain 'ai.onnx' is not known; did you mean",
      "node 'layer' (Gemm): attribute 'transA ' is not known in version 13; did you mean 'transA'?",
      "attribute 'alpha' is of kind int, expected float",
      "input 1 ('B') is required, but only 1 is given",
      "node 'layer' (Relu): 99 is no value of this model",
      "node 'layer' (Relu): value 'i' belongs to a graph that is not around this one",
      "node 'layer' (Cast): attribute 'to' is required",
      "output 'y': there is no value",
      "attribute 'axis': there is no node",
      "output 'open' has no type",
      "value 't': 'tensors(float)' is no type",
      "initializer 'w'",
      "attribute 'b': the body belongs to another node",
      "no description called 'author'",
      "operator 'Op' of domain 'some.domain' is not known",
      "memory"};
  for (size_t i = 0; i < sizeof parts / sizeof *parts; i++) {
    size_t size;
    sdx_builder *b = sdx_builder_create(0);
    wrong((int)i, b);
    assert_null(sdx_builder_bytes(b, &size));
    assert_int_not_equal(sdx_builder_status(b), SDX_OK);
    if (!strstr(sdx_builder_error(b), parts[i])) fail_msg("'%s' lacks '%s'", sdx_builder_error(b), parts[i]);
    sdx_builder_destroy(b);
  }
  sdx_builder *b = sdx_builder_create(6);
  assert_string_equal(sdx_builder_error(b), "opset 6 cannot be written, expected 7 to 28");
  sdx_builder_destroy(b);
  b = sdx_builder_create(12);
  sdx_graph *g = sdx_builder_graph(b);
  sdx_ref x = sdx_graph_add_input(g, VECTOR("x", SDX_FLOAT));
  sdx_graph_add_output(g, sdx_graph_add_node(g, "Gelu", "late", SDX_REFS(x)), VECTOR("y", SDX_FLOAT));
  assert_int_equal(sdx_builder_save(b, in_folder("d.onnx")), SDX_INVALID_GRAPH);
  assert_non_null(strstr(sdx_builder_error(b), "operator Gelu exists since opset 20, but the model imports opset 12"));
  sdx_builder_destroy(b);
  assert_int_equal(files_in_folder(), 0);
}

static sdx_status build_and_save(void) {
  int calls = 0;
  sdx_builder *b = small(&calls);
  sdx_status status = b ? sdx_builder_save(b, in_folder("e.onnx")) : SDX_NO_MEMORY;
  sdx_builder_destroy(b);
  return status;
}

static void memory_may_end_anywhere(void **state) {
  uint64_t live = mem_live_count();
  mem_fail_at(UINT64_MAX, false);
  assert_int_equal(build_and_save(), SDX_OK);
  uint64_t total = mem_fail_at(0, false);
  unlink(in_folder("e.onnx"));
  for (uint64_t nth = 1; nth <= 2 * total; nth++) {
    mem_fail_at((nth + 1) / 2, nth % 2);
    sdx_status status = build_and_save();
    mem_fail_at(0, false);
    if (status != SDX_NO_MEMORY) fail_msg("allocation %llu gives %d", (unsigned long long)(nth + 1) / 2, status);
    assert_int_equal(files_in_folder(), 0);
    assert_int_equal(mem_live_count(), live);
  }
}

static int make_folder(void **state) { return mkdtemp(folder) == NULL; }
static int remove_folder(void **state) { return rmdir(folder); }

int main(void) {
  const struct CMUnitTest tests[] = {cmocka_unit_test(a_model_is_saved_and_runs),
                                     cmocka_unit_test(weights_go_beside_a_model_that_is_too_large),
                                     cmocka_unit_test(a_failed_save_leaves_the_old_file),
                                     cmocka_unit_test(bodies_read_what_is_around_them),
                                     cmocka_unit_test(names_are_kept_or_made_unique),
                                     cmocka_unit_test(versions_follow_the_release),
                                     cmocka_unit_test(values_that_are_no_tensors),
                                     cmocka_unit_test(a_model_is_raised_and_rewritten_before_it_is_saved),
                                     cmocka_unit_test(wrong_models_are_refused_with_the_place),
                                     cmocka_unit_test(memory_may_end_anywhere)};
  return cmocka_run_group_tests(tests, make_folder, remove_folder);
}

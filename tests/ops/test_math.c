// SPDX-License-Identifier: Apache-2.0
// Elementwise, reduction and normalisation operators called by hand: broadcasting against a naive loop, integer
// traps, half precision, empty sets, axes in every position.
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "base/half.h"
#include "ops/record.h"

enum { MOST = 6 };

// One call of an operator on tensors in the caller's arrays.
typedef struct bench {
  arena memory;
  graph *g;
  node n;
  error err;
  value values[2 * MOST];
  value *in[MOST], *out[MOST];
  int64_t dims[2 * MOST][8];
  size_t ins, outs;
} bench;

static void start(bench *b, const char *op_type) {
  memset(b, 0, sizeof *b);
  arena_init(&b->memory, NULL);
  b->g = graph_create(&b->memory, NULL);
  b->n = (node){.op = op_find(STR(""), str_from(op_type)), .name = STR("n"), .op_type = str_from(op_type)};
  assert_non_null(b->n.op);
}
static value *put(bench *b, size_t slot, sdx_dtype dtype, void *data, size_t rank, const int64_t *dims) {
  value *v = &b->values[slot];
  memcpy(b->dims[slot], dims, rank * sizeof *dims);
  assert_int_equal(tensor_init(&v->tensor, dtype, rank, b->dims[slot], NULL), SDX_OK);
  v->tensor.data = data;
  return v;
}
#define DIMS(...) \
  (sizeof((int64_t[]){__VA_ARGS__}) / sizeof(int64_t)), (int64_t[]) { __VA_ARGS__ }
#define SCALAR \
  0, (int64_t[]) { 0 }
static void input(bench *b, sdx_dtype dtype, void *data, size_t rank, const int64_t *dims) {
  b->in[b->ins] = put(b, b->ins, dtype, data, rank, dims);
  b->ins++;
}
static void output(bench *b, sdx_dtype dtype, void *data, size_t rank, const int64_t *dims) {
  b->out[b->outs] = put(b, MOST + b->outs, dtype, data, rank, dims);
  b->outs++;
}
// Stand-ins for run/: the output exists already, late memory comes from an arena.
static arena *late;
static sdx_status set_shape(op_step *c, size_t output, sdx_dtype dtype, size_t rank, const int64_t *dims) {
  const tensor *t = &c->out[output]->tensor;
  assert_int_equal(t->rank, rank);
  assert_memory_equal(t->dims, dims, rank * sizeof *dims);
  return SDX_OK;
}
static void *late_alloc(op_step *c, size_t bytes) { return arena_alloc(late, bytes); }
static const step_services services = {.set_shape = set_shape, .alloc = late_alloc};

static sdx_status run(bench *b) {
  void *params = arena_zalloc(&b->memory, b->n.op->params_size + 1);
  if (b->n.op->params) {
    op_params_context p = {.node = &b->n, .memory = &b->memory, .err = &b->err};
    if (b->n.op->params(&p, params) != SDX_OK) return b->err.status;
  }
  op_step c = {.node = &b->n,
               .params = params,
               .in = b->in,
               .out = b->out,
               .input_count = (uint16_t)b->ins,
               .output_count = (uint16_t)b->outs,
               .threads = 2,
               .services = &services,
               .err = &b->err};
  return b->n.op->compute(&c);
}
static void set(bench *b, attr a) { assert_int_equal(node_set_attr(b->g, &b->n, a), SDX_OK); }
static void finish(bench *b) { arena_deinit(&b->memory); }

static void broadcasting_matches_a_naive_loop(void **state) {
  static const int64_t shapes[][2][4] = {{{2, 3, 4, 5}, {2, 3, 4, 5}}, {{2, 3, 4, 5}, {1, 1, 1, 1}},
                                         {{2, 3, 4, 5}, {1, 3, 1, 1}}, {{2, 1, 4, 1}, {1, 3, 1, 5}},
                                         {{1, 1, 1, 5}, {2, 3, 4, 1}}, {{2, 1, 1, 5}, {2, 3, 4, 5}},
                                         {{1, 3, 4, 1}, {2, 3, 1, 1}}, {{0, 3, 1, 5}, {1, 1, 4, 1}}};
  float a[120], b[120], y[120];
  for (int i = 0; i < 120; i++) a[i] = (float)(i * 7 % 31), b[i] = (float)(i * 5 % 17) * 100;
  for (size_t s = 0; s < sizeof shapes / sizeof *shapes; s++) {
    const int64_t *da = shapes[s][0], *db = shapes[s][1];
    int64_t d[4];
    for (int i = 0; i < 4; i++) d[i] = da[i] == 1 ? db[i] : da[i];
    bench k;
    start(&k, "Sub");
    input(&k, SDX_FLOAT, a, 4, da);
    input(&k, SDX_FLOAT, b, 4, db);
    output(&k, SDX_FLOAT, y, 4, d);
    assert_int_equal(run(&k), SDX_OK);
    size_t at = 0, index[4];
    for (index[0] = 0; index[0] < (size_t)d[0]; index[0]++)
      for (index[1] = 0; index[1] < (size_t)d[1]; index[1]++)
        for (index[2] = 0; index[2] < (size_t)d[2]; index[2]++)
          for (index[3] = 0; index[3] < (size_t)d[3]; index[3]++) {
            size_t ia = 0, ib = 0;
            for (int i = 0; i < 4; i++) {
              ia = ia * (size_t)da[i] + (da[i] == 1 ? 0 : index[i]);
              ib = ib * (size_t)db[i] + (db[i] == 1 ? 0 : index[i]);
            }
            assert_true(y[at++] == a[ia] - b[ib]);
          }
    finish(&k);
  }
}

static void integers_wrap_and_never_trap(void **state) {
  int32_t a[] = {INT32_MIN, INT32_MIN, 7, -7}, b[] = {-1, 1, -2, 2}, y[4];
  bench k;
  start(&k, "Div");
  input(&k, SDX_INT32, a, DIMS(4));
  input(&k, SDX_INT32, b, DIMS(4));
  output(&k, SDX_INT32, y, DIMS(4));
  assert_int_equal(run(&k), SDX_OK);
  assert_memory_equal(y, ((int32_t[]){INT32_MIN, INT32_MIN, -3, -3}), sizeof y);
  b[2] = 0;
  assert_int_equal(run(&k), SDX_OUT_OF_RANGE);
  assert_non_null(strstr(k.err.message, "is 0 at 2"));
  assert_non_null(strstr(k.err.message, "Div"));
  finish(&k);

  int64_t x[] = {7, -7, 7, -7, INT64_MIN}, m[] = {3, 3, -3, -3, -1}, r[5];
  start(&k, "Mod");
  input(&k, SDX_INT64, x, DIMS(5));
  input(&k, SDX_INT64, m, DIMS(5));
  output(&k, SDX_INT64, r, DIMS(5));
  assert_int_equal(run(&k), SDX_OK);
  assert_memory_equal(r, ((int64_t[]){1, 2, -2, -1, 0}), sizeof r);
  set(&k, attr_of_int("fmod", 1));
  assert_int_equal(run(&k), SDX_OK);
  assert_memory_equal(r, ((int64_t[]){1, -1, 1, -1, 0}), sizeof r);
  finish(&k);

  uint16_t u[] = {65535, 2}, v[] = {65535, 3}, w[2];
  start(&k, "Mul");
  input(&k, SDX_UINT16, u, DIMS(2));
  input(&k, SDX_UINT16, v, DIMS(2));
  output(&k, SDX_UINT16, w, DIMS(2));
  assert_int_equal(run(&k), SDX_OK);
  assert_int_equal(w[0], 1);
  finish(&k);

  int8_t s[] = {-128, -128, 5, 5}, amount[] = {7, 100, -1, 1}, shifted[4];
  start(&k, "BitShift");
  set(&k, attr_of_string("direction", "RIGHT"));
  input(&k, SDX_INT8, s, DIMS(4));
  input(&k, SDX_INT8, amount, DIMS(4));
  output(&k, SDX_INT8, shifted, DIMS(4));
  assert_int_equal(run(&k), SDX_OK);
  assert_memory_equal(shifted, ((int8_t[]){-1, -1, 0, 2}), 4);
  finish(&k);

  int8_t least[] = {-128, 3}, absolute[2];
  start(&k, "Abs");
  input(&k, SDX_INT8, least, DIMS(2));
  output(&k, SDX_INT8, absolute, DIMS(2));
  assert_int_equal(run(&k), SDX_OK);
  assert_memory_equal(absolute, ((int8_t[]){-128, 3}), 2);
  finish(&k);
}

static void powers_of_mixed_types(void **state) {
  int32_t a[] = {2, -1, 2, 3}, y[4];
  int64_t e[] = {10, -3, -1, 40};
  bench k;
  start(&k, "Pow");
  input(&k, SDX_INT32, a, DIMS(4));
  input(&k, SDX_INT64, e, DIMS(4));
  output(&k, SDX_INT32, y, DIMS(4));
  assert_int_equal(run(&k), SDX_OK);
  assert_int_equal(y[0], 1024);
  assert_int_equal(y[1], -1);
  assert_int_equal(y[2], 0);
  assert_int_equal(y[3], (int32_t)12157665459056928801u);  // 3^40 mod 2^32
  finish(&k);

  float x[] = {-3, 0.5f, 2}, three = 3, z[3];
  start(&k, "Pow");
  input(&k, SDX_FLOAT, x, DIMS(3));
  input(&k, SDX_FLOAT, &three, SCALAR);
  output(&k, SDX_FLOAT, z, DIMS(3));
  assert_int_equal(run(&k), SDX_OK);
  assert_true(z[0] == -27 && z[1] == 0.125f && z[2] == 8);
  finish(&k);
}

static void halves_are_computed_in_float(void **state) {
  enum { N = 1300 };
  uint16_t a[N], b = fp16_from_float(0.5f), y[N];
  for (int i = 0; i < N; i++) a[i] = fp16_from_float((float)i);
  bench k;
  start(&k, "Mul");
  input(&k, SDX_FLOAT16, a, DIMS(N));
  input(&k, SDX_FLOAT16, &b, SCALAR);
  output(&k, SDX_FLOAT16, y, DIMS(N));
  assert_int_equal(run(&k), SDX_OK);
  for (int i = 0; i < N; i++) assert_int_equal(y[i], fp16_from_float((float)i * 0.5f));
  finish(&k);
  bool less[N];
  uint16_t limit = fp16_from_float(600);
  start(&k, "Less");
  input(&k, SDX_FLOAT16, a, DIMS(N));
  input(&k, SDX_FLOAT16, &limit, DIMS(1));
  output(&k, SDX_BOOL, less, DIMS(N));
  assert_int_equal(run(&k), SDX_OK);
  for (int i = 0; i < N; i++) assert_int_equal(less[i], i < 600);
  finish(&k);
}

static void nan_stays(void **state) {
  float x[] = {NAN, -INFINITY, INFINITY, -0.0f, 1}, y[5];
  static const char *const all[] = {"Relu", "Exp", "Tanh", "Sigmoid", "Sign", "Gelu", "Softplus", "Atan", "Clip"};
  for (size_t i = 0; i < sizeof all / sizeof *all; i++) {
    bench k;
    start(&k, all[i]);
    input(&k, SDX_FLOAT, x, DIMS(5));
    output(&k, SDX_FLOAT, y, DIMS(5));
    assert_int_equal(run(&k), SDX_OK);
    assert_true(isnan(y[0]));
    for (int e = 1; e < 5; e++) assert_false(isnan(y[e]));
    finish(&k);
  }
}

// What is compared with NaN: the definition of ThresholdedRelu gives 0 where x > alpha does not hold; Hardmax finds
// the first NaN, as ArgMax does.
static void nan_compared(void **state) {
  float x[] = {1, NAN, 3, NAN, 0}, y[5];
  double dx[] = {1, NAN, 3, NAN, 0}, dy[5];
  static const struct {
    const char *name;
    double want[5];
  } all[] = {{"ThresholdedRelu", {0, 0, 3, 0, 0}}, {"Hardmax", {0, 1, 0, 0, 0}}};
  for (size_t i = 0; i < 2; i++)
    for (int wide = 0; wide < 2; wide++) {
      bench k;
      start(&k, all[i].name);
      input(&k, wide ? SDX_DOUBLE : SDX_FLOAT, wide ? (void *)dx : x, DIMS(5));
      output(&k, wide ? SDX_DOUBLE : SDX_FLOAT, wide ? (void *)dy : y, DIMS(5));
      assert_int_equal(run(&k), SDX_OK);
      for (int e = 0; e < 5; e++) assert_true((wide ? dy[e] : (double)y[e]) == all[i].want[e]);
      finish(&k);
    }
}

static void reductions_over_any_axes(void **state) {
  enum { N = 2 * 3 * 4 * 5 };
  float x[N], y[N];
  double d[N], dy[N];
  uint16_t h[N], hy[N];
  for (int i = 0; i < N; i++) d[i] = x[i] = (float)(i * 11 % 23) - 5, h[i] = bf16_from_float(x[i]);
  static const char *const names[] = {"ReduceSum", "ReduceMean", "ReduceL1", "ReduceSumSquare", "ReduceMax"};
  for (size_t op = 0; op < 5; op++)
    for (unsigned mask = 1; mask < 16; mask++) {
      int64_t axes[4], dims[] = {2, 3, 4, 5}, count = 0, kept[4];
      for (int i = 0; i < 4; i++) {
        kept[i] = mask >> i & 1 ? 1 : dims[i];
        if (mask >> i & 1) axes[count++] = i % 2 ? i : i - 4;
      }
      double want[N];
      size_t results = (size_t)(kept[0] * kept[1] * kept[2] * kept[3]);
      for (size_t i = 0; i < results; i++) want[i] = op == 4 ? -INFINITY : 0;
      for (int i = 0; i < N; i++) {
        int index[] = {i / 60, i / 20 % 3, i / 5 % 4, i % 5}, at = 0;
        for (int a = 0; a < 4; a++) at = at * (int)kept[a] + (mask >> a & 1 ? 0 : index[a]);
        double v = op == 2 ? fabs(d[i]) : op == 3 ? d[i] * d[i] : d[i];
        if (op == 4) want[at] = fmax(want[at], v);
        else want[at] += op == 1 ? v * (double)results / N : v;
      }
      struct {
        sdx_dtype dtype;
        void *in, *out;
      } types[] = {{SDX_FLOAT, x, y}, {SDX_DOUBLE, d, dy}, {SDX_BFLOAT16, h, hy}};
      for (size_t t = 0; t < 3; t++) {
        bench k;
        start(&k, names[op]);
        late = &k.memory;
        input(&k, types[t].dtype, types[t].in, 4, dims);
        input(&k, SDX_INT64, axes, DIMS(count));
        k.in[1]->tensor.count = (size_t)count;
        k.dims[1][0] = count;
        output(&k, types[t].dtype, types[t].out, 4, kept);
        assert_int_equal(run(&k), SDX_OK);
        finish(&k);
      }
      for (size_t i = 0; i < results; i++) {
        assert_true(fabs(dy[i] - want[i]) <= 1e-12 * (1 + fabs(want[i])));
        assert_true(fabs(y[i] - want[i]) <= 1e-5 * (1 + fabs(want[i])));
        assert_true(fabs(bf16_to_float(hy[i]) - want[i]) <= 0.01 * (1 + fabs(want[i])));
      }
    }
}

static void empty_sets_have_defined_results(void **state) {
  static const struct {
    const char *name;
    float want;
  } all[] = {{"ReduceSum", 0},        {"ReduceProd", 1},           {"ReduceMax", -INFINITY},
             {"ReduceMin", INFINITY}, {"ReduceLogSum", -INFINITY}, {"ReduceLogSumExp", -INFINITY}};
  for (size_t i = 0; i < sizeof all / sizeof *all; i++) {
    float none[1], y[2] = {9, 9};
    bench k;
    start(&k, all[i].name);
    set(&k, attr_of_int("keepdims", 0));
    int64_t axis = 1;
    input(&k, SDX_FLOAT, none, DIMS(2, 0));
    input(&k, SDX_INT64, &axis, DIMS(1));
    output(&k, SDX_FLOAT, y, DIMS(2));
    assert_int_equal(run(&k), SDX_OK);
    assert_true(y[0] == all[i].want && y[1] == all[i].want);
    finish(&k);
  }
}

static void softmax_along_any_axis(void **state) {
  float x[24], y[24];
  double dx[24], dy[24];
  for (int i = 0; i < 24; i++) dx[i] = x[i] = (float)(i * 5 % 7);
  for (int axis = 0; axis < 3; axis++)
    for (int flat = 0; flat < 2; flat++) {
      bench k;
      for (int wide = 0; wide < 2; wide++) {
        start(&k, "Softmax");
        set(&k, attr_of_int("axis", axis));
        set(&k, attr_of_int("_flatten", flat));
        input(&k, wide ? SDX_DOUBLE : SDX_FLOAT, wide ? (void *)dx : x, DIMS(2, 3, 4));
        output(&k, wide ? SDX_DOUBLE : SDX_FLOAT, wide ? (void *)dy : y, DIMS(2, 3, 4));
        assert_int_equal(run(&k), SDX_OK);
        finish(&k);
      }
      double total = 0;
      for (int i = 0; i < 24; i++) total += dy[i], assert_true(fabs(y[i] - dy[i]) < 1e-6);
      static const int rows[2][3] = {{12, 8, 6}, {1, 2, 6}};  // each row sums to 1
      assert_true(fabs(total - rows[flat][axis]) < 1e-9);
    }
}

static void layer_normalization_with_any_scale(void **state) {
  float x[24], scale[12], y[24], want[24];
  for (int i = 0; i < 24; i++) x[i] = (float)(i * i % 19);
  for (int i = 0; i < 12; i++) scale[i] = (float)i;
  for (int r = 0; r < 2; r++) {
    double mean = 0, variance = 0;
    for (int i = 0; i < 12; i++) mean += x[12 * r + i] / 12;
    for (int i = 0; i < 12; i++) variance += (x[12 * r + i] - mean) * (x[12 * r + i] - mean) / 12;
    for (int i = 0; i < 12; i++) want[12 * r + i] = (float)((x[12 * r + i] - mean) / sqrt(variance + 1e-5));
  }
  for (int form = 0; form < 3; form++) {  // the normalised shape, one a column, one a row
    bench k;
    start(&k, "LayerNormalization");
    set(&k, attr_of_int("axis", 1));
    input(&k, SDX_FLOAT, x, DIMS(2, 3, 4));
    if (form == 0) input(&k, SDX_FLOAT, scale, DIMS(3, 4));
    if (form == 1) input(&k, SDX_FLOAT, scale, DIMS(4));
    if (form == 2) input(&k, SDX_FLOAT, scale, DIMS(2, 1, 1));
    output(&k, SDX_FLOAT, y, DIMS(2, 3, 4));
    assert_int_equal(run(&k), SDX_OK);
    for (int i = 0; i < 24; i++) {
      float by = form == 0 ? scale[i % 12] : form == 1 ? scale[i % 4] : scale[i / 12];
      assert_true(fabsf(y[i] - want[i] * by) < 1e-4f);
    }
    finish(&k);
  }
}

static void running_sums_round_at_each_step(void **state) {
  float x[] = {16777216, 1, 1, -16777216}, y[4];
  int64_t axis = 0;
  static bench b;
  start(&b, "CumSum");
  input(&b, SDX_FLOAT, x, DIMS(4));
  input(&b, SDX_INT64, &axis, SCALAR);
  output(&b, SDX_FLOAT, y, DIMS(4));
  assert_int_equal(run(&b), SDX_OK);
  assert_true(y[2] == 16777216 && y[3] == 0);  // collected in double it were 2
  finish(&b);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(broadcasting_matches_a_naive_loop),
      cmocka_unit_test(integers_wrap_and_never_trap),
      cmocka_unit_test(powers_of_mixed_types),
      cmocka_unit_test(halves_are_computed_in_float),
      cmocka_unit_test(nan_stays),
      cmocka_unit_test(nan_compared),
      cmocka_unit_test(reductions_over_any_axes),
      cmocka_unit_test(empty_sets_have_defined_results),
      cmocka_unit_test(softmax_along_any_axis),
      cmocka_unit_test(layer_normalization_with_any_scale),
      cmocka_unit_test(running_sums_round_at_each_step),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}

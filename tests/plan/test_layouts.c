// SPDX-License-Identifier: Apache-2.0
// Layouts in plans: convolutions work with channels last, everything between them follows, and no more is reordered
// than must be; results stay what they are in ONNX's layout.
#include <stdlib.h>

#include "run/session.h"
#include "tests/model.h"

// Nodes that make the constant %name of so many dimensions: sines of 0, 1, 2 ... over 8.
static void constant(text *t, const char *name, size_t rank, const int *dims) {
  int count = 1;
  text_format(t, "  const %%%s_dims: int64[%zu]{", name, rank);
  for (size_t i = 0; i < rank; i++) {
    text_format(t, "%s%d", i ? ", " : "", dims[i]);
    count *= dims[i];
  }
  text_format(t, "}\n  const %%%s_end: float[]{%d}\n  %%%s_range = Range(%%zero, %%%s_end, %%one)\n", name, count, name,
              name);
  text_format(t, "  %%%s_sines = Sin(%%%s_range)\n  %%%s_flat = Mul(%%%s_sines, %%eighth)\n", name, name, name, name);
  text_format(t, "  %%%s = Reshape(%%%s_flat, %%%s_dims)\n", name, name, name);
}

#define NUMBERS "  const %%zero: float[]{0}\n  const %%one: float[]{1}\n  const %%eighth: float[]{0.125}\n"

static void kernel(text *t, const char *name, int out, int in, int side) {
  constant(t, name, 4, (int[]){out, in, side, side});
}

static size_t steps_of(const plan *p, const char *op) {
  size_t n = 0;
  for (uint32_t s = 0; s < p->step_count; s++) n += str_equal(p->steps[s].step.node->op_type, str_from(op));
  return n;
}

// Loads, runs with layouts and without, compares; gives the numbers of Reorder and Transpose steps with layouts.
static void check(const char *what, const char *source, size_t reorders, size_t transposes) {
  sdx_session *s[2];
  sdx_run *r[2];
  for (int layouts = 0; layouts < 2; layouts++) {
    s[layouts] = model_load(source, layouts ? "threads=2" : "threads=2 layouts=0");
    r[layouts] = model_run(s[layouts], 2);
    if (sdx_run_execute(r[layouts]) != SDX_OK) fail_msg("%s%s", what, sdx_run_error(r[layouts]));
  }
  assert_int_equal(steps_of(s[0]->plans[chain_of(NULL)], "Reorder"), 0);
  for (size_t i = 0; i < sdx_session_output_count(s[0]); i++) {
    double difference = model_difference(sdx_run_output(r[0], i), sdx_run_output(r[1], i));
    if (!(difference < 1e-5)) fail_msg("%soutput %zu differs by %g", what, i, difference);
  }
  if (reorders != SIZE_MAX && (steps_of(s[1]->plans[chain_of(NULL)], "Reorder") != reorders ||
                               steps_of(s[1]->plans[chain_of(NULL)], "Transpose") != transposes)) {
    fail_msg("%s%zu reorders, %zu transposes: %zu and %zu are wanted", what,
             steps_of(s[1]->plans[chain_of(NULL)], "Reorder"), steps_of(s[1]->plans[chain_of(NULL)], "Transpose"),
             reorders, transposes);
  }
  for (int layouts = 0; layouts < 2; layouts++) {
    sdx_run_destroy(r[layouts]);
    sdx_session_destroy(s[layouts]);
  }
}

// A graph on x: float[N,16,9,7] with kernels k and l (3x3, 16 to 16) and m (1x1, 16 to 24).
static void check_net(const char *outputs, const char *nodes, size_t reorders, size_t transposes) {
  text t = {0};
  text_format(&t, "graph(%%x: float[N,16,9,7]) -> (%s) {\n", outputs);
  text_format(&t, NUMBERS);
  kernel(&t, "k", 16, 16, 3);
  kernel(&t, "l", 16, 16, 3);
  kernel(&t, "m", 24, 16, 1);
  constant(&t, "scale", 3, (int[]){16, 1, 1});
  constant(&t, "picture", 4, (int[]){1, 16, 9, 7});
  constant(&t, "vector", 1, (int[]){16});
  text_format(&t, "  const %%flat: int64[2]{0, -1}\n%s}\n", nodes);
  check(nodes, t.at, reorders, transposes);
  text_deinit(&t);
}

#define CONV(y, x, w) "  %" y " = Conv<pads=[1,1,1,1]>(%" x ", %" w ")\n"

static void one_reorder_in_and_one_out(void **state) {
  check_net("%y", CONV("a", "x", "k") "  %b = Tanh(%a)\n" CONV("y", "b", "l"), 2, 0);
  check_net("%y", CONV("a", "x", "k") "  %b = Relu(%a)\n  %c = MaxPool<kernel_shape=[2,2]>(%b)\n" CONV("y", "c", "l"),
            2, 0);
}

static void residuals_stay(void **state) {
  check_net("%y",
            CONV("a", "x", "k") "  %b = Tanh(%a)\n" CONV("c", "b", "l") "  %d = Tanh(%c)\n  %e = Add(%d, %b)\n" CONV(
                "y", "e", "l"),
            2, 0);
}

static void operands_broadcast(void **state) {
  check_net("%y", CONV("a", "x", "k") "  %b = Tanh(%a)\n  %c = Mul(%scale, %b)\n  %d = Sub(%c, %one)\n"
            "  %e = Max(%d, %picture)\n" CONV("y", "e", "l"), 2, 0);
}

// Two readers in ONNX's layout share one reordered copy; what is a result too is written once.
static void copies_are_shared(void **state) {
  check_net("%y, %f, %g, %b",
            CONV("a", "x", "k") "  %b = Tanh(%a)\n" CONV(
                "y", "b", "l") "  %f = Reshape(%b, %flat)\n  %g = CumSum(%b, %axis)\n  const %axis: int64[]{1}\n",
            3, 0);
}

// The same weights with one and with two filters a channel are two packs.
static void depthwise_ones_follow(void **state) {
  text t = {0};
  text_format(&t, "graph(%%x: float[N,16,13,11]) -> (%%y) {\n" NUMBERS);
  kernel(&t, "k", 16, 16, 3);
  kernel(&t, "d", 32, 1, 3);
  kernel(&t, "l", 16, 32, 3);
  text_format(&t,
              "  %%a = Conv(%%x, %%k)\n  %%b = Relu(%%a)\n  %%c = Conv<group=16, strides=[2,1]>(%%b, %%d)\n"
              "  %%f = Conv<group=32, pads=[1,1,1,1]>(%%c, %%d)\n  %%e = Clip(%%f, %%zero, %%one)\n  %%y = Conv(%%e, "
              "%%l)\n}\n");
  check("depthwise: ", t.at, 2, 0);
  text_deinit(&t);
}

// Bytes: full, grouped and depthwise convolutions, of images too.
static void integer_ones_follow(void **state) {
  static const char *const quantities[] = {"uint8[]{130}", "int8[]{-7}"};
  for (size_t i = 0; i < 2; i++) {
    text t = {0};
    text_format(&t, "graph(%%x: float[N,3,13,11]) -> (%%y) {\n" NUMBERS);
    text_format(&t, "  const %%zx: %s\n  const %%zw: int8[]{0}\n  const %%s: float[]{0.01}\n", quantities[i]);
    kernel(&t, "k", 16, 3, 3);
    kernel(&t, "l", 24, 4, 3);
    kernel(&t, "d", 24, 1, 3);
    for (const char *w = "kld"; *w; w++) text_format(&t, "  %%%cq = QuantizeLinear(%%%c, %%s, %%zw)\n", *w, *w);
    text_put(&t,
             "  %a = QuantizeLinear(%x, %s, %zx)\n"
             "  %b = QLinearConv<strides=[2,1], pads=[1,1,1,1]>(%a, %s, %zx, %kq, %s, %zw, %s, %zx)\n"
             "  %c = QLinearConv<group=4>(%b, %s, %zx, %lq, %s, %zw, %s, %zx)\n"
             "  %e = QLinearConv<group=24, pads=[2,2,2,2]>(%c, %s, %zx, %dq, %s, %zw, %s, %zx)\n"
             "  %y = DequantizeLinear(%e, %s, %zx)\n}\n");
    check("integers: ", t.at, 2, 0);
    text_deinit(&t);
  }
}

// Between two convolutions of bytes: nothing is reordered but x and the result. %v has a number a channel.
static void operators_on_bytes_follow(void **state) {
  static const char *const rows[] = {
      "%d = com.microsoft::QLinearAdd(%b, %s, %zx, %b, %v1, %zx, %s, %zx)",
      "%d = com.microsoft::QLinearMul(%b, %s, %zx, %p, %v1, %zx, %s, %zx)",
      "%d = MaxPool<kernel_shape=[3,3], strides=[2,1], pads=[1,1,1,1]>(%b)",
      "%d = com.microsoft::QLinearAveragePool<kernel_shape=[3,2], pads=[1,0,1,1], count_include_pad=1>"
      "(%b, %s, %zx, %v1, %zx)",
      "%g = com.microsoft::QLinearGlobalAveragePool(%b, %s, %zx, %v1, %zx)\n"
      "  %d = com.microsoft::QLinearMul(%b, %s, %zx, %g, %v1, %zx, %s, %zx)",
      "%f = com.microsoft::QLinearConcat<axis=1>(%s, %zx, %b, %s, %zx, %b, %v1, %zx)\n"
      "  %e, %d = Split<axis=1>(%f, %parts)",
      "%d = com.microsoft::QLinearSigmoid(%b, %s, %zx, %v1, %zx)",
      "%e = DequantizeLinear<axis=1>(%b, %v, %z16)\n  %d = QuantizeLinear<axis=-3>(%e, %w, %z16)",
      "%e = DequantizeLinear(%b, %s, %zx)\n  %f = HardSwish(%e)\n  %d = QuantizeLinear(%f, %v1, %zx)",
  };
  for (size_t i = 0; i < sizeof rows / sizeof *rows * 2; i++) {
    text t = {0};
    bool is_signed = i % 2;
    text_format(&t, "graph(%%x: float[N,16,13,11]) -> (%%y) {\n" NUMBERS);
    text_format(&t,
                "  const %%zx: %s\n  const %%zw: int8[]{0}\n  const %%s: float[]{0.01}\n  const %%v1: float[]{0.025}\n",
                is_signed ? "int8[]{-7}" : "uint8[]{130}");
    constant(&t, "vector", 1, (int[]){16});
    kernel(&t, "k", 16, 16, 3);
    text_put(&t,
             "  const %parts: int64[2]{16, 16}\n  const %sixteen: int64[1]{16}\n  const %column: int64[3]{16, 1, 1}\n"
             "  %v = Exp(%vector)\n  %w = Mul(%v, %v1)\n  %z16 = Expand(%zx, %sixteen)\n"
             "  %p = Expand(%zx, %column)\n  %kq = QuantizeLinear(%k, %s, %zw)\n"
             "  %a = QuantizeLinear(%x, %s, %zx)\n"
             "  %b = QLinearConv<pads=[1,1,1,1]>(%a, %s, %zx, %kq, %s, %zw, %v1, %zx)\n  ");
    text_format(&t,
                "%s\n  %%c = QLinearConv<pads=[1,1,1,1]>(%%d, %%s, %%zx, %%kq, %%s, %%zw, %%s, %%zx)\n"
                "  %%y = DequantizeLinear(%%c, %%s, %%zx)\n}\n",
                rows[i / 2]);
    check(rows[i / 2], t.at, 2, 0);
    text_deinit(&t);
  }
}

static void transposes_vanish(void **state) {
  text t = {0};
  text_format(&t, "graph(%%x: float[N,9,7,16]) -> (%%y) {\n");
  text_format(&t, NUMBERS);
  kernel(&t, "k", 16, 16, 3);
  text_format(&t,
              "  %%a = Transpose<perm=[0,3,1,2]>(%%x)\n  %%b = Conv(%%a, %%k)\n  %%c = Tanh(%%b)\n"
              "  %%d = Conv(%%c, %%k)\n  %%y = Transpose<perm=[0,2,3,1]>(%%d)\n}\n");
  check("transposes: ", t.at, 0, 0);
  text_deinit(&t);
}

// What operators make of %v$ and %v&, both like x; their own result is %v@. Some cost reorders of their own.
static const struct {
  const char *nodes;
  size_t more;
} follows[] = {
    {"%v@ = Tanh(%v$)", 0},
    {"%v@ = Relu(%v$)", 0},
    {"%v@ = Mul(%scale, %v$)", 0},
    {"%v@ = Sub(%one, %v$)", 0},
    {"%v@ = PRelu(%v$, %scale)", 0},
    {"%v@ = Add(%v$, %picture)", 0},
    {"%v@ = Add(%v$, %v&)", 0},
    {"%v@ = Conv<pads=[1,1,1,1]>(%v$, %k)", 0},
    {"%v@ = Conv<pads=[1,1,1,1]>(%v$, %l)", 0},
    {"%v@ = MaxPool<kernel_shape=[3,3], pads=[1,1,1,1]>(%v$)", 0},
    {"%v@ = Softmax<axis=1>(%v$)", 0},
    {"%v@ = LogSoftmax<axis=-1>(%v$)", 0},
    {"%v@ = Softmax<axis=2>(%v$)", 0},
    {"%c@ = Concat<axis=1>(%v$, %v&)\n  %s@, %v@ = Split<axis=1, num_outputs=2>(%c@)", 0},
    {"%c@ = Concat<axis=2>(%v$, %v&)\n  %v@, %s@ = Split<axis=-2>(%c@, %uneven)", 0},
    {"%c@ = Concat<axis=-1>(%v$, %v&)\n  %v@ = Slice(%c@, %one_, %fourteen, %three, %two)", 0},
    {"%v@ = Slice(%v$, %last, %before, %axis, %last)", 0},
    {"%p@ = Pad(%v$, %pads, %one)\n  %v@ = MaxPool<kernel_shape=[2,2]>(%p@)", 0},
    {"%p@ = Pad<mode=\"reflect\">(%v$, %around)\n  %v@ = MaxPool<kernel_shape=[3,3]>(%p@)", 0},
    {"%r@ = ReduceMean(%v$, %spatial)\n  %v@ = Mul(%v$, %r@)", 0},
    {"%r@ = ReduceMax<keepdims=0>(%v$, %axis)\n  %s@ = Unsqueeze(%r@, %axis)\n  %v@ = Sub(%v&, %s@)", 0},
    {"%r@ = ReduceL2<keepdims=0>(%v$, %three)\n  %s@ = Unsqueeze(%r@, %three)\n  %v@ = Add(%v&, %s@)", 2},
    {"%r@ = ReduceSum<keepdims=0>(%v$, %batch)\n  %v@ = Sub(%v&, %r@)", 2},
    {"%r@ = Resize<mode=\"nearest\">(%v$, _, %twice)\n  %v@ = MaxPool<kernel_shape=[2,2], strides=[2,2]>(%r@)", 0},
    {"%r@ = Resize<mode=\"linear\", axes=[3,-2]>(%v$, _, _, %wide)\n"
     "  %v@ = AveragePool<kernel_shape=[2,2], strides=[2,2]>(%r@)",
     0},
    {"%v@ = BatchNormalization(%v$, %vector, %vector, %vector, %positive)", 0},
    {"%v@ = LRN<size=3, alpha=0.5>(%v$)", 0},
    {"%d@ = DepthToSpace<blocksize=2, mode=\"CRD\">(%v$)\n  %v@ = SpaceToDepth<blocksize=2>(%d@)", 0},
};

#define CONSTANTS                                                                                                    \
  "  const %axis: int64[1]{1}\n  const %three: int64[1]{3}\n  const %two: int64[1]{2}\n  const %one_: int64[1]{1}\n" \
  "  const %fourteen: int64[1]{14}\n  const %last: int64[1]{-1}\n  const %before: int64[1]{-17}\n"                   \
  "  const %uneven: int64[2]{9, 9}\n  const %pads: int64[8]{0, 2, 1, 0, 0, -2, 0, 1}\n  const %batch: int64[1]{0}\n" \
  "  const %around: int64[8]{0, 0, 1, 1, 0, 0, 1, 1}\n  const %spatial: int64[2]{2, -1}\n"                           \
  "  const %twice: float[4]{1, 1, 2, 2}\n  const %wide: int64[2]{14, 18}\n  %positive = Exp(%vector)\n"

static void append(text *t, const char *pattern, int own, int first, int second) {
  text_put(t, "  ");
  for (const char *p = pattern; *p; p++) {
    if (*p == '@') text_format(t, "%d", own);
    else if (*p == '$') text_format(t, "%d", first);
    else if (*p == '&') text_format(t, "%d", second);
    else text_append(t, p, 1);
  }
  text_put(t, "\n");
}

// Each between two convolutions: nothing is reordered but x and the result.
static void operators_follow(void **state) {
  for (size_t i = 0; i < sizeof follows / sizeof *follows; i++) {
    text t = {0};
    text_put(&t, CONSTANTS);
    append(&t, "%a = Conv<pads=[1,1,1,1]>(%x, %k)\n  %v0 = Tanh(%a)", 0, 0, 0);
    append(&t, follows[i].nodes, 1, 0, 0);
    append(&t, "%y = Conv<pads=[1,1,1,1]>(%v1, %l)", 0, 0, 0);
    check_net("%y", t.at, 2 + follows[i].more, 0);
    text_deinit(&t);
  }
}

// Random networks of what works in both layouts and what does not.
static void random_networks(void **state) {
  uint32_t seed = 11;
  for (int round = 0; round < 120; round++) {
    text t = {0};
    int nodes = 4 + round % 12;
    text_put(&t, CONSTANTS);
    append(&t, "%v0 = Identity(%x)", 0, 0, 0);
    for (int i = 1; i <= nodes; i++) {
      seed = seed * 1664525u + 1013904223u;
      int a = (int)((seed >> 8) % (unsigned)i), b = (int)((seed >> 16) % (unsigned)i);
      size_t kinds = sizeof follows / sizeof *follows, kind = (seed >> 20) % (kinds + 2);
      append(&t, kind < kinds ? follows[kind].nodes : "%v@ = CumSum(%v$, %axis)", i, a, b);
    }
    char outputs[60];
    snprintf(outputs, sizeof outputs, "%%v%d, %%v%d", nodes, nodes / 2);
    check_net(outputs, t.at, SIZE_MAX, 0);
    text_deinit(&t);
  }
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(one_reorder_in_and_one_out), cmocka_unit_test(residuals_stay),
      cmocka_unit_test(operands_broadcast),         cmocka_unit_test(copies_are_shared),
      cmocka_unit_test(depthwise_ones_follow),      cmocka_unit_test(transposes_vanish),
      cmocka_unit_test(integer_ones_follow),        cmocka_unit_test(operators_on_bytes_follow),
      cmocka_unit_test(operators_follow),           cmocka_unit_test(random_networks),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}

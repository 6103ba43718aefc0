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
  assert_int_equal(steps_of(s[0]->plans, "Reorder"), 0);
  for (size_t i = 0; i < sdx_session_output_count(s[0]); i++) {
    double difference = model_difference(sdx_run_output(r[0], i), sdx_run_output(r[1], i));
    if (!(difference < 1e-5)) fail_msg("%soutput %zu differs by %g", what, i, difference);
  }
  if (reorders != SIZE_MAX &&
      (steps_of(s[1]->plans, "Reorder") != reorders || steps_of(s[1]->plans, "Transpose") != transposes)) {
    fail_msg("%s%zu reorders, %zu transposes: %zu and %zu are wanted", what, steps_of(s[1]->plans, "Reorder"),
             steps_of(s[1]->plans, "Transpose"), reorders, transposes);
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

// Random networks of what works in both layouts and what does not.
static void random_networks(void **state) {
  static const char *const plain[] = {"Tanh(%%v%d)",
                                      "Relu(%%v%d)",
                                      "Mul(%%scale, %%v%d)",
                                      "Sub(%%one, %%v%d)",
                                      "MaxPool<kernel_shape=[3,3], pads=[1,1,1,1]>(%%v%d)",
                                      "Softmax<axis=1>(%%v%d)",
                                      "Conv<pads=[1,1,1,1]>(%%v%d, %%k)",
                                      "Conv<pads=[1,1,1,1]>(%%v%d, %%l)",
                                      "Add(%%v%d, %%picture)",
                                      "CumSum(%%v%d, %%axis)"};
  uint32_t seed = 11;
  for (int round = 0; round < 80; round++) {
    text t = {0};
    int nodes = 4 + round % 12;
    for (int i = 1; i <= nodes; i++) {
      seed = seed * 1664525u + 1013904223u;
      int a = (int)((seed >> 8) % (unsigned)i), b = (int)((seed >> 16) % (unsigned)i);
      char node[120];
      if ((seed >> 24) % 5 == 0) snprintf(node, sizeof node, "Add(%%v%d, %%v%d)", a, b);
      else snprintf(node, sizeof node, plain[(seed >> 27) % 10], a);
      text_format(&t, "  %%v%d = %s\n", i, node);
    }
    char outputs[60];
    snprintf(outputs, sizeof outputs, "%%v%d, %%v%d", nodes, nodes / 2 + 1);
    if (nodes == nodes / 2 + 1) continue;
    text net = {0};
    text_format(&net, "  const %%axis: int64[]{1}\n  %%v0 = Identity(%%x)\n%s", t.at);
    check_net(outputs, net.at, SIZE_MAX, 0);
    text_deinit(&net);
    text_deinit(&t);
  }
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(one_reorder_in_and_one_out), cmocka_unit_test(residuals_stay),
      cmocka_unit_test(operands_broadcast),         cmocka_unit_test(copies_are_shared),
      cmocka_unit_test(transposes_vanish),          cmocka_unit_test(random_networks),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}

// SPDX-License-Identifier: Apache-2.0
// What test_instructions.py counts the instructions of: a small model is loaded and runs.
//
//   speed_driver              lists the models
//   speed_driver MODEL RUNS SHAPES     runs it with so many shapes (0: its fixed one), so many times each
//
// Counts of two calls that differ in one number tell what one run or one new shape costs.
#include <stdlib.h>

#include "tests/model.h"

static const struct {
  const char *name, *source;
} models[] = {
    {"convolutions",
     "graph(%x: float[1,3,64,64]) -> (%y) {\n"
     "  const %a: float[16,3,3,3]{...}\n  const %b: float[64,16,1,1]{...}\n  const %c: float[64,1,3,3]{...}\n"
     "  const %d: float[24,64,1,1]{...}\n  const %e: float[24,10]{...}\n"
     "  %1 = Conv<strides=[2,2], pads=[1,1,1,1]>(%x, %a)\n  %2 = Relu(%1)\n"
     "  %3 = Conv(%2, %b)\n  %4 = Relu(%3)\n  %5 = Conv<group=64, pads=[1,1,1,1]>(%4, %c)\n  %6 = Relu(%5)\n"
     "  %7 = Conv(%6, %d)\n  %8 = MaxPool<kernel_shape=[2,2], strides=[2,2]>(%7)\n  %9 = GlobalAveragePool(%8)\n"
     "  %10 = Flatten(%9)\n  %11 = MatMul(%10, %e)\n  %y = Softmax(%11)\n}\n"},
    {"attention",
     "graph(%x: float[1,N,80]) -> (%y) {\n"
     "  const %q: float[80,80]{...}\n  const %k: float[80,80]{...}\n  const %v: float[80,80]{...}\n"
     "  const %s: float[80]{...}\n  const %u: float[80,128]{...}\n  const %w: float[128,80]{...}\n"
     "  const %heads: int64[4]{0, -1, 4, 20}\n  const %joined: int64[3]{0, -1, 80}\n"
     "  %n = LayerNormalization(%x, %s)\n  %q1 = MatMul(%n, %q)\n  %k1 = MatMul(%n, %k)\n  %v1 = MatMul(%n, %v)\n"
     "  %q2 = Reshape(%q1, %heads)\n  %k2 = Reshape(%k1, %heads)\n  %v2 = Reshape(%v1, %heads)\n"
     "  %q3 = Transpose<perm=[0,2,1,3]>(%q2)\n  %k3 = Transpose<perm=[0,2,3,1]>(%k2)\n"
     "  %v3 = Transpose<perm=[0,2,1,3]>(%v2)\n  %t = MatMul(%q3, %k3)\n  %p = Softmax(%t)\n  %o = MatMul(%p, %v3)\n"
     "  %o1 = Transpose<perm=[0,2,1,3]>(%o)\n  %o2 = Reshape(%o1, %joined)\n  %r = Add(%x, %o2)\n"
     "  %f = MatMul(%r, %u)\n  %g = Gelu(%f)\n  %h = MatMul(%g, %w)\n  %y = Add(%r, %h)\n}\n"},
    {"recurrent",
     "graph(%x: float[N,1,24]) -> (%y) {\n  const %w: float[1,128,24]{...}\n  const %r: float[1,128,32]{...}\n"
     "  %y = LSTM<hidden_size=32>(%x, %w, %r)\n}\n"},
    {"integers",
     "graph(%x: float[N,96]) -> (%y) {\n  const %w: int8[96,64]{...}\n  const %z: int8[]{0}\n  const %s: "
     "float[]{0.01}\n"
     "  %q, %t, %o = DynamicQuantizeLinear(%x)\n  %p = MatMulInteger(%q, %w, %o, %z)\n  %f = Cast<to=1>(%p)\n"
     "  %m = Mul(%t, %s)\n  %y = Mul(%f, %m)\n}\n"},
    {"elements",
     "graph(%x: float[N,80]) -> (%y) {\n  const %b: float[80]{...}\n  %1 = Add(%x, %b)\n  %2 = Relu(%1)\n"
     "  %3 = ReduceMean<keepdims=1>(%2)\n  %4 = Sub(%2, %3)\n  %5 = Exp(%4)\n  %s = Shape(%5)\n"
     "  %6 = Reshape(%5, %s)\n  %7 = Concat<axis=1>(%6, %x)\n  %y = Transpose<perm=[1,0]>(%7)\n}\n"},
};

enum { MODELS = sizeof models / sizeof *models, FIRST_SIZE = 12 };

// The first input with `size` for its free dimension.
static void feed(sdx_run *r, const sdx_io *io, int64_t size) {
  static float zeros[1 << 14];
  int64_t shape[4];
  for (size_t i = 0; i < io->rank; i++) shape[i] = io->shape[i] < 0 ? size : io->shape[i];
  sdx_value *v = sdx_tensor_borrow(SDX_FLOAT, io->rank, shape, zeros, NULL, NULL);
  assert_true(sdx_tensor_count(v) <= sizeof zeros / sizeof *zeros);
  sdx_run_set_input(r, 0, v);
  sdx_value_release(v);
}

int main(int argc, char **argv) {
  if (argc != 4) {
    for (size_t i = 0; i < MODELS; i++)
      printf("%s%s\n", models[i].name, strstr(models[i].source, "[1,3,64") ? "" : " N");
    return argc != 1;
  }
  size_t m = 0;
  while (m < MODELS && strcmp(models[m].name, argv[1]) != 0) m++;
  if (m == MODELS) return 2;
  sdx_session *s = model_load(models[m].source, "threads=1");
  sdx_run *r;
  assert_int_equal(sdx_run_create(s, &r), SDX_OK);
  long runs = strtol(argv[2], NULL, 10), shapes = strtol(argv[3], NULL, 10);
  for (long k = 0; k <= shapes; k++) {
    feed(r, sdx_session_input(s, 0), FIRST_SIZE + k);
    for (long i = 0; i < runs; i++)
      if (sdx_run_execute(r)) return 1;
  }
  sdx_run_destroy(r);
  sdx_session_destroy(s);
  return 0;
}

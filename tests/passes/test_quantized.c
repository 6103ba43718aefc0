// SPDX-License-Identifier: Apache-2.0
// Passes over quantised graphs: move_quantized, look_up, fuse_conv_endings and
// fuse_scaled_sums keep every bit, fuse_quantized keeps
// results of small sums. Networks as exporters write them are in tests/models/test_quantized.py.
#include "tests/passes/rewrite.h"

#define PARAMETERS                                                                                           \
  "  const %s: float[]{0.5}\n  const %t: float[1]{0.25}\n  const %n: float[]{-1}\n  const %u: uint8[]{10}\n" \
  "  const %v: int8[]{-3}\n  const %m: uint8[]{0}\n"

#define HEAD "graph(%x: uint8[2,4,6,6], %f: float[2,4,6,6]) -> (%y) {\n" PARAMETERS

// The operators that results depend on, one after the other.
static void list_operators(const graph *g, char *to, size_t size) {
  bool read[500] = {false}, live[100] = {false};
  assert_true(g->value_count < 500 && g->node_count < 100);
  for (uint32_t i = 0; i < g->output_count; i++) read[g->outputs[i]] = true;
  for (uint32_t i = g->node_count; i-- > 0;) {
    for (uint32_t k = 0; k < g->nodes[i]->output_count; k++) live[i] |= read[g->nodes[i]->outputs[k]];
    for (uint32_t k = 0; live[i] && k < g->nodes[i]->input_count; k++) read[g->nodes[i]->inputs[k]] = true;
  }
  for (uint32_t i = 0; i < g->node_count; i++)
    if (live[i]) snprintf(to + strlen(to), size - strlen(to), "%s%.*s", *to ? " " : "", STR_ARG(g->nodes[i]->op_type));
}

// What a pass makes of a graph that begins with HEAD.
static void becomes(const char *pass, const char *body, const char *want) {
  char source[2000], got[500] = "";
  snprintf(source, sizeof source, "%s%s}\n", HEAD, body);
  sdx_session *plain = rewrite_session(NULL, source), *rewritten = rewrite_session(pass, source);
  rewrite_same_numbers(plain, rewritten, rewrite_pass(pass)->reassociates ? 1e-5 : 0, source);
  list_operators(rewritten->main, got, sizeof got);
  if (strcmp(got, want) != 0) fail_msg("%s\nwanted: %s\ngot:    %s", source, want, got);
  sdx_session_destroy(plain);
  sdx_session_destroy(rewritten);
}

static void bytes_are_moved(void **state) {
  static const char *const rows[][2] = {
      {"%a = DequantizeLinear(%x, %s, %u)\n  %y = Transpose(%a)\n", "Transpose DequantizeLinear"},
      {"%a = DequantizeLinear(%x, %s, %u)\n  %b = Flatten(%a)\n  %y = Transpose(%b)\n",
       "Flatten Transpose DequantizeLinear"},
      {"%a = DequantizeLinear(%x, %s, %u)\n  %b, %c = Split<num_outputs=2>(%a)\n  %y = Add(%b, %c)\n",
       "Split DequantizeLinear DequantizeLinear Add"},
      {"%a = DequantizeLinear(%x, %s, %u)\n  %y = MaxPool<kernel_shape=[3, 3], pads=[1, 1, 1, 1]>(%a)\n",
       "MaxPool DequantizeLinear"},
      {"%a = DequantizeLinear(%x, %s, %u)\n  %b = DequantizeLinear(%x, %s, %u)\n  %y = Concat<axis=1>(%a, %b)\n",
       "Concat DequantizeLinear"},
      {"const %p: int64[8]{0, 0, 1, 1, 0, 0, 1, 1}\n  const %h: float[]{0.5}\n  %a = DequantizeLinear(%x, %s, %u)\n"
       "  %y = Pad(%a, %p, %h)\n",
       "Pad DequantizeLinear"},
      {"const %w: int8[2,1,1,2]{1, 2, 3, 4}\n  const %k: float[2]{1, 2}\n  %a = DequantizeLinear<axis=3>(%w, %k)\n"
       "  %b = Transpose<perm=[3, 0, 1, 2]>(%a)\n  %y = Mul(%b, %s)\n",
       "Transpose DequantizeLinear Mul"},
      {"%a = Transpose(%f)\n  %b = QuantizeLinear(%a, %s, %u)\n  %y = DequantizeLinear(%b, %s, %u)\n",
       "QuantizeLinear Transpose DequantizeLinear"},
      {"%a = DequantizeLinear(%x, %s, %u)\n  %b = DequantizeLinear(%x, %t, %u)\n  %c = Concat<axis=1>(%a, %b)\n"
       "  %y = QuantizeLinear(%c, %s, %u)\n",
       "DequantizeLinear DequantizeLinear QuantizeLinear QuantizeLinear Concat"},
      // What stays: other bytes, padding that no byte stands for, windows of padding alone, scales that are not known.
      {"%a = DequantizeLinear(%x, %n, %u)\n  %y = Transpose(%a)\n", "DequantizeLinear Transpose"},
      {"const %p: int64[8]{0, 0, 1, 1, 0, 0, 1, 1}\n  const %h: float[]{0.6}\n  %a = DequantizeLinear(%x, %s, %u)\n"
       "  %y = Pad(%a, %p, %h)\n",
       "DequantizeLinear Pad"},
      {"%a = DequantizeLinear(%x, %s, %u)\n  %y, %z = MaxPool<kernel_shape=[3, 3]>(%a)\n", "DequantizeLinear MaxPool"},
      {"%k = ReduceMax<keepdims=0>(%f)\n  %a = DequantizeLinear(%x, %k, %u)\n  %y = Transpose(%a)\n",
       "ReduceMax DequantizeLinear Transpose"},
      {"%a = DequantizeLinear(%x, %s, %u)\n  %b = DequantizeLinear(%x, %t, %u)\n  %y = Concat<axis=1>(%a, %b)\n",
       "DequantizeLinear DequantizeLinear Concat"},
      {"%a = Transpose(%f)\n  %b = QuantizeLinear(%a, %s, %u)\n  %c = DequantizeLinear(%b, %s, %u)\n"
       "  %y = Add(%c, %a)\n",
       "Transpose QuantizeLinear DequantizeLinear Add"},
  };
  for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) becomes("move_quantized", rows[i][0], rows[i][1]);
}

static void tables(void **state) {
  static const char *const rows[][2] = {
      {"%a = DequantizeLinear(%x, %s, %u)\n  %b = HardSwish(%a)\n  %y = QuantizeLinear(%b, %t, %v)\n", "Lookup"},
      {"%a = DequantizeLinear(%x, %s, %u)\n  %b = Sigmoid(%a)\n  %c = QuantizeLinear(%b, %t, %m)\n"
       "  %d = DequantizeLinear(%c, %t, %m)\n  %e = Mul(%a, %d)\n  %y = QuantizeLinear(%e, %s, %v)\n",
       "Lookup"},
      {"%a = DequantizeLinear(%x, %s, %u)\n  %b = Add(%a, %t)\n  %c = Max(%b, %s)\n  %y = QuantizeLinear(%c, %s, %u)\n",
       "Lookup"},
      {"%a = DequantizeLinear(%x, %s, %u)\n  %b = QuantizeLinear(%a, %t, %u)\n  %y = Identity(%b)\n",
       "Lookup Identity"},
      {"%a = DequantizeLinear(%x, %s, %u)\n  %b = QuantizeLinear(%a, %s, %u)\n  %y = Identity(%b)\n", "Identity"},
      {"%a = DequantizeLinear(%x, %s, %m)\n  %b = Relu(%a)\n  %c = QuantizeLinear(%b, %s, %m)\n  %y = Identity(%c)\n",
       "Identity"},
      // What stays: two tensors, numbers a channel, a shape that grows, float results.
      {"%a = DequantizeLinear(%x, %s, %u)\n  %b = Add(%a, %f)\n  %y = QuantizeLinear(%b, %s, %u)\n",
       "DequantizeLinear Add QuantizeLinear"},
      {"const %k: float[6]{1, 2, 3, 4, 5, 6}\n  %a = DequantizeLinear(%x, %s, %u)\n  %b = Mul(%a, %k)\n"
       "  %y = QuantizeLinear(%b, %s, %u)\n",
       "DequantizeLinear Mul QuantizeLinear"},
      {"const %k: float[1,1,1,1,1]{2}\n  %a = DequantizeLinear(%x, %s, %u)\n  %b = Mul(%a, %k)\n"
       "  %y = QuantizeLinear(%b, %s, %u)\n",
       "DequantizeLinear Mul QuantizeLinear"},
      {"const %k: float[6]{1, 2, 3, 4, 5, 6}\n  %a = DequantizeLinear(%x, %s, %u)\n"
       "  %y = QuantizeLinear<axis=3>(%a, %k)\n",
       "DequantizeLinear QuantizeLinear"},
      {"%a = DequantizeLinear(%x, %s, %u)\n  %y = Sigmoid(%a)\n", "DequantizeLinear Sigmoid"},
      {"%a = DequantizeLinear(%x, %s, %u)\n  %b = Softmax(%a)\n  %y = QuantizeLinear(%b, %t, %m)\n",
       "DequantizeLinear Softmax QuantizeLinear"},
  };
  for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) becomes("look_up", rows[i][0], rows[i][1]);
}

#define X "%a = DequantizeLinear(%x, %s, %u)\n  "
#define W "const %w: int8[2,4,1,1]{1, -2, 3, 4, -5, 6, 7, -8}\n  const %k: float[2]{0.5, 0.125}\n  "
#define XW X W "%b = DequantizeLinear<axis=0>(%w, %k)\n  "
#define Q "%y = QuantizeLinear(%c, %s, %v)\n"

static void sums_of_bytes(void **state) {
  static const char *const rows[][2] = {
      {XW "%c = Conv(%a, %b)\n  " Q, "QLinearConv"},
      {XW "const %h: float[2]{0.5, -2}\n  %c = Conv(%a, %b, %h)\n  " Q, "QLinearConv"},
      {XW "const %h: int32[2]{40, -20}\n  const %i: float[2]{0.25, 0.0625}\n  %d = DequantizeLinear(%h, %i)\n"
          "  %c = Conv(%a, %b, %d)\n  " Q,
       "QLinearConv"},
      {XW "%d = Conv(%a, %b)\n  %c = Relu(%d)\n  %y = QuantizeLinear(%c, %s, %m)\n", "QLinearConv"},
      {XW "%d = Conv(%a, %b)\n  %c = Relu(%d)\n  " Q, "QLinearConv Lookup"},
      {XW "const %l: float[]{-2}\n  const %h: float[]{6}\n  %d = Conv(%a, %b)\n  %c = Clip(%d, %l, %h)\n  " Q,
       "QLinearConv Lookup"},
      {X "%b = DequantizeLinear(%x, %t, %m)\n  %c = Add(%a, %b)\n  %y = QuantizeLinear(%c, %s, %u)\n", "QLinearAdd"},
      {X "%b = DequantizeLinear(%x, %t, %m)\n  %c = Mul(%a, %b)\n  " Q, "Lookup Lookup QLinearMul"},
      {X "%c = GlobalAveragePool(%a)\n  %y = QuantizeLinear(%c, %t, %u)\n", "QLinearGlobalAveragePool"},
      {X "const %h: int64[2]{-1, 2}\n  %c = ReduceMean(%a, %h)\n  %y = QuantizeLinear(%c, %t, %u)\n",
       "QLinearGlobalAveragePool"},
      {X "%c = AveragePool<kernel_shape=[2, 2], dilations=[1, 1]>(%a)\n  %y = QuantizeLinear(%c, %t, %u)\n",
       "QLinearAveragePool"},
      {X "const %w: int8[6,2]{1, 2, 3, 4, 5, 6, 7, 8, -9, 10, -11, 12}\n  %b = DequantizeLinear(%w, %t)\n"
         "  %c = MatMul(%a, %b)\n  " Q,
       "QLinearMatMul"},
      {X "const %w: int8[6,2]{1, 2, 3, 4, 5, 6, 7, 8, -9, 10, -11, 12}\n  const %h: float[2]{1, 2}\n"
         "  %b = DequantizeLinear(%w, %t)\n  %c = MatMul(%a, %b)\n  %y = Add(%h, %c)\n",
       "MatMulIntegerToFloat"},
      {X "%g = Flatten<axis=3>(%x)\n  %d = DequantizeLinear(%g, %s, %u)\n  const %h: float[2]{1, 2}\n"
         "  const %w: int8[2,6]{1, 2, 3, 4, 5, 6, 7, 8, -9, 10, -11, 12}\n  const %k: float[2]{0.5, 0.125}\n"
         "  %b = DequantizeLinear<axis=0>(%w, %k)\n  %c = Gemm<transB=1, alpha=0.5>(%d, %b, %h)\n  " Q,
       "Flatten Transpose QGemm"},
      {X "%g = Flatten<axis=3>(%x)\n  %d = DequantizeLinear(%g, %s, %u)\n"
         "  const %w: int8[2,6]{1, 2, 3, 4, 5, 6, 7, 8, -9, 10, -11, 12}\n"
         "  %b = DequantizeLinear(%w, %s)\n  %y = Gemm<transB=1>(%d, %b)\n",
       "Flatten Transpose QGemm"},
      // What stays: a second reader, a bias that is far from whole units, scales along another axis, float results.
      {XW "%c = Conv(%a, %b)\n  %z = QuantizeLinear(%c, %s, %v)\n  %d = DequantizeLinear(%z, %s, %v)\n"
          "  %y = Add(%d, %c)\n",
       "DequantizeLinear DequantizeLinear Conv QuantizeLinear DequantizeLinear Add"},
      {XW "const %e: float[]{0.001}\n  const %h: float[2]{0.1, -0.02}\n  %c = Conv(%a, %b, %h)\n"
          "  %y = QuantizeLinear(%c, %e, %v)\n",
       "DequantizeLinear DequantizeLinear Conv QuantizeLinear"},
      {X "const %w: int8[2,4,1,1]{1, -2, 3, 4, -5, 6, 7, -8}\n  const %k: float[4]{0.5, 1, 1, 0.125}\n"
         "  %b = DequantizeLinear<axis=1>(%w, %k)\n  %c = Conv(%a, %b)\n  " Q,
       "DequantizeLinear DequantizeLinear Conv QuantizeLinear"},
      {XW "%y = Conv(%a, %b)\n", "DequantizeLinear DequantizeLinear Conv"},
      {X "%c = AveragePool<kernel_shape=[2, 2], dilations=[2, 1]>(%a)\n  %y = QuantizeLinear(%c, %t, %u)\n",
       "DequantizeLinear AveragePool QuantizeLinear"},
  };
  for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) becomes("fuse_quantized", rows[i][0], rows[i][1]);
}

#define CONV "QLinearConv(%x, %s, %u, %w, %k, %z, %s, %v)\n  "
#define OTHER "const %z: int8[]{0}\n  const %o: int8[2,2,6,6]{...}\n  %r = Relu(%o)\n  "
#define SUM "com.microsoft::QLinearAdd"

static void endings_of_convolutions(void **state) {
  static const char *const rows[][2] = {
      {W OTHER "%b = " CONV "%y = " SUM "(%b, %s, %v, %r, %t, %z, %s, %v)\n", "Relu FusedQLinearConv"},
      {W OTHER "%b = " CONV "%y = " SUM "(%r, %t, _, %b, %s, %v, %t)\n", "Relu FusedQLinearConv"},
      // What stays: numbers of another scale, a broadcast, a second reader, twice itself.
      {W OTHER "%b = " CONV "%y = " SUM "(%b, %t, %v, %r, %t, %z, %s, %v)\n", "Relu QLinearConv QLinearAdd"},
      {W OTHER "%b = " CONV "%y = " SUM "(%b, %s, %v, %z, %t, %z, %s, %v)\n", "QLinearConv QLinearAdd"},
      {W OTHER "%b = " CONV "%d = " SUM "(%b, %s, %v, %r, %t, %z, %s, %v)\n  %y = Concat<axis=1>(%d, %b)\n",
       "Relu QLinearConv QLinearAdd Concat"},
      {W OTHER "%b = " CONV "%y = " SUM "(%b, %s, %v, %b, %s, %v, %s, %v)\n", "QLinearConv QLinearAdd"},
  };
  for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) becomes("fuse_conv_endings", rows[i][0], rows[i][1]);
}

#define DYNAMIC                                                                                \
  "const %w: int8[6,2]{1, 2, 3, 4, 5, 6, 7, 8, -9, 10, -11, 12}\n  const %h: float[2]{1, 2}\n" \
  "  const %k: float[2]{0.5, 0.125}\n  %a, %b, %c = DynamicQuantizeLinear(%f)\n"               \
  "  %d = MatMulInteger(%a, %w, %c)\n  %e = Cast<to=1>(%d)\n  "

static void sums_that_are_scaled(void **state) {
  static const char *const rows[][2] = {
      {DYNAMIC "%g = Mul(%b, %s)\n  %i = Mul(%e, %g)\n  %y = Add(%h, %i)\n",
       "DynamicQuantizeLinear MatMulIntegerToFloat"},
      {DYNAMIC "%g = Mul(%k, %b)\n  %y = Mul(%g, %e)\n", "DynamicQuantizeLinear MatMulIntegerToFloat"},
      {DYNAMIC "%i = Mul(%e, %s)\n  %y = Add(%i, %h)\n", "DynamicQuantizeLinear MatMulIntegerToFloat"},
      {DYNAMIC "%g = Mul(%b, %s)\n  %i = Mul(%e, %g)\n  %y = Add(%s, %i)\n",
       "DynamicQuantizeLinear MatMulIntegerToFloat Add"},
      // What stays: a second reader, factors of every element.
      {DYNAMIC "%g = Mul(%b, %s)\n  %i = Mul(%e, %g)\n  %y = Add(%e, %i)\n",
       "DynamicQuantizeLinear MatMulInteger Cast Mul Mul Add"},
      {DYNAMIC "%y = Mul(%e, %e)\n", "DynamicQuantizeLinear MatMulInteger Cast Mul"},
  };
  for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) becomes("fuse_scaled_sums", rows[i][0], rows[i][1]);
}

// Values that are results of the graph, or that a body reads, stay what they are.
static void values_that_are_wanted(void **state) {
  leaves_alone("fuse_quantized",
               "graph(%x: uint8[2,4,6,6]) -> (%y, %c) {\n" PARAMETERS XW "%c = Conv(%a, %b)\n  " Q "}\n");
  leaves_alone("move_quantized", "graph(%f: float[2,4]) -> (%y, %a) {\n" PARAMETERS
                                 "  %a = Transpose(%f)\n  %y = QuantizeLinear(%a, %s, %u)\n}\n");
}

// As many channels as bytes: a table must not take their scales for its own.
static void scales_for_256_channels(void **state) {
  static const char source[] =
      "graph(%x: uint8[2,256]) -> (%y) {\n" PARAMETERS
      "  const %first: float[]{1}\n  const %end: float[]{257}\n  %k = Range(%first, %end, %first)\n"
      "  %a = DequantizeLinear(%x, %s, %u)\n  %y = QuantizeLinear(%a, %k)\n}\n";
  sdx_session *plain = rewrite_session(NULL, source), *rewritten = model_load(source, "threads=1");
  rewrite_same_numbers(plain, rewritten, 0, source);
  sdx_session_destroy(plain);
  sdx_session_destroy(rewritten);
}

// 16 bits, blocks and scales in another type are not bytes.
static void other_types(void **state) {
  static const char *const rows[] = {
      "const %i: int16[]{3}\n  %a = QuantizeLinear(%f, %s, %i)\n  %b = DequantizeLinear(%a, %s, %i)\n"
      "  %c = Relu(%b)\n  %d = Transpose(%c)\n  %y = QuantizeLinear(%d, %s, %i)\n",
      "const %k: float[2,4,6,2]{...}\n  %b = DequantizeLinear<axis=3, block_size=3>(%x, %k)\n  %d = Transpose(%b)\n"
      "  %y = QuantizeLinear(%d, %s, %u)\n",
      "const %k: float16[]{0.5}\n  %b = DequantizeLinear(%x, %k, %u)\n  %d = Transpose(%b)\n"
      "  %y = QuantizeLinear(%d, %k, %u)\n",
  };
  static const char *const passes_of_bytes[] = {"look_up", "fuse_quantized"};
  for (size_t i = 0; i < sizeof rows / sizeof *rows * 2; i++) {
    char source[1000];
    snprintf(source, sizeof source, "%s%s}\n", HEAD, rows[i / 2]);
    leaves_alone(passes_of_bytes[i % 2], source);
  }
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(bytes_are_moved),
      cmocka_unit_test(tables),
      cmocka_unit_test(sums_of_bytes),
      cmocka_unit_test(values_that_are_wanted),
      cmocka_unit_test(endings_of_convolutions),
      cmocka_unit_test(sums_that_are_scaled),
      cmocka_unit_test(other_types),
      cmocka_unit_test(scales_for_256_channels),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}

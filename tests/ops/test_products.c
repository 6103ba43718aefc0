// SPDX-License-Identifier: Apache-2.0
// Products, windows, resizing, quantisation, recurrences and the classical models: values that the suite of
// ONNX does not have, and the errors of bad attributes and inputs, which must name what is wrong.
#include "tests/ops/evaluate.h"

#define ZERO16 "0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0"
#define ZERO32 ZERO16 "," ZERO16

static void convolution(void **state) {
#define CONV(attrs, status, part)                                                                                   \
  fails("const %x: float[1,2,4,4]{" ZERO32 "}\nconst %w: float[2,2,2,2]{" ZERO16 "}\n%y = Conv<" attrs ">(%x, %w)", \
        status, part)
  CONV("group=0", SDX_INVALID_GRAPH, "'group' is 0");
  CONV("group=-1", SDX_INVALID_GRAPH, "'group' is -1");
  CONV("group=3", SDX_INVALID_SHAPE, "3 groups");
  CONV("strides=[0, 1]", SDX_INVALID_GRAPH, "'strides'[0] is 0");
  CONV("strides=[1]", SDX_INVALID_SHAPE, "rank");
  CONV("strides=[1, 1, 1]", SDX_INVALID_SHAPE, "rank");
  CONV("pads=[1, 1, 1]", SDX_INVALID_GRAPH, "'pads' has 3 entries");
  CONV("pads=[2305843009213693952, 0, 0, 0]", SDX_INVALID_GRAPH, "'pads'[0]");
  CONV("pads=[-1, 0, 0, 0]", SDX_INVALID_GRAPH, "'pads'[0] is -1");
  CONV("dilations=[2305843009213693952, 1]", SDX_INVALID_GRAPH, "'dilations'[0]");
  CONV("dilations=[4, 1]", SDX_INVALID_SHAPE, "spans 5 elements");
  CONV("kernel_shape=[3, 3]", SDX_INVALID_SHAPE, "'kernel_shape'[0] is 3");
  CONV("kernel_shape=[2, 2], strides=[1]", SDX_INVALID_GRAPH, "'strides' has 1 entries");
  CONV("auto_pad=\"SAME\"", SDX_INVALID_GRAPH, "'SAME'");
  fails("const %x: float[1,1,3]{1,2,3}\nconst %w: float[1,1,1,1]{1}\n%y = Conv(%x, %w)", SDX_INVALID_SHAPE,
        "spatial dimensions");
  fails("const %x: float[1,1,3]{1,2,3}\nconst %w: float[1,1,1]{1}\nconst %b: float[2]{1,2}\n%y = Conv(%x, %w, %b)",
        SDX_INVALID_SHAPE, "input 2 ('B') has 2 elements");
  GIVES(
      "const %x: float[1,1,3]{1,2,3}\nconst %w: float[1,1,2]{1,10}\nconst %b: float[1]{0.5}\n%y = Conv<pads=[1, "
      "0]>(%x, %w, %b)",
      "float[1,1,3]", 10.5, 21.5, 32.5);
  GIVES(
      "const %x: double[1,1,3]{1,2,3}\nconst %w: double[1,1,2]{1,10}\n%y = Conv<auto_pad=\"SAME_UPPER\", "
      "strides=[2]>(%x, %w)",
      "double[1,1,2]", 21, 3);
  GIVES(
      "const %x: float[1,1,2]{1,2}\nconst %w: float[1,1,1]{-1}\nconst %z: float[1,1,2]{1.5,1.5}\n%y = "
      "com.microsoft::FusedConv<activation=\"Relu\">(%x, %w, _, %z)",
      "float[1,1,2]", 0.5, 0);
  fails(
      "const %x: float[1,1,2]{1,2}\nconst %w: float[1,1,1]{1}\n%y = com.microsoft::FusedConv<activation=\"Relux\">(%x, "
      "%w)",
      SDX_INVALID_GRAPH, "'Relux'");
#define TRANSPOSE(attrs, status, part)                                                                                 \
  fails("const %x: float[1,1,2,2]{1,2,3,4}\nconst %w: float[1,1,2,2]{1,1,1,1}\n%y = ConvTranspose<" attrs ">(%x, %w)", \
        status, part)
  TRANSPOSE("output_padding=[4611686018427387904, 0]", SDX_INVALID_GRAPH, "'output_padding'[0]");
  TRANSPOSE("output_shape=[4611686018427387904, 1]", SDX_INVALID_GRAPH, "'output_shape'[0]");
  TRANSPOSE("output_shape=[1073741824, 1073741824]", SDX_NO_MEMORY, "");
  TRANSPOSE("pads=[3, 3, 3, 3]", SDX_INVALID_SHAPE, "output 0 ('Y') would have -3 in spatial dimension 0");
  TRANSPOSE("group=2", SDX_INVALID_SHAPE, "2 groups");
}

static void pooling(void **state) {
  // Windows that are nearly all padding: 2^60 taps, 4 elements.
#define HUGE_WINDOW(op)                          \
  "const %x: double[1,1,2,2]{1,2,3,4}\n%y = " op \
  "kernel_shape=[1073741824, 1073741824], "      \
  "pads=[1073741823, 1073741823, 1073741823, 1073741823], strides=[1073741824, 1073741824]>(%x)"
  GIVES(HUGE_WINDOW("MaxPool<"), "double[1,1,2,2]", 1, 2, 3, 4);
  GIVES(HUGE_WINDOW("AveragePool<"), "double[1,1,2,2]", 1, 2, 3, 4);
#define POOL(op, attrs, status, part) fails("const %x: float[1,1,4]{1,2,3,4}\n%y = " op "<" attrs ">(%x)", status, part)
  POOL("MaxPool", "kernel_shape=[0]", SDX_INVALID_GRAPH, "'kernel_shape'[0] is 0");
  POOL("MaxPool", "kernel_shape=[4611686018427387904]", SDX_INVALID_GRAPH, "'kernel_shape'[0]");
  POOL("MaxPool", "kernel_shape=ints[]", SDX_INVALID_GRAPH, "'kernel_shape' is empty");
  POOL("MaxPool", "kernel_shape=[2], pads=[1]", SDX_INVALID_GRAPH, "'pads' has 1 entries");
  POOL("AveragePool", "kernel_shape=[5]", SDX_INVALID_SHAPE, "spans 5");
  POOL("AveragePool", "kernel_shape=[2, 2]", SDX_INVALID_SHAPE, "rank 3, expected 4");
  POOL("LpPool", "kernel_shape=[2], p=0", SDX_INVALID_GRAPH, "'p' is 0");
  // The last window would start in the padding: it is dropped.
  GIVES("const %x: float[1,1,3]{1,2,3}\n%y = MaxPool<kernel_shape=[2], strides=[2], pads=[1, 1], ceil_mode=1>(%x)",
        "float[1,1,2]", 1, 3);
  GIVES("const %x: float[1,1,4]{1,2,3,4}\n%y = AveragePool<kernel_shape=[3], strides=[2], ceil_mode=1>(%x)",
        "float[1,1,2]", 2, 3.5);
  GIVES("const %x: float[1,1,3]{1,3,2}\n%v, %y = MaxPool<kernel_shape=[2]>(%x)", "int64[1,1,2]", 1, 1);
  // Pads as wide as the kernel: a window without data is defined.
  GIVES("const %x: float[1,1,1]{5}\n%y = MaxPool<kernel_shape=[1], pads=[1, 1]>(%x)", "float[1,1,3]", -INFINITY, 5,
        -INFINITY);
  GIVES("const %x: int8[1,1,3]{-5,7,-128}\n%y = MaxPool<kernel_shape=[2]>(%x)", "int8[1,1,2]", 7, 7);
  GIVES("const %x: float[1,2,0]{}\n%y = GlobalMaxPool(%x)", "float[1,2,1]", -INFINITY, -INFINITY);
}

static void products(void **state) {
  fails("const %a: float[2,3]{1,2,3,4,5,6}\n%y = MatMul(%a, %a)", SDX_INVALID_SHAPE, "inner dimensions differ");
  fails("const %a: float[]{1}\n%y = MatMul(%a, %a)", SDX_INVALID_SHAPE, "rank 0");
  fails("const %a: float[2,1,1]{1,2}\nconst %b: float[3,1,1]{1,2,3}\n%y = MatMul(%a, %b)", SDX_INVALID_SHAPE,
        "input 1 ('B') has batch dimension 3 at 0");
  GIVES("const %a: float[2,0]{}\nconst %b: float[0,2]{}\n%y = MatMul(%a, %b)", "float[2,2]", 0, 0, 0, 0);
  GIVES("const %a: int32[1]{2147483647}\nconst %b: int32[1,1]{2}\n%y = MatMul(%a, %b)", "int32[1]", -2);
  GIVES(
      "const %a: double[2,2]{1,2,3,4}\nconst %c: double[2,1]{10,20}\n%y = Gemm<transB=1, alpha=2.0, beta=0.5>(%a, %a, "
      "%c)",
      "double[2,2]", 15, 27, 32, 60);
  fails("const %a: float[2,2]{1,2,3,4}\nconst %c: float[3]{1,2,3}\n%y = Gemm(%a, %a, %c)", SDX_INVALID_SHAPE,
        "input 2 ('C') has 3 in dimension 0");
  GIVES("const %a: int64[2,2]{1,2,3,4}\n%y = Einsum<equation=\"ij,jk,kl->il\">(%a, %a, %a)", "int64[2,2]", 37, 54, 81,
        118);
  GIVES("const %a: int32[2,2]{1,2,3,4}\n%y = Einsum<equation=\"ii\">(%a)", "int32[]", 5);
  fails("const %a: float[2]{1,2}\n%y = Einsum<equation=\"i,i->ii\">(%a, %a)", SDX_INVALID_GRAPH, "repeats");
  fails("const %a: float[2]{1,2}\n%y = Einsum<equation=\"...i...->i\">(%a)", SDX_INVALID_GRAPH, "two ellipses");
  fails("const %a: float[2]{1,2}\n%y = Einsum<equation=\"i,i\">(%a)", SDX_INVALID_GRAPH, "2 terms");
  fails("const %a: float[2]{1,2}\nconst %b: float[3]{1,2,3}\n%y = Einsum<equation=\"i,i\">(%a, %b)", SDX_INVALID_SHAPE,
        "differs");
}

static void resizing(void **state) {
#define SCALES(value, status, part) \
  fails("const %x: float[1,4]{1,2,3,4}\nconst %s: float[2]{1," value "}\n%y = Resize(%x, _, %s)", status, part)
  SCALES("nan", SDX_INVALID_ARGUMENT, "('scales')[1] is nan");
  SCALES("inf", SDX_INVALID_ARGUMENT, "('scales')[1] is inf");
  SCALES("0", SDX_INVALID_ARGUMENT, "('scales')[1] is 0");
  SCALES("-2", SDX_INVALID_ARGUMENT, "('scales')[1] is -2");
  SCALES("1e9", SDX_NO_MEMORY, "");
  SCALES("1e30", SDX_LIMIT_EXCEEDED, "2^40");
  fails("const %x: float[4]{1,2,3,4}\n%y = Resize(%x)", SDX_INVALID_ARGUMENT, "neither");
  fails("const %x: float[4]{1,2,3,4}\nconst %s: float[1]{2}\nconst %n: int64[1]{8}\n%y = Resize(%x, _, %s, %n)",
        SDX_INVALID_ARGUMENT, "both");
  fails("const %x: float[4]{1,2,3,4}\nconst %s: float[2]{2,2}\n%y = Resize(%x, _, %s)", SDX_INVALID_SHAPE,
        "('scales') has 2 elements");
  fails("const %x: float[4]{1,2,3,4}\nconst %n: int64[1]{-8}\n%y = Resize(%x, _, _, %n)", SDX_OUT_OF_RANGE,
        "('sizes')[0] is -8");
  fails("const %x: float[4]{1,2,3,4}\nconst %s: float[2]{2,2}\n%y = Resize<axes=[0, 0]>(%x, _, %s)",
        SDX_INVALID_ARGUMENT, "axis 0 twice");
  fails(
      "const %x: float[4]{1,2,3,4}\nconst %s: float[1]{2}\nconst %r: float[1]{0}\n%y = "
      "Resize<coordinate_transformation_mode=\"tf_crop_and_resize\">(%x, %r, %s)",
      SDX_INVALID_SHAPE, "('roi') has 1 elements");
  fails("const %x: float[4]{1,2,3,4}\nconst %s: float[1]{2}\n%y = Resize<mode=\"cube\">(%x, _, %s)", SDX_INVALID_GRAPH,
        "'cube'");
  GIVES("const %x: float[1]{7}\nconst %n: int64[1]{3}\n%y = Resize<mode=\"cubic\">(%x, _, _, %n)", "float[3]", 7, 7, 7);
  GIVES("const %x: float[4]{1,2,3,4}\nconst %n: int64[1]{2}\n%y = Resize<mode=\"linear\", antialias=1>(%x, _, _, %n)",
        "float[2]", 1.625, 3.375);
  // The aspect is kept: axis 0 keeps its size by rounding 1.6 up, but is filtered by a scale of 0.8 all the same.
  GIVES(
      "const %x: float[2,5]{0,1,0,0,4,2,0,0,8,0}\nconst %n: int64[2]{2,4}\n%y = Resize<mode=\"cubic\", antialias=1, "
      "axes=[0, 1], cubic_coeff_a=-0.5, keep_aspect_ratio_policy=\"not_larger\">(%x, _, _, %n)",
      "float[2,4]", 0.489679, 0.430491, 0.783421, 3.011658, 1.684062, -0.580672, 5.372092, 1.816931);
  GIVES("const %x: float[2]{1,2}\nconst %s: float[1]{2}\n%y = Upsample<mode=\"linear\">(%x, %s)", "float[4]", 1, 1.5, 2,
        2);
}

static void quantising(void **state) {
#define QUANTIZE(x, scale, zero, attrs) \
  "const %x: float" x "\nconst %s: float" scale "\nconst %z: int8" zero "\n%y = QuantizeLinear<" attrs ">(%x, %s, %z)"
  GIVES(QUANTIZE("[3]{1,-2,0}", "[]{0}", "[]{0}", "axis=0"), "int8[3]", 127, -128, -128);
  GIVES(QUANTIZE("[2]{1,2}", "[]{nan}", "[]{0}", "axis=0"), "int8[2]", -128, -128);
  GIVES(QUANTIZE("[2]{1,2}", "[]{-1}", "[]{0}", "axis=0"), "int8[2]", -1, -2);
  fails(QUANTIZE("[2,2]{1,2,3,4}", "[2]{1,1}", "[2]{0,0}", "axis=2"), SDX_OUT_OF_RANGE, "axis");
  fails(QUANTIZE("[2,2]{1,2,3,4}", "[3]{1,1,1}", "[3]{0,0,0}", "axis=1"), SDX_INVALID_SHAPE,
        "the scale has 3 elements");
  fails(QUANTIZE("[2,2]{1,2,3,4}", "[2]{1,1}", "[1]{0}", "axis=1"), SDX_INVALID_SHAPE,
        "input 2 ('y_zero_point') has 1 in dimension 0");
  fails(QUANTIZE("[2,2]{1,2,3,4}", "[2,1]{1,1}", "[2,1]{0,0}", "block_size=-1"), SDX_INVALID_GRAPH,
        "'block_size' is -1");
  fails(QUANTIZE("[2,2]{1,2,3,4}", "[2,1]{1,1}", "[2,1]{0,0}", "axis=1"), SDX_INVALID_SHAPE, "without 'block_size'");
  fails(QUANTIZE("[2,5]{1,2,3,4,5,6,7,8,9,0}", "[2,2]{1,1,1,1}", "[2,2]{0,0,0,0}", "axis=1, block_size=2"),
        SDX_INVALID_SHAPE, "needs 3 scales");
  GIVES(QUANTIZE("[6]{0.5,1.5,-0.5,inf,-inf,nan}", "[]{1}", "[]{1}", "axis=0"), "int8[6]", 1, 3, 1, 127, -128, -128);
  // ONNX Runtime's calibration of an attention mask that holds -inf
  GIVES(QUANTIZE("[3]{1,-inf,-5}", "[]{inf}", "[]{100}", "axis=0"), "int8[3]", 100, -128, 100);
  GIVES(QUANTIZE("[1,3]{2,4,6}", "[1,2]{1,2}", "[1,2]{0,0}", "axis=1, block_size=2"), "int8[1,3]", 2, 4, 3);
  // The same roundings in short and long runs.
#define WIDE "16777217"
  GIVES("const %x: int32[1]{" WIDE "}\nconst %s: float[]{3}\n%y = DequantizeLinear(%x, %s)", "float[1]", 50331648);
  GIVES("const %x: int32[9]{" WIDE "," WIDE "," WIDE "," WIDE "," WIDE "," WIDE "," WIDE "," WIDE "," WIDE
        "}\nconst %s: float[]{3}\n%y = DequantizeLinear(%x, %s)",
        "float[9]", 50331648, 50331648, 50331648, 50331648, 50331648, 50331648, 50331648, 50331648, 50331648);
#undef WIDE
  GIVES("const %x: int4[3]{-8,7,1}\nconst %s: float[3]{1,2,0}\n%y = DequantizeLinear<axis=0>(%x, %s)", "float[3]", -8,
        14, 0);
#define NBITS(k, n, b, status, part)                                                                              \
  fails("const %a: float[1,16]{" ZERO16                                                                           \
        "}\nconst %b: uint8[1,1,8]{0,0,0,0,0,0,0,0}\nconst %s: float[1]{1}\n%y = com.microsoft::MatMulNBits<K=" k \
        ", N=" n ", block_size=" b ">(%a, %b, %s)",                                                               \
        status, part)
  NBITS("0", "1", "16", SDX_INVALID_GRAPH, "'K' is 0");
  NBITS("16", "2", "16", SDX_INVALID_SHAPE, "'B') has 8 elements");
  NBITS("16", "1", "24", SDX_INVALID_GRAPH, "'block_size' is 24");
  NBITS("17", "1", "16", SDX_INVALID_SHAPE, "has 8 elements");
  fails("const %a: float[1,16]{" ZERO16
        "}\nconst %b: uint8[1,1,8]{0,0,0,0,0,0,0,0}\nconst %s: float[1]{1}\nconst %g: "
        "int32[16]{0,1,0,0,0,0,0,0,0,0,0,0,0,0,0,0}\n%y = com.microsoft::MatMulNBits<K=16, N=1, block_size=16>(%a, %b, "
        "%s, _, %g)",
        SDX_OUT_OF_RANGE, "('g_idx')[1] is 1");
}

static void recurring(void **state) {
#define RNN(lengths, attrs)                                                                                        \
  "const %x: float[2,1,1]{1,2}\nconst %w: float[1,1,1]{1}\nconst %r: float[1,1,1]{1}\nconst %l: int32[1]{" lengths \
  "}\n_, %y = RNN<activations=[\"Affine\"]" attrs ">(%x, %w, %r, _, %l)"
  GIVES(RNN("2", ""), "float[1,1,1]", 3);
  GIVES(RNN("1", ""), "float[1,1,1]", 1);
  GIVES(RNN("2", ", direction=\"reverse\""), "float[1,1,1]", 3);
  GIVES(RNN("0", ""), "float[1,1,1]", 0);
  fails(RNN("3", ""), SDX_OUT_OF_RANGE, "('sequence_lens')[0] is 3");
  fails(RNN("-1", ""), SDX_OUT_OF_RANGE, "('sequence_lens')[0] is -1");
  fails(RNN("1", ", hidden_size=2"), SDX_INVALID_SHAPE, "'W'");
  fails(RNN("1", ", hidden_size=0"), SDX_INVALID_GRAPH, "'hidden_size' is 0");
  fails(RNN("1", ", direction=\"sideways\""), SDX_INVALID_GRAPH, "'sideways'");
  fails(RNN("1", ", direction=\"bidirectional\""), SDX_INVALID_GRAPH, "expected 2");
  fails(RNN("1", ", clip=nan"), SDX_INVALID_GRAPH, "'clip' is nan");
  fails(RNN("1", ", layout=2"), SDX_INVALID_GRAPH, "'layout' is 2");
#define LSTM(attrs, more)                                                                        \
  "const %x: float[1,1,1]{1}\nconst %w: float[1,4,1]{1,1,1,1}\nconst %p: float[1,2]{1,1}\n%y = " \
  "LSTM<hidden_size=1" attrs ">(%x, %w, %w" more ")"
  fails(LSTM(", activations=[\"Tanh\", \"Tanh\"]", ""), SDX_INVALID_GRAPH, "'activations' has 2 entries");
  fails(LSTM(", activations=[\"Tanh\", \"Tanh\", \"Nope\"]", ""), SDX_INVALID_GRAPH, "'Nope'");
  fails(LSTM("", ", _, _, _, _, %p"), SDX_INVALID_SHAPE, "'P'");
}

static void trees(void **state) {
#define TREE(node_ids, features, modes, yes, no, target)                                                               \
  "const %x: float[1,2]{1,2}\n%y = ai.onnx.ml::TreeEnsembleRegressor<nodes_treeids=[0, 0, 0], nodes_nodeids=" node_ids \
  ", nodes_featureids=" features ", nodes_modes=" modes ", nodes_values=[0.5, 0.0, 0.0], nodes_truenodeids=" yes       \
  ", nodes_falsenodeids=" no ", target_treeids=[0, 0], target_nodeids=[1, 2], target_ids=" target                      \
  ", target_weights=[10.0, 20.0]>(%x)"
#define USUAL "[\"BRANCH_LEQ\", \"LEAF\", \"LEAF\"]"
#define BRANCHES "[\"BRANCH_LEQ\", \"BRANCH_LEQ\", \"LEAF\"]"
  GIVES(TREE("[0, 1, 2]", "[0, 0, 0]", USUAL, "[1, 0, 0]", "[2, 0, 0]", "[0, 0]"), "float[1,1]", 20);
  fails(TREE("[0, 1, 1]", "[0, 0, 0]", USUAL, "[1, 0, 0]", "[2, 0, 0]", "[0, 0]"), SDX_INVALID_GRAPH,
        "node 1 of tree 0 twice");
  fails(TREE("[0, 1, 2]", "[0, 0, 0]", USUAL, "[1, 0, 0]", "[7, 0, 0]", "[0, 0]"), SDX_INVALID_GRAPH,
        "is 7, which is no node");
  fails(TREE("[0, 1, 2]", "[0, 0, 0]", USUAL, "[1, 0, 0]", "[1, 0, 0]", "[0, 0]"), SDX_INVALID_GRAPH, "twice");
  fails(TREE("[0, 1, 2]", "[0, 0, 0]", BRANCHES, "[1, 0, 0]", "[2, 2, 0]", "[0, 0]"), SDX_INVALID_GRAPH, "");
  fails(TREE("[0, 1, 2]", "[0, 1, 0]", BRANCHES, "[1, 1, 0]", "[2, 2, 0]", "[0, 0]"), SDX_INVALID_GRAPH, "");
  fails(TREE("[0, 1, 2]", "[-1, 0, 0]", USUAL, "[1, 0, 0]", "[2, 0, 0]", "[0, 0]"), SDX_INVALID_GRAPH,
        "'nodes_featureids'[0] is -1");
  fails(TREE("[0, 1, 2]", "[4294967296, 0, 0]", USUAL, "[1, 0, 0]", "[2, 0, 0]", "[0, 0]"), SDX_INVALID_GRAPH,
        "'nodes_featureids'[0]");
  fails(TREE("[0, 1, 2]", "[2, 0, 0]", USUAL, "[1, 0, 0]", "[2, 0, 0]", "[0, 0]"), SDX_INVALID_SHAPE,
        "reads feature 2");
  fails(TREE("[0, 1, 2]", "[0, 0, 0]", "[\"BRANCH_XY\", \"LEAF\", \"LEAF\"]", "[1, 0, 0]", "[2, 0, 0]", "[0, 0]"),
        SDX_INVALID_GRAPH, "'BRANCH_XY'");
  fails(TREE("[0, 1, 2]", "[0, 0, 0]", USUAL, "[1, 0, 0]", "[2, 0, 0]", "[0, 9]"), SDX_INVALID_GRAPH,
        "'target_ids'[1] is 9");
  fails(TREE("[0, 1]", "[0, 0, 0]", USUAL, "[1, 0, 0]", "[2, 0, 0]", "[0, 0]"), SDX_INVALID_GRAPH,
        "'nodes_nodeids' has 2 entries");
}

static void classical(void **state) {
#define ROW "const %x: float[1,2]{1,2}\n%y = ai.onnx.ml::"
  fails(ROW "LinearRegressor<coefficients=[1.0, 2.0, 3.0], targets=2>(%x)", SDX_INVALID_GRAPH,
        "'coefficients' has 3 entries");
  fails(ROW "LinearRegressor<coefficients=[1.0, 2.0, 3.0]>(%x)", SDX_INVALID_SHAPE, "input 0 ('X') has 2 columns");
  fails(ROW "LinearRegressor<coefficients=[1.0, 2.0], targets=0>(%x)", SDX_INVALID_GRAPH, "'targets' is 0");
  fails("const %x: float[1,2]{1,2}\n%y, %z = ai.onnx.ml::LinearClassifier<coefficients=[1.0, 2.0]>(%x)",
        SDX_INVALID_GRAPH, "missing or empty");
  fails(ROW "Scaler<offset=[1.0, 2.0, 3.0]>(%x)", SDX_INVALID_SHAPE, "3 offsets");
  fails(ROW "Normalizer<norm=\"L3\">(%x)", SDX_INVALID_GRAPH, "'L3'");
  fails(ROW "Imputer(%x)", SDX_INVALID_GRAPH, "none is given");
  fails(ROW "OneHotEncoder(%x)", SDX_INVALID_GRAPH, "missing or empty");
  fails(ROW "LabelEncoder<keys_floats=[1.0], values_int64s=[1, 2]>(%x)", SDX_INVALID_GRAPH, "there are 1 keys");
  fails(ROW "SVMRegressor<coefficients=[1.0], rho=[0.0], kernel_type=\"CUBIC\">(%x)", SDX_INVALID_GRAPH, "'CUBIC'");
  fails(ROW "SVMRegressor<coefficients=[1.0], rho=[0.0], n_supports=3, support_vectors=[1.0, 2.0]>(%x)",
        SDX_INVALID_GRAPH, "'support_vectors' has 2 entries");
  fails(ROW "ZipMap<classlabels_int64s=[1]>(%x)", SDX_INVALID_SHAPE, "2 columns, but there are 1 class labels");
  fails("const %x: float[1,2]{1,2}\nconst %i: int64[1]{2}\n%y = ai.onnx.ml::ArrayFeatureExtractor(%x, %i)",
        SDX_OUT_OF_RANGE, "('Y')[0] is 2, expected 0 to 1");
  GIVES(ROW "LinearRegressor<coefficients=[1.0, 2.0], intercepts=[0.5]>(%x)", "float[1,1]", 5.5);
  GIVES(ROW "SVMRegressor<coefficients=[1.0, 2.0], rho=[0.5]>(%x)", "float[1,1]", 5.5);
}

static void sampling(void **state) {
  GIVES(
      "const %x: float[1,1,1,2]{1,3}\nconst %g: float[1,1,3,2]{nan,0,1e30,0,0,0}\n%y = "
      "GridSample<padding_mode=\"reflection\">(%x, %g)",
      "float[1,1,1,3]", 1, 1, 2);
  fails(
      "const %x: float[1,1,2,2]{1,2,3,4}\nconst %r: float[1,4]{0,0,1,1}\nconst %b: int64[1]{1}\n%y = RoiAlign(%x, %r, "
      "%b)",
      SDX_OUT_OF_RANGE, "('batch_indices')[0] is 1");
  fails(
      "const %x: float[1,1,2,2]{1,2,3,4}\nconst %r: float[1,4]{0,0,nan,1}\nconst %b: int64[1]{0}\n%y = RoiAlign(%x, "
      "%r, %b)",
      SDX_INVALID_ARGUMENT, "('rois')[0] is not finite");
  fails(
      "const %x: float[1,1,2,2]{1,2,3,4}\nconst %r: float[1,4]{0,0,1e9,1e9}\nconst %b: int64[1]{0}\n%y = RoiAlign(%x, "
      "%r, %b)",
      SDX_LIMIT_EXCEEDED, "samples a bin");
  fails(
      "const %x: float[1,1,1,1]{1}\nconst %i: int64[1,1,1,1]{1099511627776}\n%y = MaxUnpool<kernel_shape=[2, 2]>(%x, "
      "%i)",
      SDX_OUT_OF_RANGE, "1099511627776");
  fails("const %x: float[1,4,2]{1,2,3,4,5,6,7,8}\nconst %s: int64[2]{2,2}\n%y = Col2Im(%x, %s, %s)", SDX_INVALID_SHAPE,
        "1 blocks fit");
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(convolution), cmocka_unit_test(pooling),    cmocka_unit_test(products),
      cmocka_unit_test(resizing),    cmocka_unit_test(quantising), cmocka_unit_test(recurring),
      cmocka_unit_test(trees),       cmocka_unit_test(classical),  cmocka_unit_test(sampling),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}

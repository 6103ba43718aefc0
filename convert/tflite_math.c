// SPDX-License-Identifier: Apache-2.0
// Operators that compute element by element or along axes.
#include <string.h>

#include "convert/tflite.h"

static void unary(tflite_op *op) { tflite_set(op, 0, tflite_node(op, op->kind->op, SDX_REFS(tflite_get(op, 0)))); }

// kind->op ends in '+' where the options begin with a fused activation.
static void binary(tflite_op *op) {
  char what[30];
  size_t size = strcspn(op->kind->op, "+");
  memcpy(what, op->kind->op, size);
  what[size] = 0;
  sdx_ref a = tflite_get(op, 0), b = tflite_get(op, 1);
  if (!a || !b) return;
  sdx_ref y = tflite_node(op, what, SDX_REFS(a, b));
  tflite_set(op, 0, op->kind->op[size] ? tflite_activated(op, y, 0) : y);
}

static void many(tflite_op *op) {
  sdx_ref *refs = arena_array(op->t->c->memory, op->in.count + 1, sizeof *refs);
  for (size_t i = 0; refs && i < op->in.count; i++)
    if (!(refs[i] = tflite_get(op, i))) return;
  if (refs) tflite_set(op, 0, tflite_node(op, op->kind->op, op->in.count, refs));
}

static void compare(tflite_op *op) {
  sdx_ref a = tflite_get(op, 0), b = tflite_get(op, 1);
  if (!a || !b) return;
  bool negated = !strcmp(op->kind->op, "NotEqual");
  sdx_ref y = tflite_node(op, negated ? "Equal" : op->kind->op, SDX_REFS(a, b));
  tflite_set_raw(op, 0, negated ? tflite_node(op, "Not", SDX_REFS(y)) : y);
}

static void clip(tflite_op *op) {
  bool six = *op->kind->op == '6';
  sdx_ref low = sdx_graph_add_scalar(op->g, SDX_FLOAT, six ? 0 : -1),
          high = sdx_graph_add_scalar(op->g, SDX_FLOAT, six ? 6 : 1);
  tflite_set(op, 0, tflite_node(op, "Clip", SDX_REFS(tflite_get(op, 0), low, high)));
}

static void rsqrt(tflite_op *op) {
  tflite_set(op, 0, tflite_node(op, "Reciprocal", SDX_REFS(tflite_node(op, "Sqrt", SDX_REFS(tflite_get(op, 0))))));
}

static void square(tflite_op *op) {
  sdx_ref x = tflite_get(op, 0);
  tflite_set(op, 0, tflite_node(op, "Mul", SDX_REFS(x, x)));
}

static void squared_difference(tflite_op *op) {
  sdx_ref a = tflite_get(op, 0), b = tflite_get(op, 1), d = tflite_node(op, "Sub", SDX_REFS(a, b));
  tflite_set(op, 0, tflite_node(op, "Mul", SDX_REFS(d, d)));
}

static void floor_of_quotient(tflite_op *op) {
  const tflite_tensor *x = tflite_in(op, 0);
  sdx_ref a = tflite_get(op, 0), b = tflite_get(op, 1);
  if (!a || !b) return;
  sdx_dtype dtype = x->scales || x->dtype == SDX_FLOAT16 ? SDX_FLOAT : x->dtype;
  tflite_set(op, 0, (*op->kind->op == 'm' ? node_floor_mod : node_floor_div)(op->t->c, NULL, a, b, dtype));
}

static void leaky_relu(tflite_op *op) {
  sdx_ref y = tflite_node(op, "LeakyRelu", SDX_REFS(tflite_get(op, 0)));
  if (y) sdx_graph_set_float(op->g, "alpha", flat_float_field(&op->options, 0, 0));
  tflite_set(op, 0, y);
}

static void hard_swish(tflite_op *op) {
  sdx_ref x = tflite_get(op, 0), y = tflite_node(op, "HardSigmoid", SDX_REFS(x));
  if (y) sdx_graph_set_float(op->g, "alpha", 1.0f / 6);
  tflite_set(op, 0, tflite_node(op, "Mul", SDX_REFS(y, x)));
}

static void gelu(tflite_op *op) {
  sdx_ref x = tflite_get(op, 0), y;
  if (sdx_builder_opset(op->t->c->builder, "") < 20) {
    tflite_fail(op, SDX_NOT_SUPPORTED, "--opset 20 or newer", "Gelu is an operator of opset 20");
    return;
  }
  y = tflite_node(op, "Gelu", SDX_REFS(x));
  if (y && tflite_option(op, 0, 1, 0)) sdx_graph_set_string(op->g, "approximate", "tanh");
  tflite_set(op, 0, y);
}

static void softmax(tflite_op *op) {
  bool log = *op->kind->op == 'L';
  float beta = log ? 1 : flat_float_field(&op->options, 0, 1);
  sdx_ref x = tflite_get(op, 0);
  if (x && beta != 1.0f) x = tflite_node(op, "Mul", SDX_REFS(x, sdx_graph_add_scalar(op->g, SDX_FLOAT, (double)beta)));
  x = tflite_node(op, op->kind->op, SDX_REFS(x));
  if (x) sdx_graph_set_int(op->g, "axis", -1);
  tflite_set(op, 0, x);
}

static void prelu(tflite_op *op) {
  sdx_ref x = tflite_get(op, 0), slope = tflite_get(op, 1);
  if (x && slope) tflite_set(op, 0, tflite_node(op, "PRelu", SDX_REFS(x, slope)));
}

static void l2_normalization(tflite_op *op) {
  sdx_ref x = tflite_get(op, 0), square = tflite_node(op, "Mul", SDX_REFS(x, x));
  sdx_ref axis = sdx_graph_add_ints(op->g, 1, (int64_t[]){-1});
  sdx_ref sum = tflite_node(op, "ReduceSum", SDX_REFS(square, axis)),
          least = sdx_graph_add_scalar(op->g, SDX_FLOAT, 1e-12);
  sdx_ref length = tflite_node(op, "Sqrt", SDX_REFS(tflite_node(op, "Max", SDX_REFS(sum, least))));
  tflite_set(op, 0, tflite_activated(op, tflite_node(op, "Div", SDX_REFS(x, length)), 0));
}

static void reduce(tflite_op *op) {
  int64_t axes[TFLITE_RANK], at;
  size_t count;
  const tflite_tensor *x = tflite_in(op, 0);
  if (!x || !tflite_ints(op, 1, axes, TFLITE_RANK, &count)) {
    tflite_fail(op, SDX_NOT_SUPPORTED, NULL, "axes that are computed");
    return;
  }
  for (size_t i = 0; i < count; i++) {
    if (!tflite_axis(op, axes[i], x->rank, &at)) return;
    axes[i] = at;
  }
  bool any = !strcmp(op->kind->op, "any");
  sdx_ref y = tflite_get(op, 0);
  const char *what = any ? "ReduceMax" : op->kind->op;
  if (any) y = node_cast(op->t->c, y, SDX_INT32);
  if (node_axes_are_inputs(op->t->c, what)) {
    y = tflite_node(op, what, SDX_REFS(y, sdx_graph_add_ints(op->g, count, axes)));
  } else {
    y = tflite_node(op, what, SDX_REFS(y));
    if (y) sdx_graph_set_ints(op->g, "axes", count, axes);
  }
  if (!y) return;
  sdx_graph_set_int(op->g, "keepdims", tflite_option(op, 0, 1, 0) != 0);
  tflite_set(op, 0, any ? node_cast(op->t->c, y, SDX_BOOL) : y);
}

static void arg(tflite_op *op) {
  int64_t axis[1], at;
  size_t count = 0;
  const tflite_tensor *x = tflite_in(op, 0), *out = tflite_out(op, 0);
  if (!x || !out || !tflite_ints(op, 1, axis, 1, &count) || !count) {
    tflite_fail(op, SDX_NOT_SUPPORTED, NULL, "an axis that is computed");
    return;
  }
  if (!tflite_axis(op, *axis, x->rank, &at)) return;
  sdx_ref y = tflite_node(op, op->kind->op, SDX_REFS(tflite_get(op, 0)));
  if (!y) return;
  sdx_graph_set_int(op->g, "axis", at);
  sdx_graph_set_int(op->g, "keepdims", 0);
  tflite_set_raw(op, 0, out->dtype == SDX_INT64 ? y : node_cast(op->t->c, y, out->dtype));
}

static void cumsum(tflite_op *op) {
  sdx_ref x = tflite_get(op, 0), axis = tflite_raw(op, 1);
  if (!x || !axis) return;
  sdx_ref y = tflite_node(op, "CumSum", SDX_REFS(x, axis));
  sdx_graph_set_int(op->g, "exclusive", tflite_option(op, 0, 1, 0));
  sdx_graph_set_int(op->g, "reverse", tflite_option(op, 1, 1, 0));
  tflite_set(op, 0, y);
}

static void select(tflite_op *op) {
  sdx_ref c = tflite_raw(op, 0), a = tflite_get(op, 1), b = tflite_get(op, 2);
  if (c && a && b) tflite_set(op, 0, tflite_node(op, "Where", SDX_REFS(c, a, b)));
}

// Between types of numbers, and between quantised and float, which reading and writing a tensor does.
static void cast(tflite_op *op) {
  const tflite_tensor *x = tflite_in(op, 0), *out = tflite_out(op, 0);
  if (!x || !out) return;
  sdx_ref y = tflite_get(op, 0);
  sdx_dtype from = x->scales || x->dtype == SDX_FLOAT16 ? SDX_FLOAT : x->dtype;
  sdx_dtype to = out->scales ? SDX_FLOAT : out->dtype;
  if (y) tflite_set(op, 0, from == to ? y : node_cast(op->t->c, y, to));
}

static void local_response(tflite_op *op) {
  const tflite_tensor *x = tflite_in(op, 0);
  int64_t size = 2 * tflite_option(op, 0, 4, 0) + 1;
  if (!x || x->rank != 4) {
    tflite_fail(op, SDX_INVALID_MODEL, NULL, "expected an input of rank 4");
    return;
  }
  sdx_ref y = tflite_node(op, "LRN", SDX_REFS(tflite_to_first(op, tflite_get(op, 0), 4)));
  if (!y) return;
  sdx_graph_set_int(op->g, "size", size);
  sdx_graph_set_float(op->g, "bias", flat_float_field(&op->options, 1, 0));
  sdx_graph_set_float(op->g, "alpha", flat_float_field(&op->options, 2, 0) * (float)size);
  sdx_graph_set_float(op->g, "beta", flat_float_field(&op->options, 3, 0));
  tflite_set(op, 0, tflite_to_last(op, y, 4));
}

const tflite_kind tflite_math_kinds[] = {
    {0, "ADD", binary, "Add+"},
    {6, "DEQUANTIZE", cast, NULL},
    {8, "FLOOR", unary, "Floor"},
    {11, "L2_NORMALIZATION", l2_normalization, NULL},
    {13, "LOCAL_RESPONSE_NORMALIZATION", local_response, NULL},
    {14, "LOGISTIC", unary, "Sigmoid"},
    {18, "MUL", binary, "Mul+"},
    {19, "RELU", unary, "Relu"},
    {20, "RELU_N1_TO_1", clip, "1"},
    {21, "RELU6", clip, "6"},
    {25, "SOFTMAX", softmax, "Softmax"},
    {28, "TANH", unary, "Tanh"},
    {40, "MEAN", reduce, "ReduceMean"},
    {41, "SUB", binary, "Sub+"},
    {42, "DIV", binary, "Div+"},
    {47, "EXP", unary, "Exp"},
    {50, "LOG_SOFTMAX", softmax, "LogSoftmax"},
    {53, "CAST", cast, NULL},
    {54, "PRELU", prelu, NULL},
    {55, "MAXIMUM", binary, "Max"},
    {56, "ARG_MAX", arg, "ArgMax"},
    {57, "MINIMUM", binary, "Min"},
    {58, "LESS", compare, "Less"},
    {59, "NEG", unary, "Neg"},
    {61, "GREATER", compare, "Greater"},
    {62, "GREATER_EQUAL", compare, "GreaterOrEqual"},
    {63, "LESS_EQUAL", compare, "LessOrEqual"},
    {64, "SELECT", select, NULL},
    {66, "SIN", unary, "Sin"},
    {71, "EQUAL", compare, "Equal"},
    {72, "NOT_EQUAL", compare, "NotEqual"},
    {73, "LOG", unary, "Log"},
    {74, "SUM", reduce, "ReduceSum"},
    {75, "SQRT", unary, "Sqrt"},
    {76, "RSQRT", rsqrt, NULL},
    {78, "POW", binary, "Pow"},
    {79, "ARG_MIN", arg, "ArgMin"},
    {81, "REDUCE_PROD", reduce, "ReduceProd"},
    {82, "REDUCE_MAX", reduce, "ReduceMax"},
    {84, "LOGICAL_OR", binary, "Or"},
    {86, "LOGICAL_AND", binary, "And"},
    {87, "LOGICAL_NOT", unary, "Not"},
    {89, "REDUCE_MIN", reduce, "ReduceMin"},
    {90, "FLOOR_DIV", floor_of_quotient, "div"},
    {91, "REDUCE_ANY", reduce, "any"},
    {92, "SQUARE", square, NULL},
    {95, "FLOOR_MOD", floor_of_quotient, "mod"},
    {98, "LEAKY_RELU", leaky_relu, NULL},
    {99, "SQUARED_DIFFERENCE", squared_difference, NULL},
    {101, "ABS", unary, "Abs"},
    {104, "CEIL", unary, "Ceil"},
    {106, "ADD_N", many, "Sum"},
    {108, "COS", unary, "Cos"},
    {111, "ELU", unary, "Elu"},
    {114, "QUANTIZE", cast, NULL},
    {116, "ROUND", unary, "Round"},
    {117, "HARD_SWISH", hard_swish, NULL},
    {123, "SELECT_V2", select, NULL},
    {128, "CUMSUM", cumsum, NULL},
    {150, "GELU", gelu, NULL},
    {0},
};

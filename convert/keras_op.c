// SPDX-License-Identifier: Apache-2.0
// Functions: operations of keras.ops (a class each) and TensorFlow functions that Keras 2 wraps (TFOpLambda), by either
// name. Their options are arguments of the call or of the configuration.
#include <string.h>

#include "convert/keras_op.h"

// ---- one and two operands ---------------------------------------------------------------------------

static void unary(keras_call *call) {
  keras_tensor x = call->in[0];
  if (!keras_is_float(x.dtype) && strcmp(call->emit_kind->op, "Abs") && strcmp(call->emit_kind->op, "Neg") &&
      strcmp(call->emit_kind->op, "Sign") && strcmp(call->emit_kind->op, "Not") &&
      strcmp(call->emit_kind->op, "Identity"))
    x = keras_cast(call, x, SDX_FLOAT);
  keras_tensor y = keras_apply(call, call->emit_kind->op, NULL, x);
  if (!strcmp(call->emit_kind->op, "IsNaN") || !strcmp(call->emit_kind->op, "IsInf")) y.dtype = SDX_BOOL;
  keras_give(call, y);
}

static bool two(keras_call *call, keras_tensor *a, keras_tensor *b) {
  sdx_dtype like = call->in[0].dtype;
  if (!keras_op_operand(call, 0, "x1", "x", like, a) || !keras_op_operand(call, 1, "x2", "y", like, b)) return false;
  if (a->dtype == b->dtype) return true;
  bool to_b = (keras_is_float(b->dtype) && !keras_is_float(a->dtype)) || a->dtype == SDX_BOOL ||
              b->dtype == SDX_DOUBLE || (b->dtype == SDX_INT64 && !keras_is_float(a->dtype)) ||
              (b->dtype == SDX_FLOAT && a->dtype == SDX_FLOAT16);
  if (to_b) *a = keras_cast(call, *a, b->dtype);
  else *b = keras_cast(call, *b, a->dtype);
  return true;
}

static void binary(keras_call *call) {
  keras_tensor a, b;
  if (!two(call, &a, &b)) return;
  keras_give(call, keras_binary(call, call->emit_kind->op, NULL, a, b));
}

static void divide(keras_call *call) {
  keras_tensor a, b;
  if (!two(call, &a, &b)) return;
  if (!keras_is_float(a.dtype)) a = keras_cast(call, a, SDX_FLOAT), b = keras_cast(call, b, SDX_FLOAT);
  keras_tensor y = keras_binary(call, "Div", *call->emit_kind->op ? "quotient" : NULL, a, b);
  keras_give(call, *call->emit_kind->op ? keras_apply(call, call->emit_kind->op, NULL, y) : y);
}

static void modulo(keras_call *call) {
  keras_tensor a, b;
  if (!two(call, &a, &b)) return;
  keras_tensor y;
  if (!keras_broadcast(call, a, b, &y)) return;
  y.dtype = a.dtype;
  y.mask = a.mask;
  y.ref = node_floor_mod(call->k->c, NULL, a.ref, b.ref, a.dtype);
  keras_give(call, y);
}

static void compare(keras_call *call) {
  keras_tensor a, b;
  if (!two(call, &a, &b)) return;
  bool negated = !strcmp(call->emit_kind->op, "NotEqual");
  keras_tensor y = keras_binary(call, negated ? "Equal" : call->emit_kind->op, negated ? "equal" : NULL, a, b);
  y.dtype = SDX_BOOL;
  keras_give(call, negated ? keras_apply(call, "Not", NULL, y) : y);
}

static void logical(keras_call *call) {
  keras_tensor a, b;
  if (!keras_op_operand(call, 0, "x1", "x", SDX_BOOL, &a) || !keras_op_operand(call, 1, "x2", "y", SDX_BOOL, &b))
    return;
  keras_give(call, keras_binary(call, call->emit_kind->op, NULL, keras_cast(call, a, SDX_BOOL),
                                keras_cast(call, b, SDX_BOOL)));
}

static void squared_difference(keras_call *call) {
  keras_tensor a, b;
  if (!two(call, &a, &b)) return;
  keras_tensor d = keras_binary(call, "Sub", "difference", a, b);
  keras_give(call, keras_like(d, keras_node(call, "Mul", NULL, SDX_REFS(d.ref, d.ref))));
}

static void square(keras_call *call) {
  keras_tensor x = call->in[0];
  keras_give(call, keras_like(x, keras_node(call, "Mul", NULL, SDX_REFS(x.ref, x.ref))));
}

static void rsqrt(keras_call *call) {
  keras_give(call, keras_apply(call, "Reciprocal", NULL, keras_apply(call, "Sqrt", "sqrt", call->in[0])));
}

static void log_of(keras_call *call) {
  keras_tensor x = call->in[0];
  const char *op = call->emit_kind->op;
  if (!keras_is_float(x.dtype)) x = keras_cast(call, x, SDX_FLOAT);
  if (!strcmp(op, "1p")) x = keras_scale(call, "Add", "plus_one", x, 1);
  x = keras_apply(call, "Log", *op ? "log" : NULL, x);
  if (!strcmp(op, "2")) x = keras_scale(call, "Div", NULL, x, 0.6931471805599453);
  if (!strcmp(op, "10")) x = keras_scale(call, "Div", NULL, x, 2.302585092994046);
  keras_give(call, x);
}

static void exp_minus_one(keras_call *call) {
  keras_give(call, keras_scale(call, "Sub", NULL, keras_apply(call, "Exp", "exp", call->in[0]), 1));
}

static bool bound(keras_call *call, size_t place, const char *name, const char *other, sdx_dtype like,
                  keras_tensor *t) {
  const json_t *fixed = json_object_get(call->config, name);
  return fixed ? keras_op_constant(call, fixed, like, t) : keras_op_operand(call, place, name, other, like, t);
}

static void clip(keras_call *call) {
  keras_tensor x = call->in[0], low, high;
  if (!bound(call, 1, "x_min", "clip_value_min", x.dtype, &low) ||
      !bound(call, 2, "x_max", "clip_value_max", x.dtype, &high))
    return;
  keras_give(call, keras_like(x, keras_node(call, "Clip", NULL, SDX_REFS(x.ref, low.ref, high.ref))));
}

static void where(keras_call *call) {
  keras_tensor c, a, b, y;
  sdx_dtype like = call->in_count > 1 ? call->in[1].dtype : SDX_FLOAT;
  if (!keras_op_operand(call, 0, "condition", "condition", SDX_BOOL, &c) ||
      !keras_op_operand(call, 1, "x1", "x", like, &a) || !keras_op_operand(call, 2, "x2", "y", a.dtype, &b))
    return;
  if (a.dtype != b.dtype) {
    if (keras_op_is_tensor(call, 2, "x2", "y") && !keras_op_is_tensor(call, 1, "x1", "x"))
      a = keras_cast(call, a, b.dtype);
    else b = keras_cast(call, b, a.dtype);
  }
  c = keras_cast(call, c, SDX_BOOL);
  if (!keras_broadcast(call, a, b, &y) || !keras_broadcast(call, y, c, &y)) return;
  y.dtype = a.dtype;
  keras_give(call, keras_like(y, keras_node(call, "Where", NULL, SDX_REFS(c.ref, a.ref, b.ref))));
}

static void cast(keras_call *call) {
  const json_t *j = keras_op_option(call, 1, "dtype");
  const char *name = json_string_value(json_is_object(j) ? json_object_get(j, "config") : j);
  sdx_dtype to = keras_dtype(name);
  if (to == SDX_UNDEFINED || to == SDX_STRING)
    keras_fail(call, SDX_NOT_SUPPORTED, NULL, "the type '%s' is not known", name ? name : "");
  else if (call->in[0].dtype == to) keras_give(call, call->in[0]);
  else keras_give(call, keras_cast(call, call->in[0], to));
}

// ---- over axes --------------------------------------------------------------------------------------

static void reduce(keras_call *call) {
  keras_tensor x = call->in[0];
  int64_t axes[KERAS_RANK];
  size_t count;
  const char *op = call->emit_kind->op;
  bool logical = !strcmp(op, "all") || !strcmp(op, "any");
  if (!keras_op_read_axes(call, &x, keras_op_option(call, 1, "axis"), axes, &count)) return;
  bool keep = json_is_true(keras_op_option(call, 2, "keepdims"));
  if (logical) x = keras_cast(call, x, SDX_INT32);
  else if (!keras_is_float(x.dtype) && !strcmp(op, "ReduceMean")) x = keras_cast(call, x, SDX_FLOAT);
  keras_tensor y =
      keras_reduce(call, logical ? (*op == 'a' && op[1] == 'l' ? "ReduceMin" : "ReduceMax") : op, x, count, axes, keep);
  keras_give(call, logical ? keras_cast(call, y, SDX_BOOL) : y);
}

static void variance(keras_call *call) {
  keras_tensor x = call->in[0];
  int64_t axes[KERAS_RANK];
  size_t count;
  if (!keras_op_read_axes(call, &x, keras_op_option(call, 1, "axis"), axes, &count)) return;
  keras_tensor mean = keras_reduce(call, "ReduceMean", x, count, axes, true);
  keras_tensor d = keras_like(x, keras_node(call, "Sub", "centered", SDX_REFS(x.ref, mean.ref)));
  d.ref = keras_node(call, "Mul", "square", SDX_REFS(d.ref, d.ref));
  keras_tensor v = keras_reduce(call, "ReduceMean", d, count, axes, json_is_true(keras_op_option(call, 2, "keepdims")));
  keras_give(call, *call->emit_kind->op ? keras_apply(call, "Sqrt", NULL, v) : v);
}

static void arg(keras_call *call) {
  keras_tensor x = call->in[0];
  size_t at = 0;
  const json_t *axis = keras_op_option(call, 1, "axis");
  if (!axis && !call->by_place) axis = keras_op_option(call, 1, "dimension");
  if (!json_is_integer(axis) && call->by_place) {
    x = keras_reshape(call, x, 1, (int64_t[]){-1}, (int64_t[]){-1});
  } else if (!keras_axis(call, &x, keras_op_whole(axis, 0), &at)) {
    return;
  }
  keras_tensor y = keras_apply(call, call->emit_kind->op, NULL, x);
  bool keep = json_is_true(keras_op_option(call, 2, "keepdims"));
  sdx_graph_set_int(call->k->graph, "axis", (int64_t)at);
  sdx_graph_set_int(call->k->graph, "keepdims", keep);
  y.dtype = SDX_INT64;
  if (!keep) {
    y.rank--;
    memmove(y.shape + at, y.shape + at + 1, (y.rank - at) * sizeof *y.shape);
  } else {
    y.shape[at] = 1;
  }
  keras_give(call, keras_cast(call, y, call->by_place ? SDX_INT32 : SDX_INT64));
}

static void cumulative(keras_call *call) {
  keras_tensor x = call->in[0];
  size_t at;
  if (!keras_axis(call, &x, keras_op_whole(keras_op_option(call, 1, "axis"), 0), &at)) return;
  sdx_ref axis = sdx_graph_add_scalar(call->k->graph, SDX_INT64, (double)at);
  x.ref = keras_node(call, "CumSum", NULL, SDX_REFS(x.ref, axis));
  sdx_graph_set_int(call->k->graph, "exclusive", json_is_true(keras_op_option(call, 2, "exclusive")));
  sdx_graph_set_int(call->k->graph, "reverse", json_is_true(keras_op_option(call, 3, "reverse")));
  keras_give(call, x);
}

static void normalize(keras_call *call) {
  keras_tensor x = call->in[0];
  int64_t axes[KERAS_RANK];
  size_t count;
  if (!keras_op_read_axes(call, &x, keras_op_option(call, 1, "axis"), axes, &count)) return;
  const json_t *order = keras_op_option(call, 2, "order");
  if (json_is_number(order) && json_number_value(order) != 2) {
    keras_fail(call, SDX_NOT_SUPPORTED, NULL, "the norm of order %g is not converted", json_number_value(order));
    return;
  }
  keras_tensor s = keras_like(x, keras_node(call, "Mul", "square", SDX_REFS(x.ref, x.ref)));
  s = keras_reduce(call, "ReduceSum", s, count, axes, true);
  sdx_ref least = sdx_graph_add_scalar(call->k->graph, x.dtype, 1e-12);
  s.ref = keras_node(call, "Sqrt", "length", SDX_REFS(keras_node(call, "Max", "bounded", SDX_REFS(s.ref, least))));
  keras_give(call, keras_like(x, keras_node(call, "Div", NULL, SDX_REFS(x.ref, s.ref))));
}

static void identity(keras_call *call) { keras_give(call, call->in[0]); }

const keras_kind keras_op_kinds[] = {
    BOTH("Add", "math.add", binary, "Add"),
    BOTH("Subtract", "math.subtract", binary, "Sub"),
    BOTH("Multiply", "math.multiply", binary, "Mul"),
    {"__operators__.add", binary, 0, "Add"},
    {"compat.v1.add", binary, 0, "Add"},
    BOTH("Divide", "math.truediv", divide, ""),
    BOTH("TrueDivide", "math.divide", divide, ""),
    BOTH("FloorDivide", "math.floordiv", divide, "Floor"),
    BOTH("Mod", "math.floormod", modulo, NULL),
    BOTH("Power", "math.pow", binary, "Pow"),
    BOTH("Maximum", "math.maximum", binary, "Max"),
    BOTH("Minimum", "math.minimum", binary, "Min"),
    {"math.squared_difference", squared_difference, 0, NULL},
    BOTH("Equal", "math.equal", compare, "Equal"),
    BOTH("NotEqual", "math.not_equal", compare, "NotEqual"),
    BOTH("Greater", "math.greater", compare, "Greater"),
    BOTH("GreaterEqual", "math.greater_equal", compare, "GreaterOrEqual"),
    BOTH("Less", "math.less", compare, "Less"),
    BOTH("LessEqual", "math.less_equal", compare, "LessOrEqual"),
    BOTH("LogicalAnd", "math.logical_and", logical, "And"),
    BOTH("LogicalOr", "math.logical_or", logical, "Or"),
    BOTH("LogicalXor", "math.logical_xor", logical, "Xor"),
    BOTH("LogicalNot", "math.logical_not", unary, "Not"),
    BOTH("Absolute", "math.abs", unary, "Abs"),
    {"Abs", unary, 0, "Abs"},
    BOTH("Negative", "math.negative", unary, "Neg"),
    BOTH("Sign", "math.sign", unary, "Sign"),
    BOTH("Exp", "math.exp", unary, "Exp"),
    BOTH("Expm1", "math.expm1", exp_minus_one, NULL),
    BOTH("Log", "math.log", log_of, ""),
    BOTH("Log1p", "math.log1p", log_of, "1p"),
    {"Log2", log_of, 0, "2"},
    {"Log10", log_of, 0, "10"},
    BOTH("Sqrt", "math.sqrt", unary, "Sqrt"),
    BOTH("Rsqrt", "math.rsqrt", rsqrt, NULL),
    BOTH("Square", "math.square", square, NULL),
    BOTH("Reciprocal", "math.reciprocal", unary, "Reciprocal"),
    BOTH("Sin", "math.sin", unary, "Sin"),
    BOTH("Cos", "math.cos", unary, "Cos"),
    BOTH("Tan", "math.tan", unary, "Tan"),
    BOTH("Arcsin", "math.asin", unary, "Asin"),
    BOTH("Arccos", "math.acos", unary, "Acos"),
    BOTH("Arctan", "math.atan", unary, "Atan"),
    BOTH("Sinh", "math.sinh", unary, "Sinh"),
    BOTH("Cosh", "math.cosh", unary, "Cosh"),
    BOTH("Erf", "math.erf", unary, "Erf"),
    BOTH("Floor", "math.floor", unary, "Floor"),
    BOTH("Ceil", "math.ceil", unary, "Ceil"),
    BOTH("Round", "math.round", unary, "Round"),
    BOTH("Isnan", "math.is_nan", unary, "IsNaN"),
    BOTH("Isinf", "math.is_inf", unary, "IsInf"),
    BOTH("Clip", "clip_by_value", clip, NULL),
    BOTH("Where", "where", where, NULL),
    BOTH("Cast", "cast", cast, NULL),
    BOTH("Mean", "math.reduce_mean", reduce, "ReduceMean"),
    BOTH("Sum", "math.reduce_sum", reduce, "ReduceSum"),
    BOTH("Prod", "math.reduce_prod", reduce, "ReduceProd"),
    BOTH("Max", "math.reduce_max", reduce, "ReduceMax"),
    BOTH("Min", "math.reduce_min", reduce, "ReduceMin"),
    {"Amax", reduce, 0, "ReduceMax"},
    {"Amin", reduce, 0, "ReduceMin"},
    BOTH("Logsumexp", "math.reduce_logsumexp", reduce, "ReduceLogSumExp"),
    BOTH("All", "math.reduce_all", reduce, "all"),
    BOTH("Any", "math.reduce_any", reduce, "any"),
    BOTH("Var", "math.reduce_variance", variance, ""),
    BOTH("Std", "math.reduce_std", variance, "sqrt"),
    BOTH("Argmax", "math.argmax", arg, "ArgMax"),
    BOTH("Argmin", "math.argmin", arg, "ArgMin"),
    BOTH("Cumsum", "math.cumsum", cumulative, NULL),
    BOTH("Normalize", "math.l2_normalize", normalize, NULL),
    {"nn.l2_normalize", normalize, 0, NULL},
    BOTH("StopGradient", "stop_gradient", identity, NULL),
    BOTH("Copy", "identity", identity, NULL),
    {0},
};

// SPDX-License-Identifier: Apache-2.0
// ATen's operators that compute numbers one by one (pt2.h).
#include <math.h>
#include <string.h>

#include "convert/pt2.h"

static bool is_float(sdx_dtype dtype) {
  return dtype == SDX_FLOAT || dtype == SDX_DOUBLE || dtype == SDX_FLOAT16 || dtype == SDX_BFLOAT16;
}

// The first argument, which is called self, or input; as the floats of the result where `real`.
static bool get_self(pt2_op *op, bool real, net_tensor *x) {
  if (!pt2_in(op, pt2_has(op, "self") ? "self" : pt2_has(op, "input") ? "input" : "a", x)) return false;
  sdx_dtype dtype = real ? pt2_result_dtype(op, 0) : SDX_UNDEFINED;
  if (is_float(dtype)) *x = net_cast(op->n, *x, dtype);
  return true;
}

static void apply(pt2_op *op) {
  net_tensor x;
  if (get_self(op, true, &x)) op->out[0] = net_apply(op->n, op->kind->op, NULL, x);
}

// Identity is left out.
static void same(pt2_op *op) { get_self(op, false, &op->out[0]); }

static void test(pt2_op *op) {
  net_tensor x;
  if (!get_self(op, false, &x)) return;
  if (!strcmp(op->kind->op, "Not")) x = net_cast(op->n, x, SDX_BOOL);
  op->out[0] = net_apply(op->n, op->kind->op, NULL, x);
  op->out[0].dtype = SDX_BOOL;
}

static void bitwise_not(pt2_op *op) {
  net_tensor x;
  if (get_self(op, false, &x)) op->out[0] = net_apply(op->n, x.dtype == SDX_BOOL ? "Not" : "BitwiseNot", NULL, x);
}

// A number behind it: log2, log10, expm1, log1p, deg2rad; after `op`, or before it.
static void with_number(pt2_op *op) {
  static const struct {
    const char *name, *then;
    double number;
    bool before;
  } rows[] = {{"log2", "Div", M_LN2, false}, {"log10", "Div", M_LN10, false},      {"expm1", "Sub", 1, false},
              {"log1p", "Add", 1, true},     {"rad2deg", "Mul", 180 / M_PI, true}, {"deg2rad", "Mul", M_PI / 180, true},
              {"erfc", "Sub", 1, false}};
  net_tensor x;
  size_t i = 0;
  while (strcmp(rows[i].name, op->kind->name) != 0) i++;
  if (!get_self(op, true, &x)) return;
  if (rows[i].before) x = net_scale(op->n, rows[i].then, "number", x, rows[i].number);
  if (strcmp(op->kind->op, "Mul") != 0) x = net_apply(op->n, op->kind->op, NULL, x);
  if (!strcmp(op->kind->name, "erfc")) x = net_binary(op->n, "Sub", NULL, net_scalar(op->n, x.dtype, 1), x);
  else if (!rows[i].before) x = net_scale(op->n, rows[i].then, "number", x, rows[i].number);
  op->out[0] = x;
}

static void rsqrt(pt2_op *op) {
  net_tensor x;
  if (get_self(op, true, &x)) op->out[0] = net_apply(op->n, "Reciprocal", NULL, net_apply(op->n, "Sqrt", "sqrt", x));
}

static void square(pt2_op *op) {
  net_tensor x;
  if (get_self(op, true, &x)) op->out[0] = net_binary(op->n, "Mul", NULL, x, x);
}

static void trunc_of(pt2_op *op) {
  net_tensor x;
  if (!get_self(op, true, &x)) return;
  net_tensor whole = net_apply(op->n, "Floor", "floor", net_apply(op->n, "Abs", "abs", x));
  op->out[0] = net_binary(op->n, "Mul", NULL, whole, net_apply(op->n, "Sign", "sign", x));
}

static void isfinite_of(pt2_op *op) {
  net_tensor x;
  if (!get_self(op, false, &x)) return;
  net_tensor wrong = net_apply(op->n, "IsInf", "inf", x), nan = net_apply(op->n, "IsNaN", "nan", x);
  wrong.dtype = nan.dtype = SDX_BOOL;
  op->out[0] = net_apply(op->n, "Not", NULL, net_binary(op->n, "Or", "or", wrong, nan));
}

// ---- activations ------------------------------------------------------------------------------------

static void silu(pt2_op *op) {
  net_tensor x;
  if (get_self(op, true, &x)) op->out[0] = net_binary(op->n, "Mul", NULL, x, net_apply(op->n, "Sigmoid", "sigmoid", x));
}

static void gelu(pt2_op *op) {
  net_tensor x;
  bool tanh = !strcmp(pt2_text(op, "approximate", "none"), "tanh");
  if (!get_self(op, true, &x)) return;
  if (pt2_opset(op) < 20) {
    op->out[0] = net_gelu(op->n, x, tanh ? NET_GELU_TANH : NET_GELU_EXACT);
    return;
  }
  op->out[0] = net_apply(op->n, "Gelu", NULL, x);
  if (tanh) sdx_graph_set_string(op->p->c->graph, "approximate", "tanh");
}

static void clip_to(pt2_op *op, double least, double most) {
  net_tensor x;
  if (!get_self(op, true, &x)) return;
  sdx_dtype dtype = pt2_result_dtype(op, 0);
  x = net_cast(op->n, x, dtype);
  sdx_ref low = isinf(least) ? 0 : net_scalar(op->n, dtype, least).ref,
          high = isinf(most) ? 0 : net_scalar(op->n, dtype, most).ref;
  op->out[0] = net_like(x, net_node(op->n, "Clip", NULL, high ? 3 : 2, (sdx_ref[]){x.ref, low, high}));
}

static void clamp(pt2_op *op) { clip_to(op, pt2_number(op, "min", -INFINITY), pt2_number(op, "max", INFINITY)); }
static void hardtanh(pt2_op *op) { clip_to(op, pt2_number(op, "min_val", -1), pt2_number(op, "max_val", 1)); }
static void relu6(pt2_op *op) { clip_to(op, 0, 6); }

static void clamp_by_tensors(pt2_op *op) {
  net_tensor x, low, high;
  if (!get_self(op, false, &x) || !pt2_optional(op, "min", &low) || !pt2_optional(op, "max", &high)) return;
  if (low.ref) x = pt2_binary(op, "Max", x, low);
  if (high.ref) x = pt2_binary(op, "Min", x, high);
  op->out[0] = x;
}

// One attribute: its name here, in ONNX and by default.
static void with_alpha(pt2_op *op) {
  static const struct {
    const char *name, *argument;
    double missing;
  } rows[] = {{"leaky_relu", "negative_slope", 0.01}, {"elu", "alpha", 1}, {"celu", "alpha", 1}};
  net_tensor x;
  size_t i = 0;
  while (strcmp(rows[i].name, op->kind->name) != 0) i++;
  if (!get_self(op, true, &x)) return;
  if (pt2_number(op, "scale", 1) != 1 || pt2_number(op, "input_scale", 1) != 1) {
    net_fail(op->n, SDX_NOT_SUPPORTED, NULL, "a scale");
    return;
  }
  op->out[0] = net_apply(op->n, op->kind->op, NULL, x);
  sdx_graph_set_float(op->p->c->graph, "alpha", (float)pt2_number(op, rows[i].argument, rows[i].missing));
}

static void hardsigmoid(pt2_op *op) {
  net_tensor x;
  if (!get_self(op, true, &x)) return;
  op->out[0] = net_apply(op->n, "HardSigmoid", NULL, x);
  sdx_graph_set_float(op->p->c->graph, "alpha", 1.0f / 6);
}

static void prelu(pt2_op *op) {
  net_tensor x, slope;
  if (!get_self(op, true, &x) || !pt2_in(op, "weight", &slope)) return;
  if (slope.rank == 1 && slope.shape[0] != 1) slope = net_along(op->n, slope, 1, &x);
  op->out[0] = net_like(x, net_node(op->n, "PRelu", NULL, SDX_REFS(x.ref, slope.ref)));
}

static void softplus(pt2_op *op) {
  net_tensor x;
  double beta = pt2_number(op, "beta", 1);
  if (!get_self(op, true, &x)) return;
  if (beta != 1) x = net_scale(op->n, "Mul", "beta", x, beta);
  x = net_apply(op->n, "Softplus", NULL, x);
  op->out[0] = beta != 1 ? net_scale(op->n, "Div", NULL, x, beta) : x;
}

static void log_sigmoid(pt2_op *op) {
  net_tensor x;
  if (!get_self(op, true, &x)) return;
  op->out[0] =
      net_apply(op->n, "Neg", NULL, net_apply(op->n, "Softplus", "softplus", net_apply(op->n, "Neg", "neg", x)));
}

static void threshold(pt2_op *op) {
  net_tensor x;
  if (!get_self(op, false, &x)) return;
  net_tensor limit = net_scalar(op->n, x.dtype, pt2_number(op, "threshold", 0));
  op->out[0] = pt2_where(op, net_compare(op->n, "Greater", "test", x, limit), x,
                         net_scalar(op->n, x.dtype, pt2_number(op, "value", 0)));
  op->out[0] = net_like(x, op->out[0].ref);
}

static void shrink(pt2_op *op) {
  net_tensor x;
  double lambda = pt2_number(op, "lambd", 0.5);
  if (!get_self(op, true, &x)) return;
  op->out[0] = net_apply(op->n, "Shrink", NULL, x);
  sdx_graph_set_float(op->p->c->graph, "lambd", (float)lambda);
  if (!strcmp(op->kind->name, "softshrink")) sdx_graph_set_float(op->p->c->graph, "bias", (float)lambda);
}

static void glu(pt2_op *op) {
  net_tensor x, parts[2];
  size_t axis;
  if (!get_self(op, true, &x) || !net_axis(op->n, &x, pt2_int(op, "dim", -1), &axis)) return;
  if (x.shape[axis] < 2) net_fail(op->n, SDX_NOT_SUPPORTED, NULL, "halves of %s", net_shape_text(op->n, &x));
  else {
    net_split(op->n, x, axis, 2, (int64_t[]){x.shape[axis] / 2, x.shape[axis] / 2}, parts);
    op->out[0] = net_binary(op->n, "Mul", NULL, parts[0], net_apply(op->n, "Sigmoid", "sigmoid", parts[1]));
  }
}

// ---- two by two -------------------------------------------------------------------------------------

// Both as the result's type.
static bool get_both(pt2_op *op, net_tensor *a, net_tensor *b) {
  if (!get_self(op, false, a) || !pt2_in(op, pt2_has(op, "other") ? "other" : "b", b)) return false;
  sdx_dtype dtype = pt2_result_dtype(op, 0);
  *a = net_cast(op->n, *a, dtype);
  *b = net_cast(op->n, *b, dtype);
  return true;
}

static void binary(pt2_op *op) {
  net_tensor a, b;
  double alpha = pt2_number(op, "alpha", 1);
  if (!get_both(op, &a, &b)) return;
  if (!strcmp(op->kind->name, "rsub")) {
    net_tensor swapped = a;
    a = b, b = swapped;
  }
  if (alpha != 1) b = net_scale(op->n, "Mul", "alpha", b, alpha);
  op->out[0] = net_binary(op->n, op->kind->op, NULL, a, b);
}

// Of bools a sum is an Or, a product an And.
static void sum_or_product(pt2_op *op) {
  if (pt2_result_dtype(op, 0) != SDX_BOOL) {
    binary(op);
    return;
  }
  net_tensor a, b;
  if (get_both(op, &a, &b)) op->out[0] = net_binary(op->n, *op->kind->op == 'A' ? "Or" : "And", NULL, a, b);
}

static void divide(pt2_op *op) {
  net_tensor a, b;
  const char *mode = pt2_text(op, "rounding_mode", !strcmp(op->kind->name, "floor_divide") ? "floor" : "");
  if (!get_both(op, &a, &b)) return;
  bool real = is_float(a.dtype);
  if (!strcmp(mode, "floor")) {
    if (real) op->out[0] = net_apply(op->n, "Floor", NULL, net_binary(op->n, "Div", "quotient", a, b));
    else {
      op->out[0] = net_binary(op->n, "Div", NULL, a, b);
      op->out[0].ref = node_floor_div(op->p->c, NULL, a.ref, b.ref, a.dtype);
    }
    return;
  }
  op->out[0] = net_binary(op->n, "Div", NULL, a, b);
  if (*mode && real) {
    net_tensor whole = net_apply(op->n, "Floor", "floor", net_apply(op->n, "Abs", "abs", op->out[0]));
    op->out[0] = net_binary(op->n, "Mul", NULL, whole, net_apply(op->n, "Sign", "sign", op->out[0]));
  }
}

static void remainder_of(pt2_op *op) {
  net_tensor a, b;
  if (!get_both(op, &a, &b)) return;
  bool toward_zero = !strcmp(op->kind->name, "fmod");
  if (is_float(a.dtype) && !toward_zero) {
    net_tensor whole = net_apply(op->n, "Floor", "floor", net_binary(op->n, "Div", "quotient", a, b));
    op->out[0] = net_binary(op->n, "Sub", NULL, a, net_binary(op->n, "Mul", "product", whole, b));
    return;
  }
  op->out[0] = net_binary(op->n, "Mod", NULL, a, b);
  if (toward_zero) sdx_graph_set_int(op->p->c->graph, "fmod", 1);
}

static void power(pt2_op *op) {
  net_tensor a, b;
  double by = 0;
  sdx_dtype dtype = pt2_result_dtype(op, 0);
  if (!pt2_in(op, "self", &a) || !pt2_in(op, "exponent", &b)) return;
  a = net_cast(op->n, a, dtype);
  const json_t *exponent = pt2_arg(op, "exponent");
  if (!*pt2_argument_name(exponent)) by = pt2_number(op, "exponent", 0);
  if (by == 2) op->out[0] = net_binary(op->n, "Mul", NULL, a, a);
  else if (by == 0.5) op->out[0] = net_apply(op->n, "Sqrt", NULL, a);
  else op->out[0] = net_binary(op->n, "Pow", NULL, a, net_cast(op->n, b, dtype));
}

static void compare(pt2_op *op) {
  net_tensor a, b;
  bool unequal = !strcmp(op->kind->name, "ne");
  if (!get_self(op, false, &a) || !pt2_in(op, pt2_has(op, "other") ? "other" : "b", &b)) return;
  net_tensor y = pt2_binary(op, op->kind->op, a, b);
  y.dtype = SDX_BOOL;
  op->out[0] = unequal ? net_apply(op->n, "Not", NULL, y) : y;
}

static void logical(pt2_op *op) {
  net_tensor a, b;
  if (get_self(op, false, &a) && pt2_in(op, "other", &b))
    op->out[0] = net_binary(op->n, op->kind->op, NULL, net_cast(op->n, a, SDX_BOOL), net_cast(op->n, b, SDX_BOOL));
}

static void bitwise(pt2_op *op) {
  static const char *const names[][2] = {{"And", "BitwiseAnd"}, {"Or", "BitwiseOr"}, {"Xor", "BitwiseXor"}};
  net_tensor a, b;
  if (!get_both(op, &a, &b)) return;
  for (size_t i = 0; i < 3; i++)
    if (!strcmp(names[i][0], op->kind->op)) op->out[0] = net_binary(op->n, names[i][a.dtype != SDX_BOOL], NULL, a, b);
}

static void where(pt2_op *op) {
  net_tensor condition, a, b;
  sdx_dtype dtype = pt2_result_dtype(op, 0);
  pt2_value y;
  if (!pt2_in(op, "condition", &condition) || !pt2_in(op, "self", &a) || !pt2_in(op, "other", &b) ||
      !pt2_result(op, 0, &y))
    return;
  net_tensor chosen = pt2_where(op, condition, net_cast(op->n, a, dtype), net_cast(op->n, b, dtype));
  op->out[0] = net_like(y.tensor, chosen.ref);
}

static void masked_fill(pt2_op *op) {
  net_tensor x, mask, value;
  if (!pt2_in(op, "self", &x) || !pt2_in(op, "mask", &mask) || !pt2_in(op, "value", &value)) return;
  op->out[0] = net_like(x, pt2_where(op, mask, net_cast(op->n, value, x.dtype), x).ref);
}

// self + value * (tensor1 op tensor2)
static void add_pair(pt2_op *op) {
  net_tensor x, a, b;
  double value = pt2_number(op, "value", 1);
  if (!pt2_in(op, "self", &x) || !pt2_in(op, "tensor1", &a) || !pt2_in(op, "tensor2", &b)) return;
  a = pt2_binary(op, op->kind->op, a, b);
  if (value != 1) a = net_scale(op->n, "Mul", "value", a, value);
  op->out[0] = pt2_binary(op, "Add", x, a);
}

static void lerp(pt2_op *op) {
  net_tensor a, b, weight;
  if (!pt2_in(op, "self", &a) || !pt2_in(op, "end", &b) || !pt2_in(op, "weight", &weight)) return;
  net_tensor way =
      net_binary(op->n, "Mul", "way", net_binary(op->n, "Sub", "distance", b, a), net_cast(op->n, weight, a.dtype));
  op->out[0] = net_binary(op->n, "Add", NULL, a, way);
}

// Of both as angles; torch's atan2 by the quadrant.
static void atan2_of(pt2_op *op) {
  net_tensor y, x;
  if (!get_both(op, &y, &x)) return;
  net_tensor zero = net_scalar(op->n, x.dtype, 0),
             angle = net_apply(op->n, "Atan", "atan", net_binary(op->n, "Div", "quotient", y, x));
  net_tensor half = pt2_where(op, net_compare(op->n, "Less", "below", y, zero), net_scalar(op->n, x.dtype, -M_PI),
                              net_scalar(op->n, x.dtype, M_PI));
  half = net_like(y, half.ref);
  net_tensor turned = net_binary(op->n, "Add", "turned", angle, half);
  op->out[0] = net_like(angle, pt2_where(op, net_compare(op->n, "Less", "left", x, zero), turned, angle).ref);
}

// ---- types and copies -------------------------------------------------------------------------------

// What is declared of the result says the type; walking on does the cast.
static void convert_type(pt2_op *op) {
  net_tensor x;
  sdx_dtype to = pt2_result_dtype(op, 0);
  if (!get_self(op, false, &x)) return;
  op->out[0] = net_cast(op->n, x, to);
}

static void copy_into(pt2_op *op) {
  net_tensor x, from;
  pt2_value y;
  if (!pt2_in(op, "self", &x) || !pt2_in(op, "src", &from) || !pt2_result(op, 0, &y)) return;
  from = net_cast(op->n, from, x.dtype);
  bool same_shape = from.rank == x.rank;
  for (size_t i = 0; same_shape && i < x.rank; i++) same_shape = x.shape[i] == from.shape[i] && x.shape[i] >= 0;
  if (!same_shape) from.ref = net_node(op->n, "Expand", NULL, SDX_REFS(from.ref, pt2_shape(op, &y).ref));
  op->out[0] = net_like(x, from.ref);
}

const pt2_kind pt2_math_kinds[] = {
    {"relu", apply, "Relu"},
    {"sigmoid", apply, "Sigmoid"},
    {"tanh", apply, "Tanh"},
    {"exp", apply, "Exp"},
    {"log", apply, "Log"},
    {"sqrt", apply, "Sqrt"},
    {"sym_sqrt", apply, "Sqrt"},
    {"abs", apply, "Abs"},
    {"neg", apply, "Neg"},
    {"erf", apply, "Erf"},
    {"sin", apply, "Sin"},
    {"cos", apply, "Cos"},
    {"tan", apply, "Tan"},
    {"asin", apply, "Asin"},
    {"acos", apply, "Acos"},
    {"atan", apply, "Atan"},
    {"sinh", apply, "Sinh"},
    {"cosh", apply, "Cosh"},
    {"asinh", apply, "Asinh"},
    {"acosh", apply, "Acosh"},
    {"atanh", apply, "Atanh"},
    {"floor", apply, "Floor"},
    {"ceil", apply, "Ceil"},
    {"round.default", apply, "Round"},
    {"sign", apply, "Sign"},
    {"reciprocal", apply, "Reciprocal"},
    {"selu", apply, "Selu"},
    {"mish", apply, "Mish"},
    {"hardswish", apply, "HardSwish"},
    {"softsign", apply, "Softsign"},
    {"isnan", test, "IsNaN"},
    {"isinf", test, "IsInf"},
    {"isfinite", isfinite_of, NULL},
    {"logical_not", test, "Not"},
    {"bitwise_not", bitwise_not, "BitwiseNot"},
    {"log2", with_number, "Log"},
    {"log10", with_number, "Log"},
    {"expm1", with_number, "Exp"},
    {"log1p", with_number, "Log"},
    {"erfc", with_number, "Erf"},
    {"rad2deg", with_number, "Mul"},
    {"deg2rad", with_number, "Mul"},
    {"rsqrt", rsqrt, NULL},
    {"square", square, "Mul"},
    {"trunc", trunc_of, NULL},
    {"fix", trunc_of, NULL},
    {"silu", silu, NULL},
    {"gelu", gelu, "Gelu"},
    {"clamp.Tensor", clamp_by_tensors, "Max"},
    {"clamp", clamp, "Clip"},
    {"clamp_min.Tensor", clamp_by_tensors, "Max"},
    {"clamp_max.Tensor", clamp_by_tensors, "Min"},
    {"clamp_min", clamp, "Clip"},
    {"clamp_max", clamp, "Clip"},
    {"clip", clamp, "Clip"},
    {"hardtanh", hardtanh, "Clip"},
    {"relu6", relu6, "Clip"},
    {"leaky_relu", with_alpha, "LeakyRelu"},
    {"elu", with_alpha, "Elu"},
    {"celu", with_alpha, "Celu"},
    {"hardsigmoid", hardsigmoid, "HardSigmoid"},
    {"prelu", prelu, "PRelu"},
    {"_prelu_kernel", prelu, "PRelu"},
    {"softplus", softplus, "Softplus"},
    {"log_sigmoid", log_sigmoid, NULL},
    {"threshold", threshold, "Where"},
    {"softshrink", shrink, "Shrink"},
    {"hardshrink", shrink, "Shrink"},
    {"glu", glu, NULL},
    {"add", sum_or_product, "Add"},
    {"sub", binary, "Sub"},
    {"subtract", binary, "Sub"},
    {"rsub", binary, "Sub"},
    {"mul", sum_or_product, "Mul"},
    {"multiply", sum_or_product, "Mul"},
    {"maximum", binary, "Max"},
    {"minimum", binary, "Min"},
    {"max.other", binary, "Max"},
    {"min.other", binary, "Min"},
    {"div", divide, "Div"},
    {"divide", divide, "Div"},
    {"true_divide", divide, "Div"},
    {"truediv", divide, "Div"},
    {"floor_divide", divide, NULL},
    {"floordiv", divide, NULL},
    {"remainder", remainder_of, "Mod"},
    {"fmod", remainder_of, "Mod"},
    {"mod", remainder_of, "Mod"},
    {"pow", power, "Pow"},
    {"eq", compare, "Equal"},
    {"ne", compare, "Equal"},
    {"lt", compare, "Less"},
    {"le", compare, "LessOrEqual"},
    {"gt", compare, "Greater"},
    {"ge", compare, "GreaterOrEqual"},
    {"logical_and", logical, "And"},
    {"logical_or", logical, "Or"},
    {"logical_xor", logical, "Xor"},
    {"bitwise_and", bitwise, "And"},
    {"bitwise_or", bitwise, "Or"},
    {"bitwise_xor", bitwise, "Xor"},
    {"__and__", bitwise, "And"},
    {"__or__", bitwise, "Or"},
    {"__xor__", bitwise, "Xor"},
    {"where", where, "Where"},
    {"masked_fill", masked_fill, "Where"},
    {"addcmul", add_pair, "Mul"},
    {"addcdiv", add_pair, "Div"},
    {"lerp", lerp, NULL},
    {"atan2", atan2_of, NULL},
    {"alias", same, "Identity"},
    {"clone", same, "Identity"},
    {"contiguous", same, "Identity"},
    {"detach", same, "Identity"},
    {"detach_", same, "Identity"},
    {"dropout", same, "Identity"},
    {"feature_dropout", same, "Identity"},
    {"alpha_dropout", same, "Identity"},
    {"lift_fresh_copy", same, "Identity"},
    {"lift_fresh", same, "Identity"},
    {"requires_grad_", same, "Identity"},
    {"to", convert_type, "Cast"},
    {"_to_copy", convert_type, "Cast"},
    {"type_as", convert_type, "Cast"},
    {"_cast_Float", convert_type, "Cast"},
    {"copy", copy_into, "Expand"},
    {"_assert_async", NULL, NULL},
    {"_assert_scalar", NULL, NULL},
    {"_assert_tensor_metadata", NULL, NULL},
    {"sym_constrain_range", NULL, NULL},
    {"sym_constrain_range_for_size", NULL, NULL},
    {"_set_grad_enabled", NULL, NULL},
    {0},
};

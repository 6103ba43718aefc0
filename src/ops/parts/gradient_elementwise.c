// SPDX-License-Identifier: Apache-2.0
// Rules of operators that work element by element: functions of one operand, then those that broadcast several.
// Read first: gradient.h.
#include "ops/parts/gradient.h"

typedef gradient_step step;

static value_id one_plus(op_upgrade *u, value_id v) { return add(u, scalar_like(u, 1, v), v); }
static value_id one_minus(op_upgrade *u, value_id v) { return sub(u, scalar_like(u, 1, v), v); }
static value_id minus_one(op_upgrade *u, value_id v) { return sub(u, v, scalar_like(u, 1, v)); }
static value_id times(op_upgrade *u, double number, value_id v) { return mul(u, scalar_like(u, number, v), v); }
static value_id where(op_upgrade *u, value_id condition, value_id a, value_id b) {
  return insert3(u, "Where", condition, a, b);
}
static value_id greater(op_upgrade *u, value_id v, double number) {
  return insert2(u, "Greater", v, scalar_like(u, number, v));
}
static value_id less(op_upgrade *u, value_id v, double number) {
  return insert2(u, "Less", v, scalar_like(u, number, v));
}
static double number_of(const step *s, const char *name, float otherwise) {
  return (double)node_attr_float(s->n, name, otherwise);
}

// ---- one operand --------------------------------------------------------------------------------

static value_id identity(step *s, op_upgrade *u, value_id x, value_id y, value_id g) { return g; }
static value_id neg(step *s, op_upgrade *u, value_id x, value_id y, value_id g) { return negate(u, g); }
static value_id absolute(step *s, op_upgrade *u, value_id x, value_id y, value_id g) {
  return mul(u, g, insert1(u, "Sign", x));
}
static value_id exponential(step *s, op_upgrade *u, value_id x, value_id y, value_id g) { return mul(u, g, y); }
static value_id logarithm(step *s, op_upgrade *u, value_id x, value_id y, value_id g) { return divide(u, g, x); }
static value_id square_root(step *s, op_upgrade *u, value_id x, value_id y, value_id g) {
  return divide(u, times(u, 0.5, g), y);
}
static value_id reciprocal(step *s, op_upgrade *u, value_id x, value_id y, value_id g) {
  return negate(u, mul(u, g, square(u, y)));
}
static value_id sine(step *s, op_upgrade *u, value_id x, value_id y, value_id g) {
  return mul(u, g, insert1(u, "Cos", x));
}
static value_id cosine(step *s, op_upgrade *u, value_id x, value_id y, value_id g) {
  return negate(u, mul(u, g, insert1(u, "Sin", x)));
}
static value_id tangent(step *s, op_upgrade *u, value_id x, value_id y, value_id g) {
  return mul(u, g, one_plus(u, square(u, y)));
}
static value_id arc_sine(step *s, op_upgrade *u, value_id x, value_id y, value_id g) {
  return divide(u, g, insert1(u, "Sqrt", one_minus(u, square(u, x))));
}
static value_id arc_cosine(step *s, op_upgrade *u, value_id x, value_id y, value_id g) {
  return negate(u, arc_sine(s, u, x, y, g));
}
static value_id arc_tangent(step *s, op_upgrade *u, value_id x, value_id y, value_id g) {
  return divide(u, g, one_plus(u, square(u, x)));
}
static value_id hyperbolic_sine(step *s, op_upgrade *u, value_id x, value_id y, value_id g) {
  return mul(u, g, insert1(u, "Cosh", x));
}
static value_id hyperbolic_cosine(step *s, op_upgrade *u, value_id x, value_id y, value_id g) {
  return mul(u, g, insert1(u, "Sinh", x));
}
static value_id hyperbolic_tangent(step *s, op_upgrade *u, value_id x, value_id y, value_id g) {
  return mul(u, g, one_minus(u, square(u, y)));
}
static value_id area_sine(step *s, op_upgrade *u, value_id x, value_id y, value_id g) {
  return divide(u, g, insert1(u, "Sqrt", one_plus(u, square(u, x))));
}
static value_id area_cosine(step *s, op_upgrade *u, value_id x, value_id y, value_id g) {
  return divide(u, g, insert1(u, "Sqrt", minus_one(u, square(u, x))));
}
static value_id area_tangent(step *s, op_upgrade *u, value_id x, value_id y, value_id g) {
  return divide(u, g, one_minus(u, square(u, x)));
}
static value_id sigmoid(step *s, op_upgrade *u, value_id x, value_id y, value_id g) {
  return mul(u, g, mul(u, y, one_minus(u, y)));
}
static value_id softplus(step *s, op_upgrade *u, value_id x, value_id y, value_id g) {
  return mul(u, g, insert1(u, "Sigmoid", x));
}
static value_id softsign(step *s, op_upgrade *u, value_id x, value_id y, value_id g) {
  return divide(u, g, square(u, one_plus(u, insert1(u, "Abs", x))));
}
static value_id error_function(step *s, op_upgrade *u, value_id x, value_id y, value_id g) {
  value_id bell = insert1(u, "Exp", negate(u, square(u, x)));
  return mul(u, g, times(u, 1.1283791670955126, bell));
}
static value_id relu(step *s, op_upgrade *u, value_id x, value_id y, value_id g) {
  value_id above = greater(u, x, 0);
  return where(u, above, g, scalar_like(u, 0, x));
}
static value_id leaky_relu(step *s, op_upgrade *u, value_id x, value_id y, value_id g) {
  value_id below = less(u, x, 0);
  return where(u, below, times(u, number_of(s, "alpha", 0.01f), g), g);
}
static value_id elu(step *s, op_upgrade *u, value_id x, value_id y, value_id g) {
  value_id below = less(u, x, 0), slope = add(u, y, scalar_like(u, number_of(s, "alpha", 1), x));
  return where(u, below, mul(u, g, slope), g);
}
static value_id thresholded_relu(step *s, op_upgrade *u, value_id x, value_id y, value_id g) {
  value_id above = greater(u, x, number_of(s, "alpha", 1));
  return where(u, above, g, scalar_like(u, 0, x));
}
static value_id celu(step *s, op_upgrade *u, value_id x, value_id y, value_id g) {
  value_id below = insert2(u, "Min", x, scalar_like(u, 0, x));
  value_id scaled = divide(u, below, scalar_like(u, number_of(s, "alpha", 1), x));
  return mul(u, g, insert1(u, "Exp", scaled));
}
static value_id selu(step *s, op_upgrade *u, value_id x, value_id y, value_id g) {
  double gamma = number_of(s, "gamma", 1.05070102214813232421875f);
  double alpha = number_of(s, "alpha", 1.67326319217681884765625f);
  value_id above = greater(u, x, 0), slope = scalar_like(u, gamma, x);
  value_id slope_below = add(u, y, scalar_like(u, gamma * alpha, x));
  return mul(u, g, where(u, above, slope, slope_below));
}
static value_id hard_sigmoid(step *s, op_upgrade *u, value_id x, value_id y, value_id g) {
  value_id above = greater(u, y, 0), below = less(u, y, 1), moves = insert2(u, "And", above, below);
  value_id slope = times(u, number_of(s, "alpha", 0.2f), g);
  return where(u, moves, slope, scalar_like(u, 0, x));
}
static value_id hard_swish(step *s, op_upgrade *u, value_id x, value_id y, value_id g) {
  value_id straight = greater(u, insert1(u, "Abs", x), 3), slope = insert1(u, "Sign", insert1(u, "Relu", x));
  value_id third = divide(u, x, scalar_like(u, 3, x)), between = add(u, third, scalar_like(u, 0.5, x));
  return mul(u, g, where(u, straight, slope, between));
}
static value_id mish(step *s, op_upgrade *u, value_id x, value_id y, value_id g) {
  value_id t = insert1(u, "Tanh", insert1(u, "Softplus", x));
  value_id rise = mul(u, x, insert1(u, "Sigmoid", x)), bend = one_minus(u, square(u, t));
  return mul(u, g, add(u, t, mul(u, rise, bend)));
}
static value_id swish(step *s, op_upgrade *u, value_id x, value_id y, value_id g) {
  value_id scaled = times(u, number_of(s, "alpha", 1), x), z = insert1(u, "Sigmoid", scaled);
  value_id bend = mul(u, z, one_minus(u, z));
  return mul(u, g, add(u, z, mul(u, scaled, bend)));
}
static value_id gelu(step *s, op_upgrade *u, value_id x, value_id y, value_id g) {
  const attr *approximate = node_attr(s->n, "approximate");
  value_id xx = square(u, x);
  if (approximate && str_is(approximate->s, "tanh")) {  // x (1 + t) / 2, t = tanh(c (x + k x^3))
    const double c = 0.7978845608028654, k = 0.044715;
    value_id kxx = times(u, k, xx), inner = times(u, c, mul(u, x, one_plus(u, kxx)));
    value_id t = insert1(u, "Tanh", inner), inner_slope = times(u, c, one_plus(u, times(u, 3, kxx)));
    value_id half_x = times(u, 0.5, x), t_slope = mul(u, one_minus(u, square(u, t)), inner_slope);
    value_id share = times(u, 0.5, one_plus(u, t));
    return mul(u, g, add(u, share, mul(u, half_x, t_slope)));
  }
  value_id share = times(u, 0.5, one_plus(u, insert1(u, "Erf", times(u, 0.7071067811865476, x))));
  value_id bell = insert1(u, "Exp", negate(u, times(u, 0.5, xx)));
  return mul(u, g, add(u, share, mul(u, times(u, 0.3989422804014327, x), bell)));
}
static value_id dropout(step *s, op_upgrade *u, value_id x, value_id y, value_id g) {
  if (s->n->input_count > 2 && s->n->inputs[2]) gradient_refuse(s, "it has a training mode");
  return g;
}
static value_id to_type(step *s, op_upgrade *u, value_id x, value_id y, value_id g) {
  int64_t to = node_attr_int(s->n, "to", SDX_FLOAT);  // through integers nothing gets back
  return dtype_is_float((sdx_dtype)to) ? insert2(u, "CastLike", g, x) : VALUE_ABSENT;
}
static value_id to_type_of(step *s, op_upgrade *u, value_id x, value_id y, value_id g) {
  return insert2(u, "CastLike", g, x);
}

// ---- several operands ---------------------------------------------------------------------------

static void sum(step *s, op_upgrade *u, value_id x, value_id y, value_id g) {
  for (uint32_t i = 0; i < s->n->input_count; i++) gradient_give_sum(s, i, g);
}
static void mean(step *s, op_upgrade *u, value_id x, value_id y, value_id g) {
  value_id part = divide(u, g, scalar_like(u, s->n->input_count, x));
  for (uint32_t i = 0; i < s->n->input_count; i++) gradient_give_sum(s, i, part);
}
static void difference(step *s, op_upgrade *u, value_id x, value_id y, value_id g) {
  gradient_give_sum(s, 0, g);
  if (gradient_wants(s, 1)) gradient_give_sum(s, 1, negate(u, g));
}
static void product(step *s, op_upgrade *u, value_id x, value_id y, value_id g) {
  if (gradient_wants(s, 0)) gradient_give_sum(s, 0, mul(u, g, s->in[1]));
  if (gradient_wants(s, 1)) gradient_give_sum(s, 1, mul(u, g, x));
}
static void quotient(step *s, op_upgrade *u, value_id x, value_id y, value_id g) {
  if (gradient_wants(s, 0)) gradient_give_sum(s, 0, divide(u, g, s->in[1]));
  if (gradient_wants(s, 1)) gradient_give_sum(s, 1, negate(u, divide(u, mul(u, g, y), s->in[1])));
}
static void power(step *s, op_upgrade *u, value_id x, value_id y, value_id g) {
  value_id exponent = insert2(u, "CastLike", s->in[1], x);
  if (gradient_wants(s, 0)) {
    value_id lower = insert2(u, "Pow", x, minus_one(u, exponent));
    gradient_give_sum(s, 0, mul(u, g, mul(u, exponent, lower)));
  }
  if (!gradient_wants(s, 1)) return;
  value_id zero = scalar_like(u, 0, x), is_zero = insert2(u, "Equal", x, zero);  // 0^p stays 0
  value_id slope = mul(u, g, mul(u, y, insert1(u, "Log", x)));
  gradient_give_sum(s, 1, insert2(u, "CastLike", where(u, is_zero, zero, slope), s->in[1]));
}
static void prelu(step *s, op_upgrade *u, value_id x, value_id y, value_id g) {
  value_id below = less(u, x, 0);
  if (gradient_wants(s, 0)) gradient_give(s, 0, where(u, below, mul(u, g, s->in[1]), g));
  if (!gradient_wants(s, 1)) return;
  value_id slope = mul(u, g, x);
  gradient_give_sum(s, 1, where(u, below, slope, scalar_like(u, 0, x)));
}
static void choice(step *s, op_upgrade *u, value_id x, value_id y, value_id g) {
  value_id zero = scalar_like(u, 0, g);
  if (gradient_wants(s, 1)) gradient_give_sum(s, 1, where(u, x, g, zero));
  if (gradient_wants(s, 2)) gradient_give_sum(s, 2, where(u, x, zero, g));
}
static void clip(step *s, op_upgrade *u, value_id x, value_id y, value_id g) {
  value_id zero = scalar_like(u, 0, x);
  gradient_give(s, 0, where(u, insert2(u, "Equal", x, y), g, zero));
  if (gradient_wants(s, 1)) gradient_give_sum(s, 1, where(u, insert2(u, "Less", x, s->in[1]), g, zero));
  if (gradient_wants(s, 2)) gradient_give_sum(s, 2, where(u, insert2(u, "Greater", x, s->in[2]), g, zero));
}
// Max, Min: inputs that tie share.
static void extreme(step *s, op_upgrade *u, value_id x, value_id y, value_id g) {
  value_id ties = VALUE_ABSENT, zero = scalar_like(u, 0, y);
  for (uint32_t i = 0; i < s->n->input_count; i++) {
    value_id tie = insert2(u, "CastLike", insert2(u, "Equal", s->in[i], y), y);
    ties = ties ? add(u, ties, tie) : tie;
  }
  value_id part = divide(u, g, ties);
  for (uint32_t i = 0; i < s->n->input_count; i++)
    if (gradient_wants(s, i)) gradient_give_sum(s, i, where(u, insert2(u, "Equal", s->in[i], y), part, zero));
}

const gradient_rule gradient_elementwise[] = {
    {"Abs", .first = absolute},
    {"Acos", .first = arc_cosine},
    {"Acosh", .first = area_cosine},
    {"Add", .each = sum},
    {"Asin", .first = arc_sine},
    {"Asinh", .first = area_sine},
    {"Atan", .first = arc_tangent},
    {"Atanh", .first = area_tangent},
    {"Cast", .first = to_type},
    {"CastLike", .first = to_type_of},
    {.op_type = "Ceil"},
    {"Celu", .first = celu},
    {"Clip", .each = clip},
    {"Cos", .first = cosine},
    {"Cosh", .first = hyperbolic_cosine},
    {"Div", .each = quotient},
    {"Dropout", .first = dropout},
    {"Elu", .first = elu},
    {.op_type = "Equal"},
    {"Erf", .first = error_function},
    {"Exp", .first = exponential},
    {.op_type = "Floor"},
    {"Gelu", .first = gelu},
    {.op_type = "Greater"},
    {.op_type = "GreaterOrEqual"},
    {"HardSigmoid", .first = hard_sigmoid},
    {"HardSwish", .first = hard_swish},
    {"Identity", .first = identity},
    {.op_type = "IsInf"},
    {.op_type = "IsNaN"},
    {"LeakyRelu", .first = leaky_relu},
    {.op_type = "Less"},
    {.op_type = "LessOrEqual"},
    {"Log", .first = logarithm},
    {"Max", .each = extreme},
    {"Mean", .each = mean},
    {"Min", .each = extreme},
    {"Mish", .first = mish},
    {"Mul", .each = product},
    {"Neg", .first = neg},
    {"PRelu", .each = prelu},
    {"Pow", .each = power},
    {"Reciprocal", .first = reciprocal},
    {"Relu", .first = relu},
    {.op_type = "Round"},
    {"Selu", .first = selu},
    {"Sigmoid", .first = sigmoid},
    {.op_type = "Sign"},
    {"Sin", .first = sine},
    {"Sinh", .first = hyperbolic_sine},
    {"Softplus", .first = softplus},
    {"Softsign", .first = softsign},
    {"Sqrt", .first = square_root},
    {"Sub", .each = difference},
    {"Sum", .each = sum},
    {"Swish", .first = swish},
    {"Tan", .first = tangent},
    {"Tanh", .first = hyperbolic_tangent},
    {"ThresholdedRelu", .first = thresholded_relu},
    {"Where", .each = choice},
    {.op_type = NULL},
};

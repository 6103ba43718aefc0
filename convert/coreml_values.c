// SPDX-License-Identifier: Apache-2.0
// Core ML's layers that compute numbers one by one or over axes: activations, arithmetic, comparisons, reductions.
#include <math.h>
#include <string.h>

#include "convert/coreml.h"

// ---- activations ------------------------------------------------------------------------------------

static net_tensor shaped(net *n, const char *op, net_tensor x, const char *first, double alpha, const char *second,
                         double beta) {
  net_tensor y = net_apply(n, op, NULL, x);
  if (first) sdx_graph_set_float(n->c->graph, first, (float)alpha);
  if (second) sdx_graph_set_float(n->c->graph, second, (float)beta);
  return y;
}

// One number, or one of each channel: along the third dimension from the end, or the second of [N, C].
static net_tensor per_channel(net *n, const proto *activation, const char *field, const net_tensor *x) {
  proto weights;
  net_numbers w;
  proto_get(activation, field, &weights);
  if (!coreml_weights(n, &weights, &w)) return (net_tensor){0};
  bool wide = x->rank >= 3 && w.count > 1;
  return net_constant(n, field, SDX_FLOAT, wide ? 3 : 1, (int64_t[]){(int64_t)w.count, 1, 1}, &w, NULL);
}

static net_tensor parametric_softplus(net *n, const proto *p, net_tensor x) {
  net_tensor alpha = per_channel(n, p, "alpha", &x), beta = per_channel(n, p, "beta", &x);
  net_tensor y = net_apply(n, "Softplus", NULL, net_binary(n, "Mul", "beta", x, beta));
  return net_binary(n, "Mul", "alpha", y, alpha);
}

static net_tensor activate(net *n, const proto *activation, net_tensor x) {
  proto p;
  const char *which = proto_which(activation, 1, &p);
  double alpha = 0, beta = 0;
  if (which && strcmp(which, "PReLU") != 0 && strcmp(which, "parametricSoftplus") != 0)
    alpha = proto_number(&p, "alpha", 0), beta = proto_number(&p, "beta", 0);
  if (!which) net_fail(n, SDX_NOT_SUPPORTED, NULL, "an activation of no known kind");
  else if (!strcmp(which, "ReLU")) return net_apply(n, "Relu", NULL, x);
  else if (!strcmp(which, "leakyReLU")) return shaped(n, "LeakyRelu", x, "alpha", alpha, NULL, 0);
  else if (!strcmp(which, "thresholdedReLU")) return shaped(n, "ThresholdedRelu", x, "alpha", alpha, NULL, 0);
  else if (!strcmp(which, "ELU")) return shaped(n, "Elu", x, "alpha", alpha, NULL, 0);
  else if (!strcmp(which, "sigmoidHard")) return shaped(n, "HardSigmoid", x, "alpha", alpha, "beta", beta);
  else if (!strcmp(which, "tanh")) return net_apply(n, "Tanh", NULL, x);
  else if (!strcmp(which, "sigmoid")) return net_apply(n, "Sigmoid", NULL, x);
  else if (!strcmp(which, "softsign")) return net_apply(n, "Softsign", NULL, x);
  else if (!strcmp(which, "softplus")) return net_apply(n, "Softplus", NULL, x);
  else if (!strcmp(which, "PReLU")) return net_binary(n, "PRelu", NULL, x, per_channel(n, &p, "alpha", &x));
  else if (!strcmp(which, "parametricSoftplus")) return parametric_softplus(n, &p, x);
  else if (!strcmp(which, "scaledTanh"))
    return net_scale(n, "Mul", "alpha", net_apply(n, "Tanh", NULL, net_scale(n, "Mul", "beta", x, beta)), alpha);
  else return net_scale(n, "Add", "beta", net_scale(n, "Mul", "alpha", x, alpha), beta);  // linear
  return x;
}

static void activation(coreml_layer *l) { l->out[0] = activate(l->n, &l->params, l->in[0]); }

static void clip(coreml_layer *l) {
  l->out[0] = net_clip(l->n, l->in[0], proto_number(&l->params, "minVal", 0), proto_number(&l->params, "maxVal", 0));
}

// min(beta, x) where x is positive, alpha x elsewhere.
static void clamped_relu(coreml_layer *l) {
  net_tensor y = shaped(l->n, "LeakyRelu", l->in[0], "alpha", proto_number(&l->params, "alpha", 0), NULL, 0);
  l->out[0] = net_scale(l->n, "Min", "beta", y, proto_number(&l->params, "beta", 0));
}

static void gelu(coreml_layer *l) {
  int64_t mode = proto_int(&l->params, "mode", NET_GELU_EXACT);
  if (mode < NET_GELU_EXACT || mode > NET_GELU_SIGMOID)
    net_fail(l->n, SDX_NOT_SUPPORTED, NULL, "the mode %lld", (long long)mode);
  else l->out[0] = net_gelu(l->n, l->in[0], (net_gelu_form)mode);
}

// ---- arithmetic -------------------------------------------------------------------------------------

static void apply(coreml_layer *l) { l->out[0] = net_apply(l->n, l->kind->op, NULL, l->in[0]); }

static void exp2_layer(coreml_layer *l) {
  net_tensor two = net_scalar(l->n, SDX_FLOAT, 2);
  l->out[0] = net_binary(l->n, "Pow", NULL, two, l->in[0]);
}

static net_tensor unary_of(coreml_layer *l, int64_t type, net_tensor x) {
  enum { SQRT, RSQRT, INVERSE, POWER, EXP, LOG, ABS, THRESHOLD };
  net *n = l->n;
  double alpha = proto_number(&l->params, "alpha", 0), epsilon = proto_number(&l->params, "epsilon", 0);
  switch (type) {
    case RSQRT:
      return net_apply(n, "Reciprocal", NULL, net_apply(n, "Sqrt", "sqrt", net_scale(n, "Add", "epsilon", x, epsilon)));
    case INVERSE:
      return net_apply(n, "Reciprocal", NULL, net_scale(n, "Add", "epsilon", x, epsilon));
    case POWER:
      return net_scale(n, "Pow", NULL, x, alpha);
    case THRESHOLD:
      return net_scale(n, "Max", NULL, x, alpha);
    default:
      return net_apply(n, type == SQRT ? "Sqrt" : type == EXP ? "Exp" : type == LOG ? "Log" : "Abs", NULL, x);
  }
}

static void unary(coreml_layer *l) {
  net_tensor x = l->in[0];
  double scale = proto_number(&l->params, "scale", 1), shift = proto_number(&l->params, "shift", 0);
  int64_t type = proto_int(&l->params, "type", 0);
  if (scale != 1) x = net_scale(l->n, "Mul", "scale", x, scale);
  if (shift != 0) x = net_scale(l->n, "Add", "shift", x, shift);
  if (type < 0 || type > 7) net_fail(l->n, SDX_NOT_SUPPORTED, NULL, "the function %lld", (long long)type);
  else l->out[0] = unary_of(l, type, x);
}

// Values that broadcast: by the older rule they all get height and width, if one has them.
static void align(coreml_layer *l) {
  bool wide = false;
  for (size_t i = 0; i < l->in_count; i++) wide = wide || l->in[i].rank == 4;
  for (size_t i = 0; !l->exact && wide && i < l->in_count; i++) l->in[i] = coreml_image(l, l->in[i]);
}

// Of two values or more; of one and the number alpha.
static void combine(coreml_layer *l) {
  align(l);
  net_tensor y = l->in[0];
  if (l->in_count == 1 && l->params.type->count)
    y = net_scale(l->n, l->kind->op, NULL, y, proto_number(&l->params, "alpha", 0));
  for (size_t i = 1; i < l->in_count; i++) y = net_binary(l->n, l->kind->op, NULL, y, l->in[i]);
  l->out[0] = y;
}

static void average(coreml_layer *l) {
  align(l);
  net_tensor y = l->in[0];
  for (size_t i = 1; i < l->in_count; i++) y = net_binary(l->n, "Add", "sum", y, l->in[i]);
  l->out[0] = net_scale(l->n, "Mul", NULL, y, 1.0 / (double)l->in_count);
}

static void two(coreml_layer *l, net_tensor *a, net_tensor *b) {
  align(l);
  *a = l->in[0];
  *b = l->in_count > 1 ? l->in[1] : net_scalar(l->n, SDX_FLOAT, proto_number(&l->params, "alpha", 0));
}

static void compare(coreml_layer *l) {
  net_tensor a, b;
  two(l, &a, &b);
  l->out[0] = net_cast(l->n, net_compare(l->n, l->kind->op, NULL, a, b), SDX_FLOAT);
}

static void not_equal(coreml_layer *l) {
  net_tensor a, b;
  two(l, &a, &b);
  net_tensor y = net_apply(l->n, "Not", NULL, net_compare(l->n, "Equal", "equal", a, b));
  l->out[0] = net_cast(l->n, y, SDX_FLOAT);
}

static void logical(coreml_layer *l) {
  net_tensor a = net_cast(l->n, l->in[0], SDX_BOOL);
  net_tensor y = l->in_count > 1 ? net_compare(l->n, l->kind->op, NULL, a, net_cast(l->n, l->in[1], SDX_BOOL))
                                 : net_apply(l->n, "Not", NULL, a);
  l->out[0] = net_cast(l->n, y, SDX_FLOAT);
}

static void floor_div(coreml_layer *l) {
  net_tensor a, b;
  two(l, &a, &b);
  l->out[0] = net_floor_div(l->n, a, b);
}

static void modulo(coreml_layer *l) {
  net_tensor a, b;
  two(l, &a, &b);
  l->out[0] = net_modulo(l->n, a, b);
}

static void where(coreml_layer *l) {
  if (l->in_count != 3) {
    net_fail(l->n, SDX_INVALID_MODEL, NULL, "%zu inputs, expected 3", l->in_count);
    return;
  }
  net_tensor test = net_cast(l->n, l->in[0], SDX_BOOL), y = net_binary(l->n, "Add", "shape", l->in[1], l->in[2]);
  l->out[0] = net_like(y, net_node(l->n, "Where", NULL, SDX_REFS(test.ref, l->in[1].ref, l->in[2].ref)));
  if (test.rank > y.rank) l->out[0].rank = test.rank, memcpy(l->out[0].shape, test.shape, sizeof test.shape);
}

// Weights of one to three dimensions: channels, height and width.
static net_tensor of_shape(coreml_layer *l, const char *field, const char *shape_field) {
  int64_t shape[3] = {1, 1, 1};
  proto_ints(&l->params, shape_field, 3, shape);
  return coreml_weight(l, field, 3, shape);
}

static void scale_layer(coreml_layer *l) {
  net_tensor y = coreml_image(l, l->in[0]), scale = of_shape(l, "scale", "shapeScale");
  if (!scale.ref) return;
  y = net_binary(l->n, "Mul", NULL, y, scale);
  net_tensor bias = proto_int(&l->params, "hasBias", 0) ? of_shape(l, "bias", "shapeBias") : (net_tensor){0};
  if (bias.ref) y = net_binary(l->n, "Add", "bias", y, bias);
  l->out[0] = coreml_like_input(l, y, &l->in[0]);
}

static void bias_layer(coreml_layer *l) {
  net_tensor x = coreml_image(l, l->in[0]), bias = of_shape(l, "bias", "shape");
  if (bias.ref) l->out[0] = coreml_like_input(l, net_binary(l->n, "Add", NULL, x, bias), &l->in[0]);
}

static void constant(coreml_layer *l) {
  int64_t shape[NET_RANK] = {0};
  size_t rank = proto_ints(&l->params, "shape", NET_RANK, shape);
  bool older = !strcmp(l->kind->name, "loadConstant") && !l->exact;
  net_tensor y = coreml_weight(l, "data", rank, shape);
  if (y.ref) l->out[0] = older ? net_unsqueeze(l->n, y, 0) : y;
}

// ---- over axes --------------------------------------------------------------------------------------

static void dot(coreml_layer *l) {
  net *n = l->n;
  if (l->in_count != 2) {
    net_fail(n, SDX_INVALID_MODEL, NULL, "%zu inputs, expected 2", l->in_count);
    return;
  }
  align(l);
  net_tensor a = l->in[0], b = l->in[1];
  int64_t axis = l->exact && a.rank >= 3 ? (int64_t)a.rank - 3 : 1;
  if (a.rank < 2 || b.rank != a.rank) {
    net_fail(n, SDX_INVALID_MODEL, NULL, "shapes %s and %s", net_shape_text(n, &a), net_shape_text(n, &b));
    return;
  }
  net_tensor y = net_reduce(n, "ReduceSum", net_binary(n, "Mul", "product", a, b), 1, &axis, true);
  if (proto_int(&l->params, "cosineSimilarity", 0)) {
    net_tensor norm = net_binary(n, "Mul", "norms", net_reduce(n, "ReduceL2", a, 1, &axis, true),
                                 net_reduce(n, "ReduceL2", b, 1, &axis, true));
    y = net_binary(n, "Div", NULL, y, norm);
  }
  l->out[0] = y;
}

static void softmax(coreml_layer *l) {
  net_tensor x = l->in[0];
  size_t axis = !l->exact ? 1 : x.rank >= 3 ? x.rank - 3 : x.rank ? x.rank - 1 : 0;
  if (l->params.type->count && !net_axis(l->n, &x, proto_int(&l->params, "axis", -1), &axis)) return;
  if (x.rank) l->out[0] = net_softmax(l->n, "Softmax", x, axis);
  else net_fail(l->n, SDX_INVALID_MODEL, NULL, "a value without dimensions");
}

static const char *const reductions[] = {"ReduceSum", "ReduceMean", "ReduceProd", "ReduceLogSum", "ReduceSumSquare",
                                         "ReduceL1",  "ReduceL2",   "ReduceMax",  "ReduceMin"};

static void reduce(coreml_layer *l) {
  enum { ARG_MAX = 9 };
  static const struct {
    size_t count;
    int64_t axes[3];
  } over[] = {{3, {1, 2, 3}}, {2, {2, 3}}, {1, {1}}, {1, {2}}, {1, {3}}};
  int64_t mode = proto_int(&l->params, "mode", 0), axis = proto_int(&l->params, "axis", 0);
  net_tensor x = coreml_image(l, l->in[0]), y;
  if (mode < 0 || mode > ARG_MAX || axis < 0 || axis > 4 || (mode == ARG_MAX && axis < 2) || convert_failed(l->m->c)) {
    net_fail(l->n, SDX_NOT_SUPPORTED, NULL, "mode %lld over axis %lld", (long long)mode, (long long)axis);
    return;
  }
  if (mode == ARG_MAX) y = net_cast(l->n, net_arg(l->n, "ArgMax", x, (size_t)over[axis].axes[0], true), SDX_FLOAT);
  else y = net_reduce(l->n, reductions[mode], x, over[axis].count, over[axis].axes, true);
  l->out[0] = coreml_like_input(l, y, &l->in[0]);
}

static void reduce_axes(coreml_layer *l) {
  net_tensor x = l->in[0];
  int64_t axes[NET_RANK];
  size_t count = proto_ints(&l->params, "axes", NET_RANK, axes);
  if (count > NET_RANK || proto_int(&l->params, "reduceAll", 0)) count = 0;
  if (net_axes(l->n, &x, &count, axes))
    l->out[0] = net_reduce(l->n, l->kind->op, x, count, axes, proto_int(&l->params, "keepDims", 0));
}

static void arg(coreml_layer *l) {
  size_t axis;
  if (!net_axis(l->n, &l->in[0], proto_int(&l->params, "axis", 0), &axis)) return;
  net_tensor y = net_arg(l->n, l->kind->op, l->in[0], axis, !proto_int(&l->params, "removeDim", 0));
  l->out[0] = net_cast(l->n, y, SDX_FLOAT);
}

static void top_k(coreml_layer *l) {
  bool sort = !strcmp(l->kind->name, "argSort");
  net_tensor x = l->in[0];
  size_t axis;
  if (!net_axis(l->n, &x, proto_int(&l->params, "axis", 0), &axis)) return;
  int64_t k = sort ? x.shape[axis] : proto_int(&l->params, "K", 0);
  if (k < 1 || k > INT32_MAX || (!sort && l->in_count > 1)) {
    net_fail(l->n, SDX_NOT_SUPPORTED, NULL, "a number of elements that is computed");
    return;
  }
  bool largest = sort ? proto_int(&l->params, "descending", 0) : !proto_int(&l->params, "useBottomK", 0);
  net_tensor y = net_top_k(l->n, x, axis, k, largest, &l->out[1]);
  l->out[1] = net_cast(l->n, l->out[1], SDX_FLOAT);
  l->out[0] = sort ? l->out[1] : y;
}

static void cum_sum(coreml_layer *l) {
  size_t axis;
  if (net_axis(l->n, &l->in[0], proto_int(&l->params, "axis", 0), &axis))
    l->out[0] = net_cum_sum(l->n, l->in[0], axis, proto_int(&l->params, "excludeFinalSum", 0),
                            proto_int(&l->params, "reverse", 0));
}

const coreml_layer_kind coreml_value_layers[] = {
    {"activation", activation, NULL},
    {"clip", clip, NULL},
    {"clampedReLU", clamped_relu, NULL},
    {"gelu", gelu, NULL},
    {"unary", unary, NULL},
    {"exp2", exp2_layer, NULL},
    {"ceil", apply, "Ceil"},
    {"floor", apply, "Floor"},
    {"round", apply, "Round"},
    {"sign", apply, "Sign"},
    {"sin", apply, "Sin"},
    {"cos", apply, "Cos"},
    {"tan", apply, "Tan"},
    {"asin", apply, "Asin"},
    {"acos", apply, "Acos"},
    {"atan", apply, "Atan"},
    {"sinh", apply, "Sinh"},
    {"cosh", apply, "Cosh"},
    {"tanh", apply, "Tanh"},
    {"asinh", apply, "Asinh"},
    {"acosh", apply, "Acosh"},
    {"atanh", apply, "Atanh"},
    {"erf", apply, "Erf"},
    {"copy", apply, "Identity"},
    {"add", combine, "Add"},
    {"multiply", combine, "Mul"},
    {"max", combine, "Max"},
    {"min", combine, "Min"},
    {"addBroadcastable", combine, "Add"},
    {"multiplyBroadcastable", combine, "Mul"},
    {"maxBroadcastable", combine, "Max"},
    {"minBroadcastable", combine, "Min"},
    {"subtractBroadcastable", combine, "Sub"},
    {"divideBroadcastable", combine, "Div"},
    {"powBroadcastable", combine, "Pow"},
    {"floorDivBroadcastable", floor_div, NULL},
    {"modBroadcastable", modulo, NULL},
    {"average", average, NULL},
    {"equal", compare, "Equal"},
    {"notEqual", not_equal, NULL},
    {"lessThan", compare, "Less"},
    {"lessEqual", compare, "LessOrEqual"},
    {"greaterThan", compare, "Greater"},
    {"greaterEqual", compare, "GreaterOrEqual"},
    {"logicalAnd", logical, "And"},
    {"logicalOr", logical, "Or"},
    {"logicalXor", logical, "Xor"},
    {"logicalNot", logical, NULL},
    {"whereBroadcastable", where, NULL},
    {"scale", scale_layer, NULL},
    {"bias", bias_layer, NULL},
    {"loadConstant", constant, NULL},
    {"loadConstantND", constant, NULL},
    {"dot", dot, NULL},
    {"softmax", softmax, NULL},
    {"softmaxND", softmax, NULL},
    {"reduce", reduce, NULL},
    {"reduceL1", reduce_axes, "ReduceL1"},
    {"reduceL2", reduce_axes, "ReduceL2"},
    {"reduceMax", reduce_axes, "ReduceMax"},
    {"reduceMin", reduce_axes, "ReduceMin"},
    {"reduceSum", reduce_axes, "ReduceSum"},
    {"reduceProd", reduce_axes, "ReduceProd"},
    {"reduceMean", reduce_axes, "ReduceMean"},
    {"reduceLogSum", reduce_axes, "ReduceLogSum"},
    {"reduceSumSquare", reduce_axes, "ReduceSumSquare"},
    {"reduceLogSumExp", reduce_axes, "ReduceLogSumExp"},
    {"argMax", arg, "ArgMax"},
    {"argMin", arg, "ArgMin"},
    {"topK", top_k, NULL},
    {"argSort", top_k, NULL},
    {"cumSum", cum_sum, NULL},
    {0},
};

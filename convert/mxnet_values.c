// SPDX-License-Identifier: Apache-2.0
// MXNet's operators that compute numbers one by one or over axes.
#include <math.h>
#include <string.h>

#include "convert/mxnet.h"

static void apply(mxnet_op *op) {
  net_tensor x;
  if (mxnet_in(op, 0, &x)) op->out[0] = net_apply(op->n, op->kind->op, NULL, x);
}

static void activation(mxnet_op *op) {
  static const char *const types[][2] = {
      {"relu", "Relu"}, {"sigmoid", "Sigmoid"}, {"tanh", "Tanh"}, {"softrelu", "Softplus"}, {"softsign", "Softsign"}};
  const char *type = mxnet_text(op, "act_type", "relu");
  net_tensor x;
  if (!mxnet_in(op, 0, &x)) return;
  for (size_t i = 0; i < sizeof types / sizeof *types; i++)
    if (!strcmp(type, types[i][0])) {
      op->out[0] = net_apply(op->n, types[i][1], NULL, x);
      return;
    }
  net_fail(op->n, SDX_NOT_SUPPORTED, NULL, "the activation '%.40s'", type);
}

static void leaky(mxnet_op *op) {
  const char *type = mxnet_text(op, "act_type", "leaky");
  double slope = mxnet_number(op, "slope", 0.25);
  net_tensor x, gamma;
  if (!mxnet_in(op, 0, &x)) return;
  if (!strcmp(type, "gelu")) op->out[0] = net_gelu(op->n, x, NET_GELU_EXACT);
  else if (!strcmp(type, "selu")) op->out[0] = net_apply(op->n, "Selu", NULL, x);
  else if (!strcmp(type, "prelu")) {
    const mxnet_array *a = mxnet_array_in(op, 1);
    int64_t count = a ? (int64_t)a->numbers.count : 0;
    if (!a || !mxnet_weight(op, 1, "gamma", 1, &count, &gamma)) return;
    op->out[0] = net_binary(op->n, "PRelu", NULL, x, count > 1 ? net_along(op->n, gamma, 1, &x) : gamma);
  } else if (!strcmp(type, "leaky") || !strcmp(type, "elu")) {
    op->out[0] = net_apply(op->n, *type == 'l' ? "LeakyRelu" : "Elu", NULL, x);
    sdx_graph_set_float(op->m->c->graph, "alpha", (float)slope);
  } else net_fail(op->n, SDX_NOT_SUPPORTED, NULL, "the activation '%.40s'", type);
}

static void hard_sigmoid(mxnet_op *op) {
  net_tensor x;
  if (!mxnet_in(op, 0, &x)) return;
  op->out[0] = net_apply(op->n, "HardSigmoid", NULL, x);
  sdx_graph_set_float(op->m->c->graph, "alpha", (float)mxnet_number(op, "alpha", 0.2));
  sdx_graph_set_float(op->m->c->graph, "beta", (float)mxnet_number(op, "beta", 0.5));
}

static void clip(mxnet_op *op) {
  net_tensor x;
  if (mxnet_in(op, 0, &x))
    op->out[0] = net_clip(op->n, x, mxnet_number(op, "a_min", -INFINITY), mxnet_number(op, "a_max", INFINITY));
}

static void reciprocal_root(mxnet_op *op) {
  net_tensor x;
  if (mxnet_in(op, 0, &x)) op->out[0] = net_apply(op->n, "Reciprocal", NULL, net_apply(op->n, "Sqrt", "sqrt", x));
}

static void square(mxnet_op *op) {
  net_tensor x;
  if (mxnet_in(op, 0, &x)) op->out[0] = net_binary(op->n, "Mul", NULL, x, x);
}

static void by_root_of_width(mxnet_op *op) {
  net_tensor x;
  if (!mxnet_in(op, 0, &x)) return;
  if (x.rank && x.shape[x.rank - 1] > 0)
    op->out[0] = net_scale(op->n, "Div", NULL, x, sqrt((double)x.shape[x.rank - 1]));
  else net_fail(op->n, SDX_NOT_SUPPORTED, NULL, "a width that is not known");
}

// ---- two by two -------------------------------------------------------------------------------------

static void binary(mxnet_op *op) {
  net_tensor a, b;
  if (!mxnet_in(op, 0, &a) || !mxnet_in(op, 1, &b)) return;
  op->out[0] = net_binary(op->n, op->kind->op, NULL, a, net_cast(op->n, b, a.dtype));
}

static void compare(mxnet_op *op) {
  net_tensor a, b;
  if (mxnet_in(op, 0, &a) && mxnet_in(op, 1, &b))
    op->out[0] = net_cast(op->n, net_compare(op->n, op->kind->op, NULL, a, b), a.dtype);
}

static void sum_of_all(mxnet_op *op) {
  net_tensor y, x;
  if (!mxnet_in(op, 0, &y)) return;
  for (size_t i = 1; i < op->in_count; i++) {
    if (!mxnet_in(op, i, &x)) return;
    y = net_binary(op->n, "Add", i + 1 < op->in_count ? "sum" : NULL, y, x);
  }
  op->out[0] = op->in_count > 1 ? y : net_apply(op->n, "Identity", NULL, y);
}

// With a number; the names of those that take it first begin with _r.
static void with_scalar(mxnet_op *op) {
  net_tensor x;
  if (!mxnet_in(op, 0, &x)) return;
  net_tensor number = net_scalar(op->n, x.dtype, mxnet_number(op, "scalar", 0));
  bool first = !strncmp(op->kind->name, "_r", 2);
  op->out[0] = net_binary(op->n, op->kind->op, NULL, first ? number : x, first ? x : number);
}

static void compare_scalar(mxnet_op *op) {
  net_tensor x;
  if (!mxnet_in(op, 0, &x)) return;
  net_tensor number = net_scalar(op->n, x.dtype, mxnet_number(op, "scalar", 0));
  op->out[0] = net_cast(op->n, net_compare(op->n, op->kind->op, NULL, x, number), x.dtype);
}

static void where(mxnet_op *op) {
  net_tensor test, a, b;
  if (!mxnet_in(op, 0, &test) || !mxnet_in(op, 1, &a) || !mxnet_in(op, 2, &b)) return;
  if (test.rank == 1) test = net_along(op->n, test, 0, &a);  // one for each row
  op->out[0] = net_like(a, net_node(op->n, "Where", NULL, SDX_REFS(net_cast(op->n, test, SDX_BOOL).ref, a.ref, b.ref)));
}

static void cast(mxnet_op *op) {
  static const struct {
    const char *name;
    sdx_dtype dtype;
  } types[] = {{"float32", SDX_FLOAT}, {"float64", SDX_FLOAT}, {"float16", SDX_FLOAT}, {"int32", SDX_INT32},
               {"int64", SDX_INT64},   {"uint8", SDX_INT32},   {"int8", SDX_INT32}};
  const char *to = mxnet_text(op, "dtype", "float32");
  net_tensor x;
  if (!mxnet_in(op, 0, &x)) return;
  for (size_t i = 0; i < sizeof types / sizeof *types; i++)
    if (!strcmp(to, types[i].name)) {
      op->out[0] =
          x.dtype == types[i].dtype ? net_apply(op->n, "Identity", NULL, x) : net_cast(op->n, x, types[i].dtype);
      return;
    }
  net_fail(op->n, SDX_NOT_SUPPORTED, NULL, "a cast to '%.40s'", to);
}

// ---- over axes --------------------------------------------------------------------------------------

static void softmax(mxnet_op *op) {
  net_tensor x;
  size_t axis;
  double temperature = mxnet_number(op, "temperature", 1);
  if (!mxnet_in(op, 0, &x) || !net_axis(op->n, &x, mxnet_int(op, "axis", -1), &axis)) return;
  if (temperature != 1) x = net_scale(op->n, "Div", "temperature", x, temperature);
  op->out[0] = net_softmax(op->n, op->kind->op, x, axis);
}

// Over channels, or over all of a row.
static void softmax_output(mxnet_op *op) {
  net_tensor x;
  bool channels = mxnet_flag(op, "multi_output", false) || !strcmp(mxnet_text(op, "mode", "instance"), "channel");
  if (!mxnet_in(op, 0, &x)) return;
  if (x.rank < 2) net_fail(op->n, SDX_INVALID_MODEL, NULL, "a value of rank %zu", x.rank);
  else if (channels || x.rank == 2) op->out[0] = net_softmax(op->n, "Softmax", x, 1);
  else if (mxnet_flag(op, "preserve_shape", false)) op->out[0] = net_softmax(op->n, "Softmax", x, x.rank - 1);
  else net_fail(op->n, SDX_NOT_SUPPORTED, NULL, "a softmax over all of %s", net_shape_text(op->n, &x));
}

static void reduce(mxnet_op *op) {
  net_tensor x;
  int64_t axes[NET_RANK];
  size_t at, count = mxnet_ints(op, "axis", 0, axes), kept = 0;
  bool out[NET_RANK] = {0};
  if (!mxnet_in(op, 0, &x)) return;
  for (size_t i = 0; i < count; i++) {
    if (!net_axis(op->n, &x, axes[i], &at)) return;
    out[at] = true;
  }
  bool others = mxnet_flag(op, "exclude", false);
  for (size_t i = 0; i < x.rank; i++)
    if (!count || out[i] != others) axes[kept++] = (int64_t)i;
  const char *what = op->kind->op;
  if (!strcmp(op->kind->name, "norm") && mxnet_int(op, "ord", 2) == 1) what = "ReduceL1";
  op->out[0] = net_reduce(op->n, what, x, kept, axes, mxnet_flag(op, "keepdims", false));
}

static void arg(mxnet_op *op) {
  net_tensor x;
  size_t axis;
  if (!mxnet_in(op, 0, &x) || !net_axis(op->n, &x, mxnet_int(op, "axis", -1), &axis)) return;
  net_tensor y = net_arg(op->n, op->kind->op, x, axis, mxnet_flag(op, "keepdims", false));
  op->out[0] = net_cast(op->n, y, SDX_FLOAT);
}

const mxnet_kind mxnet_value_kinds[] = {
    {"Activation", activation, NULL},
    {"LeakyReLU", leaky, NULL},
    {"relu", apply, "Relu"},
    {"sigmoid", apply, "Sigmoid"},
    {"tanh", apply, "Tanh"},
    {"softsign", apply, "Softsign"},
    {"erf", apply, "Erf"},
    {"exp", apply, "Exp"},
    {"log", apply, "Log"},
    {"sqrt", apply, "Sqrt"},
    {"abs", apply, "Abs"},
    {"negative", apply, "Neg"},
    {"reciprocal", apply, "Reciprocal"},
    {"sin", apply, "Sin"},
    {"cos", apply, "Cos"},
    {"tan", apply, "Tan"},
    {"floor", apply, "Floor"},
    {"ceil", apply, "Ceil"},
    {"sign", apply, "Sign"},
    {"_copy", apply, "Identity"},
    {"identity", apply, "Identity"},
    {"BlockGrad", apply, "Identity"},
    {"MakeLoss", apply, "Identity"},
    {"make_loss", apply, "Identity"},
    {"Dropout", apply, "Identity"},
    {"LinearRegressionOutput", apply, "Identity"},
    {"MAERegressionOutput", apply, "Identity"},
    {"LogisticRegressionOutput", apply, "Sigmoid"},
    {"hard_sigmoid", hard_sigmoid, NULL},
    {"clip", clip, NULL},
    {"rsqrt", reciprocal_root, NULL},
    {"square", square, NULL},
    {"_contrib_div_sqrt_dim", by_root_of_width, NULL},
    {"elemwise_add", binary, "Add"},
    {"elemwise_sub", binary, "Sub"},
    {"elemwise_mul", binary, "Mul"},
    {"elemwise_div", binary, "Div"},
    {"_plus", binary, "Add"},
    {"_Plus", binary, "Add"},
    {"_minus", binary, "Sub"},
    {"_mul", binary, "Mul"},
    {"_div", binary, "Div"},
    {"_maximum", binary, "Max"},
    {"_minimum", binary, "Min"},
    {"broadcast_add", binary, "Add"},
    {"broadcast_plus", binary, "Add"},
    {"broadcast_sub", binary, "Sub"},
    {"broadcast_minus", binary, "Sub"},
    {"broadcast_mul", binary, "Mul"},
    {"broadcast_div", binary, "Div"},
    {"broadcast_power", binary, "Pow"},
    {"broadcast_maximum", binary, "Max"},
    {"broadcast_minimum", binary, "Min"},
    {"broadcast_equal", compare, "Equal"},
    {"broadcast_greater", compare, "Greater"},
    {"broadcast_greater_equal", compare, "GreaterOrEqual"},
    {"broadcast_lesser", compare, "Less"},
    {"broadcast_lesser_equal", compare, "LessOrEqual"},
    {"add_n", sum_of_all, NULL},
    {"ElementWiseSum", sum_of_all, NULL},
    {"_plus_scalar", with_scalar, "Add"},
    {"_PlusScalar", with_scalar, "Add"},
    {"_minus_scalar", with_scalar, "Sub"},
    {"_MinusScalar", with_scalar, "Sub"},
    {"_rminus_scalar", with_scalar, "Sub"},
    {"_mul_scalar", with_scalar, "Mul"},
    {"_MulScalar", with_scalar, "Mul"},
    {"_div_scalar", with_scalar, "Div"},
    {"_DivScalar", with_scalar, "Div"},
    {"_rdiv_scalar", with_scalar, "Div"},
    {"_power_scalar", with_scalar, "Pow"},
    {"_PowerScalar", with_scalar, "Pow"},
    {"_rpower_scalar", with_scalar, "Pow"},
    {"_maximum_scalar", with_scalar, "Max"},
    {"_minimum_scalar", with_scalar, "Min"},
    {"_greater_scalar", compare_scalar, "Greater"},
    {"_greater_equal_scalar", compare_scalar, "GreaterOrEqual"},
    {"_lesser_scalar", compare_scalar, "Less"},
    {"_lesser_equal_scalar", compare_scalar, "LessOrEqual"},
    {"_equal_scalar", compare_scalar, "Equal"},
    {"where", where, NULL},
    {"Cast", cast, NULL},
    {"cast", cast, NULL},
    {"softmax", softmax, "Softmax"},
    {"log_softmax", softmax, "LogSoftmax"},
    {"SoftmaxOutput", softmax_output, NULL},
    {"Softmax", softmax_output, NULL},
    {"SoftmaxActivation", softmax_output, NULL},
    {"mean", reduce, "ReduceMean"},
    {"sum", reduce, "ReduceSum"},
    {"sum_axis", reduce, "ReduceSum"},
    {"max", reduce, "ReduceMax"},
    {"max_axis", reduce, "ReduceMax"},
    {"min", reduce, "ReduceMin"},
    {"prod", reduce, "ReduceProd"},
    {"norm", reduce, "ReduceL2"},
    {"argmax", arg, "ArgMax"},
    {"argmin", arg, "ArgMin"},
    {0},
};

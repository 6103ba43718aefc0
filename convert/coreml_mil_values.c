// SPDX-License-Identifier: Apache-2.0
// Operations of ML programs that compute numbers one by one or over axes, and constants that are packed.
#include <math.h>
#include <string.h>

#include "base/size.h"
#include "convert/coreml_mil.h"

// ---- one by one -------------------------------------------------------------------------------------

static void apply(mil_op *op) {
  net_tensor x;
  if (mil_in(op, "x", &x)) op->out[0] = net_apply(op->n, op->kind->op, NULL, x);
}

static void shaped(mil_op *op) {
  net_tensor x;
  if (!mil_in(op, "x", &x)) return;
  double alpha = mil_number(op, "alpha", 1), beta = mil_number(op, "beta", 0.5);
  op->out[0] = net_apply(op->n, op->kind->op, NULL, x);
  sdx_graph_set_float(op->g, "alpha", (float)alpha);
  if (!strcmp(op->kind->op, "HardSigmoid")) sdx_graph_set_float(op->g, "beta", (float)beta);
}

static void silu(mil_op *op) {
  net_tensor x;
  if (mil_in(op, "x", &x)) op->out[0] = net_binary(op->n, "Mul", NULL, x, net_apply(op->n, "Sigmoid", "sigmoid", x));
}

static void relu6(mil_op *op) {
  net_tensor x;
  if (mil_in(op, "x", &x)) op->out[0] = net_clip(op->n, x, 0, 6);
}

static void clip(mil_op *op) {
  net_tensor x;
  if (mil_in(op, "x", &x))
    op->out[0] = net_clip(op->n, x, mil_number(op, "alpha", -INFINITY), mil_number(op, "beta", INFINITY));
}

static void clamped_relu(mil_op *op) {
  net_tensor x;
  if (!mil_in(op, "x", &x)) return;
  double alpha = mil_number(op, "alpha", 0), beta = mil_number(op, "beta", 0);
  x = net_apply(op->n, "LeakyRelu", "leaky", x);
  sdx_graph_set_float(op->g, "alpha", (float)alpha);
  op->out[0] = net_scale(op->n, "Min", NULL, x, beta);
}

// alpha f(beta x), or alpha x + beta.
static void scaled(mil_op *op) {
  net_tensor x;
  if (!mil_in(op, "x", &x)) return;
  double alpha = mil_number(op, "alpha", 1), beta = mil_number(op, "beta", op->kind->op ? 1 : 0);
  if (op->kind->op)
    op->out[0] = net_scale(op->n, "Mul", "alpha",
                           net_apply(op->n, op->kind->op, NULL, net_scale(op->n, "Mul", "beta", x, beta)), alpha);
  else op->out[0] = net_scale(op->n, "Add", "beta", net_scale(op->n, "Mul", "alpha", x, alpha), beta);
}

static void prelu(mil_op *op) {
  net_tensor x, alpha;
  if (mil_in(op, "x", &x) && mil_in(op, "alpha", &alpha))
    op->out[0] = net_binary(op->n, "PRelu", NULL, x, net_along(op->n, alpha, 1, &x));
}

static void gelu(mil_op *op) {
  net_tensor x;
  str mode = mil_text(op, "mode");
  if (mil_in(op, "x", &x))
    op->out[0] = net_gelu(op->n, x,
                          str_is(mode, "SIGMOID_APPROXIMATION") ? NET_GELU_SIGMOID
                          : str_is(mode, "TANH_APPROXIMATION")  ? NET_GELU_TANH
                                                                : NET_GELU_EXACT);
}

// With a small number added before, where the operation has one.
static void guarded(mil_op *op) {
  net_tensor x;
  if (!mil_in(op, "x", &x)) return;
  x = net_scale(op->n, "Add", "epsilon", x, mil_number(op, "epsilon", op->kind->op[0] == 'L' ? 1e-45 : 1e-12));
  if (!strcmp(op->kind->name, "rsqrt")) x = net_apply(op->n, "Sqrt", "sqrt", x);
  op->out[0] = net_apply(op->n, op->kind->op, NULL, x);
}

static void square(mil_op *op) {
  net_tensor x;
  if (mil_in(op, "x", &x)) op->out[0] = net_binary(op->n, "Mul", NULL, x, x);
}

static void exp2_of(mil_op *op) {
  net_tensor x;
  if (mil_in(op, "x", &x)) op->out[0] = net_binary(op->n, "Pow", NULL, net_scalar(op->n, SDX_FLOAT, 2), x);
}

static void threshold(mil_op *op) {
  net_tensor x;
  if (mil_in(op, "x", &x)) op->out[0] = net_scale(op->n, "Max", NULL, x, mil_number(op, "alpha", 0));
}

static void cast(mil_op *op) {
  static const struct {
    const char *name;
    sdx_dtype dtype;
  } types[] = {{"fp16", SDX_FLOAT},  {"fp32", SDX_FLOAT},   {"bool", SDX_BOOL},  {"int32", SDX_INT32},
               {"int16", SDX_INT32}, {"uint16", SDX_INT32}, {"int8", SDX_INT32}, {"uint8", SDX_INT32}};
  net_tensor x;
  if (!mil_in(op, "x", &x)) return;
  str to = mil_text(op, "dtype");
  for (size_t i = 0; i < sizeof types / sizeof *types; i++)
    if (str_is(to, types[i].name)) {
      op->out[0] =
          x.dtype == types[i].dtype ? net_apply(op->n, "Identity", NULL, x) : net_cast(op->n, x, types[i].dtype);
      return;
    }
  net_fail(op->n, SDX_NOT_SUPPORTED, NULL, "a cast to '%.*s'", STR_ARG(to));
}

// ---- two by two -------------------------------------------------------------------------------------

static bool two(mil_op *op, net_tensor *x, net_tensor *y) {
  if (!mil_in(op, "x", x) || !mil_in(op, "y", y)) return false;
  if (x->dtype != y->dtype) *y = net_cast(op->n, *y, x->dtype);
  return true;
}

static void binary(mil_op *op) {
  net_tensor x, y;
  if (two(op, &x, &y)) op->out[0] = net_binary(op->n, op->kind->op, NULL, x, y);
}

static void compare(mil_op *op) {
  net_tensor x, y;
  if (two(op, &x, &y)) op->out[0] = net_compare(op->n, op->kind->op, NULL, x, y);
}

static void not_equal(mil_op *op) {
  net_tensor x, y;
  if (two(op, &x, &y)) op->out[0] = net_apply(op->n, "Not", NULL, net_compare(op->n, "Equal", "equal", x, y));
}

static void floor_div(mil_op *op) {
  net_tensor x, y;
  if (two(op, &x, &y)) op->out[0] = net_floor_div(op->n, x, y);
}

static void modulo(mil_op *op) {
  net_tensor x, y;
  if (two(op, &x, &y)) op->out[0] = net_modulo(op->n, x, y);
}

static void select_of(mil_op *op) {
  net_tensor test, a, b;
  if (!mil_in(op, "cond", &test) || !mil_in(op, "a", &a) || !mil_in(op, "b", &b)) return;
  op->out[0].dtype = a.dtype;
  op->out[0].ref = net_node(op->n, "Where", NULL, SDX_REFS(net_cast(op->n, test, SDX_BOOL).ref, a.ref, b.ref));
}

// ---- over axes --------------------------------------------------------------------------------------

static void reduce(mil_op *op) {
  net_tensor x;
  int64_t axes[MIL_LIST];
  size_t count = mil_ints(op, "axes", axes);
  if (mil_in(op, "x", &x) && net_axes(op->n, &x, &count, axes))
    op->out[0] = net_reduce(op->n, op->kind->op, x, count, axes, mil_int(op, "keep_dims", 0));
}

static void arg(mil_op *op) {
  net_tensor x;
  size_t axis;
  if (mil_in(op, "x", &x) && mil_axis(op, &x, "axis", -1, &axis))
    op->out[0] = net_cast(op->n, net_arg(op->n, op->kind->op, x, axis, mil_int(op, "keep_dims", 0)), SDX_INT32);
}

static void softmax(mil_op *op) {
  net_tensor x;
  size_t axis;
  if (mil_in(op, "x", &x) && mil_axis(op, &x, "axis", -1, &axis)) op->out[0] = net_softmax(op->n, "Softmax", x, axis);
}

static void top_k(mil_op *op) {
  net_tensor x;
  size_t axis;
  if (!mil_in(op, "x", &x) || !mil_axis(op, &x, "axis", -1, &axis)) return;
  bool sort = !strcmp(op->kind->name, "argsort"), ascending = mil_int(op, "ascending", 0);
  int64_t k = sort ? x.shape[axis] : mil_int(op, "k", 1);
  if (k < 1) {
    net_fail(op->n, SDX_NOT_SUPPORTED, NULL, "a number of elements that is not known");
    return;
  }
  net_tensor at, y = net_top_k(op->n, x, axis, k, !ascending, &at);
  at = net_cast(op->n, at, SDX_INT32);
  op->out[0] = sort ? at : y;
  if (!sort) op->out[1] = at;
}

static void cum_sum(mil_op *op) {
  net_tensor x;
  size_t axis;
  if (!mil_in(op, "x", &x) || !mil_axis(op, &x, "axis", 0, &axis)) return;
  op->out[0] = net_cum_sum(op->n, x, axis, mil_int(op, "exclusive", 0), mil_int(op, "reverse", 0));
}

// ---- packed constants -------------------------------------------------------------------------------

static float *floats_of(mil_op *op, const net_numbers *w, size_t count) {
  float *at = arena_array(op->p->m->c->memory, count + 1, sizeof *at);
  if (!at) convert_no_memory(op->p->m->c);
  for (size_t i = 0; at && i < count; i++) at[i] = (float)net_number_at(w, w->count == 1 ? 0 : i);
  return at;
}

static void give_constant(mil_op *op, net_numbers w) {
  op->as_constant = true;
  op->value = (mil_value){.constant = true, .numbers = w, .tensor = op->out[0]};
}

static void constant_cast(mil_op *op) {
  const net_numbers *w = mil_numbers(op, "source_val");
  if (w) give_constant(op, *w);
}

// (number - zero) * scale, along an axis.
static void dequantize(mil_op *op) {
  const net_numbers *q = mil_numbers(op, "quantized_data"), *scale = mil_numbers(op, "scale"),
                    *zero = mil_numbers(op, "zero_point");
  size_t axis;
  if (!q || !scale || !scale->count || !net_axis(op->n, &op->out[0], mil_int(op, "axis", 0), &axis)) return;
  size_t count = scale->count;
  if (zero && zero->count != 1 && zero->count != count) {
    if (count != 1) net_fail(op->n, SDX_INVALID_MODEL, NULL, "%zu scales and %zu zero points", count, zero->count);
    count = zero->count;
  }
  int64_t per = count == 1 ? INT32_MAX : net_product(&op->out[0], axis + 1, op->out[0].rank);
  float *by = floats_of(op, scale, count), *bias = by ? floats_of(op, scale, count) : NULL;
  if (!bias || per < 1 || convert_failed(op->p->m->c)) return;
  for (size_t i = 0; i < count; i++)
    bias[i] = zero && zero->count ? -(float)net_number_at(zero, zero->count == 1 ? 0 : i) * by[i] : 0;
  net_numbers w = *q;
  w.scale = by, w.bias = bias, w.per = (size_t)per, w.scales = count;
  give_constant(op, w);
}

static void look_up(mil_op *op) {
  const net_numbers *at = mil_numbers(op, "indices"), *table = mil_numbers(op, "lut");
  unsigned bits = 0;
  if (!at || !table || !table->count) return;
  while ((size_t)1 << bits < table->count && bits < 8) bits++;
  int64_t count = net_product(&op->out[0], 0, op->out[0].rank);
  float *entries = floats_of(op, table, table->count);
  if ((size_t)1 << bits != table->count || !bits || count < 0 || (at->coding != NET_U8 && at->coding != NET_I8)) {
    net_fail(op->n, SDX_NOT_SUPPORTED, NULL, "a table of %zu numbers", table->count);
    return;
  }
  give_constant(op, (net_numbers){.at = at->at,
                                  .count = at->count * 8 / bits,
                                  .coding = NET_PACKED,
                                  .bits = bits,
                                  .low_first = true,
                                  .table = entries});
}

const mil_kind mil_value_kinds[] = {
    {"relu", apply, "Relu"},
    {"sigmoid", apply, "Sigmoid"},
    {"tanh", apply, "Tanh"},
    {"softplus", apply, "Softplus"},
    {"softsign", apply, "Softsign"},
    {"erf", apply, "Erf"},
    {"abs", apply, "Abs"},
    {"ceil", apply, "Ceil"},
    {"floor", apply, "Floor"},
    {"round", apply, "Round"},
    {"sign", apply, "Sign"},
    {"sqrt", apply, "Sqrt"},
    {"exp", apply, "Exp"},
    {"sin", apply, "Sin"},
    {"cos", apply, "Cos"},
    {"tan", apply, "Tan"},
    {"asin", apply, "Asin"},
    {"acos", apply, "Acos"},
    {"atan", apply, "Atan"},
    {"sinh", apply, "Sinh"},
    {"cosh", apply, "Cosh"},
    {"atanh", apply, "Atanh"},
    {"logical_not", apply, "Not"},
    {"identity", apply, "Identity"},
    {"leaky_relu", shaped, "LeakyRelu"},
    {"elu", shaped, "Elu"},
    {"thresholded_relu", shaped, "ThresholdedRelu"},
    {"sigmoid_hard", shaped, "HardSigmoid"},
    {"silu", silu, NULL},
    {"relu6", relu6, NULL},
    {"clip", clip, NULL},
    {"clamped_relu", clamped_relu, NULL},
    {"scaled_tanh", scaled, "Tanh"},
    {"linear_activation", scaled, NULL},
    {"prelu", prelu, NULL},
    {"gelu", gelu, NULL},
    {"log", guarded, "Log"},
    {"rsqrt", guarded, "Reciprocal"},
    {"inverse", guarded, "Reciprocal"},
    {"square", square, NULL},
    {"exp2", exp2_of, NULL},
    {"threshold", threshold, NULL},
    {"cast", cast, NULL},
    {"add", binary, "Add"},
    {"sub", binary, "Sub"},
    {"mul", binary, "Mul"},
    {"real_div", binary, "Div"},
    {"pow", binary, "Pow"},
    {"maximum", binary, "Max"},
    {"minimum", binary, "Min"},
    {"floor_div", floor_div, NULL},
    {"mod", modulo, NULL},
    {"equal", compare, "Equal"},
    {"not_equal", not_equal, NULL},
    {"less", compare, "Less"},
    {"less_equal", compare, "LessOrEqual"},
    {"greater", compare, "Greater"},
    {"greater_equal", compare, "GreaterOrEqual"},
    {"logical_and", compare, "And"},
    {"logical_or", compare, "Or"},
    {"logical_xor", compare, "Xor"},
    {"select", select_of, NULL},
    {"reduce_sum", reduce, "ReduceSum"},
    {"reduce_mean", reduce, "ReduceMean"},
    {"reduce_max", reduce, "ReduceMax"},
    {"reduce_min", reduce, "ReduceMin"},
    {"reduce_prod", reduce, "ReduceProd"},
    {"reduce_l1_norm", reduce, "ReduceL1"},
    {"reduce_l2_norm", reduce, "ReduceL2"},
    {"reduce_sum_square", reduce, "ReduceSumSquare"},
    {"reduce_log_sum", reduce, "ReduceLogSum"},
    {"reduce_log_sum_exp", reduce, "ReduceLogSumExp"},
    {"reduce_argmax", arg, "ArgMax"},
    {"reduce_argmin", arg, "ArgMin"},
    {"softmax", softmax, NULL},
    {"topk", top_k, NULL},
    {"argsort", top_k, NULL},
    {"cumsum", cum_sum, NULL},
    {"constexpr_cast", constant_cast, NULL},
    {"constexpr_affine_dequantize", dequantize, NULL},
    {"constexpr_lut_to_dense", look_up, NULL},
    {0},
};

// SPDX-License-Identifier: Apache-2.0
// Rules of reductions and of what normalises along axes. Read first: gradient.h.
#include "ops/parts/gradient.h"

typedef gradient_step step;

// A reduced tensor with the reduced dimensions as 1.
static value_id kept(step *s, value_id v) {
  bool as_it_is = node_attr_int(s->n, "keepdims", 1) != 0 || s->n->input_count < 2 || !s->n->inputs[1];
  return as_it_is ? v : insert2(s->u, "Unsqueeze", v, s->in[1]);
}
// How many elements of x an element of y stands for, inverse.
static value_id share(op_upgrade *u, value_id x, value_id y, value_id g) {
  value_id results = insert2(u, "CastLike", insert1(u, "Size", y), g);
  value_id elements = insert2(u, "CastLike", insert1(u, "Size", x), g);
  return divide(u, results, elements);
}

static value_id reduce_sum(step *s, op_upgrade *u, value_id x, value_id y, value_id g) {
  return expand_like(u, kept(s, g), x);
}
static value_id reduce_mean(step *s, op_upgrade *u, value_id x, value_id y, value_id g) {
  value_id part = share(u, x, y, g);
  return expand_like(u, mul(u, kept(s, g), part), x);
}
static value_id reduce_sum_square(step *s, op_upgrade *u, value_id x, value_id y, value_id g) {
  value_id slope = mul(u, x, scalar_like(u, 2, x));
  return mul(u, kept(s, g), slope);
}
static value_id reduce_l1(step *s, op_upgrade *u, value_id x, value_id y, value_id g) {
  value_id sign = insert1(u, "Sign", x);
  return mul(u, kept(s, g), sign);
}
static value_id reduce_l2(step *s, op_upgrade *u, value_id x, value_id y, value_id g) {
  value_id norm = kept(s, y);
  return mul(u, x, divide(u, kept(s, g), norm));
}
static value_id reduce_log_sum(step *s, op_upgrade *u, value_id x, value_id y, value_id g) {
  value_id sum = insert1(u, "Exp", kept(s, y));
  return expand_like(u, divide(u, kept(s, g), sum), x);
}
static value_id reduce_log_sum_exp(step *s, op_upgrade *u, value_id x, value_id y, value_id g) {
  value_id softmax = insert1(u, "Exp", sub(u, x, kept(s, y)));
  return mul(u, kept(s, g), softmax);
}
static value_id reduce_prod(step *s, op_upgrade *u, value_id x, value_id y, value_id g) {
  value_id product = kept(s, y);
  return divide(u, mul(u, kept(s, g), product), x);
}
// ReduceMax, ReduceMin: elements that tie share.
static value_id reduce_extreme(step *s, op_upgrade *u, value_id x, value_id y, value_id g) {
  attr attrs[] = {attr_of_int("keepdims", 1),
                  attr_of_int("noop_with_empty_axes", node_attr_int(s->n, "noop_with_empty_axes", 0))};
  value_id ties = insert2(u, "CastLike", insert2(u, "Equal", x, kept(s, y)), g);
  value_id in[2] = {ties, s->n->input_count > 1 ? s->in[1] : VALUE_ABSENT};
  value_id count = upgrade_insert(u, "ReduceSum", 2, in, attrs, 2);
  return mul(u, ties, divide(u, kept(s, g), count));
}

// ---- along axes ---------------------------------------------------------------------------------

// The axes from `axis` on.
static value_id axes_from(op_upgrade *u, int64_t axis, value_id like) {
  value_id rank = insert1(u, "Size", shape_of(u, like)), from = scalar(u, SDX_INT64, (double)axis);
  value_id one = scalar(u, SDX_INT64, 1);
  if (axis < 0) from = add(u, rank, from);
  return insert3(u, "Range", from, rank, one);
}
// The sum over the axes of a softmax: those from the axis on in files of before opset 13.
static value_id softmax_sum(step *s, op_upgrade *u, value_id v) {
  int64_t axis = node_attr_int(s->n, "axis", -1);
  value_id axes = node_attr_int(s->n, "_flatten", 0) ? axes_from(u, axis, v) : ints1(u, axis);
  return insert2(u, "ReduceSum", v, axes);
}
static value_id softmax(step *s, op_upgrade *u, value_id x, value_id y, value_id g) {
  value_id sum = softmax_sum(s, u, mul(u, g, y));
  return mul(u, y, sub(u, g, sum));
}
static value_id log_softmax(step *s, op_upgrade *u, value_id x, value_id y, value_id g) {
  value_id probability = insert1(u, "Exp", y), sum = softmax_sum(s, u, g);
  return sub(u, g, mul(u, probability, sum));
}
static value_id cum_sum(step *s, op_upgrade *u, value_id x, value_id y, value_id g) {
  value_id sums = insert2(u, "CumSum", g, s->in[1]);
  with_attr(u, sums, attr_of_int("exclusive", node_attr_int(s->n, "exclusive", 0)));
  return with_attr(u, sums, attr_of_int("reverse", !node_attr_int(s->n, "reverse", 0)));
}
static value_id global_average_pool(step *s, op_upgrade *u, value_id x, value_id y, value_id g) {
  value_id part = share(u, x, y, g);
  return mul(u, expand_like(u, g, x), part);
}
static void layer_normalization(step *s, op_upgrade *u, value_id x, value_id y, value_id g) {
  double epsilon = (double)node_attr_float(s->n, "epsilon", 1e-5f);
  value_id axes = axes_from(u, node_attr_int(s->n, "axis", -1), x);
  value_id centred = sub(u, x, insert2(u, "ReduceMean", x, axes));
  value_id variance = insert2(u, "ReduceMean", square(u, centred), axes);
  value_id deviation = insert1(u, "Sqrt", add(u, variance, scalar_like(u, epsilon, x)));
  value_id inverse = insert1(u, "Reciprocal", deviation), normal = mul(u, centred, inverse);
  if (gradient_wants(s, 0)) {
    value_id scaled = mul(u, g, s->in[1]);
    value_id along = mul(u, normal, insert2(u, "ReduceMean", mul(u, scaled, normal), axes));
    value_id level = sub(u, scaled, insert2(u, "ReduceMean", scaled, axes));
    gradient_give(s, 0, mul(u, inverse, sub(u, level, along)));
  }
  if (gradient_wants(s, 1)) gradient_give_sum(s, 1, mul(u, g, normal));
  gradient_give_sum(s, 2, g);
}

const gradient_rule gradient_reductions[] = {
    {.op_type = "ArgMax"},
    {.op_type = "ArgMin"},
    {"CumSum", .first = cum_sum},
    {"GlobalAveragePool", .first = global_average_pool},
    {.op_type = "Hardmax"},
    {"LayerNormalization", .each = layer_normalization},
    {"LogSoftmax", .first = log_softmax},
    {"ReduceL1", .first = reduce_l1},
    {"ReduceL2", .first = reduce_l2},
    {"ReduceLogSum", .first = reduce_log_sum},
    {"ReduceLogSumExp", .first = reduce_log_sum_exp},
    {"ReduceMax", .first = reduce_extreme},
    {"ReduceMean", .first = reduce_mean},
    {"ReduceMin", .first = reduce_extreme},
    {"ReduceProd", .first = reduce_prod},
    {"ReduceSum", .first = reduce_sum},
    {"ReduceSumSquare", .first = reduce_sum_square},
    {"Softmax", .first = softmax},
    {.op_type = NULL},
};

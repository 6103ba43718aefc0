// SPDX-License-Identifier: Apache-2.0
// Caffe's layers that compute numbers one by one or over axes.
#include <math.h>
#include <string.h>

#include "convert/caffe.h"

static void apply(caffe_layer *l) { l->out[0] = net_apply(l->n, l->kind->op, NULL, l->in[0]); }

static void same(caffe_layer *l) {
  for (size_t i = 0; i < l->out_count; i++) l->out[i] = l->in[0];
}

static void relu(caffe_layer *l) {
  proto p = caffe_params(l);
  double slope = proto_number(&p, "negative_slope", 0);
  l->out[0] = net_apply(l->n, slope != 0 ? "LeakyRelu" : "Relu", NULL, l->in[0]);
  if (slope != 0) sdx_graph_set_float(l->f->c->graph, "alpha", (float)slope);
}

static void prelu(caffe_layer *l) {
  net_numbers w;
  net_tensor shape;
  if (!caffe_blob(l, 0, &w, &shape)) return;
  net_tensor slope = net_constant(l->n, "slope", SDX_FLOAT, 1, (int64_t[]){(int64_t)w.count}, &w, NULL);
  if (slope.ref)
    l->out[0] = net_binary(l->n, "PRelu", NULL, l->in[0], w.count > 1 ? net_along(l->n, slope, 1, &l->in[0]) : slope);
}

static void elu(caffe_layer *l) {
  proto p = caffe_params(l);
  l->out[0] = net_apply(l->n, "Elu", NULL, l->in[0]);
  sdx_graph_set_float(l->f->c->graph, "alpha", (float)proto_number(&p, "alpha", 1));
}

static void swish(caffe_layer *l) {
  l->out[0] = net_binary(l->n, "Mul", NULL, l->in[0], net_apply(l->n, "Sigmoid", "sigmoid", l->in[0]));
}

static void relu6(caffe_layer *l) { l->out[0] = net_clip(l->n, l->in[0], 0, 6); }

static void clip(caffe_layer *l) {
  proto p = caffe_params(l);
  l->out[0] = net_clip(l->n, l->in[0], proto_number(&p, "min", 0), proto_number(&p, "max", 0));
}

static void threshold(caffe_layer *l) {
  proto p = caffe_params(l);
  net_tensor limit = net_scalar(l->n, SDX_FLOAT, proto_number(&p, "threshold", 0));
  l->out[0] = net_cast(l->n, net_compare(l->n, "Greater", NULL, l->in[0], limit), SDX_FLOAT);
}

// shift + scale x.
static net_tensor linear(caffe_layer *l, const proto *p) {
  net_tensor x = l->in[0];
  double scale = proto_number(p, "scale", 1), shift = proto_number(p, "shift", 0);
  if (scale != 1) x = net_scale(l->n, "Mul", "scale", x, scale);
  return shift != 0 ? net_scale(l->n, "Add", "shift", x, shift) : x;
}

static void power(caffe_layer *l) {
  proto p = caffe_params(l);
  double exponent = proto_number(&p, "power", 1);
  net_tensor y = linear(l, &p);
  l->out[0] = exponent != 1           ? net_scale(l->n, "Pow", NULL, y, exponent)
              : y.ref == l->in[0].ref ? net_apply(l->n, "Identity", NULL, y)
                                      : y;
}

// Of a base; -1 is e.
static void exponential(caffe_layer *l) {
  proto p = caffe_params(l);
  double base = proto_number(&p, "base", -1);
  bool log_of = !strcmp(l->kind->op, "Log");
  net_tensor y = linear(l, &p);
  if (base > 0 && !log_of) y = net_scale(l->n, "Mul", "base", y, log(base));
  y = net_apply(l->n, l->kind->op, NULL, y);
  l->out[0] = base > 0 && log_of ? net_scale(l->n, "Mul", "base", y, 1 / log(base)) : y;
}

static void eltwise(caffe_layer *l) {
  enum { PRODUCT, SUM, MAX };
  static const char *const ops[] = {"Mul", "Add", "Max"};
  proto p = caffe_params(l);
  int64_t how = proto_int(&p, "operation", SUM);
  size_t count;
  const double *by = proto_doubles(&p, "coeff", &count);
  if (how < PRODUCT || how > MAX || (count && (how != SUM || count != l->in_count))) {
    net_fail(l->n, SDX_INVALID_MODEL, NULL, "%zu coefficients for %zu inputs", count, l->in_count);
    return;
  }
  for (size_t i = 0; i < count; i++)
    if (by[i] != 1) l->in[i] = net_scale(l->n, "Mul", "coeff", l->in[i], by[i]);
  net_tensor y = l->in[0];
  for (size_t i = 1; i < l->in_count; i++)
    y = net_binary(l->n, ops[how], i + 1 < l->in_count ? "part" : NULL, y, l->in[i]);
  l->out[0] = y;
}

static void softmax(caffe_layer *l) {
  proto p = caffe_params(l);
  size_t axis;
  if (caffe_axis(l, &p, "axis", NULL, &axis)) l->out[0] = net_softmax(l->n, "Softmax", l->in[0], axis);
}

static void reduction(caffe_layer *l) {
  static const char *const ops[] = {NULL, "ReduceSum", "ReduceL1", "ReduceSumSquare", "ReduceMean"};
  proto p = caffe_params(l);
  int64_t how = proto_int(&p, "operation", 1), axes[NET_RANK];
  size_t axis, count = 0;
  double by = proto_number(&p, "coeff", 1);
  if (!net_axis(l->n, &l->in[0], proto_int(&p, "axis", 0), &axis)) return;
  if (how < 1 || how > 4) {
    net_fail(l->n, SDX_INVALID_MODEL, NULL, "the operation %lld", (long long)how);
    return;
  }
  for (size_t i = axis; i < l->in[0].rank; i++) axes[count++] = (int64_t)i;
  net_tensor y = net_reduce(l->n, ops[how], l->in[0], count, axes, false);
  l->out[0] = by != 1 ? net_scale(l->n, "Mul", "coeff", y, by) : y;
}

// Of each row, or along an axis: [N, 1, k], with the numbers themselves [N, 2, k].
static void arg_max(caffe_layer *l) {
  proto p = caffe_params(l);
  net_tensor x = l->in[0];
  int64_t k = proto_int(&p, "top_k", 1);
  bool along = proto_has(&p, "axis"), numbers = proto_int(&p, "out_max_val", 0);
  size_t axis = 1;
  if (along && !caffe_axis(l, &p, "axis", NULL, &axis)) return;
  if (k < 1 || k > NET_MOST) {
    net_fail(l->n, SDX_INVALID_MODEL, NULL, "the %lld largest", (long long)k);
    return;
  }
  if (!along) x = net_flatten(l->n, x, 1);
  net_tensor at, most = net_top_k(l->n, x, axis, k, true, &at);
  at = net_cast(l->n, at, SDX_FLOAT);
  if (along) {
    l->out[0] = numbers ? most : at;
    return;
  }
  at = net_unsqueeze(l->n, at, 1);
  l->out[0] = numbers ? net_concat(l->n, 1, 2, (net_tensor[]){at, net_unsqueeze(l->n, most, 1)}) : at;
}

const caffe_kind caffe_value_kinds[] = {
    {"ReLU", relu, NULL, "relu_param"},
    {"PReLU", prelu, NULL, NULL},
    {"ELU", elu, NULL, "elu_param"},
    {"Sigmoid", apply, "Sigmoid", NULL},
    {"SigmoidCrossEntropyLoss", apply, "Sigmoid", NULL},
    {"TanH", apply, "Tanh", NULL},
    {"AbsVal", apply, "Abs", NULL},
    {"BNLL", apply, "Softplus", NULL},
    {"Swish", swish, NULL, NULL},
    {"ReLU6", relu6, NULL, NULL},
    {"Clip", clip, NULL, "clip_param"},
    {"Threshold", threshold, NULL, "threshold_param"},
    {"Power", power, NULL, "power_param"},
    {"Exp", exponential, "Exp", "exp_param"},
    {"Log", exponential, "Log", "log_param"},
    {"Eltwise", eltwise, NULL, "eltwise_param"},
    {"Softmax", softmax, NULL, "softmax_param"},
    {"SoftmaxWithLoss", softmax, NULL, "softmax_param"},
    {"Reduction", reduction, NULL, "reduction_param"},
    {"ArgMax", arg_max, NULL, "argmax_param"},
    {"Dropout", same, NULL, NULL},
    {"Split", same, NULL, NULL},
    {0},
};

// SPDX-License-Identifier: Apache-2.0
// Activations: functions that layers name, and layers of their own. Where ONNX has the operator it is one node.
#include <string.h>

#include "convert/keras.h"

static sdx_ref scalar(const keras_call *call, keras_tensor x, double n) {
  return sdx_graph_add_scalar(call->k->graph, x.dtype, n);
}

static keras_tensor with_alpha(const keras_call *call, const char *op, const char *part, keras_tensor x, double alpha) {
  x = keras_apply(call, op, part, x);
  sdx_graph_set_float(call->k->graph, "alpha", (float)alpha);
  return x;
}

static keras_tensor clip(const keras_call *call, keras_tensor x, double least, double most, bool has_most) {
  sdx_ref low = scalar(call, x, least);
  if (!has_most) return keras_like(x, keras_node(call, "Clip", NULL, SDX_REFS(x.ref, low)));
  return keras_like(x, keras_node(call, "Clip", NULL, SDX_REFS(x.ref, low, scalar(call, x, most))));
}

static keras_tensor product(const keras_call *call, keras_tensor x, keras_tensor y) {
  return keras_like(x, keras_node(call, "Mul", NULL, SDX_REFS(x.ref, y.ref)));
}

// ---- functions --------------------------------------------------------------------------------------

static keras_tensor hard_sigmoid(const keras_call *call, keras_tensor x) {
  x = with_alpha(call, "HardSigmoid", NULL, x, call->k->version < 3 ? 0.2 : 1.0 / 6);
  sdx_graph_set_float(call->k->graph, "beta", 0.5f);
  return x;
}

static keras_tensor hard_swish(const keras_call *call, keras_tensor x) {
  if (sdx_builder_opset(call->k->c->builder, "") >= 14) return keras_apply(call, "HardSwish", NULL, x);
  keras_tensor y = with_alpha(call, "HardSigmoid", NULL, x, 1.0 / 6);
  return product(call, x, y);
}

static keras_tensor gelu(const keras_call *call, keras_tensor x, bool approximate) {
  if (sdx_builder_opset(call->k->c->builder, "") >= 20) {
    x = keras_apply(call, "Gelu", NULL, x);
    if (approximate) sdx_graph_set_string(call->k->graph, "approximate", "tanh");
    return x;
  }
  keras_tensor y = x;
  if (approximate) {
    y = product(call, x, product(call, x, x));
    y = keras_like(x, keras_node(call, "Add", NULL, SDX_REFS(x.ref, keras_scale(call, "Mul", NULL, y, 0.044715).ref)));
    y = keras_apply(call, "Tanh", NULL, keras_scale(call, "Mul", NULL, y, 0.7978845608028654));
  } else {
    y = keras_apply(call, "Erf", NULL, keras_scale(call, "Mul", NULL, x, 0.7071067811865476));
  }
  y = keras_scale(call, "Add", NULL, y, 1);
  return product(call, keras_scale(call, "Mul", NULL, x, 0.5), y);
}

static keras_tensor softmax(const keras_call *call, const char *op, keras_tensor x, int64_t axis) {
  x = keras_apply(call, op, NULL, x);
  sdx_graph_set_int(call->k->graph, "axis", axis);
  return x;
}

static keras_tensor log_sigmoid(const keras_call *call, keras_tensor x) {
  x = keras_apply(call, "Softplus", NULL, keras_apply(call, "Neg", NULL, x));
  return keras_apply(call, "Neg", NULL, x);
}

static keras_tensor shrink(const keras_call *call, keras_tensor x, double bias) {
  x = keras_apply(call, "Shrink", NULL, x);
  sdx_graph_set_float(call->k->graph, "lambd", 0.5f);
  sdx_graph_set_float(call->k->graph, "bias", (float)bias);
  return x;
}

static keras_tensor mish(const keras_call *call, keras_tensor x) {
  if (sdx_builder_opset(call->k->c->builder, "") >= 18) return keras_apply(call, "Mish", NULL, x);
  return product(call, x, keras_apply(call, "Tanh", NULL, keras_apply(call, "Softplus", NULL, x)));
}

static keras_tensor tanh_shrink(const keras_call *call, keras_tensor x) {
  return keras_like(x, keras_node(call, "Sub", NULL, SDX_REFS(x.ref, keras_apply(call, "Tanh", "tanh", x).ref)));
}

// (x + sqrt(x^2 + 4)) / 2
static keras_tensor square_plus(const keras_call *call, keras_tensor x) {
  keras_tensor y = keras_apply(call, "Sqrt", NULL, keras_scale(call, "Add", NULL, product(call, x, x), 4));
  return keras_scale(call, "Mul", NULL, keras_like(x, keras_node(call, "Add", NULL, SDX_REFS(x.ref, y.ref))), 0.5);
}

static keras_tensor selu(const keras_call *call, keras_tensor x) {
  x = with_alpha(call, "Selu", NULL, x, 1.6732632423543772);
  sdx_graph_set_float(call->k->graph, "gamma", 1.0507009873554805f);
  return x;
}

static const struct simple {
  const char *name, *op;
} simple[] = {{"relu", "Relu"},         {"sigmoid", "Sigmoid"}, {"tanh", "Tanh"}, {"softplus", "Softplus"},
              {"softsign", "Softsign"}, {"exponential", "Exp"}, {"exp", "Exp"}};

static bool apply_function(keras_call *call, keras_tensor x, const char *name, keras_tensor *y) {
  *y = x;
  if (!*name || !strcmp(name, "linear")) return true;
  for (size_t i = 0; i < sizeof simple / sizeof *simple; i++)
    if (!strcmp(name, simple[i].name)) return *y = keras_apply(call, simple[i].op, NULL, x), true;
  if (!strcmp(name, "softmax")) *y = softmax(call, "Softmax", x, -1);
  else if (!strcmp(name, "log_softmax")) *y = softmax(call, "LogSoftmax", x, -1);
  else if (!strcmp(name, "relu6")) *y = clip(call, x, 0, 6, true);
  else if (!strcmp(name, "hard_sigmoid")) *y = hard_sigmoid(call, x);
  else if (!strcmp(name, "hard_silu") || !strcmp(name, "hard_swish")) *y = hard_swish(call, x);
  else if (!strcmp(name, "silu") || !strcmp(name, "swish"))
    *y = product(call, x, keras_apply(call, "Sigmoid", NULL, x));
  else if (!strcmp(name, "gelu")) *y = gelu(call, x, false);
  else if (!strcmp(name, "elu")) *y = with_alpha(call, "Elu", NULL, x, 1);
  else if (!strcmp(name, "celu")) *y = with_alpha(call, "Celu", NULL, x, 1);
  else if (!strcmp(name, "selu")) *y = selu(call, x);
  else if (!strcmp(name, "leaky_relu")) *y = with_alpha(call, "LeakyRelu", NULL, x, 0.2);
  else if (!strcmp(name, "mish")) *y = mish(call, x);
  else if (!strcmp(name, "log_sigmoid")) *y = log_sigmoid(call, x);
  else if (!strcmp(name, "soft_shrink")) *y = shrink(call, x, 0.5);
  else if (!strcmp(name, "hard_shrink")) *y = shrink(call, x, 0);
  else if (!strcmp(name, "hard_tanh")) *y = clip(call, x, -1, 1, true);
  else if (!strcmp(name, "tanh_shrink")) *y = tanh_shrink(call, x);
  else if (!strcmp(name, "squareplus")) *y = square_plus(call, x);
  else return false;
  return true;
}

const char *keras_activation_name(const json_t *activation) {
  if (json_is_null(activation) || !activation) return "linear";
  if (json_is_string(activation)) return json_string_value(activation);
  const json_t *config = json_object_get(activation, "config");
  return json_is_string(config) ? json_string_value(config) : NULL;
}

keras_tensor keras_activate(keras_call *call, keras_tensor x, const json_t *activation, const char *part) {
  keras_call inner;
  keras_tensor y = x;
  const char *name = keras_activation_name(activation);
  if (name) {
    if (!apply_function(call, x, name, &y))
      keras_fail(call, SDX_NOT_SUPPORTED, "use one of Keras' own activations", "the activation '%s' is not converted",
                 name);
    return y;
  }
  return keras_call_inner(call, activation, part, (keras_store){0}, 1, &x, &inner) ? inner.out[0] : x;
}

keras_tensor keras_activated(keras_call *call, keras_tensor x, const char *key) {
  return keras_activate(call, x, json_object_get(call->config, key), key);
}

// ---- layers -----------------------------------------------------------------------------------------

static void activation(keras_call *call) { keras_give(call, keras_activated(call, call->in[0], "activation")); }

// f(x) = min(x, most) at and above the threshold, slope (x - threshold) below.
static keras_tensor relu_of(keras_call *call, keras_tensor x, double slope, double threshold, bool bounded,
                            double most) {
  sdx_graph *g = call->k->graph;
  if (!slope && !threshold) return bounded ? clip(call, x, 0, most, true) : keras_apply(call, "Relu", NULL, x);
  if (!threshold) {
    x = with_alpha(call, "LeakyRelu", NULL, x, slope);
  } else {
    sdx_ref above = keras_node(call, "Less", "below", SDX_REFS(x.ref, scalar(call, x, threshold)));
    keras_tensor low = keras_scale(call, "Mul", NULL, keras_scale(call, "Sub", NULL, x, threshold), slope);
    x.ref = keras_node(call, "Where", NULL, SDX_REFS(above, low.ref, x.ref));
  }
  return bounded ? keras_like(x, sdx_graph_add_node(g, "Min", NULL, SDX_REFS(x.ref, scalar(call, x, most)))) : x;
}

static void relu(keras_call *call) {
  double slope = keras_number(call->config, "negative_slope", 0), most = keras_number(call->config, "max_value", -1);
  bool bounded = json_is_number(json_object_get(call->config, "max_value"));
  keras_give(call, relu_of(call, call->in[0], slope, keras_number(call->config, "threshold", 0), bounded, most));
}

static void leaky_relu(keras_call *call) {
  double slope = keras_number(call->config, "negative_slope", keras_number(call->config, "alpha", 0.3));
  keras_give(call, with_alpha(call, "LeakyRelu", NULL, call->in[0], slope));
}

static void elu(keras_call *call) {
  keras_give(call, with_alpha(call, "Elu", NULL, call->in[0], keras_number(call->config, "alpha", 1)));
}

static void thresholded_relu(keras_call *call) {
  keras_give(call, with_alpha(call, "ThresholdedRelu", NULL, call->in[0], keras_number(call->config, "theta", 1)));
}

static void p_relu(keras_call *call) {
  keras_tensor x = call->in[0];
  int64_t shape[KERAS_RANK];
  for (size_t i = 1; i < x.rank; i++) shape[i - 1] = -1;
  sdx_ref slope = keras_next(call, "", 0, "alpha", x.rank - 1, shape);
  if (slope) keras_give(call, keras_like(x, keras_node(call, "PRelu", NULL, SDX_REFS(x.ref, slope))));
}

// Masked places get a large negative number, as Keras adds it.
static void softmax_layer(keras_call *call) {
  keras_tensor x = call->in[0];
  const json_t *axis = json_object_get(call->config, "axis");
  const keras_tensor *given = keras_tensor_argument(call, 1, "mask");
  sdx_ref mask = given ? given->ref : x.mask && x.rank == 2 ? x.mask : 0;
  if (json_array_size(axis) > 1) {
    keras_fail(call, SDX_NOT_SUPPORTED, NULL, "several axes");
    return;
  }
  int64_t at = json_is_array(axis) ? json_integer_value(json_array_get(axis, 0)) : keras_int(call->config, "axis", -1);
  size_t checked;
  if (!keras_axis(call, &x, at, &checked)) return;
  if (mask) {
    sdx_ref low = keras_scale(call, "Add", "masked", x, call->dtype == SDX_FLOAT16 ? -65504.0 / 2 : -1e9).ref;
    x.ref = keras_node(call, "Where", "mask", SDX_REFS(mask, x.ref, low));
  }
  keras_give(call, softmax(call, "Softmax", x, at));
}

static void function(keras_call *call) {
  keras_tensor y;
  if (apply_function(call, call->in[0], call->emit_kind->op, &y)) keras_give(call, y);
}

// Functions with arguments.
static double option(const keras_call *call, size_t place, const char *name, double missing) {
  const json_t *n = keras_argument(call, place, name);
  if (!n || json_is_null(n)) n = json_object_get(call->config, name);
  return json_is_number(n) ? json_number_value(n) : json_is_boolean(n) ? json_is_true(n) : missing;
}

static void op_leaky_relu(keras_call *call) {
  double slope = option(call, 1, "negative_slope", option(call, 1, "alpha", 0.2));
  keras_give(call, with_alpha(call, "LeakyRelu", NULL, call->in[0], slope));
}

static void op_elu(keras_call *call) {
  keras_give(call, with_alpha(call, call->emit_kind->op, NULL, call->in[0], option(call, 1, "alpha", 1)));
}

static void op_gelu(keras_call *call) {
  bool approximate = option(call, 1, "approximate", call->k->version >= 3) != 0;
  keras_give(call, gelu(call, call->in[0], approximate));
}

static void op_softmax(keras_call *call) {
  keras_give(call, softmax(call, call->emit_kind->op, call->in[0], (int64_t)option(call, 1, "axis", -1)));
}

const keras_kind keras_activation_kinds[] = {
    {"Activation", activation, KERAS_KEEPS_MASK, NULL}, {"ReLU", relu, KERAS_KEEPS_MASK, NULL},
    {"LeakyReLU", leaky_relu, KERAS_KEEPS_MASK, NULL},  {"ELU", elu, KERAS_KEEPS_MASK, NULL},
    {"PReLU", p_relu, KERAS_KEEPS_MASK, NULL},          {"ThresholdedReLU", thresholded_relu, KERAS_KEEPS_MASK, NULL},
    {"Softmax", softmax_layer, KERAS_KEEPS_MASK, NULL}, {0},
};

const keras_kind keras_function_kinds[] = {
    {"Relu", function, 0, "relu"},
    {"nn.relu", function, 0, "relu"},
    {"Relu6", function, 0, "relu6"},
    {"nn.relu6", function, 0, "relu6"},
    {"Sigmoid", function, 0, "sigmoid"},
    {"math.sigmoid", function, 0, "sigmoid"},
    {"nn.sigmoid", function, 0, "sigmoid"},
    {"Tanh", function, 0, "tanh"},
    {"math.tanh", function, 0, "tanh"},
    {"nn.tanh", function, 0, "tanh"},
    {"Softplus", function, 0, "softplus"},
    {"math.softplus", function, 0, "softplus"},
    {"nn.softplus", function, 0, "softplus"},
    {"Softsign", function, 0, "softsign"},
    {"nn.softsign", function, 0, "softsign"},
    {"Silu", function, 0, "silu"},
    {"nn.silu", function, 0, "silu"},
    {"nn.swish", function, 0, "silu"},
    {"LogSigmoid", function, 0, "log_sigmoid"},
    {"math.log_sigmoid", function, 0, "log_sigmoid"},
    {"HardSigmoid", function, 0, "hard_sigmoid"},
    {"HardSilu", function, 0, "hard_silu"},
    {"HardTanh", function, 0, "hard_tanh"},
    {"TanhShrink", function, 0, "tanh_shrink"},
    {"SoftShrink", function, 0, "soft_shrink"},
    {"HardShrink", function, 0, "hard_shrink"},
    {"Squareplus", function, 0, "squareplus"},
    {"Selu", function, 0, "selu"},
    {"nn.selu", function, 0, "selu"},
    {"LeakyRelu", op_leaky_relu, 0, NULL},
    {"nn.leaky_relu", op_leaky_relu, 0, NULL},
    {"Elu", op_elu, 0, "Elu"},
    {"nn.elu", op_elu, 0, "Elu"},
    {"Celu", op_elu, 0, "Celu"},
    {"Gelu", op_gelu, 0, NULL},
    {"nn.gelu", op_gelu, 0, NULL},
    {"Softmax", op_softmax, 0, "Softmax"},
    {"nn.softmax", op_softmax, 0, "Softmax"},
    {"LogSoftmax", op_softmax, 0, "LogSoftmax"},
    {"nn.log_softmax", op_softmax, 0, "LogSoftmax"},
    {0},
};

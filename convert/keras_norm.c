// SPDX-License-Identifier: Apache-2.0
// Normalisations.
#include <string.h>

#include "convert/keras.h"

// The axes of the configuration in ascending order; one number or a list.
static bool read_axes(keras_call *call, const keras_tensor *x, int64_t missing, int64_t *axes, size_t *count) {
  const json_t *value = json_object_get(call->config, "axis");
  if (json_is_object(value)) value = json_object_get(value, "items");
  bool there[KERAS_RANK] = {0};
  size_t given = json_is_array(value) ? json_array_size(value) : 1, at;
  for (size_t i = 0; i < given; i++) {
    const json_t *axis = json_is_array(value) ? json_array_get(value, i) : value;
    if (!keras_axis(call, x, json_is_integer(axis) ? json_integer_value(axis) : missing, &at)) return false;
    there[at] = true;
  }
  *count = 0;
  for (size_t i = 0; i < x->rank; i++)
    if (there[i]) axes[(*count)++] = (int64_t)i;
  return *count || !keras_fail(call, SDX_INVALID_MODEL, NULL, "axis is empty");
}

// A weight that may be absent: then `missing` everywhere.
static sdx_ref vector(keras_call *call, const char *flag, unsigned *index, const char *name, int64_t size,
                      double missing) {
  if (keras_flag(call->config, flag, true)) return keras_next(call, "", (*index)++, name, 1, &size);
  double *numbers = size >= 0 && size < 1 << 24 ? arena_array(call->k->c->memory, (size_t)size, sizeof *numbers) : NULL;
  for (int64_t i = 0; numbers && i < size; i++) numbers[i] = missing;
  if (numbers) return keras_floats(call, call->dtype, 1, &size, numbers);
  keras_fail(call, SDX_INVALID_MODEL, NULL, "the number of channels is not known");
  return 0;
}

// The axis to the second place, and back.
static keras_tensor to_second(keras_call *call, keras_tensor x, size_t axis, bool back) {
  int64_t order[KERAS_RANK];
  if (axis == 1 || x.rank < 3) return x;
  for (size_t i = 0; i < x.rank; i++) order[i] = (int64_t)i;
  if (back) {
    memmove(order + 1, order + 2, (axis - 1) * sizeof *order);
    order[axis] = 1;
  } else {
    memmove(order + 2, order + 1, (axis - 1) * sizeof *order);
    order[1] = (int64_t)axis;
  }
  return keras_transpose(call, x, order);
}

static void batch_normalization(keras_call *call) {
  keras_tensor x = call->in[0];
  int64_t axes[KERAS_RANK];
  size_t count;
  unsigned index = 0;
  if (!read_axes(call, &x, -1, axes, &count)) return;
  size_t axis = (size_t)axes[0];
  if (count != 1 || (axis == 0 && x.rank > 1) || x.rank < 2) {
    keras_fail(call, SDX_NOT_SUPPORTED, NULL, "axis %zu of an input of rank %zu", axis, x.rank);
    return;
  }
  int64_t size = x.shape[axis];
  sdx_ref gamma = vector(call, "scale", &index, "gamma", size, 1),
          beta = vector(call, "center", &index, "beta", size, 0);
  if (!gamma || !beta) return;
  sdx_ref mean = keras_next(call, "", index, "moving_mean", 1, &size);
  sdx_ref variance = mean ? keras_next(call, "", index + 1, "moving_variance", 1, &size) : 0;
  if (!variance) return;
  keras_tensor y = to_second(call, x, axis, false);
  y.ref = keras_node(call, "BatchNormalization", NULL, SDX_REFS(y.ref, gamma, beta, mean, variance));
  sdx_graph_set_float(call->k->graph, "epsilon", (float)keras_number(call->config, "epsilon", 1e-3));
  keras_give(call, to_second(call, y, axis, true));
}

// (x - mean) / sqrt(mean of squares + epsilon), over any axes.
static keras_tensor standardize(keras_call *call, keras_tensor x, size_t count, const int64_t *axes, double epsilon) {
  keras_tensor mean = keras_reduce(call, "ReduceMean", x, count, axes, true);
  keras_tensor d = keras_like(x, keras_node(call, "Sub", "centered", SDX_REFS(x.ref, mean.ref)));
  keras_tensor square = keras_like(x, keras_node(call, "Mul", "square", SDX_REFS(d.ref, d.ref)));
  keras_tensor v = keras_reduce(call, "ReduceMean", square, count, axes, true);
  v = keras_apply(call, "Sqrt", "deviation", keras_scale(call, "Add", NULL, v, epsilon));
  return keras_like(x, keras_node(call, "Div", "normalized", SDX_REFS(d.ref, v.ref)));
}

// A weight of the sizes of `axes`, as it is multiplied with x: 1 elsewhere.
static sdx_ref spread(keras_call *call, unsigned index, const char *name, const keras_tensor *x, size_t count,
                      const int64_t *axes) {
  hdf5_array w;
  int64_t shape[KERAS_RANK], broad[KERAS_RANK];
  for (size_t i = 0; i < x->rank; i++) broad[i] = 1;
  for (size_t i = 0; i < count; i++) shape[i] = x->shape[axes[i]];
  if (!keras_weight(call, "", index, &w) || !keras_expect(call, name, &w, count, shape)) return 0;
  for (size_t i = 0; i < count; i++) broad[axes[i]] = w.shape[i];
  w.rank = x->rank;
  memcpy(w.shape, broad, sizeof broad);
  return keras_constant(call, name, call->dtype, &w, NULL);
}

static keras_tensor scaled(keras_call *call, keras_tensor y, unsigned index, size_t count, const int64_t *axes) {
  if (keras_flag(call->config, "scale", true)) {
    sdx_ref gamma = spread(call, index++, "gamma", &y, count, axes);
    if (!gamma) return y;
    y.ref = keras_node(call, "Mul", NULL, SDX_REFS(y.ref, gamma));
  }
  if (keras_flag(call->config, "center", true)) {
    sdx_ref beta = spread(call, index, "beta", &y, count, axes);
    if (!beta) return y;
    y.ref = keras_node(call, "Add", NULL, SDX_REFS(y.ref, beta));
  }
  return y;
}

// One node where the axes are the last ones and there is a scale.
static void layer_normalization(keras_call *call) {
  keras_tensor x = call->in[0];
  int64_t axes[KERAS_RANK];
  size_t count;
  double epsilon = keras_number(call->config, "epsilon", 1e-3);
  if (!read_axes(call, &x, -1, axes, &count)) return;
  bool last = axes[0] == (int64_t)(x.rank - count), scale = keras_flag(call->config, "scale", true);
  if (keras_flag(call->config, "rms_scaling", false)) {
    keras_tensor square = keras_like(x, keras_node(call, "Mul", "square", SDX_REFS(x.ref, x.ref)));
    keras_tensor v = keras_reduce(call, "ReduceMean", square, count, axes, true);
    v = keras_apply(call, "Sqrt", NULL, keras_scale(call, "Add", NULL, v, epsilon));
    x.ref = keras_node(call, "Div", NULL, SDX_REFS(x.ref, v.ref));
    sdx_ref gamma = spread(call, 0, "gamma", &x, count, axes);
    if (gamma) keras_give(call, keras_like(x, keras_node(call, "Mul", NULL, SDX_REFS(x.ref, gamma))));
    return;
  }
  if (!last || !scale || sdx_builder_opset(call->k->c->builder, "") < 17) {
    keras_give(call, scaled(call, standardize(call, x, count, axes, epsilon), 0, count, axes));
    return;
  }
  int64_t shape[KERAS_RANK];
  for (size_t i = 0; i < count; i++) shape[i] = x.shape[axes[i]];
  sdx_ref gamma = keras_next(call, "", 0, "gamma", count, shape);
  bool center = keras_flag(call->config, "center", true);
  sdx_ref beta = gamma && center ? keras_next(call, "", 1, "beta", count, shape) : 0;
  if (!gamma || (center && !beta)) return;
  x.ref = keras_node(call, "LayerNormalization", NULL, center ? 3 : 2, (sdx_ref[]){x.ref, gamma, beta});
  sdx_graph_set_int(call->k->graph, "axis", axes[0]);
  sdx_graph_set_float(call->k->graph, "epsilon", (float)epsilon);
  keras_give(call, x);
}

static void rms_normalization(keras_call *call) {
  keras_tensor x = call->in[0];
  int64_t axes[KERAS_RANK];
  size_t count;
  if (!read_axes(call, &x, -1, axes, &count)) return;
  keras_tensor square = keras_like(x, keras_node(call, "Mul", "square", SDX_REFS(x.ref, x.ref)));
  keras_tensor v = keras_reduce(call, "ReduceMean", square, count, axes, true);
  v = keras_apply(call, "Sqrt", NULL, keras_scale(call, "Add", NULL, v, keras_number(call->config, "epsilon", 1e-6)));
  x.ref = keras_node(call, "Div", NULL, SDX_REFS(x.ref, v.ref));
  sdx_ref gamma = spread(call, 0, "scale", &x, count, axes);
  if (gamma) keras_give(call, keras_like(x, keras_node(call, "Mul", NULL, SDX_REFS(x.ref, gamma))));
}

// Channels in groups: [batch, space..., groups, channels / groups], each group over all but the batch.
static void group_normalization(keras_call *call) {
  keras_tensor x = call->in[0];
  int64_t axes[KERAS_RANK], groups = keras_int(call->config, "groups", 32), over[KERAS_RANK], spec[KERAS_RANK + 1];
  size_t count, n = 0;
  if (!read_axes(call, &x, -1, axes, &count)) return;
  size_t axis = (size_t)axes[0];
  int64_t channels = x.shape[axis];
  if (groups == -1) groups = channels;
  if (count != 1 || axis == 0 || channels < 1 || groups < 1 || channels % groups || x.rank == KERAS_RANK) {
    keras_fail(call, SDX_INVALID_MODEL, NULL, "%lld channels in %lld groups", (long long)channels, (long long)groups);
    return;
  }
  int64_t shape[KERAS_RANK + 1];
  for (size_t i = 0; i <= x.rank; i++) {
    shape[i] = i < axis ? x.shape[i] : i == axis ? groups : i == axis + 1 ? channels / groups : x.shape[i - 1];
    spec[i] = i <= axis - 1 ? 0 : shape[i];
    if (i > 0 && i != axis) over[n++] = (int64_t)i;
  }
  size_t open = 0;
  for (size_t i = axis; i <= x.rank; i++)
    if (spec[i] < 0) open++;
  if (open > 1) {
    keras_fail(call, SDX_NOT_SUPPORTED, NULL, "more than one dimension after the channels is not known");
    return;
  }
  keras_tensor y = keras_reshape(call, x, x.rank + 1, spec, shape);
  y = standardize(call, y, n, over, keras_number(call->config, "epsilon", 1e-3));
  y = keras_like(x, keras_node(call, "Reshape", NULL, SDX_REFS(y.ref, keras_shape(call, x, 0, INT32_MAX))));
  keras_give(call, scaled(call, y, 0, 1, axes));
}

// Of ConvNeXt.
static void layer_scale(keras_call *call) {
  keras_tensor x = call->in[0];
  sdx_ref gamma = keras_next(call, "", 0, "gamma", 1, &x.shape[x.rank - 1]);
  if (gamma) keras_give(call, keras_like(x, keras_node(call, "Mul", NULL, SDX_REFS(x.ref, gamma))));
}

static void unit_normalization(keras_call *call) {
  keras_tensor x = call->in[0];
  int64_t axes[KERAS_RANK];
  size_t count;
  if (!read_axes(call, &x, -1, axes, &count)) return;
  keras_tensor square = keras_like(x, keras_node(call, "Mul", "square", SDX_REFS(x.ref, x.ref)));
  keras_tensor sum = keras_reduce(call, "ReduceSum", square, count, axes, true);
  sdx_ref least = sdx_graph_add_scalar(call->k->graph, x.dtype, 1e-12);
  sum.ref = keras_node(call, "Sqrt", "length", SDX_REFS(keras_node(call, "Max", "bounded", SDX_REFS(sum.ref, least))));
  keras_give(call, keras_like(x, keras_node(call, "Div", NULL, SDX_REFS(x.ref, sum.ref))));
}

const keras_kind keras_norm_kinds[] = {
    {"BatchNormalization", batch_normalization, KERAS_KEEPS_MASK, NULL},
    {"BatchNormalizationV1", batch_normalization, KERAS_KEEPS_MASK, NULL},
    {"BatchNormalizationV2", batch_normalization, KERAS_KEEPS_MASK, NULL},
    {"SyncBatchNormalization", batch_normalization, KERAS_KEEPS_MASK, NULL},
    {"LayerNormalization", layer_normalization, KERAS_KEEPS_MASK, NULL},
    {"RMSNormalization", rms_normalization, KERAS_KEEPS_MASK, NULL},
    {"GroupNormalization", group_normalization, KERAS_KEEPS_MASK, NULL},
    {"LayerScale", layer_scale, KERAS_KEEPS_MASK, NULL},
    {"UnitNormalization", unit_normalization, KERAS_KEEPS_MASK, NULL},
    {0},
};

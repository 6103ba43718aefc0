// SPDX-License-Identifier: Apache-2.0
// Pooling, padding, cropping and upsampling: what works on dimensions of space.
#include <string.h>

#include "convert/keras.h"

static bool check_rank(keras_call *call, size_t rank) {
  return call->in[0].rank == rank ||
         !keras_fail(call, SDX_INVALID_MODEL, NULL, "the input has rank %zu, expected %zu", call->in[0].rank, rank);
}

// ---- pooling ----------------------------------------------------------------------------------------

static void pool(keras_call *call) {
  size_t n = keras_space(call);
  const json_t *c = call->config;
  const char *key = json_object_get(c, "pool_length") ? "pool_length" : "pool_size";
  const char *strides = json_object_get(c, "stride") ? "stride" : "strides";
  const char *padding = keras_text(c, "padding", keras_text(c, "border_mode", "valid"));
  node_window w = {.n = n, .dilation = {1, 1, 1}, .same = !strcmp(padding, "same")};
  if (!check_rank(call, n + 2) || !keras_ints(call, key, n, 2, w.kernel)) return;
  memcpy(w.stride, w.kernel, sizeof w.kernel);
  if (json_object_get(c, strides) && !json_is_null(json_object_get(c, strides)) &&
      !keras_ints(call, strides, n, 1, w.stride))
    return;
  keras_tensor y = keras_channels_first(call) ? call->in[0] : keras_to_first(call, call->in[0]);
  for (size_t i = 0; i < n; i++)
    if (!w.kernel[i] || !w.stride[i]) {
      keras_fail(call, SDX_INVALID_MODEL, NULL, "pool_size or strides are 0");
      return;
    }
  y = keras_apply(call, call->emit_kind->op, NULL, y);
  node_set_window(call->k->c, &w, y.shape + 2, NULL, false);
  for (size_t i = 0; i < n; i++) y.shape[i + 2] = node_windows(&w, i, y.shape[i + 2]);
  keras_give(call, keras_channels_first(call) ? y : keras_to_last(call, y));
}

static void global_pool(keras_call *call) {
  size_t n = keras_space(call);
  keras_tensor x = call->in[0];
  int64_t axes[3];
  if (!check_rank(call, n + 2)) return;
  for (size_t i = 0; i < n; i++) axes[i] = (int64_t)i + (keras_channels_first(call) ? 2 : 1);
  if (x.mask && n == 1 && !strcmp(call->emit_kind->op, "ReduceMean")) {  // steps that are masked do not count
    keras_tensor mask = {.ref = x.mask, .dtype = SDX_BOOL, .rank = 2, .shape = {x.shape[0], x.shape[axes[0]]}};
    mask = keras_unsqueeze(call, keras_cast(call, mask, x.dtype), keras_channels_first(call) ? 1 : 2);
    keras_tensor kept = keras_like(x, keras_node(call, "Mul", "kept", SDX_REFS(x.ref, mask.ref)));
    bool keep = keras_flag(call->config, "keepdims", false);
    keras_tensor sum = keras_reduce(call, "ReduceSum", kept, 1, axes, keep);
    keras_tensor count = keras_reduce(call, "ReduceSum", mask, 1, axes, keep);
    keras_give(call, keras_like(sum, keras_node(call, "Div", NULL, SDX_REFS(sum.ref, count.ref))));
    return;
  }
  keras_give(call, keras_reduce(call, call->emit_kind->op, x, n, axes, keras_flag(call->config, "keepdims", false)));
}

// ---- borders ----------------------------------------------------------------------------------------

// One number, one a dimension, or a pair a dimension; Keras 1 named pairs.
static bool read_borders(keras_call *call, const char *key, size_t n, int64_t *before, int64_t *after) {
  const json_t *value = json_object_get(call->config, key);
  size_t count = json_array_size(value);
  for (size_t i = 0; i < n; i++) {
    const json_t *one = !json_is_array(value)  ? value
                        : n == 1 && count == 2 ? value
                                               : json_array_get(value, count == 1 ? 0 : i);
    const json_t *low = json_is_array(one) ? json_array_get(one, 0) : one,
                 *high = json_is_array(one) ? json_array_get(one, 1) : one;
    before[i] = json_is_integer(low) ? json_integer_value(low) : -1;
    after[i] = json_is_integer(high) ? json_integer_value(high) : -1;
    if (before[i] < 0 || after[i] < 0 || before[i] > INT32_MAX || after[i] > INT32_MAX)
      return !keras_fail(call, SDX_INVALID_MODEL, NULL, "%s is not a list of %zu sizes", key, n);
  }
  return true;
}

static void zero_padding(keras_call *call) {
  size_t n = keras_space(call);
  int64_t before[KERAS_RANK] = {0}, after[KERAS_RANK] = {0};
  size_t at = keras_channels_first(call) ? 2 : 1;
  if (check_rank(call, n + 2) && read_borders(call, "padding", n, before + at, after + at))
    keras_give(call, keras_pad(call, call->in[0], "constant", 0, before, after));
}

static void cropping(keras_call *call) {
  size_t n = keras_space(call), at = keras_channels_first(call) ? 2 : 1;
  int64_t before[3], after[3];
  keras_tensor x = call->in[0];
  if (!check_rank(call, n + 2) || !read_borders(call, "cropping", n, before, after)) return;
  for (size_t i = 0; i < n; i++)
    if (before[i] || after[i]) x = keras_slice(call, x, at + i, before[i], after[i] ? -after[i] : INT32_MAX, 1);
  keras_give(call, x);
}

// ---- upsampling -------------------------------------------------------------------------------------

static sdx_ref multiplied(keras_call *call, sdx_ref shape, size_t axis, int64_t factor) {
  sdx_graph *g = call->k->graph;
  sdx_ref size = keras_node(call, "Gather", "size", SDX_REFS(shape, sdx_graph_add_scalar(g, SDX_INT64, (double)axis)));
  return keras_node(call, "Mul", "size", SDX_REFS(size, sdx_graph_add_scalar(g, SDX_INT64, (double)factor)));
}

static void upsampling(keras_call *call) {
  size_t n = keras_space(call);
  int64_t size[3];
  const char *how = keras_text(call->config, "interpolation", "nearest");
  double scales[KERAS_RANK] = {1, 1};
  if (!check_rank(call, n + 2) ||
      !keras_ints(call, json_object_get(call->config, "length") ? "length" : "size", n, 2, size))
    return;
  keras_tensor y = keras_channels_first(call) ? call->in[0] : keras_to_first(call, call->in[0]);
  for (size_t i = 0; i < n; i++) {
    scales[i + 2] = (double)size[i];
    if (y.shape[i + 2] >= 0) y.shape[i + 2] *= size[i];
  }
  if (strcmp(how, "nearest") && strcmp(how, "bilinear") && (strcmp(how, "bicubic") || n != 2)) {
    keras_fail(call, SDX_NOT_SUPPORTED, NULL, "the interpolation '%s' is not converted", how);
    return;
  }
  bool nearest = !strcmp(how, "nearest");
  if (!strcmp(how, "bicubic")) {
    sdx_ref shape = keras_node(call, "Shape", "shape", SDX_REFS(y.ref));
    y = keras_resize_cubic(call, y, multiplied(call, shape, 2, size[0]), multiplied(call, shape, 3, size[1]));
    keras_give(call, keras_channels_first(call) ? y : keras_to_last(call, y));
    return;
  }
  sdx_ref factors = keras_floats(call, SDX_FLOAT, 1, (int64_t[]){(int64_t)y.rank}, scales);
  y.ref = keras_node(call, "Resize", NULL, SDX_REFS(y.ref, 0, factors));
  sdx_graph_set_string(call->k->graph, "mode", nearest ? "nearest" : "linear");
  sdx_graph_set_string(call->k->graph, "coordinate_transformation_mode", nearest ? "asymmetric" : "half_pixel");
  if (nearest) sdx_graph_set_string(call->k->graph, "nearest_mode", "floor");
  keras_give(call, keras_channels_first(call) ? y : keras_to_last(call, y));
}

const keras_kind keras_pool_kinds[] = {
    {"MaxPooling1D", pool, 0, "MaxPool"},
    {"MaxPooling2D", pool, 0, "MaxPool"},
    {"MaxPooling3D", pool, 0, "MaxPool"},
    {"AveragePooling1D", pool, 0, "AveragePool"},
    {"AveragePooling2D", pool, 0, "AveragePool"},
    {"AveragePooling3D", pool, 0, "AveragePool"},
    {"GlobalMaxPooling1D", global_pool, 0, "ReduceMax"},
    {"GlobalMaxPooling2D", global_pool, 0, "ReduceMax"},
    {"GlobalMaxPooling3D", global_pool, 0, "ReduceMax"},
    {"GlobalAveragePooling1D", global_pool, 0, "ReduceMean"},
    {"GlobalAveragePooling2D", global_pool, 0, "ReduceMean"},
    {"GlobalAveragePooling3D", global_pool, 0, "ReduceMean"},
    {"ZeroPadding1D", zero_padding, 0, NULL},
    {"ZeroPadding2D", zero_padding, 0, NULL},
    {"ZeroPadding3D", zero_padding, 0, NULL},
    {"Cropping1D", cropping, 0, NULL},
    {"Cropping2D", cropping, 0, NULL},
    {"Cropping3D", cropping, 0, NULL},
    {"UpSampling1D", upsampling, 0, NULL},
    {"UpSampling2D", upsampling, 0, NULL},
    {"UpSampling3D", upsampling, 0, NULL},
    {0},
};

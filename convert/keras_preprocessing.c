// SPDX-License-Identifier: Apache-2.0
// Preprocessing: numbers and pictures made fit, categories looked up and encoded.
#include <math.h>
#include <string.h>

#include "base/size.h"
#include "convert/keras.h"

// ---- numbers ----------------------------------------------------------------------------------------

enum { MOST_NUMBERS = 1 << 20 };

static bool read_flat(const json_t *j, double *to, size_t *count, unsigned depth) {
  if (json_is_number(j)) {
    if (*count >= MOST_NUMBERS) return false;
    if (to) to[*count] = json_number_value(j);
    return ++*count, true;
  }
  if (!json_is_array(j) || depth == KERAS_RANK) return false;
  for (size_t i = 0; i < json_array_size(j); i++)
    if (!read_flat(json_array_get(j, i), to, count, depth + 1)) return false;
  return true;
}

// The numbers under a key, however nested. NULL: there are none, or a failure.
static double *numbers(keras_call *call, const char *key, size_t *count) {
  const json_t *j = json_object_get(call->config, key);
  if (json_is_object(j)) j = json_object_get(json_object_get(j, "config"), "value");
  *count = 0;
  if (!j || json_is_null(j)) return NULL;
  if (!read_flat(j, NULL, count, 0)) {
    keras_fail(call, SDX_INVALID_MODEL, NULL, "%s is no list of numbers", key);
    return NULL;
  }
  double *to = arena_array(call->k->c->memory, *count, sizeof *to);
  *count = 0;
  if (to) read_flat(j, to, count, 0);
  else convert_no_memory(call->k->c);
  return to;
}

static keras_tensor with_numbers(keras_call *call, const char *op, keras_tensor x, size_t count, const double *n) {
  if (count == 1) return keras_scale(call, op, NULL, x, *n);
  sdx_ref c = keras_floats(call, x.dtype, 1, (int64_t[]){(int64_t)count}, n);
  return keras_like(x, keras_node(call, op, NULL, SDX_REFS(x.ref, c)));
}

static void rescaling(keras_call *call) {
  size_t scales, offsets;
  const double *scale = numbers(call, "scale", &scales), *offset = numbers(call, "offset", &offsets);
  if (convert_failed(call->k->c)) return;
  keras_tensor x = call->in[0];
  if (scale) x = with_numbers(call, "Mul", x, scales, scale);
  if (offset && (offsets > 1 || *offset != 0)) x = with_numbers(call, "Add", x, offsets, offset);
  keras_give(call, x);
}

// Mean and variance of the configuration or of the weights, as they are broadcast to x.
static double *statistics(keras_call *call, const char *key, unsigned index, size_t rank, const int64_t *shape) {
  size_t count = 0, want;
  hdf5_array w;
  double *n = numbers(call, key, &count);
  if (!size_product(shape, rank, &want) || want > MOST_NUMBERS) want = 0;
  if (convert_failed(call->k->c)) return NULL;
  if (!n) {
    if (!keras_weight(call, "", index, &w)) return NULL;
    count = w.count;
    n = arena_array(call->k->c->memory, count, sizeof *n);
    for (size_t i = 0; n && i < count && w.dtype == SDX_FLOAT; i++) {
      float f;
      memcpy(&f, (const char *)w.at + i * sizeof f, sizeof f);
      n[i] = (double)f;
    }
  } else if (count == 1 && want > 1) {
    double *all = arena_array(call->k->c->memory, want, sizeof *all);
    for (size_t i = 0; all && i < want; i++) all[i] = *n;
    n = all, count = want;
  }
  if (n && count == want) return n;
  keras_fail(call, SDX_INVALID_MODEL, NULL, "%s has %zu numbers, expected %zu", key, count, want);
  return NULL;
}

static void normalization(keras_call *call) {
  keras_tensor x = call->in[0];
  const json_t *axis = json_object_get(call->config, "axis");
  int64_t shape[KERAS_RANK];
  size_t axes = json_is_array(axis) ? json_array_size(axis) : json_is_integer(axis), at, count = 1;
  for (size_t i = 0; i < x.rank; i++) shape[i] = 1;
  for (size_t i = 0; i < axes; i++) {
    const json_t *one = json_is_array(axis) ? json_array_get(axis, i) : axis;
    if (!keras_axis(call, &x, json_integer_value(one), &at)) return;
    shape[at] = x.shape[at];
    if (shape[at] > 0) count *= (size_t)shape[at] < MOST_NUMBERS ? (size_t)shape[at] : MOST_NUMBERS;
  }
  double *mean = statistics(call, "mean", 0, x.rank, shape);
  double *variance = mean ? statistics(call, "variance", 1, x.rank, shape) : NULL;
  if (!variance) return;
  for (size_t i = 0; i < count; i++) {
    float deviation = sqrtf((float)variance[i]);
    variance[i] = (double)(deviation > 1e-7f ? deviation : 1e-7f);
  }
  sdx_ref m = keras_floats(call, x.dtype, x.rank, shape, mean),
          d = keras_floats(call, x.dtype, x.rank, shape, variance);
  bool invert = keras_flag(call->config, "invert", false);
  x.ref = keras_node(call, invert ? "Mul" : "Sub", invert ? "scaled" : "centered", SDX_REFS(x.ref, invert ? d : m));
  keras_give(call, keras_like(x, keras_node(call, invert ? "Add" : "Div", NULL, SDX_REFS(x.ref, invert ? m : d))));
}

// ---- pictures ---------------------------------------------------------------------------------------

static bool enter(keras_call *call, keras_tensor *x) {
  *x = call->in[0];
  if (x->rank != 4) return !keras_fail(call, SDX_NOT_SUPPORTED, NULL, "the input has rank %zu, expected 4", x->rank);
  if (!keras_channels_first(call)) *x = keras_to_first(call, *x);
  return true;
}

static void leave(keras_call *call, keras_tensor y) {
  keras_give(call, keras_channels_first(call) ? y : keras_to_last(call, y));
}

static keras_tensor resize(keras_call *call, keras_tensor x, const char *how, int64_t height, int64_t width) {
  sdx_graph *g = call->k->graph;
  bool nearest = !strcmp(how, "nearest");
  x.shape[2] = height, x.shape[3] = width;
  if (!strcmp(how, "bicubic"))
    return keras_resize_cubic(call, x, sdx_graph_add_scalar(g, SDX_INT64, (double)height),
                              sdx_graph_add_scalar(g, SDX_INT64, (double)width));
  sdx_ref head = keras_shape(call, x, 0, 2), tail = sdx_graph_add_ints(g, 2, (int64_t[]){height, width});
  x.ref =
      keras_node(call, "Resize", NULL, SDX_REFS(x.ref, 0, 0, node_concat(call->k->c, NULL, 0, SDX_REFS(head, tail))));
  sdx_graph_set_string(g, "mode", nearest ? "nearest" : "linear");
  sdx_graph_set_string(g, "coordinate_transformation_mode", "half_pixel");
  if (nearest) sdx_graph_set_string(g, "nearest_mode", "round_prefer_ceil");
  return x;
}

static bool read_size(keras_call *call, int64_t size[2]) {
  size[0] = keras_int(call->config, "height", -1), size[1] = keras_int(call->config, "width", -1);
  return (size[0] > 0 && size[1] > 0 && size[0] < 1 << 20 && size[1] < 1 << 20) ||
         !keras_fail(call, SDX_INVALID_MODEL, NULL, "height and width are %lld and %lld", (long long)size[0],
                     (long long)size[1]);
}

static void resizing(keras_call *call) {
  keras_tensor x;
  int64_t size[2];
  const char *how = keras_text(call->config, "interpolation", "bilinear");
  if (!read_size(call, size) || !enter(call, &x)) return;
  if ((strcmp(how, "bilinear") && strcmp(how, "nearest") && strcmp(how, "bicubic")) ||
      keras_flag(call->config, "antialias", false) || keras_flag(call->config, "crop_to_aspect_ratio", false) ||
      keras_flag(call->config, "pad_to_aspect_ratio", false)) {
    keras_fail(call, SDX_NOT_SUPPORTED, NULL, "interpolation '%s', antialias or an aspect ratio that is kept", how);
    return;
  }
  leave(call, resize(call, x, how, size[0], size[1]));
}

static void center_crop(keras_call *call) {
  keras_tensor x;
  int64_t size[2];
  if (!read_size(call, size) || !enter(call, &x)) return;
  for (size_t i = 0; i < 2; i++) {
    int64_t from = (x.shape[2 + i] - size[i]) / 2;
    if (x.shape[2 + i] < size[i]) {
      keras_fail(call, SDX_NOT_SUPPORTED, NULL, "pictures that may be smaller than the crop");
      return;
    }
    x = keras_slice(call, x, 2 + i, from, from + size[i], 1);
  }
  leave(call, x);
}

// ---- categories -------------------------------------------------------------------------------------

// Codes to one_hot, multi_hot or count; "int" leaves them.
static void encode(keras_call *call, keras_tensor x, const char *mode, int64_t tokens, sdx_dtype codes) {
  if (!strcmp(mode, "int")) {
    keras_give(call, keras_cast(call, x, codes));
    return;
  }
  bool one = !strcmp(mode, "one_hot"), count = !strcmp(mode, "count");
  double *all =
      tokens > 0 && tokens < MOST_NUMBERS ? arena_array(call->k->c->memory, (size_t)tokens, sizeof *all) : NULL;
  if (!all || (!one && !count && strcmp(mode, "multi_hot"))) {
    keras_fail(call, SDX_NOT_SUPPORTED, NULL, "output_mode '%s' of %lld tokens", mode, (long long)tokens);
    return;
  }
  for (int64_t i = 0; i < tokens; i++) all[i] = (double)i;
  if (one && x.rank > 1 && x.shape[x.rank - 1] == 1) x = keras_squeeze(call, x, x.rank - 1);
  size_t rank = x.rank;
  keras_tensor y = keras_unsqueeze(call, keras_cast(call, x, SDX_INT64), rank);
  y.ref = keras_node(call, "Equal", "equal", SDX_REFS(y.ref, keras_floats(call, SDX_INT64, 1, &tokens, all)));
  y.dtype = SDX_BOOL;
  y.shape[rank] = tokens;
  y = keras_cast(call, y, call->dtype);
  if (!one && rank > 1)
    y = keras_reduce(call, count ? "ReduceSum" : "ReduceMax", y, 1, (int64_t[]){(int64_t)rank - 1}, false);
  keras_give(call, y);
}

static void category_encoding(keras_call *call) {
  if (keras_tensor_argument(call, 1, "count_weights")) {
    keras_fail(call, SDX_NOT_SUPPORTED, NULL, "count_weights are not converted");
    return;
  }
  encode(call, call->in[0], keras_text(call->config, "output_mode", "multi_hot"),
         keras_int(call->config, "num_tokens", keras_int(call->config, "max_tokens", -1)), SDX_INT64);
}

// The number of boundaries that are not above.
static void discretization(keras_call *call) {
  size_t count;
  double *bounds = numbers(call, "bin_boundaries", &count);
  if (!bounds) {
    if (!convert_failed(call->k->c))
      keras_fail(call, SDX_NOT_SUPPORTED, "give bin_boundaries", "the boundaries are not in the configuration");
    return;
  }
  int64_t size = (int64_t)count;
  keras_tensor x = keras_cast(call, call->in[0], SDX_FLOAT), y = keras_unsqueeze(call, x, x.rank);
  y.ref = keras_node(call, "GreaterOrEqual", "above", SDX_REFS(y.ref, keras_floats(call, SDX_FLOAT, 1, &size, bounds)));
  y.dtype = SDX_BOOL;
  y.shape[x.rank] = size;
  y = keras_reduce(call, "ReduceSum", keras_cast(call, y, SDX_INT64), 1, (int64_t[]){(int64_t)x.rank}, false);
  encode(call, y, keras_text(call->config, "output_mode", "int"), size + 1, SDX_INT64);
}

const keras_kind keras_preprocessing_kinds[] = {
    {"Rescaling", rescaling, 0, NULL},
    {"Normalization", normalization, 0, NULL},
    {"Resizing", resizing, 0, NULL},
    {"CenterCrop", center_crop, 0, NULL},
    {"CategoryEncoding", category_encoding, KERAS_ANY_TYPE, NULL},
    {"Discretization", discretization, KERAS_ANY_TYPE, NULL},
    {0},
};

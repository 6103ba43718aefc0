// SPDX-License-Identifier: Apache-2.0
// Convolutions. Keras pads "same" at the end first, and so does SAME_UPPER; causal padding is at the front alone.
#include <string.h>

#include "convert/keras.h"

// Keras 1 had other names for the same.
static bool pads_as(const keras_call *call, const char *padding) {
  return !strcmp(keras_text(call->config, "padding", keras_text(call->config, "border_mode", "valid")), padding);
}

static bool read_window(keras_call *call, node_window *w, const keras_tensor *x) {
  const json_t *c = call->config;
  *w = (node_window){.n = keras_space(call), .same = pads_as(call, "same")};
  if (x->rank != w->n + 2)
    return !keras_fail(call, SDX_INVALID_MODEL, NULL, "the input has rank %zu, expected %zu", x->rank, w->n + 2);
  if (!json_object_get(c, "kernel_size") && json_object_get(c, "nb_row")) {
    w->kernel[0] = keras_int(c, "nb_row", 0), w->kernel[1] = keras_int(c, "nb_col", 0);
  } else if (!keras_ints(call, json_object_get(c, "kernel_size") ? "kernel_size" : "filter_length", w->n, -1,
                         w->kernel)) {
    return false;
  }
  const char *strides = json_object_get(c, "strides") ? "strides" : w->n == 1 ? "subsample_length" : "subsample";
  const char *dilation = json_object_get(c, "dilation_rate") ? "dilation_rate" : "atrous_rate";
  if (!keras_ints(call, strides, w->n, 1, w->stride) || !keras_ints(call, dilation, w->n, 1, w->dilation)) return false;
  for (size_t i = 0; i < w->n; i++)
    if (!w->kernel[i] || !w->stride[i] || !w->dilation[i])
      return !keras_fail(call, SDX_INVALID_MODEL, NULL, "kernel_size, strides or dilation_rate are 0");
  return true;
}

static int64_t reach(const node_window *w, size_t i) { return (w->kernel[i] - 1) * w->dilation[i] + 1; }

// Attributes of the convolution that was added last; the sizes that come out go to `y`, channels first.
static void set_window(keras_call *call, const node_window *w, keras_tensor *y) {
  int64_t pads[6] = {0};
  bool causal = pads_as(call, "causal");
  node_window counted = *w;
  counted.same = w->same || causal;  // as many come out
  for (size_t i = 0; i < w->n; i++) pads[i] = reach(w, i) - 1;
  node_set_window(call->k->c, w, y->shape + 2, causal ? pads : NULL, true);
  for (size_t i = 0; i < w->n; i++) y->shape[i + 2] = node_windows(&counted, i, y->shape[i + 2]);
}

static keras_tensor enter(keras_call *call, keras_tensor x) {
  return keras_channels_first(call) ? x : keras_to_first(call, x);
}

// Kernel [space..., in / group, out] to [out, in / group, space...].
static sdx_ref kernel_to_first(keras_call *call, const node_window *w, const hdf5_array *kernel, const char *name) {
  int64_t order[5] = {(int64_t)w->n + 1, (int64_t)w->n};
  for (size_t i = 0; i < w->n; i++) order[i + 2] = (int64_t)i;
  return keras_constant(call, name, call->dtype, kernel, order);
}

static bool bias_of(keras_call *call, unsigned index, int64_t size, sdx_ref *bias) {
  *bias = 0;
  if (!keras_flag(call->config, "use_bias", keras_flag(call->config, "bias", true))) return true;
  *bias = keras_next(call, "", index, "bias", 1, &size);
  return *bias != 0;
}

static void finish(keras_call *call, keras_tensor y) {
  if (!keras_channels_first(call)) y = keras_to_last(call, y);
  keras_give(call, keras_activated(call, y, "activation"));
}

static void conv(keras_call *call) {
  keras_tensor x = call->in[0];
  node_window w;
  hdf5_array kernel;
  sdx_ref bias;
  int64_t groups = keras_int(call->config, "groups", 1), shape[5];
  int64_t filters = keras_int(call->config, "filters", keras_int(call->config, "nb_filter", -1));
  if (!read_window(call, &w, &x) || !keras_weight(call, "", 0, &kernel)) return;
  int64_t channels = x.shape[keras_channels_first(call) ? 1 : w.n + 1];
  memcpy(shape, w.kernel, sizeof w.kernel);
  if (groups < 1 || filters < 1 || channels < 0 || channels % groups || filters % groups) {
    keras_fail(call, SDX_INVALID_MODEL, NULL, "%lld channels, %lld filters, %lld groups", (long long)channels,
               (long long)filters, (long long)groups);
    return;
  }
  shape[w.n] = channels / groups;
  shape[w.n + 1] = filters;
  if (call->k->version == 1 && w.n == 1 && kernel.rank == 4) {  // Keras 1 had a second dimension of 1
    kernel.rank = 3;
    memmove(kernel.shape + 1, kernel.shape + 2, 2 * sizeof *kernel.shape);
  }
  if (!keras_expect(call, "kernel", &kernel, w.n + 2, shape) || !bias_of(call, 1, filters, &bias)) return;
  sdx_ref weights = kernel_to_first(call, &w, &kernel, "kernel");
  keras_tensor y = enter(call, x);
  y.ref = keras_node(call, "Conv", NULL, bias ? 3 : 2, (sdx_ref[]){y.ref, weights, bias});
  if (groups > 1) sdx_graph_set_int(call->k->graph, "group", groups);
  set_window(call, &w, &y);
  y.shape[1] = filters;
  finish(call, y);
}

// Kernel [space..., in, multiplier] to [in * multiplier, 1, space...].
static sdx_ref depthwise_kernel(keras_call *call, const node_window *w, const hdf5_array *kernel, const char *name) {
  int64_t multiplier = kernel->shape[w->n + 1], channels = kernel->shape[w->n], step = multiplier * channels;
  net_numbers numbers = keras_numbers(kernel);
  net_piece p = {.from = &numbers, .rank = w->n + 2, .shape = {channels, multiplier}, .stride = {multiplier, 1}};
  int64_t shape[5] = {step, 1};
  for (size_t i = w->n; i--; step *= w->kernel[i]) {
    shape[i + 2] = p.shape[i + 2] = w->kernel[i];
    p.stride[i + 2] = step;
  }
  return keras_pieces(call, name, call->dtype, w->n + 2, shape, 1, &p);
}

static bool depthwise_part(keras_call *call, const node_window *w, const char *name, sdx_ref bias, keras_tensor *x) {
  hdf5_array kernel;
  int64_t channels = x->shape[1], shape[5];
  int64_t multiplier = keras_int(call->config, "depth_multiplier", 1);
  memcpy(shape, w->kernel, sizeof w->kernel);
  shape[w->n] = channels;
  shape[w->n + 1] = multiplier;
  if (channels < 0 || multiplier < 1)
    return !keras_fail(call, SDX_INVALID_MODEL, NULL, "%lld channels, depth_multiplier %lld", (long long)channels,
                       (long long)multiplier);
  if (!keras_weight(call, "", 0, &kernel) || !keras_expect(call, name, &kernel, w->n + 2, shape)) return false;
  if (!bias && !strcmp(name, "kernel") && !bias_of(call, 1, channels * multiplier, &bias)) return false;
  sdx_ref weights = depthwise_kernel(call, w, &kernel, name);
  x->ref = keras_node(call, "Conv", strcmp(name, "kernel") ? "depthwise" : NULL, bias ? 3 : 2,
                      (sdx_ref[]){x->ref, weights, bias});
  sdx_graph_set_int(call->k->graph, "group", channels);
  set_window(call, w, x);
  x->shape[1] = channels * multiplier;
  return !convert_failed(call->k->c);
}

static void depthwise(keras_call *call) {
  node_window w;
  if (!read_window(call, &w, &call->in[0])) return;
  keras_tensor x = enter(call, call->in[0]);
  if (depthwise_part(call, &w, "kernel", 0, &x)) finish(call, x);
}

static void separable(keras_call *call) {
  node_window w;
  hdf5_array kernel;
  sdx_ref bias;
  int64_t filters = keras_int(call->config, "filters", keras_int(call->config, "nb_filter", -1));
  if (!read_window(call, &w, &call->in[0])) return;
  keras_tensor x = enter(call, call->in[0]);
  if (!depthwise_part(call, &w, "depthwise_kernel", 0, &x) || !keras_weight(call, "", 1, &kernel)) return;
  int64_t shape[5] = {1, 1, 1};
  shape[w.n] = x.shape[1];
  shape[w.n + 1] = filters;
  if (!keras_expect(call, "pointwise_kernel", &kernel, w.n + 2, shape) || !bias_of(call, 2, filters, &bias)) return;
  sdx_ref weights = kernel_to_first(call, &w, &kernel, "pointwise_kernel");
  x.ref = keras_node(call, "Conv", NULL, bias ? 3 : 2, (sdx_ref[]){x.ref, weights, bias});
  x.shape[1] = filters;
  finish(call, x);
}

// Keras' result is stride times the input ("same"), or all that the kernel reaches ("valid"), unless output_padding
// says.
static bool set_transposed(keras_call *call, const node_window *w, keras_tensor *y) {
  sdx_graph *g = call->k->graph;
  int64_t pads[6] = {0}, more[3] = {0}, given[3];
  const json_t *asked = json_object_get(call->config, "output_padding");
  bool has_more = asked && !json_is_null(asked);
  if (has_more && !keras_ints(call, "output_padding", w->n, 0, given)) return false;
  for (size_t i = 0; i < w->n; i++) {
    int64_t k = reach(w, i), all = 0;
    if (has_more && w->same) {
      // (in - 1) stride + k - 2 (k / 2) + output_padding
      int64_t target = k - 2 * (k / 2) + given[i];  // beyond (in - 1) stride
      all = k - target;
    } else if (has_more) {
      more[i] = given[i];
    } else if (w->same) {
      all = k - w->stride[i];
    } else if (w->stride[i] > k) {
      more[i] = w->stride[i] - k;
    }
    if (all < 0) more[i] = -all, all = 0;
    pads[i] = all / 2;
    pads[w->n + i] = all - all / 2;
    if (y->shape[i + 2] >= 0) y->shape[i + 2] = (y->shape[i + 2] - 1) * w->stride[i] + k - all + more[i];
  }
  sdx_graph_set_ints(g, "kernel_shape", w->n, w->kernel);
  sdx_graph_set_ints(g, "strides", w->n, w->stride);
  sdx_graph_set_ints(g, "dilations", w->n, w->dilation);
  sdx_graph_set_ints(g, "pads", 2 * w->n, pads);
  sdx_graph_set_ints(g, "output_padding", w->n, more);
  return true;
}

// Kernel [space..., out, in] to [in, out, space...].
static void transposed(keras_call *call) {
  node_window w;
  hdf5_array kernel;
  sdx_ref bias;
  int64_t filters = keras_int(call->config, "filters", keras_int(call->config, "nb_filter", -1)), shape[5];
  if (!read_window(call, &w, &call->in[0])) return;
  keras_tensor x = enter(call, call->in[0]);
  memcpy(shape, w.kernel, sizeof w.kernel);
  shape[w.n] = filters;
  shape[w.n + 1] = x.shape[1];
  if (!keras_weight(call, "", 0, &kernel) || !keras_expect(call, "kernel", &kernel, w.n + 2, shape) ||
      !bias_of(call, 1, filters, &bias))
    return;
  sdx_ref weights = kernel_to_first(call, &w, &kernel, "kernel");
  x.ref = keras_node(call, "ConvTranspose", NULL, bias ? 3 : 2, (sdx_ref[]){x.ref, weights, bias});
  if (!set_transposed(call, &w, &x)) return;
  x.shape[1] = filters;
  finish(call, x);
}

const keras_kind keras_conv_kinds[] = {
    {"Conv1D", conv, KERAS_KEEPS_MASK, NULL},
    {"Conv2D", conv, 0, NULL},
    {"Conv3D", conv, 0, NULL},
    {"Convolution1D", conv, 0, NULL},
    {"Convolution2D", conv, 0, NULL},
    {"Convolution3D", conv, 0, NULL},
    {"AtrousConvolution2D", conv, 0, NULL},
    {"DepthwiseConv1D", depthwise, 0, NULL},
    {"DepthwiseConv2D", depthwise, 0, NULL},
    {"SeparableConv1D", separable, 0, NULL},
    {"SeparableConv2D", separable, 0, NULL},
    {"SeparableConvolution2D", separable, 0, NULL},
    {"Conv1DTranspose", transposed, 0, NULL},
    {"Conv2DTranspose", transposed, 0, NULL},
    {"Conv3DTranspose", transposed, 0, NULL},
    {"Convolution2DTranspose", transposed, 0, NULL},
    {0},
};

// SPDX-License-Identifier: Apache-2.0
// Caffe's layers with windows, products and normalisation.
#include <math.h>
#include <string.h>

#include "convert/caffe.h"

// ---- windows ----------------------------------------------------------------------------------------

// Height and width: a list of one or two, or a number each.
static void pair(const proto *p, const char *list, const char *height, const char *width, int64_t missing,
                 int64_t to[2]) {
  int64_t both[2] = {missing, missing};
  size_t count = proto_ints(p, list, 2, both);
  to[0] = proto_int(p, height, both[0]);
  to[1] = proto_int(p, width, count > 1 ? both[1] : both[0]);
}

static net_window window_of(const proto *p) {
  net_window w = net_window_of(2);
  pair(p, "kernel_size", "kernel_h", "kernel_w", proto_int(p, "kernelsize", 0), w.kernel);
  pair(p, "stride", "stride_h", "stride_w", 1, w.stride);
  pair(p, "pad", "pad_h", "pad_w", 0, w.before);
  pair(p, "dilation", "", "", 1, w.dilation);
  for (size_t i = 0; i < 2; i++) w.after[i] = w.before[i];
  w.groups = proto_int(p, "group", 1);
  return w;
}

static bool has_bias(const proto *p) { return proto_int(p, "bias_term", proto_int(p, "biasterm", 1)); }

static void conv(caffe_layer *l) {
  proto p = caffe_params(l);
  net_window w = window_of(&p);
  net_tensor x = l->in[0], bias = {0};
  int64_t out = proto_int(&p, "num_output", 0), channels = x.rank == 4 ? x.shape[1] : -1;
  bool transposed = !strcmp(l->kind->op, "deconv"), each = !strcmp(l->kind->op, "depthwise");
  if (each) w.groups = channels;
  if (channels < 1 || w.groups < 1 || channels % w.groups || out < 1 || out % w.groups) {
    net_fail(l->n, SDX_INVALID_MODEL, NULL, "%lld filters in %lld groups for %s", (long long)out, (long long)w.groups,
             net_shape_text(l->n, &x));
    return;
  }
  int64_t shape[] = {transposed ? channels : out, transposed ? out / w.groups : channels / w.groups, w.kernel[0],
                     w.kernel[1]};
  net_tensor filter = caffe_weight(l, 0, "weights", 4, shape);
  if (has_bias(&p) && filter.ref) bias = caffe_weight(l, 1, "bias", 1, &out);
  if (!convert_failed(l->f->c)) l->out[0] = (transposed ? net_deconv : net_conv)(l->n, x, filter, bias, &w);
}

static void pool(caffe_layer *l) {
  enum { MAX, AVERAGE, FLOOR = 1 };
  proto p = caffe_params(l);
  net_window w = window_of(&p);
  int64_t how = proto_int(&p, "pool", MAX);
  if (how != MAX && how != AVERAGE) {
    net_fail(l->n, SDX_NOT_SUPPORTED, NULL, "pooling by chance");
    return;
  }
  if (proto_int(&p, "global_pooling", 0)) {
    l->out[0] = net_global_pool(l->n, how == MAX ? "GlobalMaxPool" : "GlobalAveragePool", l->in[0]);
    return;
  }
  w.ceil = proto_int(&p, "round_mode", 0) != FLOOR && proto_int(&p, "ceil_mode", 1);
  w.count_pads = true;
  l->out[0] = net_pool(l->n, how == MAX ? "MaxPool" : "AveragePool", l->in[0], &w);
}

static void pad(caffe_layer *l) {
  int64_t size[2];
  pair(&l->old, "pad", "", "", 0, size);
  if (l->in[0].rank != 4)
    net_fail(l->n, SDX_INVALID_MODEL, NULL, "a value of shape %s", net_shape_text(l->n, &l->in[0]));
  else
    l->out[0] = net_pad(l->n, l->in[0], "constant", 0, (int64_t[]){0, 0, size[0], size[1]},
                        (int64_t[]){0, 0, size[0], size[1]});
}

// ---- products ---------------------------------------------------------------------------------------

static void inner_product(caffe_layer *l) {
  proto p = caffe_params(l);
  net_tensor x = l->in[0], bias = {0}, stored;
  net_numbers w;
  size_t axis;
  int64_t out = proto_int(&p, "num_output", 0), spec[NET_RANK] = {0};
  if (!caffe_axis(l, &p, "axis", NULL, &axis) || !caffe_blob(l, 0, &w, &stored)) return;
  if (out < 1 || w.count % (size_t)out) {
    net_fail(l->n, SDX_INVALID_MODEL, NULL, "%zu weights for %lld results", w.count, (long long)out);
    return;
  }
  int64_t in = (int64_t)(w.count / (size_t)out);
  bool transposed = proto_int(&p, "transpose", 0);
  int64_t shape[] = {transposed ? in : out, transposed ? out : in};
  net_tensor weights = net_constant(l->n, "weights", SDX_FLOAT, 2, shape, &w, transposed ? (int64_t[]){1, 0} : NULL);
  if (has_bias(&p)) bias = caffe_weight(l, 1, "bias", 1, &out);
  if (convert_failed(l->f->c)) return;
  net_tensor y = axis == 1 ? net_flatten(l->n, x, 1) : net_reshape(l->n, x, 2, (int64_t[]){-1, in});
  y = net_dense(l->n, y, weights, bias);
  for (size_t i = 0; i < axis; i++) spec[i] = x.shape[i] < 0 && i ? 0 : x.shape[i];
  spec[axis] = out;
  if (axis > 1 && x.shape[0] < 0) spec[0] = -1;
  l->out[0] = axis == 1 ? y : net_reshape(l->n, y, axis + 1, spec);
}

static void embed(caffe_layer *l) {
  proto p = caffe_params(l);
  int64_t out = proto_int(&p, "num_output", 0), in = proto_int(&p, "input_dim", 0);
  net_tensor table = caffe_weight(l, 0, "weights", 2, (int64_t[]){in, out});
  if (!table.ref) return;
  net_tensor y = net_gather(l->n, table, net_cast(l->n, l->in[0], SDX_INT64), 0);
  l->out[0] = has_bias(&p) ? net_binary(l->n, "Add", "bias", y, caffe_weight(l, 1, "bias", 1, &out)) : y;
}

// ---- normalisation ----------------------------------------------------------------------------------

// Blobs: mean and variance, each times the third.
static void batch_norm(caffe_layer *l) {
  proto p = caffe_params(l);
  net_numbers w[3];
  net_tensor shape, x = l->in[0], row[2];
  for (size_t i = 0; i < 3; i++)
    if (!caffe_blob(l, i, &w[i], &shape)) return;
  double factor = w[2].count ? net_number_at(&w[2], 0) : 0;
  int64_t channels = (int64_t)w[0].count;
  for (size_t i = 0; i < 2; i++) {
    net_piece piece = {.from = factor != 0 ? &w[i] : NULL,
                       .rank = 1,
                       .shape = {channels},
                       .stride = {1},
                       .scale = factor != 0 ? 1 / factor : 1};
    row[i] = net_pieces(l->n, i ? "variance" : "mean", SDX_FLOAT, 1, &channels, 1, &piece);
    if (!row[i].ref) return;
  }
  net_tensor one = net_row(l->n, "scale", channels, 1), zero = net_row(l->n, "shift", channels, 0);
  if (one.ref && zero.ref)
    l->out[0] = net_batch_norm(l->n, x, one, zero, row[0], row[1], proto_number(&p, "eps", 1e-5));
}

// The third and fourth version that SegNet brought: scale and shift of each channel.
static void scale_and_shift(caffe_layer *l) {
  net_numbers w;
  net_tensor shape;
  if (!caffe_blob(l, 0, &w, &shape)) return;
  int64_t channels = (int64_t)w.count;
  net_tensor scale = caffe_weight(l, 0, "scale", 1, &channels), shift = caffe_weight(l, 1, "shift", 1, &channels);
  if (!shift.ref) return;
  net_tensor y = net_binary(l->n, "Mul", NULL, l->in[0], net_along(l->n, scale, 1, &l->in[0]));
  l->out[0] = net_binary(l->n, "Add", "shift", y, net_along(l->n, shift, 1, &l->in[0]));
}

// A blob of so many axes as a constant along them.
static net_tensor blob_along(caffe_layer *l, size_t index, const char *part, size_t axis, int64_t count) {
  net_numbers w;
  net_tensor shape;
  if (!caffe_blob(l, index, &w, &shape)) return (net_tensor){0};
  size_t axes = count < 0 ? l->in[0].rank - axis : (size_t)count;
  if (axes > l->in[0].rank - axis || (axes > 1 && shape.rank != axes)) {
    net_fail(l->n, SDX_INVALID_MODEL, NULL, "%zu axes of %s", axes, net_shape_text(l->n, &l->in[0]));
    return (net_tensor){0};
  }
  if (axes < 2) shape.rank = axes, shape.shape[0] = (int64_t)w.count;
  return net_along(l->n, net_constant(l->n, part, SDX_FLOAT, shape.rank, shape.shape, &w, NULL), axis, &l->in[0]);
}

// By the second input, or by a blob; the bias is a blob.
static void scale(caffe_layer *l) {
  proto p = caffe_params(l);
  bool given = l->in_count > 1, bias = !strcmp(l->kind->op, "Mul") && proto_int(&p, "bias_term", 0);
  int64_t axes = proto_int(&p, "num_axes", 1);
  size_t axis;
  if (!caffe_axis(l, &p, "axis", NULL, &axis)) return;
  net_tensor by = given ? net_along(l->n, l->in[1], axis, &l->in[0]) : blob_along(l, 0, "scale", axis, axes);
  if (!by.ref) return;
  net_tensor y = net_binary(l->n, l->kind->op, NULL, l->in[0], by);
  net_tensor shift =
      bias ? blob_along(l, given ? 0 : 1, "bias", axis, given ? (int64_t)l->in[1].rank : axes) : (net_tensor){0};
  l->out[0] = shift.ref ? net_binary(l->n, "Add", "bias", y, shift) : y;
}

static void local_response(caffe_layer *l) {
  enum { WITHIN = 1 };
  proto p = caffe_params(l);
  int64_t size = proto_int(&p, "local_size", 5);
  double alpha = proto_number(&p, "alpha", 1), beta = proto_number(&p, "beta", 0.75);
  net_tensor x = l->in[0];
  if (proto_int(&p, "norm_region", 0) != WITHIN) {
    l->out[0] = net_lrn(l->n, x, size, alpha, beta, proto_number(&p, "k", 1));
    return;
  }
  net_window w = net_window_of(2);
  if (size < 1 || size > NET_MOST || size % 2 == 0) {
    net_fail(l->n, SDX_INVALID_MODEL, NULL, "a window of %lld", (long long)size);
    return;
  }
  for (size_t i = 0; i < 2; i++) w.kernel[i] = size, w.before[i] = w.after[i] = (size - 1) / 2;
  w.count_pads = true;
  net_tensor y = net_pool(l->n, "AveragePool", net_binary(l->n, "Mul", "square", x, x), &w);
  y = net_scale(l->n, "Add", "one", net_scale(l->n, "Mul", "alpha", y, alpha), 1);
  l->out[0] = net_binary(l->n, "Mul", NULL, x, net_scale(l->n, "Pow", "power", y, -beta));
}

// (x - mean) / (deviation + eps).
static void mean_variance(caffe_layer *l) {
  proto p = caffe_params(l);
  net_tensor x = l->in[0];
  int64_t axes[NET_RANK];
  size_t count = 0;
  for (size_t i = proto_int(&p, "across_channels", 0) ? 1 : 2; i < x.rank; i++) axes[count++] = (int64_t)i;
  net_tensor y = net_mean_variance(l->n, x, count, axes, false, 0);
  if (proto_int(&p, "normalize_variance", 1)) {
    net_tensor spread = net_reduce(l->n, "ReduceMean", net_binary(l->n, "Mul", "square", y, y), count, axes, true);
    spread = net_scale(l->n, "Add", "eps", net_apply(l->n, "Sqrt", "deviation", spread), proto_number(&p, "eps", 1e-9));
    y = net_binary(l->n, "Div", NULL, y, spread);
  }
  l->out[0] = y;
}

// By the length of the vector of channels at each place, or of all.
static void normalize(caffe_layer *l) {
  proto p = caffe_params(l);
  net_tensor x = l->in[0], stored;
  net_numbers w;
  int64_t axes[NET_RANK];
  size_t count = 1;
  axes[0] = 1;
  if (proto_int(&p, "across_spatial", 1))
    for (size_t i = 2; i < x.rank; i++) axes[count++] = (int64_t)i;
  if (!caffe_blob(l, 0, &w, &stored) || x.rank < 2) return;
  net_tensor by = net_constant(l->n, "scale", SDX_FLOAT, 1, (int64_t[]){(int64_t)w.count}, &w, NULL);
  net_tensor y = net_l2_norm(l->n, x, count, axes, proto_number(&p, "eps", 1e-10));
  if (by.ref) l->out[0] = net_binary(l->n, "Mul", "scale", y, w.count > 1 ? net_along(l->n, by, 1, &x) : by);
}

const caffe_kind caffe_window_kinds[] = {
    {"Convolution", conv, "conv", "convolution_param"},
    {"Deconvolution", conv, "deconv", "convolution_param"},
    {"ConvolutionDepthwise", conv, "depthwise", "convolution_param"},
    {"DepthwiseConvolution", conv, "depthwise", "convolution_param"},
    {"Pooling", pool, NULL, "pooling_param"},
    {"Padding", pad, NULL, NULL},
    {"InnerProduct", inner_product, NULL, "inner_product_param"},
    {"Embed", embed, NULL, "embed_param"},
    {"BatchNorm", batch_norm, NULL, "batch_norm_param"},
    {"BN", scale_and_shift, NULL, NULL},
    {"Scale", scale, "Mul", "scale_param"},
    {"Bias", scale, "Add", "bias_param"},
    {"LRN", local_response, NULL, "lrn_param"},
    {"MVN", mean_variance, NULL, "mvn_param"},
    {"Normalize", normalize, NULL, "norm_param"},
    {0},
};

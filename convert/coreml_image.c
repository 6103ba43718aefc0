// SPDX-License-Identifier: Apache-2.0
// Core ML's layers with windows, products and normalisation, and those that pad, crop and resize pictures.
#include <string.h>

#include "convert/coreml.h"

static void give(coreml_layer *l, net_tensor y, const net_tensor *x) { l->out[0] = coreml_like_input(l, y, x); }

// ---- windows ----------------------------------------------------------------------------------------

// Height and width: start and end. False: there are none.
static bool borders(const proto *of, const char *field, int64_t start[2], int64_t end[2]) {
  proto amounts, edge;
  start[0] = start[1] = end[0] = end[1] = 0;
  if (!proto_get(of, field, &amounts)) return false;
  wire at = amounts.bytes;
  for (size_t i = 0; i < 2 && proto_each(&amounts, &at, "borderAmounts", &edge); i++) {
    start[i] = proto_int(&edge, "startEdgeSize", 0);
    end[i] = proto_int(&edge, "endEdgeSize", 0);
  }
  return true;
}

static void sizes(coreml_layer *l, const char *field, size_t n, int64_t missing, int64_t *to) {
  for (size_t i = 0; i < n; i++) to[i] = missing;
  proto_ints(&l->params, field, n, to);
}

// The size of a transposed convolution's result, where it is asked for.
static bool asked_for(coreml_layer *l, size_t n, int64_t size[NET_SPACE]) {
  return proto_ints(&l->params, "outputShape", n, size) == n;
}

static bool set_pads(coreml_layer *l, const net_tensor *x, net_window *w, bool transposed) {
  enum { TOP_LEFT_HEAVY = 1 };
  proto how;
  int64_t size[NET_SPACE];
  bool asked = transposed && asked_for(l, 2, size), same = proto_get(&l->params, "same", &how);
  bool heavy = same && proto_int(&how, "asymmetryMode", 0) == TOP_LEFT_HEAVY;
  if (asked || (same && transposed))
    return net_deconv_pads(l->n, x, w, asked ? size : NULL, heavy ? NET_MORE_BEFORE : NET_MORE_AFTER);
  if (same) return net_same_pads(l->n, x, w, heavy);
  proto_get(&l->params, "valid", &how);
  borders(&how, "paddingAmounts", w->before, w->after);
  return !convert_failed(l->m->c);
}

static net_tensor bias_of(coreml_layer *l, int64_t channels) {
  if (!proto_int(&l->params, "hasBias", 0)) return (net_tensor){0};
  return coreml_weight(l, "bias", 1, &channels);
}

static void convolution(coreml_layer *l) {
  net_tensor x = coreml_image(l, l->in[0]);
  net_window w = net_window_of(2);
  sizes(l, "kernelSize", 2, 3, w.kernel);
  sizes(l, "stride", 2, 1, w.stride);
  sizes(l, "dilationFactor", 2, 1, w.dilation);
  w.groups = proto_int(&l->params, "nGroups", 1);
  if (w.groups < 1) w.groups = 1;
  int64_t out = proto_int(&l->params, "outputChannels", 0), in = proto_int(&l->params, "kernelChannels", 0);
  bool transposed = proto_int(&l->params, "isDeconvolution", 0);
  if (l->in_count > 1) {
    net_fail(l->n, SDX_NOT_SUPPORTED, NULL, "weights that are computed");
    return;
  }
  if (convert_failed(l->m->c) || !set_pads(l, &x, &w, transposed)) return;
  int64_t shape[] = {transposed ? in : out, transposed ? out / w.groups : in, w.kernel[0], w.kernel[1]};
  net_tensor filter = coreml_weight(l, "weights", 4, shape), bias = bias_of(l, out);
  if (filter.ref) give(l, (transposed ? net_deconv : net_conv)(l->n, x, filter, bias, &w), &l->in[0]);
}

static int64_t number(coreml_layer *l, const char *format, const char *dimension, int64_t missing) {
  char *name = arena_format(l->m->c->memory, format, dimension);
  return name ? proto_int(&l->params, name, missing) : missing;
}

// Of depth, height and width, as layers of space name them. False: reported.
static bool window_3d(coreml_layer *l, const net_tensor *x, bool transposed, net_window *w) {
  static const char *const dimensions[] = {"Depth", "Height", "Width"};
  static const char *const before[] = {"Front", "Top", "Left"}, *const after[] = {"Back", "Bottom", "Right"};
  enum { CUSTOM, VALID, SAME };
  int64_t padding = proto_int(&l->params, "paddingType", CUSTOM), size[NET_SPACE];
  *w = net_window_of(3);
  for (size_t i = 0; i < 3; i++) {
    w->kernel[i] = number(l, "kernel%s", dimensions[i], 3);
    w->stride[i] = number(l, "stride%s", dimensions[i], 1);
    w->dilation[i] = number(l, "dilation%s", dimensions[i], 1);
    if (padding != CUSTOM) continue;
    w->before[i] = number(l, "customPadding%s", before[i], 0);
    w->after[i] = number(l, "customPadding%s", after[i], 0);
  }
  bool asked = transposed && asked_for(l, 3, size);
  if (asked || (padding == SAME && transposed)) return net_deconv_pads(l->n, x, w, asked ? size : NULL, NET_MORE_AFTER);
  return padding != SAME || net_same_pads(l->n, x, w, false);
}

static void convolution_3d(coreml_layer *l) {
  net_window w;
  bool transposed = proto_int(&l->params, "isDeconvolution", 0);
  if (!window_3d(l, &l->in[0], transposed, &w)) return;
  int64_t out = proto_int(&l->params, "outputChannels", 0), in = proto_int(&l->params, "inputChannels", 0);
  w.groups = proto_int(&l->params, "nGroups", 1);
  if (w.groups < 1) w.groups = 1;
  int64_t shape[] = {transposed ? in : out, (transposed ? out : in) / w.groups, w.kernel[0], w.kernel[1], w.kernel[2]};
  net_tensor filter = coreml_weight(l, "weights", 5, shape), bias = bias_of(l, out);
  if (filter.ref) l->out[0] = (transposed ? net_deconv : net_conv)(l->n, l->in[0], filter, bias, &w);
}

static void pooling_3d(coreml_layer *l) {
  net_window w;
  if (!window_3d(l, &l->in[0], false, &w)) return;
  w.count_pads = !proto_int(&l->params, "countExcludePadding", 0);
  l->out[0] = net_pool(l->n, proto_int(&l->params, "type", 0) ? "AveragePool" : "MaxPool", l->in[0], &w);
}

static void global_pooling_3d(coreml_layer *l) {
  l->out[0] = net_global_pool(l->n, proto_int(&l->params, "type", 0) ? "GlobalAveragePool" : "GlobalMaxPool", l->in[0]);
}

static void pooling(coreml_layer *l) {
  enum { L2 = 2 };
  static const char *const ops[] = {"MaxPool", "AveragePool", "LpPool"}, *const global[] = {"GlobalMaxPool",
                                                                                            "GlobalAveragePool",
                                                                                            "GlobalLpPool"};
  int64_t type = proto_int(&l->params, "type", 0), pads[2] = {0, 0};
  net_tensor x = coreml_image(l, l->in[0]);
  net_window w = net_window_of(2);
  proto how;
  if (type < 0 || type > 2) {
    net_fail(l->n, SDX_NOT_SUPPORTED, NULL, "pooling of type %lld", (long long)type);
    return;
  }
  if (proto_int(&l->params, "globalPooling", 0)) {
    if (convert_failed(l->m->c)) return;
    give(l,
         type == L2 ? net_reduce(l->n, "ReduceL2", x, 2, (int64_t[]){2, 3}, true)
                    : net_global_pool(l->n, global[type], x),
         &l->in[0]);
    return;
  }
  sizes(l, "kernelSize", 2, 3, w.kernel);
  sizes(l, "stride", 2, 1, w.stride);
  w.count_pads = !proto_int(&l->params, "avgPoolExcludePadding", 0);
  if (proto_get(&l->params, "includeLastPixel", &how)) {
    proto_ints(&how, "paddingAmounts", 2, pads);
    w.ceil = true;
    for (size_t i = 0; i < 2; i++) w.before[i] = w.after[i] = pads[i];
  } else if (!set_pads(l, &x, &w, false)) {
    return;
  }
  net_tensor y = net_pool(l->n, ops[type], x, &w);
  give(l, y, &l->in[0]);
}

// ---- products ---------------------------------------------------------------------------------------

static void inner_product(coreml_layer *l) {
  net_tensor x = l->in[0];
  int64_t in = proto_int(&l->params, "inputChannels", 0), out = proto_int(&l->params, "outputChannels", 0);
  net_tensor weights = coreml_weight(l, "weights", 2, (int64_t[]){out, in}), bias = bias_of(l, out);
  if (!weights.ref) return;
  if (!l->exact || x.rank == 2) {
    l->out[0] = net_dense(l->n, net_flatten(l->n, x, 1), weights, bias);
    return;
  }
  size_t at = x.rank >= 4 && x.shape[x.rank - 1] == 1 && x.shape[x.rank - 2] == 1 ? x.rank - 3 : x.rank - 1;
  int64_t spec[NET_RANK];
  net_tensor y = net_dense(l->n, net_reshape(l->n, x, 2, (int64_t[]){-1, in}), weights, bias);
  for (size_t i = 0; i < x.rank; i++) spec[i] = i == at ? out : x.shape[i];
  l->out[0] = net_reshape(l->n, y, x.rank, spec);
}

// Weights that lie [out, in], as [in, out].
static net_tensor transposed_weight(coreml_layer *l, int64_t out, int64_t in) {
  net_numbers w;
  if (!coreml_weights_of(l, "weights", &w)) return (net_tensor){0};
  if (w.scale && in > 0) w.per = (size_t)in;
  return net_constant(l->n, "weights", SDX_FLOAT, 2, (int64_t[]){out, in}, &w, (int64_t[]){1, 0});
}

static void batched_matmul(coreml_layer *l) {
  net_tensor x = l->in[0], w = l->in[1];
  int64_t shape[] = {proto_int(&l->params, "weightMatrixFirstDimension", 0),
                     proto_int(&l->params, "weightMatrixSecondDimension", 0)};
  if (l->in_count == 1) w = transposed_weight(l, shape[1], shape[0]);
  else if (proto_int(&l->params, "transposeB", 0)) w = net_swap_last(l->n, w);
  if (proto_int(&l->params, "transposeA", 0)) x = net_swap_last(l->n, x);
  if (!w.ref) return;
  net_tensor y = net_matmul(l->n, NULL, x, w);
  net_tensor bias = l->in_count == 1 ? bias_of(l, shape[1]) : (net_tensor){0};
  l->out[0] = bias.ref ? net_binary(l->n, "Add", "bias", y, bias) : y;
}

// Indices, as floats; a row of the transposed weights each.
static void embedding(coreml_layer *l) {
  bool whole = !strcmp(l->kind->name, "embeddingND");
  int64_t in = proto_int(&l->params, whole ? "vocabSize" : "inputDim", 0),
          out = proto_int(&l->params, whole ? "embeddingSize" : "outputChannels", 0);
  net_tensor table = transposed_weight(l, out, in);
  net_tensor at = net_cast(l->n, l->in[0], SDX_INT64), bias = bias_of(l, out);
  if (!table.ref) return;
  if (!l->exact) {
    at = net_flatten(l->n, at, 1);
    at = net_reshape(l->n, at, 1, (int64_t[]){-1});
  } else if (at.rank && at.shape[at.rank - 1] == 1) {
    at = net_squeeze(l->n, at, at.rank - 1);
  }
  net_tensor y = net_gather(l->n, table, at, 0);
  l->out[0] = bias.ref ? net_binary(l->n, "Add", "bias", y, bias) : y;
}

// ---- normalisation ----------------------------------------------------------------------------------

static double positive(coreml_layer *l, const char *field, double missing) {
  double number_of = proto_number(&l->params, field, missing);
  return number_of > 0 ? number_of : missing;
}

static void batch_norm(coreml_layer *l) {
  int64_t channels = proto_int(&l->params, "channels", 0);
  double epsilon = positive(l, "epsilon", 1e-5);
  net_tensor x = !l->exact && l->in[0].rank == 2 ? l->in[0] : coreml_image(l, l->in[0]), y;
  net_tensor gamma = coreml_weight(l, "gamma", 1, &channels), beta = coreml_weight(l, "beta", 1, &channels);
  if (!gamma.ref || !beta.ref) return;
  if (proto_int(&l->params, "instanceNormalization", 0) && proto_int(&l->params, "computeMeanVar", 0)) {
    y = net_instance_norm(l->n, x, gamma, beta, epsilon);
  } else {
    net_tensor mean = coreml_weight(l, "mean", 1, &channels), variance = coreml_weight(l, "variance", 1, &channels);
    if (!mean.ref || !variance.ref) return;
    y = net_batch_norm(l->n, x, gamma, beta, mean, variance, epsilon);
  }
  give(l, y, &l->in[0]);
}

static void mean_variance(coreml_layer *l) {
  net_tensor x = coreml_image(l, l->in[0]);
  bool all = proto_int(&l->params, "acrossChannels", 0);
  if (convert_failed(l->m->c)) return;
  give(l,
       net_mean_variance(l->n, x, all ? 3 : 2, all ? (int64_t[]){1, 2, 3} : (int64_t[]){2, 3},
                         proto_int(&l->params, "normalizeVariance", 0), positive(l, "epsilon", 1e-5)),
       &l->in[0]);
}

static void l2_normalize(coreml_layer *l) {
  net_tensor x = coreml_image(l, l->in[0]);
  if (convert_failed(l->m->c)) return;
  give(l, net_l2_norm(l->n, x, 3, (int64_t[]){1, 2, 3}, positive(l, "epsilon", 1e-6)), &l->in[0]);
}

static void local_response(coreml_layer *l) {
  net_tensor x = coreml_image(l, l->in[0]);
  if (convert_failed(l->m->c)) return;
  give(l,
       net_lrn(l->n, x, proto_int(&l->params, "localSize", 5), proto_number(&l->params, "alpha", 0),
               proto_number(&l->params, "beta", 0), positive(l, "k", 1)),
       &l->in[0]);
}

static void layer_norm(coreml_layer *l) {
  int64_t shape[NET_RANK];
  size_t count = proto_ints(&l->params, "normalizedShape", NET_RANK, shape);
  net_tensor x = l->in[0];
  if (!count || count > x.rank) {
    net_fail(l->n, SDX_INVALID_MODEL, NULL, "normalised over %zu dimensions of %s", count, net_shape_text(l->n, &x));
    return;
  }
  net_tensor gamma = coreml_weight(l, "gamma", count, shape), beta = coreml_weight(l, "beta", count, shape);
  if (!gamma.ref || !beta.ref) return;
  l->out[0] = net_layer_norm(l->n, x, gamma, beta, -(int64_t)count, positive(l, "eps", 1e-5));
}

// ---- borders and sizes ------------------------------------------------------------------------------

static void padding(coreml_layer *l) {
  net_tensor x = coreml_image(l, l->in[0]);
  int64_t start[2], end[2];
  proto how;
  const char *mode = proto_has(&l->params, "reflection")    ? "reflect"
                     : proto_has(&l->params, "replication") ? "edge"
                                                            : "constant";
  double value = proto_get(&l->params, "constant", &how) ? proto_number(&how, "value", 0) : 0;
  borders(&l->params, "paddingAmounts", start, end);
  if (convert_failed(l->m->c)) return;
  give(l, net_pad(l->n, x, mode, value, (int64_t[]){0, 0, start[0], start[1]}, (int64_t[]){0, 0, end[0], end[1]}),
       &l->in[0]);
}

static void crop(coreml_layer *l) {
  net_tensor y = coreml_image(l, l->in[0]), like = l->in_count > 1 ? coreml_image(l, l->in[1]) : y;
  int64_t start[2], end[2], offset[2] = {0, 0};
  proto_ints(&l->params, "offset", 2, offset);
  borders(&l->params, "cropAmounts", start, end);
  for (size_t i = 0; i < 2 && !convert_failed(l->m->c); i++) {
    int64_t size = l->in_count > 1 ? like.shape[2 + i] : -1, from = l->in_count > 1 ? offset[i] : start[i];
    if (from < 0 || from > NET_MOST || end[i] < 0 || end[i] > NET_MOST || (l->in_count > 1 && size < 0)) {
      net_fail(l->n, SDX_NOT_SUPPORTED, NULL, "a border of %lld, %lld", (long long)from, (long long)end[i]);
      return;
    }
    int64_t to = l->in_count > 1 ? from + size : end[i] ? -end[i] : INT64_MAX;
    y = net_slice(l->n, y, 2 + i, from, to, 1);
  }
  give(l, y, &l->in[0]);
}

static void upsample(coreml_layer *l) {
  enum { BILINEAR = 1, ALIGNED = 1, HALF_PIXEL = 2 };
  net_tensor x = coreml_image(l, l->in[0]);
  size_t count;
  int64_t whole[2] = {1, 1}, mode = proto_int(&l->params, "linearUpsampleMode", 0);
  const double *part = proto_doubles(&l->params, "fractionalScalingFactor", &count);
  proto_ints(&l->params, "scalingFactor", 2, whole);
  double factors[] = {count == 2 ? part[0] : (double)whole[0], count == 2 ? part[1] : (double)whole[1]};
  bool linear = proto_int(&l->params, "mode", 0) == BILINEAR;
  const char *coordinates = linear && mode == ALIGNED      ? "align_corners"
                            : linear && mode == HALF_PIXEL ? "half_pixel"
                                                           : "asymmetric";
  if (!convert_failed(l->m->c))
    give(l, net_resize(l->n, x, linear ? "linear" : "nearest", coordinates, factors, NULL), &l->in[0]);
}

static void resize_bilinear(coreml_layer *l) {
  static const char *const coordinates[] = {"align_corners", "align_corners", "asymmetric", "half_pixel"};
  net_tensor x = coreml_image(l, l->in[0]);
  proto how;
  int64_t target[2] = {1, 1};
  proto_ints(&l->params, "targetSize", 2, target);
  proto_get(&l->params, "mode", &how);
  int64_t mode = proto_int(&how, "samplingMethod", 0);
  if (mode < 0 || mode > 3) net_fail(l->n, SDX_NOT_SUPPORTED, NULL, "sampling by method %lld", (long long)mode);
  else if (!convert_failed(l->m->c)) give(l, net_resize(l->n, x, "linear", coordinates[mode], NULL, target), &l->in[0]);
}

static void reorganize(coreml_layer *l) {
  enum { SPACE_TO_DEPTH, DEPTH_TO_SPACE, PIXEL_SHUFFLE };
  net_tensor x = coreml_image(l, l->in[0]);
  int64_t block = proto_int(&l->params, "blockSize", 0), mode = proto_int(&l->params, "mode", 0);
  if (mode < 0 || mode > PIXEL_SHUFFLE) net_fail(l->n, SDX_INVALID_MODEL, NULL, "the mode %lld", (long long)mode);
  else
    give(l,
         net_blocks(l->n, mode == SPACE_TO_DEPTH ? "SpaceToDepth" : "DepthToSpace", x, block,
                    mode == PIXEL_SHUFFLE ? "CRD" : NULL),
         &l->in[0]);
}

const coreml_layer_kind coreml_image_layers[] = {
    {"convolution", convolution, NULL},
    {"convolution3d", convolution_3d, NULL},
    {"pooling", pooling, NULL},
    {"pooling3d", pooling_3d, NULL},
    {"globalPooling3d", global_pooling_3d, NULL},
    {"innerProduct", inner_product, NULL},
    {"batchedMatmul", batched_matmul, NULL},
    {"embedding", embedding, NULL},
    {"embeddingND", embedding, NULL},
    {"batchnorm", batch_norm, NULL},
    {"mvn", mean_variance, NULL},
    {"l2normalize", l2_normalize, NULL},
    {"lrn", local_response, NULL},
    {"layerNormalization", layer_norm, NULL},
    {"padding", padding, NULL},
    {"crop", crop, NULL},
    {"upsample", upsample, NULL},
    {"resizeBilinear", resize_bilinear, NULL},
    {"reorganizeData", reorganize, NULL},
    {0},
};

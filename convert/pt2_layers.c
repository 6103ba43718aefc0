// SPDX-License-Identifier: Apache-2.0
// ATen's layers: products, convolutions, pools, normalisation, resizing, boxes (pt2.h).
#include <math.h>
#include <string.h>

#include "base/size.h"
#include "convert/pt2.h"

// ---- products ---------------------------------------------------------------------------------------

static void linear(pt2_op *op) {
  net_tensor x, w, b;
  if (!pt2_in(op, "input", &x) || !pt2_optional(op, "bias", &b)) return;
  if (x.rank == 2) {
    if (pt2_in(op, "weight", &w)) op->out[0] = net_dense(op->n, x, w, b);
    return;
  }
  w = pt2_turned(op, "weight", net_swap_last);
  if (!w.ref) return;
  net_tensor y = net_matmul(op->n, NULL, x, w);
  op->out[0] = b.ref ? net_binary(op->n, "Add", "bias", y, b) : y;
}

static void matmul(pt2_op *op) {
  net_tensor a, b;
  bool named = pt2_has(op, "mat2");
  if (!pt2_in(op, "self", &a) || !pt2_in(op,
                                         named                   ? "mat2"
                                         : pt2_has(op, "vec")    ? "vec"
                                         : pt2_has(op, "tensor") ? "tensor"
                                                                 : "other",
                                         &b))
    return;
  op->out[0] = net_matmul(op->n, NULL, a, b);
}

// beta * self + alpha * (a b)
static void add_product(pt2_op *op) {
  static const char *const names[][2] = {{"mat1", "mat2"}, {"batch1", "batch2"}, {"mat", "vec"}};
  net_tensor x, a, b;
  double beta = pt2_number(op, "beta", 1), alpha = pt2_number(op, "alpha", 1);
  size_t i = 0;
  while (i < 2 && !pt2_has(op, names[i][0])) i++;
  if (!pt2_in(op, "self", &x) || !pt2_in(op, names[i][0], &a) || !pt2_in(op, names[i][1], &b)) return;
  if (i == 0 && a.rank == 2 && b.rank == 2) {
    op->out[0] = net_like(a, net_node(op->n, "Gemm", NULL, SDX_REFS(a.ref, b.ref, x.ref)));
    op->out[0].shape[1] = b.shape[1];
    if (alpha != 1) sdx_graph_set_float(op->p->c->graph, "alpha", (float)alpha);
    if (beta != 1) sdx_graph_set_float(op->p->c->graph, "beta", (float)beta);
    return;
  }
  net_tensor y = net_matmul(op->n, NULL, a, b);
  if (alpha != 1) y = net_scale(op->n, "Mul", "alpha", y, alpha);
  if (beta != 1) x = net_scale(op->n, "Mul", "beta", x, beta);
  op->out[0] = beta == 0 ? y : net_binary(op->n, "Add", NULL, y, x);
}

static void outer(pt2_op *op) {
  net_tensor a, b;
  if (pt2_in(op, "self", &a) && pt2_in(op, pt2_has(op, "vec2") ? "vec2" : "other", &b))
    op->out[0] = net_binary(op->n, "Mul", NULL, net_unsqueeze(op->n, a, a.rank), b);
}

static void einsum(pt2_op *op) {
  net_tensor x;
  sdx_ref refs[NET_RANK];
  pt2_value y;
  size_t count = pt2_list_size(op, "tensors");
  if (!count || count > NET_RANK || !pt2_result(op, 0, &y)) {
    net_fail(op->n, SDX_NOT_SUPPORTED, NULL, "%zu factors", count);
    return;
  }
  for (size_t i = 0; i < count; i++) {
    if (!pt2_list_in(op, "tensors", i, &x)) return;
    refs[i] = x.ref;
  }
  op->out[0] = net_like(y.tensor, net_node(op->n, "Einsum", NULL, count, refs));
  sdx_graph_set_string(op->p->c->graph, "equation", pt2_text(op, "equation", ""));
}

// ---- convolutions -----------------------------------------------------------------------------------

static bool read_window(pt2_op *op, const net_tensor *x, size_t n, net_window *w) {
  *w = net_window_of(n);
  if (n < 1 || n > NET_SPACE || !pt2_window_ints(op, "stride", n, 1, w->stride) ||
      !pt2_window_ints(op, "dilation", n, 1, w->dilation))
    return convert_failed(op->p->c)
               ? false
               : !net_fail(op->n, SDX_NOT_SUPPORTED, NULL, "a window over %s", net_shape_text(op->n, x));
  return true;
}

static bool read_conv_pads(pt2_op *op, const net_tensor *filter, net_window *w) {
  const char *word = text_of(pt2_arg(op, "padding"), "as_string");
  for (size_t i = 0; i < w->n; i++) w->kernel[i] = filter->shape[2 + i];
  if (!*word) {
    bool good = pt2_window_ints(op, "padding", w->n, 0, w->before);
    memcpy(w->after, w->before, sizeof w->after);
    return good;
  }
  for (size_t i = 0; i < w->n && !strcmp(word, "same"); i++) {
    int64_t all = wrap_mul(w->kernel[i] - 1, w->dilation[i]);
    w->before[i] = all / 2;
    w->after[i] = all - all / 2;
  }
  return true;
}

// One without a batch gets one.
static bool get_batched(pt2_op *op, size_t rank, net_tensor *x, bool *alone) {
  if (!pt2_in(op, pt2_has(op, "input") ? "input" : "self", x)) return false;
  *alone = x->rank + 1 == rank;
  if (*alone) *x = net_unsqueeze(op->n, *x, 0);
  return true;
}

static net_tensor unbatched(pt2_op *op, net_tensor y, bool alone) {
  return alone && y.ref ? net_squeeze(op->n, y, 0) : y;
}

static void conv(pt2_op *op) {
  net_tensor x, filter, bias;
  net_window w;
  bool alone, transposed = !strncmp(op->kind->name, "conv_t", 6) || pt2_flag(op, "transposed", false);
  if (!pt2_in(op, "weight", &filter) || filter.rank < 3 || !pt2_optional(op, "bias", &bias) ||
      !get_batched(op, filter.rank, &x, &alone) || !read_window(op, &x, filter.rank - 2, &w) ||
      !read_conv_pads(op, &filter, &w))
    return;
  w.groups = pt2_int(op, "groups", 1);
  if (transposed && !pt2_window_ints(op, "output_padding", w.n, 0, w.more)) return;
  op->out[0] =
      unbatched(op, transposed ? net_deconv(op->n, x, filter, bias, &w) : net_conv(op->n, x, filter, bias, &w), alone);
}

// ---- pools ------------------------------------------------------------------------------------------

static size_t dims_of_name(const char *name) {
  for (; *name; name++)
    if (*name >= '1' && *name <= '3' && name[1] == 'd') return (size_t)(*name - '0');
  return 2;
}

static void pool(pt2_op *op) {
  net_tensor x;
  net_window w;
  bool alone, average = *op->kind->op == 'A';
  size_t n = dims_of_name(op->kind->name);
  if (!get_batched(op, n + 2, &x, &alone) || !read_window(op, &x, n, &w) ||
      !pt2_window_ints(op, "kernel_size", n, 1, w.kernel) || !pt2_window_ints(op, "padding", n, 0, w.before))
    return;
  if (!pt2_list_size(op, "stride")) memcpy(w.stride, w.kernel, sizeof w.stride);
  memcpy(w.after, w.before, sizeof w.after);
  w.ceil = pt2_flag(op, "ceil_mode", false);
  w.count_pads = average && pt2_flag(op, "count_include_pad", true);
  if (pt2_has(op, "divisor_override")) net_fail(op->n, SDX_NOT_SUPPORTED, NULL, "an average by another divisor");
  op->out[0] = unbatched(op, net_pool(op->n, op->kind->op, x, &w), alone);
}

// Pools of a size that fits the result's; where it does not, each window by itself.
static void adaptive_pool(pt2_op *op) {
  net_tensor x;
  int64_t size[NET_SPACE];
  bool alone, average = *op->kind->op == 'A', one = true, even = true;
  size_t n = dims_of_name(op->kind->name);
  net_window w = net_window_of(n);
  if (!get_batched(op, n + 2, &x, &alone) || !pt2_window_ints(op, "output_size", n, 1, size)) return;
  for (size_t i = 0; i < n; i++) {
    int64_t from = x.shape[2 + i];
    one = one && size[i] == 1;
    even = even && from > 0 && size[i] > 0 && from % size[i] == 0;
    if (even) w.kernel[i] = w.stride[i] = from / size[i];
  }
  if (one)
    op->out[0] = unbatched(op, net_global_pool(op->n, average ? "GlobalAveragePool" : "GlobalMaxPool", x), alone);
  else if (even) op->out[0] = unbatched(op, net_pool(op->n, op->kind->op, x, &w), alone);
  else {
    for (size_t i = 0; i < n; i++) {
      int64_t from = x.shape[2 + i];
      net_tensor parts[64];
      if (from < 1 || size[i] < 1 || size[i] > 64) {
        net_fail(op->n, SDX_NOT_SUPPORTED, "fix the size of the input", "%lld windows over %s", (long long)size[i],
                 net_shape_text(op->n, &x));
        return;
      }
      for (int64_t k = 0; k < size[i]; k++) {
        net_tensor part = net_slice(op->n, x, 2 + i, k * from / size[i], ((k + 1) * from + size[i] - 1) / size[i], 1);
        parts[k] =
            net_reduce(op->n, average ? "ReduceMean" : "ReduceMax", part, 1, (int64_t[]){(int64_t)(2 + i)}, true);
      }
      x = net_concat(op->n, 2 + i, (size_t)size[i], parts);
    }
    op->out[0] = unbatched(op, x, alone);
  }
}

// ---- normalisation ----------------------------------------------------------------------------------

static net_tensor or_row(pt2_op *op, net_tensor given, const char *part, int64_t count, double number) {
  return given.ref ? given : net_row(op->n, part, count, number);
}

static void batch_norm(pt2_op *op) {
  net_tensor x, scale, shift, mean, var;
  if (!pt2_in(op, "input", &x) || !pt2_optional(op, "weight", &scale) || !pt2_optional(op, "bias", &shift)) return;
  if (pt2_flag(op, "training", false)) {
    net_fail(op->n, SDX_NOT_SUPPORTED, "call model.eval() before exporting", "batch normalisation in training");
    return;
  }
  if (!pt2_in(op, "running_mean", &mean) || !pt2_in(op, "running_var", &var) || mean.rank != 1) return;
  scale = or_row(op, scale, "scale", mean.shape[0], 1);
  shift = or_row(op, shift, "shift", mean.shape[0], 0);
  if (!convert_failed(op->p->c))
    op->out[0] = net_batch_norm(op->n, x, scale, shift, mean, var, pt2_number(op, "eps", 1e-5));
}

static void layer_norm(pt2_op *op) {
  net_tensor x, scale, shift;
  int64_t shape[NET_RANK], ones = 1;
  size_t count = pt2_ints(op, "normalized_shape", shape);
  if (!pt2_in(op, "input", &x) || !pt2_optional(op, "weight", &scale) || !pt2_optional(op, "bias", &shift)) return;
  if (count < 1 || count > x.rank) {
    net_fail(op->n, SDX_INVALID_MODEL, NULL, "a normalised shape of %zu dimensions", count);
    return;
  }
  for (size_t i = 0; i < count; i++) ones = ones < 1 << 20 && shape[i] > 0 && shape[i] < 1 << 20 ? ones * shape[i] : -1;
  if (!scale.ref) scale = net_reshape(op->n, net_row(op->n, "scale", ones, 1), count, shape);
  sdx_ref in[] = {x.ref, scale.ref, shift.ref};
  op->out[0] = net_like(x, net_node(op->n, "LayerNormalization", NULL, shift.ref ? 3 : 2, in));
  sdx_graph_set_int(op->p->c->graph, "axis", -(int64_t)count);
  sdx_graph_set_float(op->p->c->graph, "epsilon", (float)pt2_number(op, "eps", 1e-5));
}

static void rms_norm(pt2_op *op) {
  net_tensor x, scale;
  int64_t shape[NET_RANK], axes[NET_RANK];
  size_t count = pt2_ints(op, "normalized_shape", shape);
  double epsilon = pt2_number(op, "eps", 1.1920928955078125e-7);
  if (!pt2_in(op, "input", &x) || !pt2_optional(op, "weight", &scale) || count < 1 || count > x.rank) return;
  if (pt2_opset(op) >= 23 && scale.ref) {
    op->out[0] = net_like(x, net_node(op->n, "RMSNormalization", NULL, SDX_REFS(x.ref, scale.ref)));
    sdx_graph_set_int(op->p->c->graph, "axis", -(int64_t)count);
    sdx_graph_set_float(op->p->c->graph, "epsilon", (float)epsilon);
    return;
  }
  for (size_t i = 0; i < count; i++) axes[i] = (int64_t)(x.rank - count + i);
  net_tensor y = net_reduce(op->n, "ReduceMean", net_binary(op->n, "Mul", "square", x, x), count, axes, true);
  y = net_binary(op->n, "Div", NULL, x,
                 net_apply(op->n, "Sqrt", "root", net_scale(op->n, "Add", "epsilon", y, epsilon)));
  op->out[0] = scale.ref ? net_binary(op->n, "Mul", "scale", y, scale) : y;
}

static void group_norm(pt2_op *op) {
  net_tensor x, scale, shift;
  int64_t groups = pt2_int(op, pt2_has(op, "group") ? "group" : "num_groups", 1);
  if (!pt2_in(op, "input", &x) || !pt2_optional(op, "weight", &scale) || !pt2_optional(op, "bias", &shift)) return;
  if (x.rank < 2 || x.shape[1] < 1 || groups < 1 || x.shape[1] % groups) {
    net_fail(op->n, SDX_NOT_SUPPORTED, NULL, "%lld groups of %s", (long long)groups, net_shape_text(op->n, &x));
    return;
  }
  scale = or_row(op, scale, "scale", x.shape[1], 1);
  shift = or_row(op, shift, "shift", x.shape[1], 0);
  double epsilon = pt2_number(op, "eps", 1e-5);
  if (pt2_opset(op) >= 21) {
    op->out[0] = net_like(x, net_node(op->n, "GroupNormalization", NULL, SDX_REFS(x.ref, scale.ref, shift.ref)));
    sdx_graph_set_int(op->p->c->graph, "num_groups", groups);
    sdx_graph_set_float(op->p->c->graph, "epsilon", (float)epsilon);
    return;
  }
  net_tensor shape = net_shape_of(op->n, x), y = net_reshape(op->n, x, 3, (int64_t[]){0, groups, -1});
  y = net_instance_norm(op->n, y, net_row(op->n, "ones", groups, 1), net_row(op->n, "zeros", groups, 0), epsilon);
  y = net_like(x, net_node(op->n, "Reshape", "whole", SDX_REFS(y.ref, shape.ref)));
  y = net_binary(op->n, "Mul", "scale", y, net_along(op->n, scale, 1, &x));
  op->out[0] = net_binary(op->n, "Add", NULL, y, net_along(op->n, shift, 1, &x));
}

static void instance_norm(pt2_op *op) {
  net_tensor x, scale, shift;
  if (!pt2_in(op, "input", &x) || !pt2_optional(op, "weight", &scale) || !pt2_optional(op, "bias", &shift)) return;
  if (x.rank < 3 || x.shape[1] < 1 || !pt2_flag(op, "use_input_stats", true)) {
    net_fail(op->n, SDX_NOT_SUPPORTED, NULL, "instance normalisation of %s by stored statistics",
             net_shape_text(op->n, &x));
    return;
  }
  scale = or_row(op, scale, "scale", x.shape[1], 1);
  shift = or_row(op, shift, "shift", x.shape[1], 0);
  op->out[0] = net_instance_norm(op->n, x, scale, shift, pt2_number(op, "eps", 1e-5));
}

// ---- resizing ---------------------------------------------------------------------------------------

static void resize(pt2_op *op) {
  net_tensor x;
  pt2_value y;
  float factors[NET_RANK] = {1, 1};
  bool corners = pt2_flag(op, "align_corners", false), nearest = !strcmp(op->kind->op, "nearest");
  if (!pt2_in(op, pt2_has(op, "input") ? "input" : "self", &x) || !pt2_result(op, 0, &y) || x.rank < 3) return;
  sdx_graph *g = op->p->c->graph;
  const json_t *scales = json_object_get(pt2_arg(op, "scale_factors"), "as_floats");
  bool by_factor = json_array_size(scales) == x.rank - 2;
  for (size_t i = 2; i < x.rank && by_factor; i++) {
    factors[i] = (float)json_number_value(json_array_get(scales, i - 2));
    by_factor = x.shape[i] < 0 || (int64_t)floor((double)x.shape[i] * factors[i]) == y.tensor.shape[i];
  }
  if (by_factor) {
    double list[NET_RANK];
    int64_t rank = (int64_t)x.rank;
    for (size_t i = 0; i < x.rank; i++) list[i] = factors[i];
    sdx_ref at = net_values(op->n, "factors", SDX_FLOAT, 1, &rank, list).ref;
    y.tensor.ref = net_node(op->n, "Resize", NULL, 3, (sdx_ref[]){x.ref, 0, at});
  } else {
    y.tensor.ref = net_node(op->n, "Resize", NULL, 4, (sdx_ref[]){x.ref, 0, 0, pt2_shape(op, &y).ref});
  }
  sdx_graph_set_string(g, "mode", op->kind->op);
  bool exact = strstr(op->kind->name, "exact") != NULL;
  sdx_graph_set_string(g, "coordinate_transformation_mode",
                       nearest                         ? exact ? "half_pixel" : "asymmetric"
                       : corners                       ? "align_corners"
                       : strcmp(op->kind->op, "cubic") ? "half_pixel"
                                                       : "pytorch_half_pixel");
  if (nearest) sdx_graph_set_string(g, "nearest_mode", "floor");
  if (!strcmp(op->kind->op, "cubic")) sdx_graph_set_float(g, "cubic_coeff_a", -0.75f);
  if (strstr(op->kind->name, "_aa")) sdx_graph_set_int(g, "antialias", 1);
  op->out[0] = y.tensor;
}

static void grid_sample(pt2_op *op) {
  static const char *const modes[] = {"linear", "nearest", "cubic"}, *const pads[] = {"zeros", "border", "reflection"};
  net_tensor x, grid;
  pt2_value y;
  int64_t mode = pt2_int(op, "interpolation_mode", 0), border = pt2_int(op, "padding_mode", 0);
  if (!pt2_in(op, "input", &x) || !pt2_in(op, "grid", &grid) || !pt2_result(op, 0, &y) || mode < 0 || mode > 2 ||
      border < 0 || border > 2)
    return;
  op->out[0] = net_like(y.tensor, net_node(op->n, "GridSample", NULL, SDX_REFS(x.ref, grid.ref)));
  sdx_graph_set_string(op->p->c->graph, "mode", pt2_opset(op) < 20 && mode == 0 ? "bilinear" : modes[mode]);
  sdx_graph_set_string(op->p->c->graph, "padding_mode", pads[border]);
  sdx_graph_set_int(op->p->c->graph, "align_corners", pt2_flag(op, "align_corners", false));
}

// ---- torchvision ------------------------------------------------------------------------------------

static void nms(pt2_op *op) {
  net_tensor boxes, scores;
  if (!pt2_in(op, "dets", &boxes) || !pt2_in(op, "scores", &scores)) return;
  boxes = net_unsqueeze(op->n, boxes, 0);
  scores = net_unsqueeze(op->n, net_unsqueeze(op->n, scores, 0), 0);
  net_tensor all = net_scalar(op->n, SDX_INT64, (double)INT32_MAX),
             limit = net_scalar(op->n, SDX_FLOAT, pt2_number(op, "iou_threshold", 0.5));
  net_tensor found = {net_node(op->n, "NonMaxSuppression", NULL, SDX_REFS(boxes.ref, scores.ref, all.ref, limit.ref)),
                      SDX_INT64,
                      2,
                      {-1, 3}};
  op->out[0] = net_gather(op->n, found, net_scalar(op->n, SDX_INT64, 2), 1);
}

static void roi_align(pt2_op *op) {
  net_tensor x, rois;
  pt2_value y;
  sdx_graph *g = op->p->c->graph;
  if (!pt2_in(op, "input", &x) || !pt2_in(op, "rois", &rois) || !pt2_result(op, 0, &y)) return;
  net_tensor batch = net_cast(op->n, net_gather(op->n, rois, net_scalar(op->n, SDX_INT64, 0), 1), SDX_INT64);
  rois = net_slice(op->n, rois, 1, 1, 5, 1);
  op->out[0] = net_like(y.tensor, net_node(op->n, "RoiAlign", NULL, SDX_REFS(x.ref, rois.ref, batch.ref)));
  sdx_graph_set_int(g, "output_height", pt2_int(op, "pooled_height", 1));
  sdx_graph_set_int(g, "output_width", pt2_int(op, "pooled_width", 1));
  sdx_graph_set_int(g, "sampling_ratio", i64_max(pt2_int(op, "sampling_ratio", 0), 0));
  sdx_graph_set_float(g, "spatial_scale", (float)pt2_number(op, "spatial_scale", 1));
  sdx_graph_set_string(g, "coordinate_transformation_mode",
                       pt2_flag(op, "aligned", false) ? "half_pixel" : "output_half_pixel");
}

const pt2_kind pt2_layer_kinds[] = {
    {"linear", linear, "Gemm"},
    {"matmul", matmul, "MatMul"},
    {"mm", matmul, "MatMul"},
    {"bmm", matmul, "MatMul"},
    {"mv", matmul, "MatMul"},
    {"dot", matmul, "MatMul"},
    {"addmm", add_product, "Gemm"},
    {"addmv", add_product, "MatMul"},
    {"baddbmm", add_product, "MatMul"},
    {"outer", outer, "Mul"},
    {"einsum", einsum, "Einsum"},
    {"conv1d", conv, "Conv"},
    {"conv2d", conv, "Conv"},
    {"conv3d", conv, "Conv"},
    {"convolution", conv, "Conv"},
    {"_convolution", conv, "Conv"},
    {"conv_transpose1d", conv, "ConvTranspose"},
    {"conv_transpose2d", conv, "ConvTranspose"},
    {"conv_transpose3d", conv, "ConvTranspose"},
    {"max_pool1d", pool, "MaxPool"},
    {"max_pool2d", pool, "MaxPool"},
    {"max_pool3d", pool, "MaxPool"},
    {"max_pool2d_with_indices", pool, "MaxPool"},
    {"max_pool3d_with_indices", pool, "MaxPool"},
    {"avg_pool1d", pool, "AveragePool"},
    {"avg_pool2d", pool, "AveragePool"},
    {"avg_pool3d", pool, "AveragePool"},
    {"adaptive_avg_pool1d", adaptive_pool, "AveragePool"},
    {"adaptive_avg_pool2d", adaptive_pool, "AveragePool"},
    {"adaptive_avg_pool3d", adaptive_pool, "AveragePool"},
    {"_adaptive_avg_pool2d", adaptive_pool, "AveragePool"},
    {"_adaptive_avg_pool3d", adaptive_pool, "AveragePool"},
    {"adaptive_max_pool1d", adaptive_pool, "MaxPool"},
    {"adaptive_max_pool2d", adaptive_pool, "MaxPool"},
    {"batch_norm", batch_norm, "BatchNormalization"},
    {"_native_batch_norm_legit_no_training", batch_norm, "BatchNormalization"},
    {"native_batch_norm", batch_norm, "BatchNormalization"},
    {"layer_norm", layer_norm, "LayerNormalization"},
    {"native_layer_norm", layer_norm, "LayerNormalization"},
    {"rms_norm", rms_norm, "RMSNormalization"},
    {"_fused_rms_norm", rms_norm, "RMSNormalization"},
    {"group_norm", group_norm, "GroupNormalization"},
    {"native_group_norm", group_norm, "GroupNormalization"},
    {"instance_norm", instance_norm, "InstanceNormalization"},
    {"upsample_nearest1d", resize, "nearest"},
    {"upsample_nearest2d", resize, "nearest"},
    {"upsample_nearest3d", resize, "nearest"},
    {"_upsample_nearest_exact2d", resize, "nearest"},
    {"upsample_linear1d", resize, "linear"},
    {"upsample_bilinear2d", resize, "linear"},
    {"_upsample_bilinear2d_aa", resize, "linear"},
    {"upsample_trilinear3d", resize, "linear"},
    {"upsample_bicubic2d", resize, "cubic"},
    {"_upsample_bicubic2d_aa", resize, "cubic"},
    {"grid_sampler", grid_sample, "GridSample"},
    {"grid_sampler_2d", grid_sample, "GridSample"},
    {"torchvision.nms", nms, "NonMaxSuppression"},
    {"torchvision.roi_align", roi_align, "RoiAlign"},
    {0},
};

// SPDX-License-Identifier: Apache-2.0
// Operators with weights or windows: convolutions, pools, normalisation, products. Channels are last unless the node
// says otherwise.
#include <ctype.h>
#include <string.h>

#include "base/size.h"
#include "convert/tensorflow.h"

// Numbers of an attribute or a constant input with one for each dimension; those of space.
static bool of_space(tf_op *op, const int64_t *all, size_t count, size_t n, int64_t *to) {
  if (count == 0) {
    for (size_t i = 0; i < n; i++) to[i] = 1;
    return true;
  }
  size_t first = tf_channels_first(op) ? 2 : 1;
  if (count != n + 2) return !tf_fail(op, SDX_INVALID_MODEL, NULL, "%zu numbers for %zu dimensions", count, n + 2);
  for (size_t i = 0; i < n; i++) {
    to[i] = all[first + i];
    if (to[i] < 1 || to[i] > INT32_MAX)
      return !tf_fail(op, SDX_INVALID_MODEL, NULL, "a kernel, stride or dilation below 1");
  }
  return true;
}

static bool attr_of_space(tf_op *op, const char *key, size_t n, int64_t *to) {
  int64_t all[TF_RANK];
  return of_space(op, all, tf_attr_ints(op->node, key, all, TF_RANK), n, to);
}

static bool open_window(tf_op *op, size_t n, node_window *w) {
  str padding = tf_attr_text(op->node, "padding");
  *w = (node_window){.n = n, .same = str_is(padding, "SAME")};
  return attr_of_space(op, "strides", n, w->stride) && attr_of_space(op, "dilations", n, w->dilation);
}

// The input with its channels first, and the sizes of its space.
static sdx_ref data_of(tf_op *op, size_t index, size_t n, int64_t *sizes) {
  const tf_value *x = tf_in(op, index);
  if (!x || !tf_rank_is(op, x, (int)n + 2)) return 0;
  bool first = tf_channels_first(op);
  for (size_t i = 0; i < n; i++) sizes[i] = x->rank < 0 ? -1 : x->shape[i + (first ? 2 : 1)];
  return first ? tf_get(op, index) : tf_to_first(op, index, n + 2);
}

static void set_data(tf_op *op, sdx_ref y, const tf_value *x, size_t n, int64_t channels, const int64_t *sizes) {
  bool first = tf_channels_first(op);
  int64_t shape[TF_RANK];
  shape[0] = x->rank < 0 ? -1 : x->shape[0];
  shape[first ? 1 : n + 1] = channels;
  memcpy(shape + (first ? 2 : 1), sizes, n * sizeof *sizes);
  if (first) tf_set(op, 0, y, x->dtype, (int)n + 2, shape);
  else tf_set_to_last(op, 0, y, x->dtype, n + 2, shape);
}

static int64_t channels_of(tf_op *op, const tf_value *x, size_t n) {
  return x->rank < 0 ? -1 : x->shape[tf_channels_first(op) ? 1 : n + 1];
}

// ---- convolutions -----------------------------------------------------------------------------------

static void set_padding(tf_op *op, const node_window *w, const int64_t *sizes) {
  int64_t all[2 * TF_RANK], pads[6];
  size_t first = tf_channels_first(op) ? 2 : 1;
  bool given = str_is(tf_attr_text(op->node, "padding"), "EXPLICIT") &&
               tf_attr_ints(op->node, "explicit_paddings", all, 2 * TF_RANK) == 2 * (w->n + 2);
  for (size_t i = 0; given && i < w->n; i++) pads[i] = all[2 * (first + i)], pads[w->n + i] = all[2 * (first + i) + 1];
  node_set_window(op->t->c, w, sizes, given ? pads : NULL, true);
}

// Filter [space..., in / groups, out].
static void conv(tf_op *op) {
  static const int64_t orders[][5] = {{3, 2, 0, 1}, {4, 3, 0, 1, 2}};
  size_t n = (size_t)(*op->kind->op - '0');
  const tf_value *x = tf_in(op, 0), *f = tf_in(op, 1);
  node_window w;
  int64_t sizes[3];
  if (!x || !f || !tf_has_rank(op, f) || !tf_rank_is(op, f, (int)n + 2) || !open_window(op, n, &w)) return;
  memcpy(w.kernel, f->shape, n * sizeof *w.kernel);
  for (size_t i = 0; i < n; i++)
    if (f->shape[i] < 1 || f->shape[i] > INT32_MAX) {
      tf_fail(op, SDX_NOT_SUPPORTED, NULL, "a filter whose size is not known");
      return;
    }
  sdx_ref in = data_of(op, 0, n, sizes), filter = tf_get_in_order(op, 1, n + 2, orders[n - 2]);
  if (!in || !filter) return;
  sdx_ref y = tf_node_add(op, "Conv", SDX_REFS(in, filter));
  int64_t channels = channels_of(op, x, n), each = f->shape[n];
  if (channels > 0 && each > 0 && channels / each > 1) sdx_graph_set_int(op->g, "group", channels / each);
  set_padding(op, &w, sizes);
  bool explicit = str_is(tf_attr_text(op->node, "padding"), "EXPLICIT");
  for (size_t i = 0; i < n; i++) sizes[i] = explicit ? -1 : node_windows(&w, i, sizes[i]);
  set_data(op, y, x, n, f->shape[n + 1], sizes);
}

// Filter [height, width, channels, multiplier]: seen as [height, width, channels * multiplier, 1].
static void depthwise(tf_op *op) {
  const tf_value *x = tf_in(op, 0);
  tf_value *f = tf_in(op, 1);
  node_window w;
  int64_t sizes[2], shape[TF_RANK];
  if (!x || !f || !tf_has_rank(op, f) || !tf_rank_is(op, f, 4) || !open_window(op, 2, &w)) return;
  memcpy(shape, f->shape, sizeof shape);
  int64_t merged[] = {shape[0], shape[1], wrap_mul(shape[2], shape[3]), 1};
  if (shape[0] < 1 || shape[1] < 1 || shape[2] < 1 || shape[3] < 1 || shape[0] > INT32_MAX || shape[1] > INT32_MAX) {
    tf_fail(op, SDX_NOT_SUPPORTED, NULL, "a filter whose shape is not known");
    return;
  }
  memcpy(w.kernel, shape, 2 * sizeof *shape);
  sdx_ref in = data_of(op, 0, 2, sizes), filter;
  if (f->data) {
    memcpy(f->shape, merged, sizeof merged);
    filter = tf_get_in_order(op, 1, 4, (int64_t[]){2, 3, 0, 1});
    memcpy(f->shape, shape, sizeof shape);
  } else {
    sdx_ref raw = tf_get(op, 1);
    filter = raw ? tf_node_add(op, "Reshape", SDX_REFS(raw, tf_list(op, 4, merged))) : 0;
    if (filter) filter = tf_transpose(op, filter, 4, (int64_t[]){2, 3, 0, 1});
  }
  if (!in || !filter) return;
  sdx_ref y = tf_node_add(op, "Conv", SDX_REFS(in, filter));
  sdx_graph_set_int(op->g, "group", shape[2]);
  set_padding(op, &w, sizes);
  for (size_t i = 0; i < 2; i++) sizes[i] = node_windows(&w, i, sizes[i]);
  set_data(op, y, x, 2, merged[2], sizes);
}

// Inputs: the shape of the result, the filter [space..., out, in], the values.
static void conv_transpose(tf_op *op) {
  static const int64_t orders[][5] = {{3, 2, 0, 1}, {4, 3, 0, 1, 2}};
  size_t n = (size_t)(*op->kind->op - '0');
  const tf_value *to = tf_in(op, 0), *f = tf_in(op, 1), *x = tf_in(op, 2);
  node_window w;
  int64_t sizes[3], result[3];
  if (!to || !f || !x || !tf_has_rank(op, f) || !tf_rank_is(op, f, (int)n + 2) || !open_window(op, n, &w)) return;
  sdx_ref in = data_of(op, 2, n, sizes), filter = tf_get_in_order(op, 1, n + 2, orders[n - 2]);
  if (!in || !filter) return;
  for (size_t i = 0; i < n; i++) {
    size_t at = i + (tf_channels_first(op) ? 2 : 1);
    result[i] = to->elements && to->element_count == n + 2 && to->elements[at] >= 0 ? to->elements[at] : -1;
    if (f->shape[i] < 1 || f->shape[i] > INT32_MAX) {
      tf_fail(op, SDX_NOT_SUPPORTED, NULL, "a filter whose size is not known");
      return;
    }
    w.kernel[i] = f->shape[i];
  }
  sdx_ref y = tf_node_add(op, "ConvTranspose", SDX_REFS(in, filter));
  node_set_transposed(op->t->c, &w, sizes, result);
  set_data(op, y, x, n, f->shape[n], result);
}

static void bias_add(tf_op *op) {
  const tf_value *x = tf_in(op, 0), *b = tf_in(op, 1);
  sdx_ref in = tf_get(op, 0), bias = tf_get(op, 1);
  if (!x || !b || !in || !bias) return;
  if (tf_channels_first(op) && x->rank > 2) {
    int64_t ones[TF_RANK] = {-1, 1, 1, 1, 1, 1, 1, 1};
    bias = tf_node_add(op, "Reshape", SDX_REFS(bias, tf_list(op, (size_t)x->rank - 1, ones)));
  }
  tf_set_like(op, 0, tf_node_add(op, "Add", SDX_REFS(in, bias)), x);
}

// ---- pools ------------------------------------------------------------------------------------------

static void pool(tf_op *op) {
  size_t n = op->kind->name[strlen(op->kind->name) - 2] == '3' ? 3 : 2, count = 0;
  const tf_value *x = tf_in(op, 0);
  node_window w;
  int64_t sizes[3], all[TF_RANK];
  if (!x) return;
  if (op->node->input_count == 3) {  // MaxPoolV2
    w = (node_window){.n = n, .dilation = {1, 1, 1}, .same = str_is(tf_attr_text(op->node, "padding"), "SAME")};
    if (!tf_ints(op, 1, all, TF_RANK, &count) || !of_space(op, all, count, n, w.kernel)) return;
    if (!tf_ints(op, 2, all, TF_RANK, &count) || !of_space(op, all, count, n, w.stride)) return;
  } else if (!open_window(op, n, &w) || !attr_of_space(op, "ksize", n, w.kernel)) {
    return;
  }
  sdx_ref in = data_of(op, 0, n, sizes);
  sdx_ref y = in ? tf_node_add(op, op->kind->op, SDX_REFS(in)) : 0;
  if (!y) return;
  node_set_window(op->t->c, &w, sizes, NULL, false);
  for (size_t i = 0; i < n; i++) sizes[i] = node_windows(&w, i, sizes[i]);
  set_data(op, y, x, n, channels_of(op, x, n), sizes);
}

// ---- normalisation ----------------------------------------------------------------------------------

// With the statistics of the data itself.
static void normalize_by_data(tf_op *op, const tf_value *x, sdx_ref in) {
  int64_t axes[TF_RANK], ones[TF_RANK] = {-1, 1, 1, 1, 1, 1, 1, 1};
  size_t count = 0;
  bool first = tf_channels_first(op);
  for (int i = 0; i < x->rank; i++)
    if (i != (first ? 1 : x->rank - 1)) axes[count++] = i;
  sdx_ref scale = tf_get(op, 1), offset = tf_get(op, 2), part = in, mean[2];
  if (!scale || !offset) return;
  for (size_t i = 0; i < 2; i++) {
    mean[i] = tf_reduce(op, "ReduceMean", part, count, axes, true);
    if (!i) in = tf_node_add(op, "Sub", SDX_REFS(in, mean[0])), part = tf_node_add(op, "Mul", SDX_REFS(in, in));
  }
  if (first) {
    sdx_ref shape = tf_list(op, (size_t)x->rank - 1, ones);
    scale = tf_node_add(op, "Reshape", SDX_REFS(scale, shape)),
    offset = tf_node_add(op, "Reshape", SDX_REFS(offset, shape));
  }
  sdx_ref least = tf_scalar(op, x->dtype, (double)tf_attr_float(op->node, "epsilon", 1e-4f));
  sdx_ref deviation = tf_node_add(op, "Sqrt", SDX_REFS(tf_node_add(op, "Add", SDX_REFS(mean[1], least))));
  sdx_ref y = tf_node_add(op, "Mul", SDX_REFS(tf_node_add(op, "Div", SDX_REFS(in, deviation)), scale));
  tf_set_like(op, 0, tf_node_add(op, "Add", SDX_REFS(y, offset)), x);
}

static void batch_norm(tf_op *op) {
  const tf_value *x = tf_in(op, 0);
  sdx_ref refs[5];
  if (!x || !tf_has_rank(op, x)) return;
  if (tf_attr_int(op->node, "is_training", 1)) {
    normalize_by_data(op, x, tf_get(op, 0));
    return;
  }
  bool first = tf_channels_first(op);
  refs[0] = first ? tf_get(op, 0) : tf_to_first(op, 0, (size_t)x->rank);
  for (size_t i = 1; i < 5; i++)
    if (!(refs[i] = tf_get(op, i))) return;
  sdx_ref y = tf_node_add(op, "BatchNormalization", 5, refs);
  if (!y) return;
  sdx_graph_set_float(op->g, "epsilon", tf_attr_float(op->node, "epsilon", 1e-4f));
  if (first) tf_set_like(op, 0, y, x);
  else tf_set_to_last(op, 0, y, x->dtype, (size_t)x->rank, x->shape);
  for (size_t i = 1; i < 3; i++) tf_set_like(op, i, refs[i + 2], tf_in(op, i + 2));
}

static void local_response(tf_op *op) {
  const tf_value *x = tf_in(op, 0);
  int64_t radius = tf_attr_int(op->node, "depth_radius", 5), size;
  if (radius < 0 || radius > INT16_MAX) {
    tf_fail(op, SDX_INVALID_MODEL, NULL, "a radius of %lld", (long long)radius);
    return;
  }
  size = 2 * radius + 1;
  sdx_ref in = x ? tf_to_first(op, 0, 4) : 0;
  sdx_ref y = in ? tf_node_add(op, "LRN", SDX_REFS(in)) : 0;
  if (!y) return;
  sdx_graph_set_int(op->g, "size", size);
  sdx_graph_set_float(op->g, "bias", tf_attr_float(op->node, "bias", 1));
  sdx_graph_set_float(op->g, "alpha", tf_attr_float(op->node, "alpha", 1) * (float)size);
  sdx_graph_set_float(op->g, "beta", tf_attr_float(op->node, "beta", 0.5f));
  tf_set_to_last(op, 0, y, x->dtype, 4, x->shape);
}

// ---- products ---------------------------------------------------------------------------------------

// The last two dimensions change places.
static sdx_ref turned(tf_op *op, size_t index, bool turn) {
  const tf_value *x = tf_in(op, index);
  int64_t order[TF_RANK];
  if (!x || !turn) return x ? tf_get(op, index) : 0;
  if (!tf_has_rank(op, x) || x->rank < 2) return 0;
  for (int i = 0; i < x->rank; i++) order[i] = i;
  order[x->rank - 1] = x->rank - 2, order[x->rank - 2] = x->rank - 1;
  return tf_get_in_order(op, index, (size_t)x->rank, order);
}

static void matmul(tf_op *op) {
  bool plain = !strcmp(op->kind->op, "2");
  const tf_value *a = tf_in(op, 0), *b = tf_in(op, 1);
  bool ta = tf_attr_int(op->node, plain ? "transpose_a" : "adj_x", 0);
  bool tb = tf_attr_int(op->node, plain ? "transpose_b" : "adj_y", 0);
  sdx_ref x = turned(op, 0, ta), y = turned(op, 1, tb);
  int rank = -1;
  int64_t shape[TF_RANK];
  if (!a || !b || !x || !y) return;
  if (plain) rank = 2;
  else tf_broadcast(a, b, &rank, shape);
  if (rank >= 2) {
    shape[rank - 2] = a->rank < 2 ? -1 : a->shape[a->rank - (ta ? 1 : 2)];
    shape[rank - 1] = b->rank < 2 ? -1 : b->shape[b->rank - (tb ? 2 : 1)];
  }
  tf_set(op, 0, tf_node_add(op, "MatMul", SDX_REFS(x, y)), a->dtype, rank, shape);
}

// The sizes of the result of "ab,bc->ac"; with an ellipsis they are not known.
static int einsum_shape(tf_op *op, str equation, int64_t *shape) {
  int64_t sizes[128];
  size_t input = 0, at = 0, i = 0;
  int rank = 0;
  for (i = 0; i < 128; i++) sizes[i] = -1;
  for (i = 0; i < equation.size && equation.at[i] != '-'; i++) {
    unsigned char c = (unsigned char)equation.at[i];
    if (c == '.') return -1;
    if (c == ',') input++, at = 0;
    if (!isalpha(c)) continue;
    const tf_value *x = tf_in(op, input);
    if (x && (int)at < x->rank && sizes[c] < 0) sizes[c] = x->shape[at];
    at++;
  }
  for (; i < equation.size && rank < TF_RANK; i++)
    if (equation.at[i] == '.') return -1;
    else if (isalpha((unsigned char)equation.at[i])) shape[rank++] = sizes[(unsigned char)equation.at[i]];
  return rank;
}

static void einsum(tf_op *op) {
  const tf_value *x = tf_in(op, 0);
  str equation = tf_attr_text(op->node, "equation");
  size_t count = op->node->input_count;
  sdx_ref refs[16];
  int64_t shape[TF_RANK];
  if (count > 16 || !x) return;
  for (size_t i = 0; i < count; i++)
    if (!(refs[i] = tf_get(op, i))) return;
  sdx_ref y = tf_node_add(op, "Einsum", count, refs);
  if (y) sdx_graph_set_string(op->g, "equation", str_to_c(op->t->c->memory, equation));
  tf_set(op, 0, y, x->dtype, einsum_shape(op, equation, shape), shape);
}

const tf_kind tf_conv_kinds[] = {
    {"AvgPool", pool, .op = "AveragePool"},
    {"AvgPool3D", pool, .op = "AveragePool"},
    {"BatchMatMul", matmul, .op = "n"},
    {"BatchMatMulV2", matmul, .op = "n"},
    {"BatchMatMulV3", matmul, .op = "n"},
    {"BiasAdd", .emit = bias_add},
    {"BiasAddV1", .emit = bias_add},
    {"Conv2D", conv, .op = "2"},
    {"Conv2DBackpropInput", conv_transpose, .op = "2"},
    {"Conv3D", conv, .op = "3"},
    {"Conv3DBackpropInputV2", conv_transpose, .op = "3"},
    {"DepthwiseConv2dNative", .emit = depthwise},
    {"Einsum", .emit = einsum},
    {"FusedBatchNorm", batch_norm, .outputs = "y,batch_mean,batch_variance"},
    {"FusedBatchNormV2", batch_norm, .outputs = "y,batch_mean,batch_variance"},
    {"FusedBatchNormV3", batch_norm, .outputs = "y,batch_mean,batch_variance"},
    {"LRN", .emit = local_response},
    {"MatMul", matmul, .op = "2"},
    {"MaxPool", pool, .op = "MaxPool"},
    {"MaxPool3D", pool, .op = "MaxPool"},
    {"MaxPoolV2", pool, .op = "MaxPool"},
    {0},
};

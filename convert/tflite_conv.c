// SPDX-License-Identifier: Apache-2.0
// Convolutions, pooling, products, resizing, recurrent layers: operators with weights or windows.
#include <string.h>

#include "convert/tflite.h"

static bool check_window(tflite_op *op, const node_window *w) {
  for (size_t i = 0; i < w->n; i++)
    if (w->kernel[i] < 1 || w->stride[i] < 1 || w->dilation[i] < 1)
      return !tflite_fail(op, SDX_INVALID_MODEL, NULL, "kernel, stride or dilation are below 1");
  return true;
}

static bool operands(tflite_op *op, size_t rank, tflite_tensor **x, tflite_tensor **f) {
  *x = tflite_in(op, 0), *f = tflite_in(op, 1);
  if (*x && *f && (*x)->rank == rank && (*f)->rank == rank) return true;
  if (!convert_failed(op->t->c))
    tflite_fail(op, SDX_INVALID_MODEL, NULL, "expected an input and a filter of rank %zu", rank);
  return false;
}

// The sum with the bias; an input that may be absent.
static sdx_ref bias_of(tflite_op *op, size_t index) { return tflite_in(op, index) ? tflite_get(op, index) : 0; }

static void finish(tflite_op *op, sdx_ref y, size_t rank, unsigned activation) {
  tflite_set(op, 0, tflite_activated(op, tflite_to_last(op, y, rank), activation));
}

static void conv(tflite_op *op) {
  tflite_tensor *x, *f;
  if (!operands(op, 4, &x, &f)) return;
  node_window w = {2,
                   {f->shape[1], f->shape[2]},
                   {tflite_option(op, 2, 4, 1), tflite_option(op, 1, 4, 1)},
                   {tflite_option(op, 5, 4, 1), tflite_option(op, 4, 4, 1)},
                   tflite_option(op, 0, 1, 0) == 0};
  if (!check_window(op, &w)) return;
  sdx_ref filter = tflite_get_in_order(op, 1, 4, (int64_t[]){0, 3, 1, 2}, f->shape);
  sdx_ref in = tflite_to_first(op, tflite_get(op, 0), 4), bias = bias_of(op, 2);
  sdx_ref y = tflite_node(op, "Conv", bias ? 3 : 2, (sdx_ref[]){in, filter, bias});
  if (!y) return;
  int64_t groups = f->shape[3] > 0 && x->shape[3] > 0 ? x->shape[3] / f->shape[3] : 1;
  if (groups > 1) sdx_graph_set_int(op->g, "group", groups);
  node_set_window(op->t->c, &w, x->shape + 1, NULL, true);
  finish(op, y, 4, 3);
}

// Filter [1, height, width, channels * multiplier].
static void depthwise(tflite_op *op) {
  tflite_tensor *x, *f;
  if (!operands(op, 4, &x, &f)) return;
  node_window w = {2,
                   {f->shape[1], f->shape[2]},
                   {tflite_option(op, 2, 4, 1), tflite_option(op, 1, 4, 1)},
                   {tflite_option(op, 6, 4, 1), tflite_option(op, 5, 4, 1)},
                   tflite_option(op, 0, 1, 0) == 0};
  if (!check_window(op, &w)) return;
  if (x->shape[3] < 1 || f->shape[3] % x->shape[3]) {
    tflite_fail(op, SDX_INVALID_MODEL, NULL, "%lld filters for %lld channels", (long long)f->shape[3],
                (long long)x->shape[3]);
    return;
  }
  sdx_ref filter = tflite_get_in_order(op, 1, 4, (int64_t[]){3, 0, 1, 2}, f->shape);
  sdx_ref in = tflite_to_first(op, tflite_get(op, 0), 4), bias = bias_of(op, 2);
  sdx_ref y = tflite_node(op, "Conv", bias ? 3 : 2, (sdx_ref[]){in, filter, bias});
  if (!y) return;
  sdx_graph_set_int(op->g, "group", x->shape[3]);
  node_set_window(op->t->c, &w, x->shape + 1, NULL, true);
  finish(op, y, 4, 4);
}

static void conv_3d(tflite_op *op) {
  tflite_tensor *x, *f;
  if (!operands(op, 5, &x, &f)) return;
  node_window w = {3,
                   {f->shape[0], f->shape[1], f->shape[2]},
                   {tflite_option(op, 1, 4, 1), tflite_option(op, 3, 4, 1), tflite_option(op, 2, 4, 1)},
                   {tflite_option(op, 5, 4, 1), tflite_option(op, 7, 4, 1), tflite_option(op, 6, 4, 1)},
                   tflite_option(op, 0, 1, 0) == 0};
  if (!check_window(op, &w)) return;
  sdx_ref filter = tflite_get_in_order(op, 1, 5, (int64_t[]){4, 3, 0, 1, 2}, f->shape);
  sdx_ref in = tflite_to_first(op, tflite_get(op, 0), 5), bias = bias_of(op, 2);
  sdx_ref y = tflite_node(op, "Conv", bias ? 3 : 2, (sdx_ref[]){in, filter, bias});
  if (!y) return;
  node_set_window(op->t->c, &w, x->shape + 1, NULL, true);
  finish(op, y, 5, 4);
}

// Inputs: the shape of the result, the filter [out, height, width, in], the values, a bias.
static void transpose_conv(tflite_op *op) {
  const tflite_tensor *f = tflite_in(op, 1), *x = tflite_in(op, 2), *out = tflite_out(op, 0);
  if (!f || !x || !out || f->rank != 4 || x->rank != 4 || out->rank != 4) {
    tflite_fail(op, SDX_INVALID_MODEL, NULL, "expected inputs of rank 4");
    return;
  }
  node_window w = {2,
                   {f->shape[1], f->shape[2]},
                   {tflite_option(op, 2, 4, 1), tflite_option(op, 1, 4, 1)},
                   {1, 1},
                   tflite_option(op, 0, 1, 0) == 0};
  if (!check_window(op, &w)) return;
  sdx_ref filter = tflite_get_in_order(op, 1, 4, (int64_t[]){3, 0, 1, 2}, f->shape);
  sdx_ref in = tflite_to_first(op, tflite_get(op, 2), 4), bias = bias_of(op, 3);
  sdx_ref y = tflite_node(op, "ConvTranspose", bias ? 3 : 2, (sdx_ref[]){in, filter, bias});
  if (!y) return;
  node_set_transposed(op->t->c, &w, x->shape + 1, out->shape + 1);
  finish(op, y, 4, 3);
}

static void pool(tflite_op *op) {
  const tflite_tensor *x = tflite_in(op, 0);
  node_window w = {2,
                   {tflite_option(op, 4, 4, 1), tflite_option(op, 3, 4, 1)},
                   {tflite_option(op, 2, 4, 1), tflite_option(op, 1, 4, 1)},
                   {1, 1},
                   tflite_option(op, 0, 1, 0) == 0};
  if (!x || x->rank != 4) tflite_fail(op, SDX_INVALID_MODEL, NULL, "expected an input of rank 4");
  else if (check_window(op, &w)) {
    sdx_ref y = tflite_node(op, op->kind->op, SDX_REFS(tflite_to_first(op, tflite_get(op, 0), 4)));
    if (!y) return;
    node_set_window(op->t->c, &w, x->shape + 1, NULL, false);
    finish(op, y, 4, 5);
  }
}

// Weights [out, in]; the input is made two-dimensional unless it keeps its dimensions.
static void fully_connected(tflite_op *op) {
  const tflite_tensor *x = tflite_in(op, 0), *f = tflite_in(op, 1);
  if (!x || !f || f->rank != 2 || tflite_option(op, 1, 1, 0)) {
    tflite_fail(op, SDX_NOT_SUPPORTED, NULL, "weights that are shuffled, or of another rank than 2");
    return;
  }
  sdx_ref y = tflite_get(op, 0), bias = bias_of(op, 2);
  bool keep = tflite_option(op, 2, 1, 0) && x->rank != 2;
  if (!keep && (x->rank != 2 || x->shape[1] != f->shape[1]))
    y = tflite_node(op, "Reshape", SDX_REFS(y, sdx_graph_add_ints(op->g, 2, (int64_t[]){-1, f->shape[1]})));
  if (keep) {
    y = tflite_node(op, "MatMul", SDX_REFS(y, tflite_get_in_order(op, 1, 2, (int64_t[]){1, 0}, f->shape)));
    if (bias) y = tflite_node(op, "Add", SDX_REFS(y, bias));
  } else {
    sdx_ref weights = tflite_get(op, 1);
    y = tflite_node(op, "Gemm", bias ? 3 : 2, (sdx_ref[]){y, weights, bias});
    if (y) sdx_graph_set_int(op->g, "transB", 1);
  }
  tflite_set(op, 0, tflite_activated(op, y, 0));
}

static void batch_matmul(tflite_op *op) {
  sdx_ref x[2];
  for (size_t i = 0; i < 2; i++) {
    const tflite_tensor *t = tflite_in(op, i);
    int64_t order[TFLITE_RANK];
    if (!(x[i] = tflite_get(op, i))) return;
    if (!tflite_option(op, (unsigned)i, 1, 0) || t->rank < 2) continue;
    for (size_t d = 0; d < t->rank; d++) order[d] = (int64_t)d;
    order[t->rank - 1]--, order[t->rank - 2]++;
    x[i] = tflite_transpose(op, x[i], t->rank, order);
  }
  tflite_set(op, 0, tflite_node(op, "MatMul", SDX_REFS(x[0], x[1])));
}

static void resize(tflite_op *op) {
  const tflite_tensor *x = tflite_in(op, 0);
  bool nearest = !strcmp(op->kind->op, "nearest");
  bool corners = tflite_option(op, nearest ? 0 : 2, 1, 0), half = tflite_option(op, nearest ? 1 : 3, 1, 0);
  int64_t size[2];
  size_t count = 0;
  if (!x || x->rank != 4 || !tflite_ints(op, 1, size, 2, &count) || count != 2) {
    tflite_fail(op, SDX_NOT_SUPPORTED, NULL, "sizes that are computed");
    return;
  }
  sdx_ref in = tflite_to_first(op, tflite_get(op, 0), 4), shape = tflite_node(op, "Shape", SDX_REFS(in));
  sdx_ref zero = sdx_graph_add_ints(op->g, 1, (int64_t[]){0}), two = sdx_graph_add_ints(op->g, 1, (int64_t[]){2});
  sdx_ref head = tflite_node(op, "Slice", SDX_REFS(shape, zero, two));
  sdx_ref sizes = tflite_node(op, "Concat", SDX_REFS(head, sdx_graph_add_ints(op->g, 2, size)));
  sdx_graph_set_int(op->g, "axis", 0);
  sdx_ref y = tflite_node(op, "Resize", SDX_REFS(in, 0, 0, sizes));
  if (!y) return;
  node_set_resize(op->t->c, nearest, corners, half);
  tflite_set(op, 0, tflite_to_last(op, y, 4));
}

static void blocks(tflite_op *op) {
  const tflite_tensor *x = tflite_in(op, 0);
  if (!x || x->rank != 4) {
    tflite_fail(op, SDX_INVALID_MODEL, NULL, "expected an input of rank 4");
    return;
  }
  int64_t block = tflite_option(op, 0, 4, 1);
  sdx_ref y = tflite_node(op, op->kind->op, SDX_REFS(tflite_to_first(op, tflite_get(op, 0), 4)));
  if (!y) return;
  sdx_graph_set_int(op->g, "blocksize", block);
  finish(op, y, 4, 100);
}

// Gates i f c o, as ONNX wants them: i o f c.
static sdx_ref gates(tflite_op *op, size_t first) {
  sdx_ref parts[4];
  static const size_t order[] = {0, 3, 1, 2};
  for (size_t i = 0; i < 4; i++)
    if (!(parts[i] = tflite_get(op, first + order[i]))) return 0;
  return node_unsqueeze(op->t->c, node_concat(op->t->c, NULL, 0, 4, parts), 0);
}

static void lstm(tflite_op *op) {
  const tflite_tensor *x = tflite_in(op, 0), *r = tflite_in(op, 5);
  if (!x || x->rank != 3 || !r || r->rank != 2 || tflite_in(op, 9) || tflite_in(op, 16) || tflite_in(op, 20) ||
      tflite_option(op, 0, 1, 0) != 4 || tflite_option(op, 5, 1, 0) || !tflite_in(op, 1) || op->t->depth) {
    tflite_fail(op, SDX_NOT_SUPPORTED, NULL, "an LSTM with peepholes, projection, coupled gates or other activations");
    return;
  }
  bool time_major = tflite_option(op, 3, 1, 0);
  sdx_ref in = tflite_get(op, 0), w = gates(op, 1), h = gates(op, 5), b = gates(op, 12);
  if (!in || !w || !h || !b) return;
  if (!time_major) in = tflite_transpose(op, in, 3, (int64_t[]){1, 0, 2});
  sdx_ref zeros = tflite_node(op, "Sub", SDX_REFS(b, b));
  sdx_ref y = tflite_node(op, "LSTM", SDX_REFS(in, w, h, node_concat(op->t->c, NULL, 1, SDX_REFS(b, zeros))));
  sdx_graph_set_int(op->g, "hidden_size", r->shape[1]);
  y = tflite_node(op, "Squeeze", SDX_REFS(y, sdx_graph_add_ints(op->g, 1, (int64_t[]){1})));
  tflite_set(op, 0, time_major ? y : tflite_transpose(op, y, 3, (int64_t[]){1, 0, 2}));
}

const tflite_kind tflite_conv_kinds[] = {
    {1, "AVERAGE_POOL_2D", pool, "AveragePool"},
    {3, "CONV_2D", conv, NULL},
    {4, "DEPTHWISE_CONV_2D", depthwise, NULL},
    {5, "DEPTH_TO_SPACE", blocks, "DepthToSpace"},
    {9, "FULLY_CONNECTED", fully_connected, NULL},
    {17, "MAX_POOL_2D", pool, "MaxPool"},
    {23, "RESIZE_BILINEAR", resize, "linear"},
    {26, "SPACE_TO_DEPTH", blocks, "SpaceToDepth"},
    {44, "UNIDIRECTIONAL_SEQUENCE_LSTM", lstm, NULL},
    {67, "TRANSPOSE_CONV", transpose_conv, NULL},
    {97, "RESIZE_NEAREST_NEIGHBOR", resize, "nearest"},
    {126, "BATCH_MATMUL", batch_matmul, NULL},
    {132, "CONV_3D", conv_3d, NULL},
    {0},
};

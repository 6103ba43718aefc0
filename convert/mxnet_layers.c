// SPDX-License-Identifier: Apache-2.0
// MXNet's operators with windows, products and normalisation.
#include <math.h>
#include <string.h>

#include "base/size.h"
#include "convert/mxnet.h"

// ---- windows ----------------------------------------------------------------------------------------

static bool window_of(mxnet_op *op, const net_tensor *x, net_window *w) {
  int64_t list[NET_RANK];
  const char *layout = mxnet_text(op, "layout", "NC");
  if (x->rank < 3 || x->rank > 2 + NET_SPACE || strncmp(layout, "NC", 2) != 0)
    return !net_fail(op->n, SDX_NOT_SUPPORTED, NULL, "a value of shape %s in the layout %.10s",
                     net_shape_text(op->n, x), layout);
  *w = net_window_of(x->rank - 2);
  if (mxnet_ints(op, "kernel", 1, list) >= w->n) memcpy(w->kernel, list, w->n * sizeof *list);
  if (mxnet_ints(op, "stride", 1, list) >= w->n) memcpy(w->stride, list, w->n * sizeof *list);
  if (mxnet_ints(op, "dilate", 1, list) >= w->n) memcpy(w->dilation, list, w->n * sizeof *list);
  if (mxnet_ints(op, "pad", 0, list) >= w->n) memcpy(w->before, list, w->n * sizeof *list);
  memcpy(w->after, w->before, sizeof w->after);
  w->groups = mxnet_int(op, "num_group", 1);
  return true;
}

static void conv(mxnet_op *op) {
  net_tensor x, filter, bias = {0};
  net_window w;
  bool transposed = !strcmp(op->kind->op, "deconv");
  int64_t list[NET_RANK];
  const mxnet_array *a = mxnet_array_in(op, 1);
  if (!a || !mxnet_in(op, 0, &x) || !window_of(op, &x, &w)) return;
  if (a->shape.rank != x.rank || mxnet_int(op, "target_shape", 0)) {
    net_fail(op->n, SDX_NOT_SUPPORTED, NULL, "weights of shape %s for %s", net_shape_text(op->n, &a->shape),
             net_shape_text(op->n, &x));
    return;
  }
  memcpy(w.kernel, a->shape.shape + 2, w.n * sizeof *w.kernel);
  if (transposed && mxnet_ints(op, "adj", 0, list) >= w.n) memcpy(w.more, list, w.n * sizeof *list);
  int64_t out = transposed ? wrap_mul(a->shape.shape[1], w.groups) : a->shape.shape[0];
  if (!mxnet_weight(op, 1, "weight", x.rank, a->shape.shape, &filter)) return;
  if (!mxnet_flag(op, "no_bias", transposed) && op->in_count > 2 && !mxnet_weight(op, 2, "bias", 1, &out, &bias))
    return;
  op->out[0] = (transposed ? net_deconv : net_conv)(op->n, x, filter, bias, &w);
}

static void pool(mxnet_op *op) {
  net_tensor x;
  net_window w;
  const char *type = mxnet_text(op, "pool_type", "max"), *how = mxnet_text(op, "pooling_convention", "valid");
  bool average = !strcmp(type, "avg");
  if (!mxnet_in(op, 0, &x) || !window_of(op, &x, &w)) return;
  if ((!average && strcmp(type, "max") != 0) || !strcmp(how, "same")) {
    net_fail(op->n, SDX_NOT_SUPPORTED, NULL, "pooling of type %.20s by the convention %.20s", type, how);
    return;
  }
  if (mxnet_flag(op, "global_pool", false)) {
    op->out[0] = net_global_pool(op->n, average ? "GlobalAveragePool" : "GlobalMaxPool", x);
    return;
  }
  w.ceil = !strcmp(how, "full");
  w.count_pads = mxnet_flag(op, "count_include_pad", true);
  op->out[0] = net_pool(op->n, average ? "AveragePool" : "MaxPool", x, &w);
}

static void adaptive_pool(mxnet_op *op) {
  net_tensor x;
  int64_t size[NET_RANK] = {1, 1};
  size_t count = mxnet_ints(op, "output_size", 1, size);
  if (count == 1) size[1] = size[0];
  if (!mxnet_in(op, 0, &x)) return;
  if (size[0] == 1 && size[1] == 1) {
    op->out[0] = net_global_pool(op->n, "GlobalAveragePool", x);
    return;
  }
  net_window w = net_window_of(2);
  for (size_t i = 0; i < 2; i++) {
    if (x.rank != 4 || size[i] < 1 || x.shape[2 + i] < 1 || x.shape[2 + i] % size[i]) {
      net_fail(op->n, SDX_NOT_SUPPORTED, NULL, "%s to parts that are not of one size", net_shape_text(op->n, &x));
      return;
    }
    w.kernel[i] = w.stride[i] = x.shape[2 + i] / size[i];
  }
  op->out[0] = net_pool(op->n, "AveragePool", x, &w);
}

static void upsample(mxnet_op *op) {
  net_tensor x, filter;
  int64_t scale = mxnet_int(op, "scale", 1);
  if (!mxnet_in(op, 0, &x)) return;
  if (scale < 1 || scale > 1 << 10 || x.rank != 4) {
    net_fail(op->n, SDX_INVALID_MODEL, NULL, "a scale of %lld for %s", (long long)scale, net_shape_text(op->n, &x));
    return;
  }
  if (strcmp(mxnet_text(op, "sample_type", "nearest"), "bilinear") != 0) {
    if (op->in_count > 1) net_fail(op->n, SDX_NOT_SUPPORTED, NULL, "%zu values at once", op->in_count);
    op->out[0] = net_resize(op->n, x, "nearest", "asymmetric", (double[]){(double)scale, (double)scale}, NULL);
    return;
  }
  net_window w = net_window_of(2);
  int64_t kernel = 2 * scale - scale % 2, shape[] = {x.shape[1], 1, kernel, kernel};
  for (size_t i = 0; i < 2; i++) w.kernel[i] = kernel, w.stride[i] = scale, w.before[i] = w.after[i] = scale / 2;
  w.groups = x.shape[1];
  if (x.shape[1] < 1) net_fail(op->n, SDX_NOT_SUPPORTED, NULL, "a number of channels that is not known");
  else if (mxnet_weight(op, 1, "weight", 4, shape, &filter))
    op->out[0] = net_deconv(op->n, x, filter, (net_tensor){0}, &w);
}

static void resize(mxnet_op *op) {
  net_tensor x;
  if (!mxnet_in(op, 0, &x)) return;
  bool aligned = mxnet_flag(op, "align_corners", true);
  const char *coordinates = aligned ? "align_corners" : "half_pixel";
  double factors[] = {mxnet_number(op, "scale_height", 0), mxnet_number(op, "scale_width", 0)};
  int64_t sizes[] = {mxnet_int(op, "height", 0), mxnet_int(op, "width", 0)};
  bool by_factor = factors[0] > 0 && factors[1] > 0;
  if (op->in_count > 1 || strcmp(mxnet_text(op, "mode", "size"), "size") != 0)
    net_fail(op->n, SDX_NOT_SUPPORTED, NULL, "sizes of another value");
  else op->out[0] = net_resize(op->n, x, "linear", coordinates, by_factor ? factors : NULL, by_factor ? NULL : sizes);
}

// ---- products ---------------------------------------------------------------------------------------

static void fully_connected(mxnet_op *op) {
  net_tensor x, w, bias = {0};
  const mxnet_array *a = mxnet_array_in(op, 1);
  if (!a || !mxnet_in(op, 0, &x)) return;
  if (a->shape.rank != 2 || x.rank < 1 || !mxnet_weight(op, 1, "weight", 2, a->shape.shape, &w)) {
    if (!convert_failed(op->m->c))
      net_fail(op->n, SDX_INVALID_MODEL, NULL, "weights of shape %s", net_shape_text(op->n, &a->shape));
    return;
  }
  int64_t out = a->shape.shape[0];
  if (!mxnet_flag(op, "no_bias", false) && op->in_count > 2 && !mxnet_weight(op, 2, "bias", 1, &out, &bias)) return;
  if (mxnet_flag(op, "flatten", true) || x.rank == 2) {
    op->out[0] = net_dense(op->n, net_flatten(op->n, x, 1), w, bias);
    return;
  }
  net_tensor y = x;
  y.shape[x.rank - 1] = out;
  y.ref = net_node(op->n, "MatMul", NULL, SDX_REFS(x.ref, net_transpose(op->n, w, (int64_t[]){1, 0}).ref));
  op->out[0] = bias.ref ? net_binary(op->n, "Add", "bias", y, bias) : y;
}

// dot sums over the last axis of x and the first of y, batch_dot matrix by matrix: of two dimensions they are the same.
static void product(mxnet_op *op) {
  net_tensor x, y;
  if (!mxnet_in(op, 0, &x) || !mxnet_in(op, 1, &y)) return;
  bool turn_x = mxnet_flag(op, "transpose_a", false), turn_y = mxnet_flag(op, "transpose_b", false);
  bool each = !strcmp(op->kind->name, "batch_dot");
  if (x.rank < 2 || (each ? x.rank != y.rank : y.rank != 2 || (turn_x && x.rank > 2)))
    net_fail(op->n, SDX_NOT_SUPPORTED, NULL, "a product of %s and %s", net_shape_text(op->n, &x),
             net_shape_text(op->n, &y));
  else op->out[0] = net_matmul(op->n, NULL, turn_x ? net_swap_last(op->n, x) : x, turn_y ? net_swap_last(op->n, y) : y);
}

static void embedding(mxnet_op *op) {
  net_tensor at, table;
  const mxnet_array *a = mxnet_array_in(op, 1);
  if (!a || !mxnet_in(op, 0, &at) || !mxnet_weight(op, 1, "weight", a->shape.rank, a->shape.shape, &table)) return;
  if (table.rank != 2) net_fail(op->n, SDX_INVALID_MODEL, NULL, "weights of rank %zu", table.rank);
  else op->out[0] = net_gather(op->n, table, net_cast(op->n, at, SDX_INT64), 0);
}

// ---- normalisation ----------------------------------------------------------------------------------

// The axis to the second place and back.
static net_tensor exchange(mxnet_op *op, net_tensor x, size_t axis) {
  int64_t order[NET_RANK];
  for (size_t i = 0; i < x.rank; i++) order[i] = (int64_t)(i == 1 ? axis : i == axis ? 1 : i);
  return net_transpose(op->n, x, order);
}

static void batch_norm(mxnet_op *op) {
  net_tensor x, w[4] = {{0}};
  size_t axis;
  const mxnet_array *mean = mxnet_array_in(op, 3);
  if (!mean || !mxnet_in(op, 0, &x) || !net_axis(op->n, &x, mxnet_int(op, "axis", 1), &axis)) return;
  static const char *const parts[] = {"gamma", "beta", "moving_mean", "moving_var"};
  int64_t count = (int64_t)mean->numbers.count;
  bool fixed = mxnet_flag(op, "fix_gamma", true);
  for (size_t i = fixed ? 1 : 0; i < 4; i++)
    if (!mxnet_weight(op, 1 + i, parts[i], 1, &count, &w[i])) return;
  if (fixed) w[0] = net_row(op->n, "gamma", count, 1);
  if (!axis || x.rank < 2) {
    net_fail(op->n, SDX_INVALID_MODEL, NULL, "axis %zu of %s", axis, net_shape_text(op->n, &x));
    return;
  }
  net_tensor y = net_batch_norm(op->n, exchange(op, x, axis), w[0], w[1], w[2], w[3], mxnet_number(op, "eps", 1e-3));
  if (!convert_failed(op->m->c)) op->out[0] = exchange(op, y, axis);
}

static void instance_norm(mxnet_op *op) {
  net_tensor x, gamma, beta;
  const mxnet_array *a = mxnet_array_in(op, 1);
  if (!a || !mxnet_in(op, 0, &x) || !mxnet_weight(op, 1, "gamma", 1, a->shape.shape, &gamma) ||
      !mxnet_weight(op, 2, "beta", 1, a->shape.shape, &beta))
    return;
  op->out[0] = net_instance_norm(op->n, x, gamma, beta, mxnet_number(op, "eps", 1e-3));
}

static void layer_norm(mxnet_op *op) {
  net_tensor x, gamma, beta;
  size_t axis;
  if (!mxnet_in(op, 0, &x) || !mxnet_in(op, 1, &gamma) || !mxnet_in(op, 2, &beta) ||
      !net_axis(op->n, &x, mxnet_int(op, "axis", -1), &axis))
    return;
  if (axis + 1 != x.rank) {
    net_fail(op->n, SDX_NOT_SUPPORTED, NULL, "axis %zu of %s", axis, net_shape_text(op->n, &x));
    return;
  }
  op->out[0] = net_layer_norm(op->n, x, gamma, beta, -1, mxnet_number(op, "eps", 1e-5));
}

static void local_response(mxnet_op *op) {
  net_tensor x;
  if (mxnet_in(op, 0, &x))
    op->out[0] = net_lrn(op->n, x, mxnet_int(op, "nsize", 5), mxnet_number(op, "alpha", 1e-4),
                         mxnet_number(op, "beta", 0.75), mxnet_number(op, "knorm", 2));
}

static void l2_norm(mxnet_op *op) {
  net_tensor x;
  const char *mode = mxnet_text(op, "mode", "instance");
  int64_t axes[NET_RANK];
  size_t count = 0;
  if (!mxnet_in(op, 0, &x)) return;
  for (size_t i = !strcmp(mode, "spatial") ? 2 : 1; i < (!strcmp(mode, "channel") ? 2 : x.rank); i++)
    axes[count++] = (int64_t)i;
  op->out[0] = net_l2_norm(op->n, x, count, axes, mxnet_number(op, "eps", 1e-10));
}

// ---- recurrence -------------------------------------------------------------------------------------

typedef struct flat {
  const mxnet_array *all;
  size_t at;
} flat;

// The next numbers of the parameters, which are in one array.
static bool take(mxnet_op *op, flat *f, size_t count, net_numbers *w) {
  if (count > f->all->numbers.count - f->at || f->all->numbers.coding != NET_F32)
    return !net_fail(op->n, SDX_INVALID_MODEL, NULL, "%zu parameters are too few", f->all->numbers.count);
  *w = (net_numbers){.at = (const char *)f->all->numbers.at + f->at * sizeof(float), .coding = NET_F32, .count = count};
  f->at += count;
  return true;
}

static net_tensor state_of(mxnet_op *op, size_t index, size_t layer, size_t directions) {
  net_tensor s = {0};
  if (index < op->in_count && op->in[index].tensor.ref && mxnet_in(op, index, &s))
    return s.rank == 3 ? net_slice(op->n, s, 0, (int64_t)(layer * directions), (int64_t)((layer + 1) * directions), 1)
                       : (net_tensor){0};
  return s;
}

// Layers over each other; weights of all come first, then their biases.
static void recurrent(mxnet_op *op) {
  static const int64_t lstm_order[] = {0, 3, 1, 2}, gru_order[] = {1, 0, 2};  // i f c o to i o f c; r z h to z r h
  enum { MOST_LAYERS = 16 };
  const char *mode = mxnet_text(op, "mode", "lstm");
  bool lstm = !strcmp(mode, "lstm"), gated = !strcmp(mode, "gru");
  int64_t layers = mxnet_int(op, "num_layers", 1), units = mxnet_int(op, "state_size", 0);
  size_t directions = mxnet_flag(op, "bidirectional", false) ? 2 : 1, gates = lstm ? 4 : gated ? 3 : 1;
  flat f = {.all = mxnet_array_in(op, 1)};
  net_tensor x, y[3];
  net_numbers w[MOST_LAYERS][2][4];
  if (!f.all || !mxnet_in(op, 0, &x)) return;
  if (x.rank != 3 || layers < 1 || layers > MOST_LAYERS || units < 1 || units > 1 << 16 || x.shape[2] > 1 << 20) {
    net_fail(op->n, SDX_NOT_SUPPORTED, NULL, "%lld layers of %lld units for %s", (long long)layers, (long long)units,
             net_shape_text(op->n, &x));
    return;
  }
  size_t rows = gates * (size_t)units, width = x.shape[2] > 0 ? (size_t)x.shape[2] : 0;
  if (!width) {  // what is left for the first layer
    size_t other = 0;
    for (int64_t k = 0; k < layers; k++)
      other += directions * rows * ((size_t)units + 2 + (k ? directions * (size_t)units : 0));
    width = f.all->numbers.count > other ? (f.all->numbers.count - other) / (directions * rows) : 0;
  }
  for (int part = 0; part < 2; part++)
    for (int64_t k = 0; k < layers; k++)
      for (size_t d = 0; d < directions; d++) {
        size_t in = k ? directions * (size_t)units : width;
        if (!take(op, &f, part ? rows : rows * in, &w[k][d][part * 2]) ||
            !take(op, &f, part ? rows : rows * (size_t)units, &w[k][d][part * 2 + 1]))
          return;
      }
  for (int64_t k = 0; k < layers; k++) {
    net_rnn r = {.op = lstm    ? "LSTM"
                       : gated ? "GRU"
                               : "RNN",
                 .units = units,
                 .directions = directions,
                 .width = (int64_t)(k ? directions * (size_t)units : width)};
    for (size_t d = 0; d < directions; d++) {
      if (!lstm && !gated) r.activations[d] = !strcmp(mode, "rnn_relu") ? "Relu" : "Tanh";
      for (size_t g = 0; g < gates; g++) {
        net_cell *cell = &r.cells[d];
        cell->input[g] = &w[k][d][0], cell->state[g] = &w[k][d][1], cell->bias[g] = &w[k][d][2],
        cell->state_bias[g] = &w[k][d][3];
        cell->offset[g] = (lstm ? lstm_order[g] : gated ? gru_order[g] : 0) * units;
      }
    }
    r.first[0] = state_of(op, 2, (size_t)k, directions);
    if (lstm) r.first[1] = state_of(op, 3, (size_t)k, directions);
    if (convert_failed(op->m->c) || !net_recurrent(op->n, x, &r, y)) return;
    x = net_sequence(op->n, &r, y[0]);
    for (size_t s = 0; s < (lstm ? 2u : 1u); s++)
      op->out[1 + s] =
          op->out[1 + s].ref ? net_concat(op->n, 0, 2, (net_tensor[]){op->out[1 + s], y[1 + s]}) : y[1 + s];
  }
  op->out[0] = x;
  op->out_count = mxnet_flag(op, "state_outputs", false) ? lstm ? 3 : 2 : 1;
}

const mxnet_kind mxnet_layer_kinds[] = {
    {"Convolution", conv, "conv"},
    {"Convolution_v1", conv, "conv"},
    {"Deconvolution", conv, "deconv"},
    {"Pooling", pool, NULL},
    {"Pooling_v1", pool, NULL},
    {"_contrib_AdaptiveAvgPooling2D", adaptive_pool, NULL},
    {"UpSampling", upsample, NULL},
    {"_contrib_BilinearResize2D", resize, NULL},
    {"FullyConnected", fully_connected, NULL},
    {"dot", product, NULL},
    {"batch_dot", product, NULL},
    {"Embedding", embedding, NULL},
    {"BatchNorm", batch_norm, NULL},
    {"BatchNorm_v1", batch_norm, NULL},
    {"InstanceNorm", instance_norm, NULL},
    {"LayerNorm", layer_norm, NULL},
    {"LRN", local_response, NULL},
    {"L2Normalization", l2_norm, NULL},
    {"RNN", recurrent, NULL},
    {0},
};

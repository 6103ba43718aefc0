// SPDX-License-Identifier: Apache-2.0
// Operations of ML programs with windows, products, normalisation, resizing, recurrence.
#include <string.h>

#include "convert/coreml_mil.h"

// ---- windows ----------------------------------------------------------------------------------------

static bool window_of(mil_op *op, const net_tensor *x, const char *kernel, const net_tensor *filter, net_window *w) {
  int64_t list[MIL_LIST];
  if (x->rank < 3 || x->rank > 2 + NET_SPACE)
    return !net_fail(op->n, SDX_INVALID_MODEL, NULL, "a value of shape %s", net_shape_text(op->n, x));
  *w = net_window_of(x->rank - 2);
  if (kernel && mil_ints(op, kernel, list) >= w->n) memcpy(w->kernel, list, w->n * sizeof *list);
  for (size_t i = 0; filter && i < w->n; i++) w->kernel[i] = filter->shape[2 + i];
  if (mil_ints(op, "strides", list) >= w->n) memcpy(w->stride, list, w->n * sizeof *list);
  if (mil_ints(op, "dilations", list) >= w->n) memcpy(w->dilation, list, w->n * sizeof *list);
  w->groups = mil_int(op, "groups", 1);
  return !convert_failed(op->p->m->c);
}

static bool set_pads(mil_op *op, const net_tensor *x, net_window *w) {
  int64_t list[MIL_LIST] = {0};
  str type = mil_text(op, "pad_type");
  if (str_is(type, "same") || str_is(type, "same_lower")) return net_same_pads(op->n, x, w, str_is(type, "same_lower"));
  if (!str_is(type, "custom")) return !convert_failed(op->p->m->c);
  size_t count = mil_ints(op, "pad", list);
  for (size_t i = 0; count >= 2 * w->n && i < w->n; i++) w->before[i] = list[2 * i], w->after[i] = list[2 * i + 1];
  return !convert_failed(op->p->m->c);
}

// What a convolution goes over, by what, and its window but for pads. False: reported.
static bool operands(mil_op *op, net_tensor *x, net_tensor *filter, net_tensor *bias, net_window *w) {
  if (!mil_in(op, "x", x) || !mil_in(op, "weight", filter)) return false;
  mil_maybe(op, "bias", bias);
  if (filter->rank != x->rank)
    return !net_fail(op->n, SDX_INVALID_MODEL, NULL, "weights of shape %s for %s", net_shape_text(op->n, filter),
                     net_shape_text(op->n, x));
  return window_of(op, x, NULL, filter, w);
}

static void conv(mil_op *op) {
  net_tensor x, filter, bias;
  net_window w;
  if (operands(op, &x, &filter, &bias, &w) && set_pads(op, &x, &w)) op->out[0] = net_conv(op->n, x, filter, bias, &w);
}

static void deconv(mil_op *op) {
  net_tensor x, filter, bias;
  net_window w;
  int64_t size[MIL_LIST];
  if (!operands(op, &x, &filter, &bias, &w)) return;
  str type = mil_text(op, "pad_type");
  bool asked = mil_ints(op, "output_shape", size) == x.rank, lower = str_is(type, "same_lower");
  bool same = lower || str_is(type, "same");
  net_share share = lower ? NET_MORE_BEFORE : same ? NET_MORE_AFTER : NET_ALL_AFTER;
  if (!same && !set_pads(op, &x, &w)) return;
  if ((asked || same) && !net_deconv_pads(op->n, &x, &w, asked ? size + 2 : NULL, share)) return;
  op->out[0] = net_deconv(op->n, x, filter, bias, &w);
}

static void pool(mil_op *op) {
  net_tensor x;
  net_window w;
  if (!mil_in(op, "x", &x) || !window_of(op, &x, "kernel_sizes", NULL, &w) || !set_pads(op, &x, &w)) return;
  w.ceil = mil_int(op, "ceil_mode", 0);
  w.count_pads = !mil_int(op, "exclude_padding_from_average", 0);
  op->out[0] = net_pool(op->n, op->kind->op, x, &w);
}

// ---- products ---------------------------------------------------------------------------------------

static void matmul(mil_op *op) {
  net_tensor x, y;
  if (!mil_in(op, "x", &x) || !mil_in(op, "y", &y)) return;
  if (mil_int(op, "transpose_x", 0)) x = net_swap_last(op->n, x);
  if (mil_int(op, "transpose_y", 0)) y = net_swap_last(op->n, y);
  op->out[0] = net_matmul(op->n, NULL, x, y);
}

static void linear(mil_op *op) {
  net_tensor x, w, bias;
  if (!mil_in(op, "x", &x) || !mil_in(op, "weight", &w)) return;
  mil_maybe(op, "bias", &bias);
  if (w.rank != 2) net_fail(op->n, SDX_INVALID_MODEL, NULL, "weights of shape %s", net_shape_text(op->n, &w));
  else if (x.rank == 2) op->out[0] = net_dense(op->n, x, w, bias);
  else {
    net_tensor y = net_matmul(op->n, bias.ref ? "product" : NULL, x, net_swap_last(op->n, w));
    op->out[0] = bias.ref ? net_binary(op->n, "Add", NULL, y, bias) : y;
  }
}

// softmax(q k^T / sqrt(width) + mask) v.
static void attention(mil_op *op) {
  net *n = op->n;
  net_tensor q, k, v, mask;
  if (!mil_in(op, "query", &q) || !mil_in(op, "key", &k) || !mil_in(op, "value", &v)) return;
  if (q.rank < 3 || k.rank < 3 || v.rank < 3 || q.shape[q.rank - 1] < 1) {
    net_fail(n, SDX_NOT_SUPPORTED, NULL, "a query of shape %s", net_shape_text(n, &q));
    return;
  }
  net_tensor width = net_scalar(n, SDX_FLOAT, (double)q.shape[q.rank - 1]);
  net_tensor s = net_binary(n, "Div", "scale", net_matmul(n, "scores", q, net_swap_last(n, k)),
                            net_apply(n, "Sqrt", "sqrt", width));
  if (mil_maybe(op, "attn_mask", &mask)) {
    if (mask.dtype == SDX_BOOL) {
      net_tensor zero = net_scalar(n, SDX_FLOAT, 0), least = net_scalar(n, SDX_FLOAT, -3e38);
      mask = net_like(mask, net_node(n, "Where", "mask", SDX_REFS(mask.ref, zero.ref, least.ref)));
      mask.dtype = SDX_FLOAT;
    }
    s = net_binary(n, "Add", "masked", s, mask);
  }
  op->out[0] = net_matmul(n, NULL, net_softmax(n, "Softmax", s, s.rank - 1), v);
}

// ---- normalisation ----------------------------------------------------------------------------------

// A parameter of the channels, or so many of one number.
static net_tensor channels_of(mil_op *op, const char *name, int64_t count, double missing) {
  net_tensor v;
  if (mil_maybe(op, name, &v) || convert_failed(op->p->m->c)) return v;
  return net_row(op->n, name, count, missing);
}

static void batch_norm(mil_op *op) {
  net_tensor x, mean, variance;
  if (!mil_in(op, "x", &x) || !mil_in(op, "mean", &mean) || !mil_in(op, "variance", &variance) || mean.rank != 1)
    return;
  net_tensor gamma = channels_of(op, "gamma", mean.shape[0], 1), beta = channels_of(op, "beta", mean.shape[0], 0);
  if (!convert_failed(op->p->m->c))
    op->out[0] = net_batch_norm(op->n, x, gamma, beta, mean, variance, mil_number(op, "epsilon", 1e-5));
}

static void instance_norm(mil_op *op) {
  net_tensor x;
  if (!mil_in(op, "x", &x)) return;
  int64_t channels = x.rank > 1 ? x.shape[1] : -1;
  net_tensor gamma = channels_of(op, "gamma", channels, 1), beta = channels_of(op, "beta", channels, 0);
  if (!convert_failed(op->p->m->c))
    op->out[0] = net_instance_norm(op->n, x, gamma, beta, mil_number(op, "epsilon", 1e-5));
}

static void layer_norm(mil_op *op) {
  net_tensor x, gamma, beta;
  int64_t axes[MIL_LIST];
  size_t count = mil_ints(op, "axes", axes);
  double epsilon = mil_number(op, "epsilon", 1e-5);
  if (!mil_in(op, "x", &x) || !net_axes(op->n, &x, &count, axes)) return;
  bool last = count == 1 && (size_t)axes[0] + 1 == x.rank;
  mil_maybe(op, "gamma", &gamma), mil_maybe(op, "beta", &beta);
  if (gamma.ref && beta.ref && last) {
    op->out[0] = net_layer_norm(op->n, x, gamma, beta, -1, epsilon);
    return;
  }
  net_tensor y = net_mean_variance(op->n, x, count, axes, true, epsilon);
  if (gamma.ref) y = net_binary(op->n, "Mul", "gamma", y, gamma);
  if (beta.ref) y = net_binary(op->n, "Add", "beta", y, beta);
  op->out[0] = y;
}

static void l2_norm(mil_op *op) {
  net_tensor x;
  if (!mil_in(op, "x", &x)) return;
  if (x.rank < 3) {
    net_fail(op->n, SDX_INVALID_MODEL, NULL, "a value of shape %s", net_shape_text(op->n, &x));
    return;
  }
  int64_t rank = (int64_t)x.rank, axes[] = {rank - 3, rank - 2, rank - 1};
  op->out[0] = net_l2_norm(op->n, x, 3, axes, mil_number(op, "epsilon", 1e-6));
}

static void local_response(mil_op *op) {
  net_tensor x;
  if (mil_in(op, "x", &x))
    op->out[0] = net_lrn(op->n, x, mil_int(op, "size", 5), mil_number(op, "alpha", 1e-4), mil_number(op, "beta", 0.75),
                         mil_number(op, "k", 1));
}

// ---- resizing ---------------------------------------------------------------------------------------

static void upsample(mil_op *op) {
  net_tensor x;
  double factors[] = {mil_number(op, "scale_factor_height", 1), mil_number(op, "scale_factor_width", 1)};
  bool linear = !strcmp(op->kind->op, "linear"), aligned = mil_int(op, "align_corners", 1);
  bool half = mil_int(op, "half_pixel_centers", 1);
  if (mil_in(op, "x", &x))
    op->out[0] = net_resize(op->n, x, op->kind->op,
                            !linear   ? "asymmetric"
                            : aligned ? "align_corners"
                            : half    ? "half_pixel"
                                      : "asymmetric",
                            factors, NULL);
}

static void resize(mil_op *op) {
  net_tensor x;
  int64_t sizes[] = {mil_int(op, "target_size_height", 0), mil_int(op, "target_size_width", 0)};
  bool linear = !strcmp(op->kind->op, "linear");
  str mode = mil_text(op, "sampling_mode");
  if (linear && str_is(mode, "OFFSET_CORNERS")) {
    net_fail(op->n, SDX_NOT_SUPPORTED, NULL, "the sampling mode OFFSET_CORNERS");
    return;
  }
  const char *coordinates = !linear                                                                 ? "asymmetric"
                            : str_is(mode, "UNALIGN_CORNERS")                                       ? "half_pixel"
                            : str_is(mode, "STRICT_ALIGN_CORNERS") || str_is(mode, "ALIGN_CORNERS") ? "align_corners"
                                                                                                    : "asymmetric";
  if (mil_in(op, "x", &x)) op->out[0] = net_resize(op->n, x, op->kind->op, coordinates, NULL, sizes);
}

// ---- recurrence -------------------------------------------------------------------------------------

static const char *activation_of(mil_op *op, const char *name, const char *missing) {
  static const char *const known[][2] = {
      {"sigmoid", "Sigmoid"}, {"tanh", "Tanh"}, {"relu", "Relu"}, {"softplus", "Softplus"}};
  str text = mil_text(op, name);
  if (!text.size) return missing;
  for (size_t i = 0; i < sizeof known / sizeof *known; i++)
    if (str_is(text, known[i][0])) return known[i][1];
  net_fail(op->n, SDX_NOT_SUPPORTED, NULL, "the activation '%.*s' within it", STR_ARG(text));
  return missing;
}

// Where the gates of ONNX lie in the program's matrices.
static void set_cell(mil_op *op, net_rnn *r, size_t direction, const char *back) {
  static const int64_t lstm[] = {0, 2, 1, 3}, gru[] = {2, 0, 1};  // of i f o z to i o f c, of r o z to z r h
  size_t gates = !strcmp(r->op, "LSTM") ? 4 : !strcmp(r->op, "GRU") ? 3 : 1;
  const char *names[] = {"weight_ih", "weight_hh", "bias"};
  const net_numbers *w[3];
  for (size_t i = 0; i < 3; i++) {
    char *name = arena_format(op->p->m->c->memory, "%s%s", names[i], back);
    w[i] = name ? mil_numbers(op, name) : NULL;
    if (i < 2 && !w[i] && !convert_failed(op->p->m->c))
      net_fail(op->n, SDX_INVALID_MODEL, NULL, "it has no %s", name ? name : names[i]);
  }
  for (size_t g = 0; g < gates; g++) {
    net_cell *cell = &r->cells[direction];
    cell->input[g] = w[0], cell->state[g] = w[1], cell->bias[g] = w[2];
    cell->offset[g] = (gates == 4 ? lstm[g] : gates == 3 ? gru[g] : 0) * r->units;
  }
}

static net_tensor first_state(mil_op *op, const char *name, const net_rnn *r) {
  net_tensor s;
  if (!mil_maybe(op, name, &s)) return s;
  s = net_reshape(op->n, s, 3, (int64_t[]){-1, (int64_t)r->directions, r->units});
  return net_transpose(op->n, s, (int64_t[]){1, 0, 2});
}

static net_tensor last_state(mil_op *op, net_tensor s, const net_rnn *r) {
  s = net_transpose(op->n, s, (int64_t[]){1, 0, 2});
  return net_reshape(op->n, s, 2, (int64_t[]){0, (int64_t)r->directions * r->units});
}

static void recurrent(mil_op *op) {
  net_tensor x, y[3], h;
  const mil_value *state = mil_find(op, "weight_hh");
  str direction = mil_text(op, "direction");
  bool both = str_is(direction, "bidirectional"), lstm = !strcmp(op->kind->op, "LSTM");
  net_rnn r = {.op = op->kind->op, .directions = both ? 2 : 1, .backwards = str_is(direction, "reverse")};
  if (!mil_in(op, "x", &x) || !state || state->tensor.rank != 2 || x.rank != 3 || mil_find(op, "peephole")) {
    if (!convert_failed(op->p->m->c)) net_fail(op->n, SDX_NOT_SUPPORTED, NULL, "peepholes, or values of other ranks");
    return;
  }
  r.units = state->tensor.shape[1];
  r.width = x.shape[2];
  if (r.units < 1 || r.units > NET_MOST) {
    net_fail(op->n, SDX_INVALID_MODEL, NULL, "%lld units", (long long)r.units);
    return;
  }
  for (size_t d = 0; d < r.directions; d++) {
    const char **f = r.activations + d * (lstm ? 3 : 2);
    if (!strcmp(r.op, "RNN")) r.activations[d] = activation_of(op, "activation", "Tanh");
    else {
      f[0] = activation_of(op, "recurrent_activation", "Sigmoid");
      f[1] = activation_of(op, lstm ? "cell_activation" : "activation", "Tanh");
      if (lstm) f[2] = activation_of(op, "activation", "Tanh");
    }
    set_cell(op, &r, d, d ? "_back" : "");
  }
  r.first[0] = first_state(op, "initial_h", &r);
  if (lstm) r.first[1] = first_state(op, "initial_c", &r);
  if (convert_failed(op->p->m->c) || !net_recurrent(op->n, x, &r, y)) return;
  h = last_state(op, y[1], &r);
  op->out[0] = mil_int(op, "output_sequence", 0) ? net_sequence(op->n, &r, y[0]) : net_unsqueeze(op->n, h, 0);
  op->out[1] = h;
  if (lstm) op->out[2] = last_state(op, y[2], &r);
}

const mil_kind mil_layer_kinds[] = {
    {"conv", conv, NULL},
    {"conv_transpose", deconv, NULL},
    {"max_pool", pool, "MaxPool"},
    {"avg_pool", pool, "AveragePool"},
    {"l2_pool", pool, "LpPool"},
    {"matmul", matmul, NULL},
    {"linear", linear, NULL},
    {"scaled_dot_product_attention", attention, NULL},
    {"batch_norm", batch_norm, NULL},
    {"instance_norm", instance_norm, NULL},
    {"layer_norm", layer_norm, NULL},
    {"l2_norm", l2_norm, NULL},
    {"local_response_norm", local_response, NULL},
    {"upsample_nearest_neighbor", upsample, "nearest"},
    {"upsample_bilinear", upsample, "linear"},
    {"resize_nearest_neighbor", resize, "nearest"},
    {"resize_bilinear", resize, "linear"},
    {"lstm", recurrent, "LSTM"},
    {"gru", recurrent, "GRU"},
    {"rnn", recurrent, "RNN"},
    {0},
};

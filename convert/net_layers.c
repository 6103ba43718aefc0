// SPDX-License-Identifier: Apache-2.0
// Layers with windows, products, normalisation and resizing (net.h).
#include <math.h>
#include <string.h>

#include "base/size.h"
#include "convert/net.h"

// ---- windows ----------------------------------------------------------------------------------------

net_window net_window_of(size_t n) {
  net_window w = {.n = n, .groups = 1};
  for (size_t i = 0; i < n; i++) w.kernel[i] = w.stride[i] = w.dilation[i] = 1;
  return w;
}

static int64_t reach(const net_window *w, size_t i) { return (w->kernel[i] - 1) * w->dilation[i] + 1; }

static bool between(int64_t number, int64_t least) { return number >= least && number <= NET_MOST; }

static bool check_window(net *n, const net_tensor *x, const net_window *w) {
  for (size_t i = 0; i < w->n; i++)
    if (!between(w->kernel[i], 1) || !between(w->stride[i], 1) || !between(w->dilation[i], 1) ||
        !between(w->before[i], 0) || !between(w->after[i], 0) || !between(w->more[i], 0))
      return !net_fail(n, SDX_INVALID_MODEL, NULL,
                       "a window of kernel %lld, stride %lld, dilation %lld, pads %lld, %lld", (long long)w->kernel[i],
                       (long long)w->stride[i], (long long)w->dilation[i], (long long)w->before[i],
                       (long long)w->after[i]);
  if (!between(w->groups, 1)) return !net_fail(n, SDX_INVALID_MODEL, NULL, "%lld groups", (long long)w->groups);
  if (x->rank != w->n + 2)
    return !net_fail(n, SDX_INVALID_MODEL, NULL, "a value of shape %s, expected rank %zu", net_shape_text(n, x),
                     w->n + 2);
  return true;
}

bool net_same_pads(net *n, const net_tensor *x, net_window *w, bool before_first) {
  if (!check_window(n, x, w)) return false;
  for (size_t i = 0; i < w->n; i++) {
    int64_t size = x->shape[2 + i];
    if (size < 0 && w->stride[i] > 1)
      return !net_fail(n, SDX_NOT_SUPPORTED, "fix the size of the input", "'same' padding of a size that is not known");
    int64_t rest = size < 0 ? 0 : size % w->stride[i], all = reach(w, i) - (rest ? rest : w->stride[i]);
    if (all < 0) all = 0;
    w->before[i] = before_first ? all - all / 2 : all / 2;
    w->after[i] = all - w->before[i];
  }
  return true;
}

bool net_deconv_pads(net *n, const net_tensor *x, net_window *w, const int64_t *sizes, net_share share) {
  if (!check_window(n, x, w)) return false;
  for (size_t i = 0; i < w->n; i++) {
    int64_t size = x->shape[2 + i], all = reach(w, i) - w->stride[i] - w->before[i] - w->after[i];
    if (sizes && (size < 0 || sizes[i] < 1 || sizes[i] > INT32_MAX))
      return !net_fail(n, SDX_NOT_SUPPORTED, NULL, "a result of size %lld for a value of shape %s", (long long)sizes[i],
                       net_shape_text(n, x));
    if (sizes) all += size * w->stride[i] - sizes[i];
    w->more[i] = i64_max(-all, 0);
    all = i64_max(all, 0);
    int64_t before = share == NET_ALL_AFTER ? 0 : share == NET_MORE_AFTER ? all / 2 : all - all / 2;
    w->before[i] += before;
    w->after[i] += all - before;
  }
  return true;
}

static void set_window(net *n, const net_window *w, const int64_t *after) {
  sdx_graph *g = n->c->graph;
  int64_t pads[2 * NET_SPACE];
  bool dilated = false;
  for (size_t i = 0; i < w->n; i++) {
    pads[i] = w->before[i], pads[w->n + i] = after[i];
    dilated = dilated || w->dilation[i] > 1;
  }
  sdx_graph_set_ints(g, "kernel_shape", w->n, w->kernel);
  sdx_graph_set_ints(g, "strides", w->n, w->stride);
  sdx_graph_set_ints(g, "pads", 2 * w->n, pads);
  if (dilated) sdx_graph_set_ints(g, "dilations", w->n, w->dilation);
}

static bool check_filter(net *n, const net_tensor *x, const net_tensor *filter, const net_window *w, bool transposed) {
  int64_t in = wrap_mul(filter->shape[transposed ? 0 : 1], transposed ? 1 : w->groups);
  if (!check_window(n, x, w)) return false;
  if ((x->shape[1] >= 0 && x->shape[1] != in) || filter->shape[0] % w->groups)
    return !net_fail(n, SDX_INVALID_MODEL, NULL, "weights of shape %s in %lld groups for a value of shape %s",
                     net_shape_text(n, filter), (long long)w->groups, net_shape_text(n, x));
  return !convert_failed(n->c);
}

net_tensor net_conv(net *n, net_tensor x, net_tensor filter, net_tensor bias, const net_window *w) {
  if (!check_filter(n, &x, &filter, w, false)) return x;
  net_tensor y = x;
  y.ref = net_node(n, "Conv", NULL, bias.ref ? 3 : 2, (sdx_ref[]){x.ref, filter.ref, bias.ref});
  set_window(n, w, w->after);
  if (w->groups > 1) sdx_graph_set_int(n->c->graph, "group", w->groups);
  y.shape[1] = filter.shape[0];
  for (size_t i = 0; i < w->n; i++) {
    int64_t size = x.shape[2 + i], left = size + w->before[i] + w->after[i] - reach(w, i);
    if (size < 0) continue;
    if (left < 0)
      return net_fail(n, SDX_INVALID_MODEL, NULL, "a kernel that reaches over %lld of %lld elements",
                      (long long)reach(w, i), (long long)size),
             x;
    y.shape[2 + i] = left / w->stride[i] + 1;
  }
  return y;
}

net_tensor net_deconv(net *n, net_tensor x, net_tensor filter, net_tensor bias, const net_window *w) {
  if (!check_filter(n, &x, &filter, w, true)) return x;
  sdx_graph *g = n->c->graph;
  net_tensor y = x;
  y.ref = net_node(n, "ConvTranspose", NULL, bias.ref ? 3 : 2, (sdx_ref[]){x.ref, filter.ref, bias.ref});
  set_window(n, w, w->after);
  if (w->groups > 1) sdx_graph_set_int(g, "group", w->groups);
  bool more = false;
  y.shape[1] = wrap_mul(filter.shape[1], w->groups);
  for (size_t i = 0; i < w->n; i++) {
    more = more || w->more[i];
    if (x.shape[2 + i] < 0) continue;
    y.shape[2 + i] = (x.shape[2 + i] - 1) * w->stride[i] + reach(w, i) + w->more[i] - w->before[i] - w->after[i];
    if (y.shape[2 + i] < 0) return net_fail(n, SDX_INVALID_MODEL, NULL, "pads that leave nothing"), x;
  }
  if (more) sdx_graph_set_ints(g, "output_padding", w->n, w->more);
  return y;
}

// How many windows there are: the last begins within the value or the pads before it.
static int64_t windows(const net_window *w, size_t i, int64_t size) {
  int64_t left = size + w->before[i] + w->after[i] - reach(w, i), stride = w->stride[i];
  if (left < 0) return w->ceil && left > -stride ? 1 : 0;
  int64_t count = (w->ceil ? (left + stride - 1) / stride : left / stride) + 1;
  return w->ceil && (count - 1) * stride >= size + w->before[i] ? count - 1 : count;
}

net_tensor net_pool(net *n, const char *op, net_tensor x, const net_window *w) {
  sdx_graph *g = n->c->graph;
  int64_t after[NET_SPACE];
  bool ceil = false, beyond = false, average = !strcmp(op, "AveragePool");
  if (!check_window(n, &x, w)) return x;
  net_tensor y = x;
  // Where sizes are known pads behind say it; what is counted beside the pads that were asked for they cannot say.
  for (size_t i = 0; i < w->n; i++) {
    int64_t size = x.shape[2 + i];
    after[i] = w->after[i];
    if (size < 0) {
      ceil = ceil || w->ceil;
      continue;
    }
    y.shape[2 + i] = windows(w, i, size);
    if (y.shape[2 + i] < 1)
      return net_fail(n, SDX_INVALID_MODEL, NULL, "a window of %lld over %lld elements", (long long)reach(w, i),
                      (long long)size),
             x;
    int64_t need = (y.shape[2 + i] - 1) * w->stride[i] + reach(w, i) - size - w->before[i];
    if (w->ceil) after[i] = i64_max(need, 0);
    beyond = beyond || (w->ceil && need > w->after[i]) || after[i] >= w->kernel[i];
  }
  ceil = ceil || (beyond && average && w->count_pads);
  y.ref = net_node(n, op, NULL, SDX_REFS(x.ref));
  set_window(n, w, ceil ? w->after : after);
  if (ceil) sdx_graph_set_int(g, "ceil_mode", 1);
  if (average && w->count_pads) sdx_graph_set_int(g, "count_include_pad", 1);
  return y;
}

net_tensor net_global_pool(net *n, const char *op, net_tensor x) {
  if (x.rank < 3) return net_fail(n, SDX_INVALID_MODEL, NULL, "a value of shape %s", net_shape_text(n, &x)), x;
  net_tensor y = net_apply(n, op, NULL, x);
  for (size_t i = 2; i < x.rank; i++) y.shape[i] = 1;
  return y;
}

// ---- products and normalisation ---------------------------------------------------------------------

net_tensor net_dense(net *n, net_tensor x, net_tensor weights, net_tensor bias) {
  if (x.rank != 2 || (x.shape[1] >= 0 && x.shape[1] != weights.shape[1]))
    return net_fail(n, SDX_INVALID_MODEL, NULL, "weights of shape %s for a value of shape %s",
                    net_shape_text(n, &weights), net_shape_text(n, &x)),
           x;
  net_tensor y = x;
  y.ref = net_node(n, "Gemm", NULL, bias.ref ? 3 : 2, (sdx_ref[]){x.ref, weights.ref, bias.ref});
  sdx_graph_set_int(n->c->graph, "transB", 1);
  y.shape[1] = weights.shape[0];
  return y;
}

net_tensor net_batch_norm(net *n, net_tensor x, net_tensor scale, net_tensor shift, net_tensor mean,
                          net_tensor variance, double epsilon) {
  if (x.rank < 2 || (x.shape[1] >= 0 && x.shape[1] != scale.shape[0]))
    return net_fail(n, SDX_INVALID_MODEL, NULL, "%lld channels for a value of shape %s", (long long)scale.shape[0],
                    net_shape_text(n, &x)),
           x;
  net_tensor y = net_like(
      x, net_node(n, "BatchNormalization", NULL, SDX_REFS(x.ref, scale.ref, shift.ref, mean.ref, variance.ref)));
  sdx_graph_set_float(n->c->graph, "epsilon", (float)epsilon);
  return y;
}

net_tensor net_instance_norm(net *n, net_tensor x, net_tensor scale, net_tensor shift, double epsilon) {
  if (x.rank < 3) return net_fail(n, SDX_INVALID_MODEL, NULL, "a value of shape %s", net_shape_text(n, &x)), x;
  net_tensor y = net_like(x, net_node(n, "InstanceNormalization", NULL, SDX_REFS(x.ref, scale.ref, shift.ref)));
  sdx_graph_set_float(n->c->graph, "epsilon", (float)epsilon);
  return y;
}

net_tensor net_layer_norm(net *n, net_tensor x, net_tensor scale, net_tensor shift, int64_t axis, double epsilon) {
  net_tensor y = net_like(x, net_node(n, "LayerNormalization", NULL, SDX_REFS(x.ref, scale.ref, shift.ref)));
  sdx_graph_set_int(n->c->graph, "axis", axis);
  sdx_graph_set_float(n->c->graph, "epsilon", (float)epsilon);
  return y;
}

net_tensor net_lrn(net *n, net_tensor x, int64_t size, double alpha, double beta, double bias) {
  sdx_graph *g = n->c->graph;
  if (size < 1 || size > NET_MOST || size % 2 == 0)
    return net_fail(n, SDX_INVALID_MODEL, NULL, "a window of %lld channels, expected an odd number", (long long)size),
           x;
  net_tensor y = net_apply(n, "LRN", NULL, x);
  sdx_graph_set_int(g, "size", size);
  sdx_graph_set_float(g, "alpha", (float)alpha);
  sdx_graph_set_float(g, "beta", (float)beta);
  sdx_graph_set_float(g, "bias", (float)bias);
  return y;
}

net_tensor net_mean_variance(net *n, net_tensor x, size_t count, const int64_t *axes, bool variance, double epsilon) {
  net_tensor y = net_binary(n, "Sub", "centered", x, net_reduce(n, "ReduceMean", x, count, axes, true));
  if (!variance) return y;
  net_tensor spread = net_reduce(n, "ReduceMean", net_binary(n, "Mul", "square", y, y), count, axes, true);
  spread = net_apply(n, "Sqrt", "deviation", net_scale(n, "Add", "epsilon", spread, epsilon));
  return net_binary(n, "Div", NULL, y, spread);
}

// ---- blocks and resizing ----------------------------------------------------------------------------

net_tensor net_blocks(net *n, const char *op, net_tensor x, int64_t block, const char *mode) {
  bool together = !strcmp(op, "SpaceToDepth");
  if (x.rank != 4 || block < 1 || block > 1 << 10)
    return net_fail(n, SDX_INVALID_MODEL, NULL, "blocks of %lld of %s", (long long)block, net_shape_text(n, &x)), x;
  net_tensor y = net_apply(n, op, NULL, x);
  sdx_graph_set_int(n->c->graph, "blocksize", block);
  if (mode) sdx_graph_set_string(n->c->graph, "mode", mode);
  if (y.shape[1] >= 0) y.shape[1] = together ? y.shape[1] * block * block : y.shape[1] / (block * block);
  for (size_t i = 2; i < 4; i++)
    if (y.shape[i] >= 0) y.shape[i] = together ? y.shape[i] / block : y.shape[i] * block;
  return y;
}

net_tensor net_resize(net *n, net_tensor x, const char *mode, const char *coordinates, const double *factors,
                      const int64_t *sizes) {
  sdx_graph *g = n->c->graph;
  net_tensor y = x;
  if (x.rank != 4) return net_fail(n, SDX_INVALID_MODEL, NULL, "a value of shape %s", net_shape_text(n, &x)), x;
  sdx_ref scales = 0, whole = 0;
  for (size_t i = 0; i < 2; i++) {
    double factor = factors ? factors[i] : 1;
    if (factors && !(factor > 0 && factor < 1 << 16))
      return net_fail(n, SDX_INVALID_MODEL, NULL, "a factor of %g", factor), x;
    if (sizes && !between(sizes[i], 1))
      return net_fail(n, SDX_INVALID_MODEL, NULL, "a size of %lld", (long long)sizes[i]), x;
    y.shape[2 + i] = sizes ? sizes[i] : x.shape[2 + i] < 0 ? -1 : (int64_t)floor((double)x.shape[2 + i] * factor);
  }
  if (sizes) {
    net_tensor head = net_slice(n, net_shape_of(n, x), 0, 0, 2, 1);
    whole = net_concat(n, 0, 2, (net_tensor[]){head, net_ints(n, 2, sizes)}).ref;
  } else {
    scales = net_values(n, "factors", SDX_FLOAT, 1, (int64_t[]){4}, (double[]){1, 1, factors[0], factors[1]}).ref;
  }
  y.ref = net_node(n, "Resize", NULL, sizes ? 4 : 3, (sdx_ref[]){x.ref, 0, scales, whole});
  sdx_graph_set_string(g, "mode", mode);
  sdx_graph_set_string(g, "coordinate_transformation_mode", coordinates);
  if (!strcmp(mode, "nearest")) sdx_graph_set_string(g, "nearest_mode", "floor");
  return y;
}

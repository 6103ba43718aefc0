// SPDX-License-Identifier: Apache-2.0
// Nodes that compute numbers one by one or over axes, and those that choose and order them (net.h).
#include <math.h>

#include "convert/net.h"

bool net_axes(net *n, const net_tensor *x, size_t *count, int64_t *axes) {
  if (!*count)
    for (; *count < x->rank; ++*count) axes[*count] = (int64_t)*count;
  for (size_t i = 0, at; i < *count; i++) {
    if (!net_axis(n, x, axes[i], &at)) return false;
    axes[i] = (int64_t)at;
  }
  return true;
}

// ---- one by one -------------------------------------------------------------------------------------

net_tensor net_gelu(net *n, net_tensor x, net_gelu_form form) {
  net_tensor y;
  if (form == NET_GELU_SIGMOID)
    return net_binary(n, "Mul", NULL, x, net_apply(n, "Sigmoid", "sigmoid", net_scale(n, "Mul", "scale", x, 1.702)));
  if (form == NET_GELU_TANH) {
    y = net_binary(n, "Mul", "cube", net_binary(n, "Mul", "square", x, x), x);
    y = net_binary(n, "Add", "sum", x, net_scale(n, "Mul", "scale", y, 0.044715));
    y = net_apply(n, "Tanh", "tanh", net_scale(n, "Mul", "scale", y, sqrt(2 / M_PI)));
  } else {
    y = net_apply(n, "Erf", "erf", net_scale(n, "Mul", "scale", x, sqrt(0.5)));
  }
  return net_scale(n, "Mul", NULL, net_binary(n, "Mul", "product", x, net_scale(n, "Add", "one", y, 1)), 0.5);
}

net_tensor net_clip(net *n, net_tensor x, double least, double most) {
  sdx_ref low = net_scalar(n, x.dtype, least).ref, high = net_scalar(n, x.dtype, most).ref;
  return net_like(x, net_node(n, "Clip", NULL, SDX_REFS(x.ref, low, high)));
}

net_tensor net_floor_div(net *n, net_tensor x, net_tensor y) {
  net_tensor z = net_binary(n, "Div", "quotient", net_cast(n, x, SDX_FLOAT), net_cast(n, y, SDX_FLOAT));
  return net_cast(n, net_apply(n, "Floor", "floor", z), x.dtype);
}

net_tensor net_modulo(net *n, net_tensor x, net_tensor y) {
  return net_binary(n, "Sub", NULL, x, net_binary(n, "Mul", "product", net_floor_div(n, x, y), y));
}

net_tensor net_along(net *n, net_tensor v, size_t axis, const net_tensor *x) {
  for (size_t i = axis + v.rank; i < x->rank; i++) v = net_unsqueeze(n, v, v.rank);
  return v;
}

// ---- over axes --------------------------------------------------------------------------------------

net_tensor net_l2_norm(net *n, net_tensor x, size_t count, const int64_t *axes, double epsilon) {
  net_tensor sum = net_reduce(n, "ReduceSumSquare", x, count, axes, true);
  return net_binary(n, "Div", NULL, x, net_apply(n, "Sqrt", "norm", net_scale(n, "Add", "epsilon", sum, epsilon)));
}

net_tensor net_arg(net *n, const char *op, net_tensor x, size_t axis, bool keep) {
  net_tensor y = net_apply(n, op, NULL, x);
  sdx_graph_set_int(n->c->graph, "axis", (int64_t)axis);
  y.dtype = SDX_INT64;
  y.shape[axis] = 1;
  return keep ? y : net_squeeze(n, y, axis);
}

net_tensor net_top_k(net *n, net_tensor x, size_t axis, int64_t k, bool largest, net_tensor *at) {
  net_tensor y = net_like(x, net_node(n, "TopK", NULL, SDX_REFS(x.ref, net_ints(n, 1, &k).ref)));
  sdx_graph_set_int(n->c->graph, "axis", (int64_t)axis);
  sdx_graph_set_int(n->c->graph, "largest", largest);
  y.shape[axis] = k;
  *at = net_like(y, sdx_graph_add_node_output(n->c->graph));
  at->dtype = SDX_INT64;
  return y;
}

net_tensor net_cum_sum(net *n, net_tensor x, size_t axis, bool exclusive, bool reverse) {
  sdx_graph *g = n->c->graph;
  net_tensor y = net_like(x, net_node(n, "CumSum", NULL, SDX_REFS(x.ref, net_scalar(n, SDX_INT64, (double)axis).ref)));
  sdx_graph_set_int(g, "exclusive", exclusive);
  sdx_graph_set_int(g, "reverse", reverse);
  return y;
}

net_tensor net_one_hot(net *n, net_tensor at, int64_t size, int64_t axis, double off, double on) {
  net_tensor y = {.dtype = SDX_FLOAT, .rank = at.rank + 1};
  size_t place;
  if (size < 1 || size > NET_MOST || at.rank == NET_RANK)
    return net_fail(n, SDX_NOT_SUPPORTED, NULL, "%lld classes for %s", (long long)size, net_shape_text(n, &at)), at;
  if (!net_axis(n, &y, axis, &place)) return at;
  for (size_t i = 0; i < y.rank; i++) y.shape[i] = i == place ? size : at.shape[i > place ? i - 1 : i];
  net_tensor depth = net_scalar(n, SDX_INT64, (double)size),
             both = net_values(n, "values", SDX_FLOAT, 1, (int64_t[]){2}, (double[]){off, on});
  y.ref = net_node(n, "OneHot", NULL, SDX_REFS(net_cast(n, at, SDX_INT64).ref, depth.ref, both.ref));
  sdx_graph_set_int(n->c->graph, "axis", (int64_t)place);
  return y;
}

// ---- matrices ---------------------------------------------------------------------------------------

net_tensor net_swap_last(net *n, net_tensor x) {
  int64_t order[NET_RANK];
  if (x.rank < 2) return x;
  for (size_t i = 0; i < x.rank; i++) order[i] = (int64_t)i;
  order[x.rank - 1]--, order[x.rank - 2]++;
  return net_transpose(n, x, order);
}

net_tensor net_matmul(net *n, const char *part, net_tensor x, net_tensor y) {
  net_tensor z = x.rank >= y.rank ? x : y;
  if (!x.rank || !y.rank) return net_fail(n, SDX_INVALID_MODEL, NULL, "a product with a value of no dimensions"), x;
  for (size_t i = 3; i <= z.rank; i++) {
    int64_t p = i <= x.rank ? x.shape[x.rank - i] : 1, q = i <= y.rank ? y.shape[y.rank - i] : 1;
    z.shape[z.rank - i] = p == 1 ? q : p;
  }
  z.ref = net_node(n, "MatMul", part, SDX_REFS(x.ref, y.ref));
  if (x.rank > 1 && y.rank > 1) z.shape[z.rank - 2] = x.shape[x.rank - 2], z.shape[z.rank - 1] = y.shape[y.rank - 1];
  else {
    if (x.rank == 1 && y.rank > 1) z.shape[z.rank - 2] = y.shape[y.rank - 1];
    z.rank--;
  }
  return z;
}

// SPDX-License-Identifier: Apache-2.0
// Pieces of graphs (nodes.h).
#include "convert/nodes.h"

enum { AXES_ARE_INPUTS = 13, REDUCE_AXES_ARE_INPUTS = 18 };  // of ReduceMax; ReduceSum has them since 13

static int64_t opset(const conversion *c) { return sdx_builder_opset(c->builder, ""); }

sdx_ref node_cast(conversion *c, sdx_ref x, sdx_dtype to) {
  sdx_ref y = sdx_graph_add_node(c->graph, "Cast", NULL, SDX_REFS(x));
  sdx_graph_set_int(c->graph, "to", to);
  return y;
}

sdx_ref node_unsqueeze(conversion *c, sdx_ref x, int64_t axis) {
  sdx_graph *g = c->graph;
  if (opset(c) >= AXES_ARE_INPUTS)
    return sdx_graph_add_node(g, "Unsqueeze", NULL, SDX_REFS(x, sdx_graph_add_ints(g, 1, &axis)));
  x = sdx_graph_add_node(g, "Unsqueeze", NULL, SDX_REFS(x));
  sdx_graph_set_ints(g, "axes", 1, &axis);
  return x;
}

sdx_ref node_concat(conversion *c, const char *name, int64_t axis, size_t count, const sdx_ref *parts) {
  sdx_ref y = sdx_graph_add_node(c->graph, "Concat", name, count, parts);
  sdx_graph_set_int(c->graph, "axis", axis);
  return y;
}

sdx_ref node_reduce(conversion *c, const char *op, sdx_ref x, int64_t axis) {
  sdx_graph *g = c->graph;
  if (opset(c) >= (strcmp(op, "ReduceSum") ? REDUCE_AXES_ARE_INPUTS : AXES_ARE_INPUTS))
    return sdx_graph_add_node(g, op, NULL, SDX_REFS(x, sdx_graph_add_ints(g, 1, &axis)));
  x = sdx_graph_add_node(g, op, NULL, SDX_REFS(x));
  sdx_graph_set_ints(g, "axes", 1, &axis);
  return x;
}

sdx_ref node_arg_max(conversion *c, sdx_ref x, int64_t axis) {
  sdx_ref y = sdx_graph_add_node(c->graph, "ArgMax", "label", SDX_REFS(x));
  sdx_graph_set_int(c->graph, "axis", axis);
  sdx_graph_set_int(c->graph, "keepdims", 0);
  return y;
}

sdx_ref node_threshold(conversion *c, sdx_ref x, sdx_dtype dtype, double above) {
  sdx_graph *g = c->graph;
  sdx_ref limit = sdx_graph_add_scalar(g, dtype, above);
  return node_cast(c, sdx_graph_add_node(g, "Greater", NULL, SDX_REFS(x, limit)), SDX_INT64);
}

static sdx_ref binary(conversion *c, const char *op, sdx_ref x, double y) {
  return sdx_graph_add_node(c->graph, op, NULL, SDX_REFS(x, sdx_graph_add_scalar(c->graph, SDX_DOUBLE, y)));
}

// As glibc (2.28 on), musl and others compute it: e^x = 2^(k/32) 2^(r/32), the second factor a polynomial of degree 3,
// all in double. Its error of 0.502 units in the last place is part of what is to be met.
sdx_ref node_exp_f32(conversion *c, sdx_ref x) {
  sdx_graph *g = c->graph;
  const double n = 32, c0 = 0x1.c6af84b912394p-5 / (n * n * n), c1 = 0x1.ebfce50fac4f3p-3 / (n * n),
               c2 = 0x1.62e42ff0c52d6p-1 / n;
  sdx_ref z = binary(c, "Mul", node_cast(c, x, SDX_DOUBLE), 0x1.71547652b82fep+0 * n);
  sdx_ref k = sdx_graph_add_node(g, "Round", NULL, SDX_REFS(z));
  sdx_ref r = sdx_graph_add_node(g, "Sub", NULL, SDX_REFS(z, k));
  sdx_ref y = binary(c, "Add", binary(c, "Mul", r, c0), c1);
  y = binary(c, "Add", sdx_graph_add_node(g, "Mul", NULL, SDX_REFS(y, r)), c2);
  y = binary(c, "Add", sdx_graph_add_node(g, "Mul", NULL, SDX_REFS(y, r)), 1);
  sdx_ref two = sdx_graph_add_scalar(g, SDX_DOUBLE, 2);
  sdx_ref power = sdx_graph_add_node(g, "Pow", NULL, SDX_REFS(two, binary(c, "Mul", k, 1 / n)));
  return node_cast(c, sdx_graph_add_node(g, "Mul", "exp", SDX_REFS(y, power)), SDX_FLOAT);
}

// log(u) e / (u - 1) with u = 1 + e rounded: what the sum lost the quotient gives back. Where nothing is left of e, it
// is the result itself.
sdx_ref node_log1p_f64(conversion *c, sdx_ref x) {
  sdx_graph *g = c->graph;
  sdx_ref u = binary(c, "Add", x, 1), kept = binary(c, "Sub", u, 1);
  sdx_ref lost = sdx_graph_add_node(g, "Equal", NULL, SDX_REFS(kept, sdx_graph_add_scalar(g, SDX_DOUBLE, 0)));
  sdx_ref ratio = sdx_graph_add_node(g, "Div", NULL, SDX_REFS(x, kept));
  sdx_ref log = sdx_graph_add_node(g, "Log", NULL, SDX_REFS(u));
  sdx_ref y = sdx_graph_add_node(g, "Mul", NULL, SDX_REFS(log, ratio));
  return sdx_graph_add_node(g, "Where", "log1p", SDX_REFS(lost, x, y));
}

sdx_ref node_two_classes(conversion *c, sdx_ref p, sdx_dtype dtype) {
  sdx_graph *g = c->graph;
  sdx_ref one = sdx_graph_add_scalar(g, dtype, 1), yes = node_unsqueeze(c, p, 1);
  sdx_ref no = sdx_graph_add_node(g, "Sub", NULL, SDX_REFS(one, yes));
  return node_concat(c, "probabilities", 1, SDX_REFS(no, yes));
}

static sdx_io rows(const char *name, sdx_dtype dtype, size_t columns, int64_t shape[2], const char *symbols[2]) {
  shape[0] = -1, shape[1] = (int64_t)columns;
  symbols[0] = "N", symbols[1] = NULL;
  return (sdx_io){
      .name = name, .dtype = dtype, .has_shape = true, .rank = columns ? 2 : 1, .shape = shape, .symbols = symbols};
}

sdx_ref node_rows_input(conversion *c, const char *name, sdx_dtype dtype, size_t columns) {
  int64_t shape[2];
  const char *symbols[2];
  sdx_io io = rows(name, dtype, columns, shape, symbols);
  return sdx_graph_add_input(c->graph, &io);
}

void node_rows_output(conversion *c, const char *name, sdx_ref value, sdx_dtype dtype, size_t columns) {
  int64_t shape[2];
  const char *symbols[2];
  sdx_io io = rows(name, dtype, columns, shape, symbols);
  sdx_graph_add_output(c->graph, value, &io);
}

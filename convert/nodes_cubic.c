// SPDX-License-Identifier: Apache-2.0
// Bicubic resizing as TensorFlow does it (nodes.h): a place between two elements is rounded to one of 1024, whose
// weights are in a table; four neighbours are taken and added up. With half_pixel_centers the curve is that of Keys (a
// = -0.5) and neighbours outside do not count; without, a is -0.75 and they are those at the border. The graph computes
// all this itself, since sizes may not be known before.
#include "convert/nodes.h"

enum { STEPS = 1024, TAPS = 4 };

static sdx_ref add(conversion *c, const char *op, sdx_ref a, sdx_ref b) {
  return sdx_graph_add_node(c->graph, op, NULL, SDX_REFS(a, b));
}

static sdx_ref number(conversion *c, sdx_dtype dtype, double value) {
  return sdx_graph_add_scalar(c->graph, dtype, value);
}

// Weights by distance, 0 to 2 in steps.
static sdx_ref curve(conversion *c, double a) {
  sdx_value *tensor = sdx_tensor_create(SDX_FLOAT, 1, (int64_t[]){2 * STEPS + 1});
  float *to = tensor ? sdx_tensor_data(tensor) : NULL;
  for (int i = 0; to && i <= 2 * STEPS; i++) {
    double x = (double)i / STEPS;
    to[i] = (float)(i <= STEPS ? ((a + 2) * x - (a + 3)) * x * x + 1 : ((a * x - 5 * a) * x + 8 * a) * x - 4 * a);
  }
  return sdx_graph_add_initializer(sdx_builder_graph(c->builder), "cubic", tensor);
}

// The place before the first neighbour but one, and how far the sample is from it: floats, for each element.
static void places(conversion *c, sdx_ref from, sdx_ref size, bool corners, bool half, sdx_ref *low, sdx_ref *beyond) {
  sdx_ref zero = number(c, SDX_INT64, 0), one = number(c, SDX_INT64, 1), float_half = number(c, SDX_FLOAT, 0.5);
  sdx_ref at = sdx_graph_add_node(c->graph, "Range", NULL, SDX_REFS(zero, size, one));
  at = node_cast(c, at, SDX_FLOAT);
  if (corners) from = add(c, "Sub", from, one), size = add(c, "Max", add(c, "Sub", size, one), one);
  sdx_ref scale = add(c, "Div", node_cast(c, from, SDX_FLOAT), node_cast(c, size, SDX_FLOAT));
  at = half ? add(c, "Sub", add(c, "Mul", add(c, "Add", at, float_half), scale), float_half) : add(c, "Mul", at, scale);
  *low = sdx_graph_add_node(c->graph, "Floor", NULL, SDX_REFS(at));
  *beyond = add(c, "Sub", at, *low);
}

sdx_ref node_resize_cubic(conversion *c, sdx_ref x, int64_t axis, size_t rest, sdx_ref size, bool corners, bool half) {
  sdx_graph *g = c->graph;
  static const int64_t taps[TAPS] = {-1, 0, 1, 2};
  sdx_ref low, beyond, shape = sdx_graph_add_node(g, "Shape", NULL, SDX_REFS(x));
  sdx_ref from = add(c, "Gather", shape, number(c, SDX_INT64, (double)axis));
  places(c, from, size, corners, half, &low, &beyond);
  sdx_ref steps = sdx_graph_add_node(g, "Round", NULL, SDX_REFS(add(c, "Mul", beyond, number(c, SDX_FLOAT, STEPS))));
  sdx_ref tap = node_unsqueeze(c, sdx_graph_add_ints(g, TAPS, taps), 1);  // [4, 1], and all below [4, size]
  sdx_ref away = add(c, "Sub", node_cast(c, steps, SDX_INT64), add(c, "Mul", tap, number(c, SDX_INT64, STEPS)));
  sdx_ref weight = add(c, "Gather", curve(c, half ? -0.5 : -0.75), sdx_graph_add_node(g, "Abs", NULL, SDX_REFS(away)));
  sdx_ref wanted = add(c, "Add", node_cast(c, low, SDX_INT64), tap),
          last = add(c, "Sub", from, number(c, SDX_INT64, 1));
  sdx_ref taken = add(c, "Max", add(c, "Min", wanted, last), number(c, SDX_INT64, 0));
  if (half) {
    sdx_ref inside = add(c, "Equal", wanted, taken), zero = number(c, SDX_FLOAT, 0), one = number(c, SDX_FLOAT, 1);
    weight = sdx_graph_add_node(g, "Where", NULL, SDX_REFS(inside, weight, zero));
    weight = add(c, "Mul", weight, add(c, "Div", one, node_reduce(c, "ReduceSum", weight, 0)));
  }
  while (rest--) weight = node_unsqueeze(c, weight, 2);
  sdx_ref neighbours = add(c, "Gather", x, taken);
  sdx_graph_set_int(g, "axis", axis);
  sdx_ref y = node_reduce(c, "ReduceSum", add(c, "Mul", neighbours, weight), axis);
  sdx_graph_set_int(g, "keepdims", 0);
  return y;
}

// SPDX-License-Identifier: Apache-2.0
// Nodes that layers are made of: what they do to values, and to what is known of their shapes.
#include <stdio.h>
#include <string.h>

#include "convert/keras.h"

// Names of nodes are unique, too.
sdx_ref keras_node(const keras_call *call, const char *op, const char *part, size_t count, const sdx_ref *inputs) {
  keras *k = call->k;
  uint32_t seen = 0;
  if (!part && call->layer->gives_output) part = op;
  char *name = arena_format(k->c->memory, "%s%s%s", call->layer->name, part ? "/" : "", part ? part : ""),
       *unique = name;
  while (unique && str_map_find(&k->nodes, str_from(unique), NULL)) {
    str_map_find(&k->nodes, str_from(name), &seen);
    str_map_put(&k->nodes, str_from(name), ++seen);
    unique = arena_format(k->c->memory, "%s_%u", name, seen);
  }
  if (!unique || !str_map_put(&k->nodes, str_from(unique), 0)) return convert_no_memory(k->c), 0;
  return sdx_graph_add_node(k->graph, op, unique, count, inputs);
}

keras_tensor keras_like(keras_tensor x, sdx_ref ref) {
  x.ref = ref;
  return x;
}

keras_tensor keras_apply(const keras_call *call, const char *op, const char *part, keras_tensor x) {
  return keras_like(x, keras_node(call, op, part, SDX_REFS(x.ref)));
}

keras_tensor keras_cast(const keras_call *call, keras_tensor x, sdx_dtype to) {
  if (x.dtype == to) return x;
  x.dtype = to;
  x.ref = keras_node(call, "Cast", "cast", SDX_REFS(x.ref));
  sdx_graph_set_int(call->k->graph, "to", to);
  return x;
}

keras_tensor keras_transpose(const keras_call *call, keras_tensor x, const int64_t *order) {
  keras_tensor y = x;
  bool same = true;
  for (size_t i = 0; i < x.rank; i++) {
    y.shape[i] = x.shape[order[i]];
    same = same && order[i] == (int64_t)i;
  }
  if (same) return x;
  y.ref = keras_node(call, "Transpose", "transpose", SDX_REFS(x.ref));
  sdx_graph_set_ints(call->k->graph, "perm", x.rank, order);
  return y;
}

keras_tensor keras_reshape(const keras_call *call, keras_tensor x, size_t rank, const int64_t *spec,
                           const int64_t *shape) {
  x.rank = rank;
  memcpy(x.shape, shape, rank * sizeof *shape);
  x.ref = keras_node(call, "Reshape", "reshape", SDX_REFS(x.ref, sdx_graph_add_ints(call->k->graph, rank, spec)));
  return x;
}

keras_tensor keras_unsqueeze(const keras_call *call, keras_tensor x, size_t axis) {
  if (x.rank == KERAS_RANK) {
    keras_fail(call, SDX_NOT_SUPPORTED, NULL, "a value of more than %d dimensions", KERAS_RANK);
    return x;
  }
  x.ref = keras_node(call, "Unsqueeze", "unsqueeze",
                     SDX_REFS(x.ref, sdx_graph_add_ints(call->k->graph, 1, (int64_t[]){(int64_t)axis})));
  memmove(x.shape + axis + 1, x.shape + axis, (x.rank - axis) * sizeof *x.shape);
  x.shape[axis] = 1;
  x.rank++;
  return x;
}

keras_tensor keras_squeeze(const keras_call *call, keras_tensor x, size_t axis) {
  x.ref = keras_node(call, "Squeeze", "squeeze",
                     SDX_REFS(x.ref, sdx_graph_add_ints(call->k->graph, 1, (int64_t[]){(int64_t)axis})));
  x.rank--;
  memmove(x.shape + axis, x.shape + axis + 1, (x.rank - axis) * sizeof *x.shape);
  return x;
}

keras_tensor keras_slice(const keras_call *call, keras_tensor x, size_t axis, int64_t from, int64_t to, int64_t step) {
  sdx_graph *g = call->k->graph;
  int64_t at = (int64_t)axis, size = x.shape[axis];
  sdx_ref ends[] = {sdx_graph_add_ints(g, 1, &from), sdx_graph_add_ints(g, 1, &to), sdx_graph_add_ints(g, 1, &at),
                    sdx_graph_add_ints(g, 1, &step)};
  x.ref = keras_node(call, "Slice", "slice", SDX_REFS(x.ref, ends[0], ends[1], ends[2], ends[3]));
  if (size >= 0) x.shape[axis] = node_slice_length(size, from, to, step);
  return x;
}

keras_tensor keras_scale(const keras_call *call, const char *op, const char *part, keras_tensor x, double number) {
  sdx_ref n = sdx_graph_add_scalar(call->k->graph, x.dtype, number);
  return keras_like(x, keras_node(call, op, part, SDX_REFS(x.ref, n)));
}

bool keras_broadcast(keras_call *call, keras_tensor a, keras_tensor b, keras_tensor *y) {
  *y = a.rank >= b.rank ? a : b;
  for (size_t i = 1; i <= y->rank; i++) {
    int64_t m = i <= a.rank ? a.shape[a.rank - i] : 1, n = i <= b.rank ? b.shape[b.rank - i] : 1;
    if (m > 1 && n > 1 && m != n)
      return !keras_fail(call, SDX_INVALID_MODEL, NULL, "shapes that do not fit: %lld and %lld", (long long)m,
                         (long long)n);
    y->shape[y->rank - i] = m == 1 ? n : n == 1 ? m : m < 0 ? n : m;
  }
  return true;
}

keras_tensor keras_binary(keras_call *call, const char *op, const char *part, keras_tensor a, keras_tensor b) {
  keras_tensor y;
  if (!keras_broadcast(call, a, b, &y)) return a;
  y.dtype = a.dtype;
  y.mask = a.mask;
  y.ref = keras_node(call, op, part, SDX_REFS(a.ref, b.ref));
  return y;
}

keras_tensor keras_reduce(const keras_call *call, const char *op, keras_tensor x, size_t count, const int64_t *axes,
                          bool keep) {
  sdx_graph *g = call->k->graph;
  keras_tensor y = x;
  bool gone[KERAS_RANK] = {0};
  if (node_axes_are_inputs(call->k->c, op)) {
    y.ref = keras_node(call, op, NULL, SDX_REFS(x.ref, sdx_graph_add_ints(g, count, axes)));
  } else {
    y.ref = keras_node(call, op, NULL, SDX_REFS(x.ref));
    sdx_graph_set_ints(g, "axes", count, axes);
  }
  sdx_graph_set_int(g, "keepdims", keep);
  for (size_t i = 0; i < count; i++) gone[axes[i]] = true;
  y.rank = 0;
  for (size_t i = 0; i < x.rank; i++)
    if (!gone[i] || keep) y.shape[y.rank++] = gone[i] ? 1 : x.shape[i];
  return y;
}

keras_tensor keras_pad(const keras_call *call, keras_tensor x, const char *mode, double value, const int64_t *before,
                       const int64_t *after) {
  int64_t pads[2 * KERAS_RANK];
  bool none = true;
  for (size_t i = 0; i < x.rank; i++) {
    pads[i] = before[i], pads[x.rank + i] = after[i];
    none = none && !before[i] && !after[i];
    if (x.shape[i] >= 0) x.shape[i] += before[i] + after[i];
  }
  if (none) return x;
  sdx_graph *g = call->k->graph;
  sdx_ref n = sdx_graph_add_ints(g, 2 * x.rank, pads), v = sdx_graph_add_scalar(g, x.dtype, value);
  x.ref = strcmp(mode, "constant") ? keras_node(call, "Pad", "pad", SDX_REFS(x.ref, n))
                                   : keras_node(call, "Pad", "pad", SDX_REFS(x.ref, n, v));
  sdx_graph_set_string(g, "mode", mode);
  return x;
}

sdx_ref keras_shape(const keras_call *call, keras_tensor x, int64_t from, int64_t to) {
  sdx_graph *g = call->k->graph;
  sdx_ref shape = keras_node(call, "Shape", "shape", SDX_REFS(x.ref));
  sdx_ref ends[] = {sdx_graph_add_ints(g, 1, &from), sdx_graph_add_ints(g, 1, &to),
                    sdx_graph_add_ints(g, 1, (int64_t[]){0})};
  return keras_node(call, "Slice", "shape", SDX_REFS(shape, ends[0], ends[1], ends[2]));
}

keras_tensor keras_to_first(const keras_call *call, keras_tensor x) {
  int64_t order[KERAS_RANK];
  node_order_to_first(x.rank, order);
  return keras_transpose(call, x, order);
}

keras_tensor keras_to_last(const keras_call *call, keras_tensor x) {
  int64_t order[KERAS_RANK];
  node_order_to_last(x.rank, order);
  return keras_transpose(call, x, order);
}

keras_tensor keras_resize_cubic(const keras_call *call, keras_tensor x, sdx_ref height, sdx_ref width) {
  keras_tensor y = keras_cast(call, x, SDX_FLOAT);
  y.ref = node_resize_cubic(call->k->c, y.ref, 2, 1, height, false, true);
  y.ref = node_resize_cubic(call->k->c, y.ref, 3, 0, width, false, true);
  return keras_cast(call, y, x.dtype);
}

void keras_give(keras_call *call, keras_tensor x) {
  if (call->out_count < KERAS_OUTPUTS) call->out[call->out_count++] = x;
  else keras_fail(call, SDX_NOT_SUPPORTED, NULL, "more than %d results", KERAS_OUTPUTS);
}

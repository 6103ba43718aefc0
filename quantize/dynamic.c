// SPDX-License-Identifier: Apache-2.0
// Dynamic quantisation: the constant side of a product is bytes in the file, the other side becomes bytes while the
// model runs (DynamicQuantizeLinear), by its own extremes. Bytes are multiplied (MatMulInteger), the sums scaled:
//
//   MatMul(A, W)        Mul(Cast(MatMulInteger(a, w)), a_scale * w_scale)
//   Gemm(A, W, C)       the same, Add C
#include <stdlib.h>
#include <string.h>

#include "quantize/nodes.h"
#include "quantize/products.h"
#include "quantize/tensors.h"

typedef struct dynamic {
  sdx_graph *graph;
  const quantize_options *o;
  const char *name;
} dynamic;

static sdx_value *transposed(const sdx_value *w) {
  const int64_t *shape = sdx_tensor_shape(w);
  sdx_value *t = sdx_tensor_create(SDX_FLOAT, 2, (int64_t[]){shape[1], shape[0]});
  for (int64_t i = 0; t && i < shape[0]; i++)
    for (int64_t k = 0; k < shape[1]; k++)
      ((float *)sdx_tensor_data(t))[k * shape[0] + i] = ((const float *)sdx_tensor_data(w))[i * shape[1] + k];
  return t;
}

static bool add_weights(const dynamic *d, const sdx_value *w, sdx_ref *parts) {
  quantised_weights q;
  if (!weights_quantise(w, d->o->per_channel ? 1 : -1, d->o->weights, &q)) return false;
  parts[0] = sdx_graph_add_initializer(d->graph, "weight_quantized", q.bytes);
  parts[1] = sdx_graph_add_initializer(d->graph, "weight_scale", q.scale);
  parts[2] = sdx_graph_add_initializer(d->graph, "weight_zero_point", q.zero);
  return true;
}

static sdx_ref multiply(const dynamic *d, sdx_ref a, const sdx_ref *weights, sdx_ref *bytes_of_a) {
  sdx_graph *g = d->graph;
  if (!bytes_of_a[0]) {
    bytes_of_a[0] = sdx_graph_add_node(g, "DynamicQuantizeLinear", NULL, SDX_REFS(a));
    bytes_of_a[1] = sdx_graph_add_node_output(g);
    bytes_of_a[2] = sdx_graph_add_node_output(g);
  }
  sdx_ref sums =
      sdx_graph_add_node(g, "MatMulInteger", d->name, SDX_REFS(bytes_of_a[0], weights[0], bytes_of_a[2], weights[2]));
  sdx_ref cast = sdx_graph_add_node(g, "Cast", NULL, SDX_REFS(sums));
  sdx_graph_set_int(g, "to", SDX_FLOAT);
  sdx_ref scales = sdx_graph_add_node(g, "Mul", NULL, SDX_REFS(bytes_of_a[1], weights[1]));
  return sdx_graph_add_node(g, "Mul", NULL, SDX_REFS(cast, scales));
}

// The constant matrix of a product, [rows, columns], to be released; NULL: it is not one that can be quantised.
sdx_value *product_weights(sdx_graph *g, size_t node) {
  const char *op = sdx_graph_node_op(g, node);
  bool gemm = !strcmp(op, "Gemm");
  if (!gemm && strcmp(op, "MatMul") != 0) return NULL;
  sdx_value *w = sdx_graph_constant(g, sdx_graph_node_input(g, node, 1));
  bool fits = w && sdx_tensor_dtype(w) == SDX_FLOAT && sdx_tensor_rank(w) == 2 && sdx_tensor_count(w) > 0 &&
              (!gemm || gemm_is_plain(g, node)) && weights_are_finite(w);
  bool turns = gemm && sdx_graph_node_int(g, node, "transB", 0);
  if (fits && !turns) return w;
  sdx_value *turned = fits ? transposed(w) : NULL;
  sdx_value_release(w);
  return turned;
}

sdx_ref *product_parts_of(product_parts *all, sdx_graph *g, size_t node) {
  return all[sdx_graph_node_input(g, node, 1)][sdx_graph_node_int(g, node, "transB", 0) != 0];
}

sdx_ref product_end(sdx_graph *g, size_t node, sdx_ref product) {
  sdx_ref c = sdx_graph_node_input_count(g, node) > 2 ? sdx_graph_node_input(g, node, 2) : 0;
  if (c) product = sdx_graph_add_node(g, "Add", NULL, SDX_REFS(product, c));
  sdx_graph_node_set_output(g, sdx_graph_node_count(g) - 1, 0, sdx_graph_node_output(g, node, 0));
  sdx_graph_node_remove(g, node);
  return product;
}

sdx_status quantize_dynamic(sdx_builder *b, const quantize_options *o, size_t *changed) {
  sdx_graph *g = sdx_builder_graph(b);
  size_t nodes = sdx_graph_node_count(g);
  sdx_ref last = 0, bytes[3] = {0};
  product_parts *all = calloc(refs_end(g), sizeof *all);
  if (!all) sdx_builder_fail(b, SDX_NO_MEMORY, "memory is exhausted");
  *changed = 0;
  for (size_t i = 0; i < nodes && !sdx_builder_status(b); i++) {
    dynamic d = {g, o, sdx_graph_node_name(g, i)};
    if (o->keep && o->keep(o->context, sdx_graph_node_op(g, i), d.name)) continue;
    sdx_value *w = product_weights(g, i);
    if (!w) continue;
    sdx_ref *parts = product_parts_of(all, g, i);
    sdx_ref a = sdx_graph_node_input(g, i, 0);
    if (a != last) bytes[0] = 0;  // queries, keys and values are products of one
    last = a;
    if (!parts[0] && !add_weights(&d, w, parts)) {
      sdx_builder_fail(b, SDX_NO_MEMORY, "memory is exhausted");
    } else {
      product_end(g, i, multiply(&d, a, parts, bytes));
      ++*changed;
    }
    sdx_value_release(w);
  }
  free(all);
  return sdx_builder_status(b) ? sdx_builder_status(b) : sdx_builder_sweep(b);
}

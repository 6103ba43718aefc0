// SPDX-License-Identifier: Apache-2.0
// Operators on bytes in the place of what stands between DequantizeLinear and QuantizeLinear: QLinearConv and
// QLinearMatMul, which ONNX has. A Relu or Clip between is what saturation does, since the range was taken behind it;
// but every range has 0, so that a Clip that does not let it through has to stay. Gemm, sums and pools, which only
// com.microsoft has on bytes, keep their pairs.
#include <stdlib.h>
#include <string.h>

#include "quantize/nodes.h"
#include "quantize/quantize.h"

typedef struct quantised {
  sdx_ref bytes, scale, zero;
} quantised;

// What a DequantizeLinear makes a value of; false: something else makes it.
static bool find_bytes(sdx_graph *g, sdx_ref v, quantised *q) {
  int64_t maker = sdx_graph_producer(g, v);
  if (maker < 0 || strcmp(sdx_graph_node_op(g, (size_t)maker), "DequantizeLinear") != 0) return false;
  *q = (quantised){sdx_graph_node_input(g, (size_t)maker, 0), sdx_graph_node_input(g, (size_t)maker, 1),
                   sdx_graph_node_input(g, (size_t)maker, 2)};
  return q->zero != 0;
}

// How many nodes and outputs read each value, by sdx_ref; NULL: memory.
static size_t *count_reads(sdx_graph *g) {
  size_t *reads = calloc(refs_end(g), sizeof *reads);
  for (size_t i = 0; reads && i < sdx_graph_node_count(g); i++)
    for (size_t k = 0; k < sdx_graph_node_input_count(g, i); k++) reads[sdx_graph_node_input(g, i, k)]++;
  for (size_t i = 0; reads && i < sdx_graph_output_count(g); i++) reads[sdx_graph_output(g, i)]++;
  return reads;
}

// Whether the range behind a node is all that it does.
static bool is_saturation(sdx_graph *g, size_t node) {
  const char *op = sdx_graph_node_op(g, node);
  bool is = !strcmp(op, "Relu") || !strcmp(op, "Clip");
  for (size_t k = 1; k < 3 && is; k++) {
    sdx_ref v = sdx_graph_node_input(g, node, k);
    sdx_value *bound = v ? sdx_graph_constant(g, v) : NULL;
    if (v) is = bound && sdx_tensor_dtype(bound) == SDX_FLOAT && sdx_tensor_count(bound) == 1;
    if (v && is)
      is = k == 1 ? *(const float *)sdx_tensor_data(bound) <= 0 : *(const float *)sdx_tensor_data(bound) >= 0;
    sdx_value_release(bound);
  }
  return is;
}

// The product whose result alone, behind Relu or Clip, becomes bytes in the node; SDX_NO_NODE: there is none.
static int64_t find_product(sdx_graph *g, size_t quantize, const size_t *reads) {
  for (sdx_ref v = sdx_graph_node_input(g, quantize, 0); reads[v] == 1;) {
    int64_t maker = sdx_graph_producer(g, v);
    const char *op = maker < 0 ? "" : sdx_graph_node_op(g, (size_t)maker);
    if (!strcmp(op, "Conv") || !strcmp(op, "MatMul")) return maker;
    if (maker < 0 || !is_saturation(g, (size_t)maker)) break;
    v = sdx_graph_node_input(g, (size_t)maker, 0);
  }
  return SDX_NO_NODE;
}

static void copy_attributes(sdx_graph *g, size_t from) {
  static const char *const lists[] = {"dilations", "kernel_shape", "pads", "strides"};
  size_t count;
  for (size_t i = 0; i < sizeof lists / sizeof *lists; i++) {
    const int64_t *ints = sdx_graph_node_ints(g, from, lists[i], &count);
    if (ints) sdx_graph_set_ints(g, lists[i], count, ints);
  }
  sdx_graph_set_int(g, "group", sdx_graph_node_int(g, from, "group", 1));
}

static void emit(sdx_graph *g, size_t quantize, size_t product) {
  quantised x, w, bias = {0};
  bool conv = !strcmp(sdx_graph_node_op(g, product), "Conv");
  sdx_ref c = sdx_graph_node_input_count(g, product) > 2 ? sdx_graph_node_input(g, product, 2) : 0;
  if (!find_bytes(g, sdx_graph_node_input(g, product, 0), &x) ||
      !find_bytes(g, sdx_graph_node_input(g, product, 1), &w) || (c && !find_bytes(g, c, &bias)))
    return;
  sdx_ref list[] = {x.bytes,
                    x.scale,
                    x.zero,
                    w.bytes,
                    w.scale,
                    w.zero,
                    sdx_graph_node_input(g, quantize, 1),
                    sdx_graph_node_input(g, quantize, 2),
                    bias.bytes};
  sdx_ref made = sdx_graph_add_node(g, conv ? "QLinearConv" : "QLinearMatMul", sdx_graph_node_name(g, product),
                                    bias.bytes ? 9 : 8, list);
  if (conv) copy_attributes(g, product);
  sdx_graph_replace(g, sdx_graph_node_output(g, quantize, 0), made, 0);
}

sdx_status quantize_to_operators(sdx_builder *b) {
  sdx_graph *g = sdx_builder_graph(b);
  size_t nodes = sdx_graph_node_count(g), *reads = count_reads(g);
  if (!reads) return sdx_builder_fail(b, SDX_NO_MEMORY, "memory is exhausted");
  for (size_t i = 0; i < nodes && !sdx_builder_status(b); i++) {
    if (strcmp(sdx_graph_node_op(g, i), "QuantizeLinear") != 0) continue;
    int64_t product = find_product(g, i, reads);
    if (product >= 0) emit(g, i, (size_t)product);
  }
  free(reads);
  return sdx_builder_status(b) ? sdx_builder_status(b) : sdx_builder_sweep(b);
}

// SPDX-License-Identifier: Apache-2.0
// Weights in blocks: the constant side of a product is stored with 4 or 8 bits and a scale for every `block` rows of a
// column; the model computes in float. Either as DequantizeLinear with blocks, which ONNX has since version 21, or as
// com.microsoft::MatMulNBits, whose kernels multiply without unpacking first.
#include <stdlib.h>
#include <string.h>

#include "quantize/nodes.h"
#include "quantize/products.h"
#include "quantize/tensors.h"

typedef struct blocked {
  int bits;
  int64_t block, rows, columns, blocks;
  const float *at;
} blocked;

// The scale of a block: its largest number becomes the lowest of the signed ones, which reaches one further.
static float scale_of(const blocked *w, int64_t k, int64_t column) {
  float most = 0;
  for (int64_t i = k * w->block; i < (k + 1) * w->block && i < w->rows; i++) {
    float x = w->at[i * w->columns + column];
    if (fabsf(x) > fabsf(most)) most = x;
  }
  return most != 0 ? most / (float)-(1 << (w->bits - 1)) : 1;
}

static int32_t quantised(const blocked *w, int64_t row, int64_t column, float scale) {
  int32_t half = 1 << (w->bits - 1);
  return round_within(w->at[row * w->columns + column] / scale, (byte_type){-half, half - 1});
}

static void put(uint8_t *bytes, int bits, int64_t at, int32_t x) {
  if (bits == 8) bytes[at] = (uint8_t)x;
  else bytes[at / 2] |= (uint8_t)((x & 15) << (at % 2 * 4));
}

// [rows, columns] of int4 or int8, scales [blocks, columns].
static sdx_ref dequantised(sdx_graph *g, const blocked *w) {
  sdx_value *bytes = sdx_tensor_create(w->bits == 8 ? SDX_INT8 : SDX_INT4, 2, (int64_t[]){w->rows, w->columns});
  sdx_value *scales = sdx_tensor_create(SDX_FLOAT, 2, (int64_t[]){w->blocks, w->columns});
  for (int64_t i = 0; bytes && scales && i < w->rows; i++)
    for (int64_t c = 0; c < w->columns; c++) {
      float *scale = (float *)sdx_tensor_data(scales) + i / w->block * w->columns + c;
      if (i % w->block == 0) *scale = scale_of(w, i / w->block, c);
      put(sdx_tensor_data(bytes), w->bits, i * w->columns + c, quantised(w, i, c, *scale));
    }
  sdx_ref b = sdx_graph_add_initializer(g, "weight_quantized", bytes);
  sdx_ref s = sdx_graph_add_initializer(g, "weight_scale", scales);
  sdx_ref y = sdx_graph_add_node(g, "DequantizeLinear", NULL, SDX_REFS(b, s));
  sdx_graph_set_int(g, "axis", 0);
  sdx_graph_set_int(g, "block_size", w->block);
  return y;
}

// [columns, blocks, bytes of a block] of unsigned numbers whose zero is the middle, scales [columns * blocks].
static void add_packed(sdx_graph *g, const blocked *w, sdx_ref *parts) {
  int64_t bytes_of_block = w->block * w->bits / 8, middle = 1 << (w->bits - 1);
  sdx_value *bytes = sdx_tensor_create(SDX_UINT8, 3, (int64_t[]){w->columns, w->blocks, bytes_of_block});
  sdx_value *scales = sdx_tensor_create(SDX_FLOAT, 2, (int64_t[]){w->columns, w->blocks});
  for (int64_t c = 0; bytes && scales && c < w->columns; c++)
    for (int64_t k = 0; k < w->blocks; k++) {
      float scale = ((float *)sdx_tensor_data(scales))[c * w->blocks + k] = scale_of(w, k, c);
      uint8_t *block = (uint8_t *)sdx_tensor_data(bytes) + (c * w->blocks + k) * bytes_of_block;
      for (int64_t i = 0; i < w->block; i++) {
        int64_t row = k * w->block + i;
        put(block, w->bits, i, (row < w->rows ? quantised(w, row, c, scale) : 0) + (int32_t)middle);
      }
    }
  parts[0] = sdx_graph_add_initializer(g, "weight_quantized", bytes);
  parts[1] = sdx_graph_add_initializer(g, "weight_scale", scales);
}

static sdx_ref as_nbits(sdx_graph *g, const blocked *w, sdx_ref a, sdx_ref *parts, const char *name) {
  if (!parts[0]) add_packed(g, w, parts);
  sdx_ref y = sdx_graph_add_node(g, "com.microsoft::MatMulNBits", name, SDX_REFS(a, parts[0], parts[1]));
  sdx_graph_set_int(g, "K", w->rows);
  sdx_graph_set_int(g, "N", w->columns);
  sdx_graph_set_int(g, "bits", w->bits);
  sdx_graph_set_int(g, "block_size", w->block);
  return y;
}

static sdx_ref as_pair(sdx_graph *g, const blocked *w, sdx_ref a, sdx_ref *parts, const char *name) {
  if (!parts[0]) parts[0] = dequantised(g, w);
  return sdx_graph_add_node(g, "MatMul", name, SDX_REFS(a, parts[0]));
}

sdx_status quantize_blocks(sdx_builder *b, int bits, int64_t block, bool contrib, const quantize_options *o,
                           size_t *changed) {
  sdx_graph *g = sdx_builder_graph(b);
  size_t nodes = sdx_graph_node_count(g);
  product_parts *all = calloc(refs_end(g), sizeof *all);
  if (!all) sdx_builder_fail(b, SDX_NO_MEMORY, "memory is exhausted");
  *changed = 0;
  for (size_t i = 0; i < nodes && !sdx_builder_status(b); i++) {
    const char *name = sdx_graph_node_name(g, i);
    if (o->keep && o->keep(o->context, sdx_graph_node_op(g, i), name)) continue;
    sdx_value *t = product_weights(g, i);
    if (!t) continue;
    const int64_t *shape = sdx_tensor_shape(t);
    blocked w = {bits, block, shape[0], shape[1], (shape[0] + block - 1) / block, sdx_tensor_data(t)};
    sdx_ref a = sdx_graph_node_input(g, i, 0);
    product_end(g, i, (contrib ? as_nbits : as_pair)(g, &w, a, product_parts_of(all, g, i), name));
    ++*changed;
    sdx_value_release(t);
  }
  free(all);
  return sdx_builder_status(b) ? sdx_builder_status(b) : sdx_builder_sweep(b);
}

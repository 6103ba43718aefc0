// SPDX-License-Identifier: Apache-2.0
// MatMul and Gemm with a constant matrix, which dynamic.c and blocks.c replace.
#pragma once

#include "quantize/quantize.h"

// The constant matrix of a product, [rows, columns], to be released; NULL: it is not one that can be quantised.
sdx_value *product_weights(sdx_graph *g, size_t node);
// What a matrix became, so that products with the same one share it: tables of refs_end(g) elements, to be freed.
typedef sdx_ref product_parts[2][3];  // as it stands, and turned
sdx_ref *product_parts_of(product_parts *all, sdx_graph *g, size_t node);
// The node added last gives `product`, in the place of what the node gave: with the addend of a Gemm.
sdx_ref product_end(sdx_graph *g, size_t node, sdx_ref product);

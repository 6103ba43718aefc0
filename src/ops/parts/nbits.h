// SPDX-License-Identifier: Apache-2.0
// Constant 4-bit weights in the panels of kernels/nbits_f32: packed while preparing, widened panel by panel into a
// matrix product, or multiplied as they are where there are few rows. The bits of a row do not depend on how many there
// are.
#pragma once

#include "ops/parts/packed_weights.h"

typedef struct nbits_weights {
  size_t n, k, block, blocks;
  size_t row_bytes, zero_bytes;  // of the weights and of packed zeros, as they come
} nbits_weights;

// Instead of packed_product_prepare and _run where inputs `b`, `scales` and `zeros` (which may be absent) can be
// packed.
sdx_status nbits_prepare(op_step *c, const nbits_weights *w, size_t b, size_t scales, size_t zeros, size_t bias);
sdx_status nbits_run(op_step *c, size_t bias);

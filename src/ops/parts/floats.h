// SPDX-License-Identifier: Apache-2.0
// float16 and bfloat16 through the float kernels: prepare reserves scratch for the operands that are
// not float yet, compute takes it in the same order. A float tensor is used where it lies.
#pragma once

#include "base/size.h"
#include "ops/parts/widen.h"
#include "ops/prepare.h"

// Adds `bytes`, rounded up to 64, to *total; false on overflow.
static inline bool scratch_reserve(size_t *total, size_t bytes) {
  return size_align(bytes, 64, &bytes) && size_add(*total, bytes, total);
}
static inline void *scratch_take(char **scratch, size_t bytes) {
  void *here = *scratch;
  if (bytes) *scratch += (bytes + 63) & ~(size_t)63;  // where nothing is needed there may be none
  return here;
}

static inline bool floats_reserve(size_t *total, const tensor *t) {
  size_t bytes = 0;
  if (!t || t->dtype == SDX_FLOAT) return true;
  return size_mul(t->count, sizeof(float), &bytes) && scratch_reserve(total, bytes);
}

// The tensor's elements as float; NULL for NULL.
const float *floats_load(op_step *c, const tensor *t, char **scratch);
// Where to compute an output, and bringing it to the tensor's type afterwards.
float *floats_target(const tensor *t, char **scratch);
void floats_store(op_step *c, tensor *t, float *from);

// prepare_pack of weights as float: `pack` gets those of another type widened, in memory that is there for that
// long.
sdx_status floats_pack(op_step *c, size_t input, const pack_format *format, size_t bytes,
                       void (*pack)(void *target, const float *weights, const void *context), const void *context,
                       const void **packed);

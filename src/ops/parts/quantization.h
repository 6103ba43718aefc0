// SPDX-License-Identifier: Apache-2.0
// What the quantizing operators share: which scale an element has (per tensor, per axis, per block),
// reading scales and zero points, and requantisation of int32 sums.
#pragma once

#include "ops/infer.h"

// Element i of a tensor seen as [outer][size][inner] has scale
//   per tensor  0
//   per axis    d
//   blocked     (o * blocks + d / block) * inner + j     with i = (o * size + d) * inner + j
typedef struct granularity {
  size_t outer, size, inner;
  size_t block;  // 0: not blocked
  bool per_tensor;
} granularity;

// From the shapes of x and its scale; errors name the rule. `axis` as in the attribute.
sdx_status granularity_make(const int64_t *dims, size_t rank, const int64_t *scale_dims, size_t scale_rank,
                            int64_t axis, int64_t block, granularity *g, error *err);
static inline size_t granularity_index(const granularity *g, size_t i) {
  if (g->per_tensor) return 0;
  size_t j = i % g->inner, d = i / g->inner % g->size;
  if (!g->block) return d;
  size_t blocks = (g->size + g->block - 1) / g->block;
  return (i / g->inner / g->size * blocks + d / g->block) * g->inner + j;
}
// How many elements from i on have the scale of i.
static inline size_t granularity_run(const granularity *g, size_t i) {
  if (g->per_tensor) return SIZE_MAX;
  if (!g->block) return g->inner - i % g->inner;
  if (g->inner > 1) return 1;
  size_t d = i % g->size, left = g->block - d % g->block;
  return left < g->size - d ? left : g->size - d;
}

// The number of a scalar input, or element i of a vector of them.
float scale_at(const tensor *t, size_t i);
int32_t zero_at(const tensor *t, size_t i);  // 0 if t is NULL

// A static check that input `index` has 1 or `count` elements (count < 0: not known).
sdx_status infer_per_channel(op_step *c, size_t index, int64_t count);
// A static check that the zero point has the shape of the scale; [] and [1] both mean one number. Absent is fine.
sdx_status infer_zero_point(op_step *c, size_t scale, size_t zero);

// y = saturate(round_half_even(sum * scale) + zero) for n int32 sums; scale[i * step]. y is int8 or uint8.
void requantize(const int32_t *sums, void *y, size_t n, const float *scale, size_t step, int32_t zero, bool is_signed);

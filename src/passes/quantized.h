// SPDX-License-Identifier: Apache-2.0
// What passes over quantised graphs ask of QuantizeLinear and DequantizeLinear.
#pragma once

#include "passes/match.h"

enum { ONE_FOR_ALL = -1 };

// float = scale * (bytes - zero). Only what is known for sure is taken: 8 bits beside float, scales that are positive
// finite constants, zero points that are constants or absent, no blocks.
typedef struct quantized {
  value_id bytes, scale, zero;  // zero may be VALUE_ABSENT: 0
  sdx_dtype dtype;              // of bytes
  int64_t axis;                 // with a scale for each index, or ONE_FOR_ALL
} quantized;

bool quantized_from(const graph *g, const node *quantize, quantized *q);  // of a QuantizeLinear's result
bool quantized_to(const graph *g, const node *dequantize, quantized *q);  // of a DequantizeLinear's input
// Of the DequantizeLinear that makes a float value.
bool quantized_source(const graph *g, value_id v, quantized *q);

static inline size_t quantized_count(const graph *g, const quantized *q) { return g->values[q->scale].constant->count; }
float quantized_scale(const graph *g, const quantized *q, size_t i);  // i: 0 where there is one for all
int32_t quantized_zero(const graph *g, const quantized *q, size_t i);
// The same numbers for the same bytes: one scale and one zero point for all, equal in both.
bool quantized_alike(const graph *g, const quantized *a, const quantized *b);
// saturate(round(x / scale) + zero)
int32_t quantized_round(const graph *g, const quantized *q, float x);

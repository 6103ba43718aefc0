// SPDX-License-Identifier: Apache-2.0
// See quantized.h.
#include "passes/quantized.h"

#include <math.h>

static bool is_byte(sdx_dtype d) { return d == SDX_UINT8 || d == SDX_INT8; }

static bool positive(const tensor *scale) {
  if (!scale || scale->dtype != SDX_FLOAT || scale->rank > 1 || scale->count == 0) return false;
  for (size_t i = 0; i < scale->count; i++) {
    float s = ((const float *)scale->data)[i];
    if (!(s > 0) || !isfinite(s)) return false;
  }
  return true;
}

static bool read_linear(const graph *g, const node *n, value_id bytes, value_id floats, quantized *q) {
  const type_info *t = &g->values[bytes].type;
  const tensor *scale = g->values[n->inputs[1]].constant;
  *q = (quantized){.bytes = bytes, .scale = n->inputs[1], .dtype = (sdx_dtype)t->dtype, .axis = ONE_FOR_ALL};
  if (n->input_count > 2) q->zero = n->inputs[2];
  const tensor *zero = q->zero ? g->values[q->zero].constant : NULL;
  if (!is_byte(q->dtype) || g->values[floats].type.dtype != SDX_FLOAT || !positive(scale) ||
      (q->zero && (!zero || zero->dtype != q->dtype || zero->count != scale->count)))
    return false;
  int64_t precision = node_attr_int(n, "precision", 0);
  if (node_attr_int(n, "block_size", 0) != 0 || (precision != 0 && precision != SDX_FLOAT)) return false;
  if (scale->count == 1) return true;
  q->axis = node_attr_int(n, "axis", 1);
  if (q->axis < 0) q->axis += t->rank;
  return t->rank > 0 && q->axis >= 0 && q->axis < t->rank;
}

bool quantized_from(const graph *g, const node *quantize, quantized *q) {
  return match_is(quantize, "QuantizeLinear") && read_linear(g, quantize, quantize->outputs[0], quantize->inputs[0], q);
}

bool quantized_to(const graph *g, const node *dequantize, quantized *q) {
  return match_is(dequantize, "DequantizeLinear") &&
         read_linear(g, dequantize, dequantize->inputs[0], dequantize->outputs[0], q);
}

bool quantized_source(const graph *g, value_id v, quantized *q) { return quantized_to(g, match_producer(g, v), q); }

float quantized_scale(const graph *g, const quantized *q, size_t i) {
  return ((const float *)g->values[q->scale].constant->data)[i];
}

int32_t quantized_zero(const graph *g, const quantized *q, size_t i) {
  if (!q->zero) return 0;
  const uint8_t *at = g->values[q->zero].constant->data;
  return q->dtype == SDX_INT8 ? (int8_t)at[i] : at[i];
}

bool quantized_alike(const graph *g, const quantized *a, const quantized *b) {
  return a->dtype == b->dtype && a->axis == ONE_FOR_ALL && b->axis == ONE_FOR_ALL &&
         quantized_scale(g, a, 0) == quantized_scale(g, b, 0) && quantized_zero(g, a, 0) == quantized_zero(g, b, 0);
}

int32_t quantized_round(const graph *g, const quantized *q, float x) {
  float low = q->dtype == SDX_INT8 ? INT8_MIN : 0, high = q->dtype == SDX_INT8 ? INT8_MAX : UINT8_MAX;
  float zero = (float)quantized_zero(g, q, 0), v = rintf(x / quantized_scale(g, q, 0));
  v = v > low - zero ? v : low - zero;  // NaN: the lowest
  return (int32_t)(v < high - zero ? v : high - zero) + (int32_t)zero;
}

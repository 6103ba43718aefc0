// SPDX-License-Identifier: Apache-2.0
// Quantising ONNX models: numbers of 32 bits become bytes with a scale. A client of the public API; models are changed
// through edit.h. Static quantisation decides what is quantised (plan.c), looks at the values that samples give
// (ranges.c), and writes QuantizeLinear and DequantizeLinear around operators (emit.c) or operators on bytes in their
// place (operators.c). What needs no samples: dynamic.c, blocks.c. Read next: plan.c.
#pragma once

#include "sardonyx/edit.h"
#include "support/fault.h"

typedef enum range_method { RANGE_MSE, RANGE_MINMAX, RANGE_PERCENTILE, RANGE_ENTROPY } range_method;

typedef struct quantize_options {
  range_method method;
  double percentile;               // RANGE_PERCENTILE: how many of 100 values lie within
  sdx_dtype activations, weights;  // SDX_UINT8 or SDX_INT8
  bool per_channel;
  bool results;  // products give bytes, too, though what follows reads floats: operators on bytes want it
  bool (*keep)(void *context, const char *op, const char *name);  // nodes that stay in float
  void *context;
} quantize_options;

// One node that computes on bytes.
typedef struct quantize_layer {
  const char *node, *op;  // of the builder
  const char *output;     // the value to compare, of this name in the float model
  const char *result;     // and what stands for it in the quantised one
} quantize_layer;

typedef struct range {
  float low, high;
} range;

typedef struct quantize_plan quantize_plan;
// Decides; the builder is that of a model after "shrink". NULL: memory.
quantize_plan *quantize_plan_make(sdx_builder *b, const quantize_options *o);
void quantize_plan_free(quantize_plan *p);
size_t quantize_plan_value_count(const quantize_plan *p);  // values whose range must be known
const char *quantize_plan_value(const quantize_plan *p, size_t i);
size_t quantize_plan_layer_count(const quantize_plan *p);
const quantize_layer *quantize_plan_layer(const quantize_plan *p, size_t i);

// Samples, one after the other: sets the inputs of a run whose session has the model's inputs.
typedef struct quantize_samples {
  size_t count;
  sdx_status (*feed)(void *context, size_t sample, sdx_session *session, sdx_run *run);
  void *context;
  void (*progress)(void *context, size_t done, size_t total);  // may be NULL
} quantize_samples;
// A range for each of the named values, from what the model makes of the samples.
sdx_status quantize_ranges(sdx_builder *b, size_t count, const char *const *names, const quantize_options *o,
                           const quantize_samples *s, range *out, fault *f);
// A session of the model that gives the named values as further outputs, from *first on.
sdx_status quantize_watch(sdx_builder *b, size_t count, const char *const *names, sdx_session **session, char **bytes,
                          size_t *first, fault *f);

sdx_status quantize_static(sdx_builder *b, quantize_plan *p, const range *ranges, const quantize_options *o);
// QLinearConv and QLinearMatMul instead of pairs of QuantizeLinear and DequantizeLinear.
sdx_status quantize_to_operators(sdx_builder *b);
// MatMul and Gemm with constant weights, their other side quantised while they run.
sdx_status quantize_dynamic(sdx_builder *b, const quantize_options *o, size_t *changed);
// Constant weights of MatMul and Gemm in blocks along their rows: 4 or 8 bits; `contrib` as com.microsoft::MatMulNBits.
sdx_status quantize_blocks(sdx_builder *b, int bits, int64_t block, bool contrib, const quantize_options *o,
                           size_t *changed);

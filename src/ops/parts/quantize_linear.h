// SPDX-License-Identifier: Apache-2.0
// QuantizeLinear and DequantizeLinear of ai.onnx, which com.microsoft repeats with more types at earlier
// versions.
#pragma once

#include "ops/record.h"

typedef struct quantize_params {
  int64_t axis, block;
  sdx_dtype output, precision;  // SDX_UNDEFINED: from the inputs
  bool saturate;
} quantize_params;

sdx_status quantize_linear_read(op_params_context *c, void *params);
sdx_status quantize_linear_infer(op_step *c);
void quantize_linear_layouts(op_step *c, step_layouts *l);  // of both
sdx_status quantize_linear_compute(op_step *c);
sdx_status dequantize_linear_infer(op_step *c);
sdx_status dequantize_linear_compute(op_step *c);

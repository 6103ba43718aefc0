// SPDX-License-Identifier: Apache-2.0
// QuantizeLinear and DequantizeLinear of com.microsoft: 16- and 4-bit types (and blocks) for models of opsets
// in which ai.onnx did not have them yet. The work is done in ops/ai_onnx/quantize_linear.c.
#include "ops/parts/quantize_linear.h"

SDX_CASES = {"x=float[3,4] y_scale=float(0.1) y_zero_point=uint16(100)", NULL};
static const char *const dequantize_cases[] = {"x=int16[3,4] x_scale=float(0.1) x_zero_point=int16(100)", NULL};

SDX_OP_MS(QuantizeLinear) = {
    .since = 1,
    .versions = "1",
    .inputs = "x:T1 y_scale:T1 y_zero_point:T2?",
    .outputs = "y:T2",
    .types = "T1=float,float16;T2=int8,uint8,int16,uint16,int4,uint4",
    .attrs = "axis:int=1 block_size:int=0",
    .params_size = sizeof(quantize_params),
    .params = quantize_linear_read,
    .infer = quantize_linear_infer,
    .layouts = quantize_linear_layouts,
    .compute = quantize_linear_compute,
    .cases = cases,
};

SDX_OP_MS(DequantizeLinear) = {
    .since = 1,
    .versions = "1",
    .inputs = "x:T1 x_scale:T2 x_zero_point:T1?",
    .outputs = "y:T2",
    .types = "T1=int8,uint8,int16,uint16,int32,int4,uint4;T2=float,float16",
    .attrs = "axis:int=1 block_size:int=0",
    .params_size = sizeof(quantize_params),
    .params = quantize_linear_read,
    .infer = dequantize_linear_infer,
    .layouts = quantize_linear_layouts,
    .compute = dequantize_linear_compute,
    .cases = dequantize_cases,
};

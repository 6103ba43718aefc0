// SPDX-License-Identifier: Apache-2.0
// QuantizeLinear    y = saturate(round_half_even(x / scale) + zero)    (float8 and float4: x / scale, rounded)
// DequantizeLinear  y = (x - zero) * scale
//
// The work is in ops/parts/quantize_linear.h, which com.microsoft shares.
//
// History: 10 per tensor; 13 per axis; 19 float8, float16, bfloat16; 21 blocks, 4 and 16 bits; 23 float4 and
// precision; 24, 25 and 28 more types (2 bits, float8e8m0 scales).
#include "ops/parts/quantize_linear.h"

SDX_CASES = {"x=float[3,4] y_scale=float(0.1) y_zero_point=uint8(100)",
             "x=float[2,3,4] y_scale=float(0.1,0.2,0.3) y_zero_point=int8(0,1,2)",
             "x=float[2,6] y_scale=positive[2,2] y_zero_point=int4[2,2] block_size=3",
             "x=int32[3,4] y_scale=int32(2) y_zero_point=uint8(100)",
             "x=float[3,4] y_scale=float(0.5) y_zero_point=float8e4m3fn(0)",
             "x=float[2,6] y_scale=float8e8m0(0.5) y_zero_point=float4e2m1(0)",
             "x=float[4] y_scale=float(0.25) output_dtype=17",
             NULL};
static const char *const dequantize_cases[] = {"x=uint8[3,4] x_scale=float(0.1) x_zero_point=uint8(100)",
                                               "x=int8[2,3,4] x_scale=float(0.1,0.2,0.3)",
                                               "x=int4[2,6] x_scale=positive[2,2] block_size=3",
                                               "x=float8e4m3fn[2,5] x_scale=float(0.25)",
                                               "x=float8e4m3fn[2,6] x_scale=float8e8m0(0.5) output_dtype=1",
                                               NULL};

#define NARROW                                                                                                      \
  "int8,uint8,int16,uint16,int4,uint4,int2,uint2,float4e2m1,float8e4m3fn,float8e4m3fnuz,float8e5m2,float8e5m2fnuz," \
  "float6e2m3,float6e3m2"

SDX_OP(QuantizeLinear) = {
    .since = 28,
    .versions = "28 25 24 23 21 19 13 10",
    .inputs = "x:T1 y_scale:T2 y_zero_point:T3?",
    .outputs = "y:T3",
    .types = "T1=float,float16,bfloat16,int32;T2=float,float16,bfloat16,int32,float8e8m0;T3=" NARROW,
    .attrs = "axis:int=1 block_size:int=0 output_dtype:int=0 precision:int=0 saturate:int=1",
    .params_size = sizeof(quantize_params),
    .params = quantize_linear_read,
    .infer = quantize_linear_infer,
    .layouts = quantize_linear_layouts,
    .compute = quantize_linear_compute,
    .cases = cases,
};

SDX_OP(DequantizeLinear) = {
    .since = 28,
    .versions = "28 25 24 23 21 19 13 10",
    .inputs = "x:T1 x_scale:T2 x_zero_point:T1?",
    .outputs = "y:T3",
    .types = "T1=int32," NARROW ";T2=float,float16,bfloat16,float8e8m0;T3=float,float16,bfloat16",
    .attrs = "axis:int=1 block_size:int=0 output_dtype:int=0",
    .params_size = sizeof(quantize_params),
    .params = quantize_linear_read,
    .infer = dequantize_linear_infer,
    .layouts = quantize_linear_layouts,
    .compute = dequantize_linear_compute,
    .cases = dequantize_cases,
};

// SPDX-License-Identifier: Apache-2.0
// The record of a variant of convert; included last.
KERNEL(convert) = {.fp16_to_f32 = fp16_to_f32,
                   .f32_to_fp16 = f32_to_fp16,
                   .bf16_to_f32 = bf16_to_f32,
                   .f32_to_bf16 = f32_to_bf16,
                   .f64_to_f32 = f64_to_f32,
                   .f32_to_f64 = f32_to_f64,
                   .u8_to_f32 = u8_to_f32,
                   .s8_to_f32 = s8_to_f32,
                   .s32_to_f32 = s32_to_f32,
                   .s64_to_f32 = s64_to_f32,
                   .f32_to_s32 = f32_to_s32,
                   .f32_to_s64 = f32_to_s64,
                   .s32_to_s64 = s32_to_s64,
                   .s64_to_s32 = s64_to_s32};

// SPDX-License-Identifier: Apache-2.0
// The conversions that the compiler turns into good vector code of any tier by itself. Included where
// LOOP(name, From, To, expression) makes a function.
LOOP(bf16_to_f32, uint16_t, float, bf16_to_float(x[i]))
LOOP(f32_to_bf16, float, uint16_t, bf16_from_float(x[i]))
LOOP(f64_to_f32, double, float, x[i])
LOOP(f32_to_f64, float, double, x[i])
LOOP(u8_to_f32, uint8_t, float, x[i])
LOOP(s8_to_f32, int8_t, float, x[i])
LOOP(s32_to_f32, int32_t, float, x[i])
LOOP(s64_to_f32, int64_t, float, x[i])
// Comparisons with NaN are false; the cast sees values that fit only.
LOOP(f32_to_s32, float, int32_t, x[i] >= -0x1p31f && x[i] < 0x1p31f ? (int32_t)x[i] : INT32_MIN)
LOOP(f32_to_s64, float, int64_t, x[i] >= -0x1p63f && x[i] < 0x1p63f ? (int64_t)x[i] : INT64_MIN)
LOOP(s32_to_s64, int32_t, int64_t, x[i])
LOOP(s64_to_s32, int64_t, int32_t, x[i])

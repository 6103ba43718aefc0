// SPDX-License-Identifier: Apache-2.0
// conv_dw_f32 for NEON; see fast.inl.
#include <arm_neon.h>

typedef float32x4_t vec;
enum { VECTOR = 4 };
#define LOAD(p) vld1q_f32(p)
#define STORE(p, v) vst1q_f32(p, v)
#define SPLAT(f) vdupq_n_f32(f)
#define MULTIPLY_ADD(a, b, c) vfmaq_f32(c, a, b)
#include "kernels/conv_dw_f32/fast.inl"

// SPDX-License-Identifier: Apache-2.0
// NEON: 6 x 16 in 24 of the 32 registers, 8 x 12, 8 x 8 and 8 x 4.
#include "kernels/igemm_f32/job.inl"

// gcc's first scheduling pass would load all of a step's operands at once and spill sums.
#if defined(__GNUC__) && !defined(__clang__)
#pragma GCC optimize("no-schedule-insns")
#endif

#define TYPE float32x4_t
#define LANES 4
#define NAME(x) x##_4
#define LOAD(p) vld1q_f32(p)
#define STORE(p, v) vst1q_f32(p, v)
#define SPLAT(f) vdupq_n_f32(f)
#define ADD(a, b) vaddq_f32(a, b)
#define FMA(a, b, c) vfmaq_f32(c, a, b)
#define LIMIT(v, low, high) vec_limit(v, low, high)
#define IN_REGISTER(v) (void)0
#include "kernels/igemm_f32/tile.inl"

#define UNIT 4
#define MAIN 4
#define ROWS 0, 8, 8, 8, 6
#define RUN(units) run_4
#define VECTORS(units) (units)
#define INSTANCES(X) ROWS_1_TO_8(X, 1) ROWS_1_TO_8(X, 2) ROWS_1_TO_8(X, 3) ROWS_1_TO_6(X, 4)
#include "kernels/igemm_f32/sweep.inl"

// SPDX-License-Identifier: Apache-2.0
// NEON: 6 x 16 of C in 24 of the 32 registers; tails through a small buffer.
#include <arm_neon.h>
#include <string.h>

#include "kernels/gemm_f32/gemm_f32.h"

// gcc's first scheduling pass would load all of a step's operands at once and spill accumulators.
#if defined(__GNUC__) && !defined(__clang__)
#pragma GCC optimize("no-schedule-insns")
#endif

#define MR 6
#define VECTORS 4
#define LANES 4
typedef float32x4_t vec;
typedef size_t tail;

static inline vec load_first(const float *p, size_t n) {
  float lanes[LANES] = {0};
  memcpy(lanes, p, n * sizeof *lanes);
  return vld1q_f32(lanes);
}
static inline void store_first(float *p, size_t n, vec v) {
  float lanes[LANES];
  vst1q_f32(lanes, v);
  memcpy(p, lanes, n * sizeof *lanes);
}

#define ZERO() vdupq_n_f32(0)
#define LOAD(p) vld1q_f32(p)
#define STORE(p, v) vst1q_f32(p, v)
#define BROADCAST(p) vdupq_n_f32(*(p))
#define FMA(a, b, c) vfmaq_f32(c, a, b)
#define TAIL(n) (n)
#define LOAD_TAIL(p, t) load_first(p, t)
#define STORE_TAIL(p, t, v) store_first(p, t, v)
#include "kernels/gemm_f32/tile.inl"

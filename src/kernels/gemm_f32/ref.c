// SPDX-License-Identifier: Apache-2.0
// The judge: plain loops, one chain over k per element. Recompiled for tiers with fused multiply-add
// it gives the bits that the hand-written fp32 variants must give.
#include "kernels/gemm_f32/gemm_f32.h"

enum { MR = 4, NR = 16 };
#include "kernels/gemm_f32/finish.inl"
#include "kernels/gemm_f32/fma.inl"

#if defined(__FMA__) || defined(__aarch64__)
#define MULTIPLY_ADD(a, b, c) __builtin_fmaf(a, b, c)
#else
#define MULTIPLY_ADD(a, b, c) ((a) * (b) + (c))
#endif

static void sweep(const gemm_f32_sweep *s) {
  const float *a = s->a;
  size_t stride = s->b_stride ? s->b_stride : NR;
  for (size_t j0 = 0; j0 < s->n; j0 += NR) {
    const float *b =
        s->b_stride ? (const float *)s->b + j0 : (const float *)((const char *)s->b + j0 / NR * s->b_panel_bytes);
    size_t n = s->n - j0 < NR ? s->n - j0 : NR;
    for (size_t i = 0; i < s->m; i++) {
      float *c = s->c + i * s->c_stride + j0, sum[NR] = {0};
      if (s->accumulate)
        for (size_t j = 0; j < n; j++) sum[j] = c[j];
      if (n == NR)
        for (size_t k = 0; k < s->k; k++)
          for (size_t j = 0; j < NR; j++) sum[j] = MULTIPLY_ADD(a[k * MR + i], b[k * stride + j], sum[j]);
      else
        for (size_t k = 0; k < s->k; k++)
          for (size_t j = 0; j < n; j++) sum[j] = MULTIPLY_ADD(a[k * MR + i], b[k * stride + j], sum[j]);
      for (size_t j = 0; j < n; j++) c[j] = sum[j];
    }
  }
}

KERNEL(gemm_f32) = {.mr = MR,
                    .nr = NR,
                    .k_unit = 1,
                    .reads_plain_b = true,
                    .pack_a = pack_a,
                    .pack_b = pack_b,
                    .sweep = sweep,
                    .finish = finish};

// SPDX-License-Identifier: Apache-2.0
// The judge: plain loops, one chain per element. Recompiled for tiers with fused multiply-add it gives the bits that
// the hand-written variants must give.
#include "kernels/igemm_f32/igemm_f32.h"

enum { UNIT = 8 };

#if defined(__FMA__) || defined(__aarch64__)
#define MULTIPLY_ADD(a, b, c) __builtin_fmaf(a, b, c)
#else
#define MULTIPLY_ADD(a, b, c) ((a) * (b) + (c))
#endif

// The chains of one row, a unit of columns from j on.
static void chains(const igemm_f32_sweep *s, const igemm_f32_tile *t, size_t i, size_t j, float *sum) {
  for (size_t tap = 0; tap < s->tap_count; tap++) {
    const float *const *from = t->x ? NULL : t->rows + (s->tap + tap) * t->count;
    if (from && !from[0]) continue;
    const float *x = (from ? from[i] : t->x + i * s->step + s->taps[tap]) + s->channel;
    const float *w = s->panel + tap * s->depth * s->width + j;
    for (size_t c = 0; c < s->depth; c++, w += s->width)
      for (size_t u = 0; u < UNIT; u++) sum[u] = MULTIPLY_ADD(x[c], w[u], sum[u]);
  }
}

static void finish(const igemm_f32_sweep *s, const igemm_f32_tile *t, float *sums) {
  for (size_t i = 0; i < t->count; i++)
    for (size_t j = 0; j < s->n; j++) {
      float *at = sums + i * s->width + j;
      if (s->bias) *at += s->bias[j];
      if (s->residual) *at += s->residual[(t->place + i * s->pixel_step) * s->residual_stride + j];
    }
  if (s->activate) s->activate(sums, sums, t->count * s->width, s->act.a, s->act.b);
  for (size_t i = 0; i < t->count; i++)
    for (size_t j = 0; j < s->n; j++) s->y[(t->place + i * s->pixel_step) * s->y_stride + j] = sums[i * s->width + j];
}

// Several panels for one row, one by one.
static void row(const igemm_f32_sweep *s) {
  for (size_t p = 0; p < s->panels; p++) {
    igemm_f32_sweep one = *s;
    one.panel += p * s->panel_stride, one.sums += p * s->width;
    for (size_t j = 0; j < s->width; j++) one.sums[j] = 0;
    for (size_t j = 0; j < s->width; j += UNIT) chains(&one, s->tiles, 0, j, one.sums + j);
  }
  igemm_f32_sweep all = *s;
  all.width *= s->panels;
  finish(&all, s->tiles, s->sums);
}

static void sweep(const igemm_f32_sweep *s) {
  if (s->panels > 1) {
    row(s);
    return;
  }
  for (const igemm_f32_tile *t = s->tiles; t < s->tiles + s->tile_count; t++) {
    float *sums = s->sums + t->first * s->width;
    for (size_t i = 0; i < t->count; i++)
      for (size_t j = 0; j < s->width; j += UNIT) {
        float sum[UNIT], *at = sums + i * s->width + j;
        for (size_t u = 0; u < UNIT; u++) sum[u] = s->first ? 0 : at[u];
        chains(s, t, i, j, sum);
        for (size_t u = 0; u < UNIT; u++) at[u] = sum[u];
      }
    if (s->last) finish(s, t, sums);
  }
}

KERNEL(igemm_f32) = {.unit = UNIT, .main = 2, .rows = {0, 7, 5, 3}, .sweep = sweep};

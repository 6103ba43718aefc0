// SPDX-License-Identifier: Apache-2.0
// The judge of recurrent_f32: sums in the order of the contract, the cells in double precision.
#include <math.h>

#include "kernels/recurrent_f32/recurrent_f32.h"

enum { PANEL = 6, LANES = 2, ROWS = 8 };

#if defined(__FMA__) || defined(__aarch64__)
#define MULTIPLY_ADD(a, b, c) __builtin_fmaf(a, b, c)
#else
#define MULTIPLY_ADD(a, b, c) ((a) * (b) + (c))
#endif

static void tile(const recurrent_f32_ahead *a, size_t index) {
  const float *w = a->w + index * LANES * a->depth;
  for (size_t i = 0; i < a->live; i++)
    for (size_t j = 0; j < LANES && index * LANES + j < a->columns; j++) {
      float sum = 0;
      for (size_t k = 0; k < a->depth; k++) sum = MULTIPLY_ADD(a->x[k * ROWS + i], w[k * LANES + j], sum);
      size_t column = index * LANES + j;
      a->z[i * a->columns + column] = a->bias ? sum + a->bias[column] : sum;
    }
}

static void panel_step(const float *r, size_t depth, const float *h, float *y, size_t columns,
                       const recurrent_f32_ahead *ahead, size_t index) {
  size_t width = (columns + LANES - 1) / LANES * LANES;
  for (size_t j = 0; j < columns; j++) {
    float sum = 0;
    for (size_t k = 0; k < depth; k++) sum = MULTIPLY_ADD(h[k], r[k * width + j], sum);
    y[j] += sum;
  }
  if (ahead) tile(ahead, index);
}

static double sigmoid(double x) { return x >= 0 ? 1 / (1 + exp(-x)) : exp(x) / (1 + exp(x)); }
static double bound(double x, float clip) { return x > clip ? clip : x < -clip ? -clip : x; }

static void lstm(const recurrent_f32_lstm *s) {
  size_t n = s->n;
  const float *p = s->peepholes;
  for (size_t k = 0; k < n; k++) {
    double c = s->c[k], in = s->gates[k], out = s->gates[n + k], forget = s->gates[2 * n + k];
    in = sigmoid(bound(p ? in + p[k] * c : in, s->clip));
    forget = s->couple ? 1 - in : sigmoid(bound(p ? forget + p[2 * n + k] * c : forget, s->clip));
    c = forget * c + in * tanh(bound(s->gates[3 * n + k], s->clip));
    out = sigmoid(bound(p ? out + p[n + k] * c : out, s->clip));
    s->c[k] = (float)c, s->h[k] = (float)(out * tanh(c));
  }
}

static void gru(const recurrent_f32_gru *s) {
  size_t n = s->n;
  for (size_t k = 0; k < n; k++) {
    double z = sigmoid(bound(s->gates[k], s->clip)), fresh = s->gates[2 * n + k];
    if (s->product) fresh += sigmoid(bound(s->gates[n + k], s->clip)) * s->product[k];
    s->h[k] = (float)((1 - z) * tanh(bound(fresh, s->clip)) + z * s->h[k]);
  }
}

KERNEL(recurrent_f32) = {.panel = PANEL,
                         .lanes = LANES,
                         .tile_columns = LANES,
                         .rows = ROWS,
                         .panel_step = panel_step,
                         .tile = tile,
                         .lstm = lstm,
                         .gru = gru};

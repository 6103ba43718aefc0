// SPDX-License-Identifier: Apache-2.0
// recurrent_f32 over vec.h. The including file defines PARTS, vectors of a panel and rows of a tile: with both sums in
// registers, an element of h and one of X W's loads stand beside PARTS loads of R. The cells are loops over math.inl.
#include <math.h>
#include <string.h>

#include "kernels/loop.h"
#include "kernels/recurrent_f32/recurrent_f32.h"
#include "kernels/unary_f32/math.inl"
#include "kernels/vec.h"

enum { WIDTH = 16 };  // floats of the widest vector

// ---- products -------------------------------------------------------------------------------------

INLINE void add_row(vec *sum, const float *r, const float *h, int vectors) {
  vec x = vec_splat(*h);
  UNROLL
  for (int v = 0; v < vectors; v++) sum[v] = vec_fma(x, vec_load(r + v * VECTOR), sum[v]);
}

typedef struct tile_sums {
  vec at[PARTS][ACROSS];
} tile_sums;

INLINE void tile_clear(tile_sums *sum) {
  UNROLL
  for (int i = 0; i < PARTS; i++) UNROLL
  for (int v = 0; v < ACROSS; v++) sum->at[i][v] = vec_splat(0);
}

INLINE void add_column(tile_sums *sum, const float *w, const float *x) {
  vec y[ACROSS];
  UNROLL
  for (int v = 0; v < ACROSS; v++) y[v] = vec_load(w + v * VECTOR);
  UNROLL
  for (int i = 0; i < PARTS; i++) {
    vec z = vec_splat(x[i]);
    UNROLL
    for (int v = 0; v < ACROSS; v++) sum->at[i][v] = vec_fma(z, y[v], sum->at[i][v]);
  }
}

INLINE void store_tile(const tile_sums *sum, const recurrent_f32_ahead *a, size_t index) {
  UNROLL
  for (int v = 0; v < ACROSS; v++) {
    size_t column = (index * ACROSS + (size_t)v) * VECTOR, rest = a->columns > column ? a->columns - column : 0;
    lanes chosen = lanes_below(rest < VECTOR ? (int)rest : VECTOR);
    vec bias = a->bias ? vec_load_lanes(a->bias + column, chosen, vec_splat(0)) : vec_splat(0);
    float *to = a->z + column;
    UNROLL
    for (size_t i = 0; i < PARTS; i++)
      if (i < a->live)
        vec_store_lanes(to + i * a->columns, chosen, a->bias ? vec_add(sum->at[i][v], bias) : sum->at[i][v]);
  }
}

static void tile(const recurrent_f32_ahead *a, size_t index) {
  const float *w = a->w + index * ACROSS * VECTOR * a->depth, *x = a->x;
  tile_sums sum;
  tile_clear(&sum);
  for (size_t k = 0; k < a->depth; k++, w += ACROSS * VECTOR, x += PARTS) add_column(&sum, w, x);
  store_tile(&sum, a, index);
}

// The first `vectors` of a panel; of the last one only some lanes may be wanted.
INLINE void part(const float *r, size_t depth, const float *h, float *y, size_t columns, int vectors) {
  vec sum[PARTS];
  UNROLL
  for (int v = 0; v < vectors; v++) sum[v] = vec_splat(0);
  for (size_t k = 0; k < depth; k++, r += vectors * VECTOR) add_row(sum, r, h + k, vectors);
  UNROLL
  for (int v = 0; v < vectors; v++) {
    size_t rest = columns - (size_t)(v * VECTOR);
    lanes chosen = lanes_below(rest < VECTOR ? (int)rest : VECTOR);
    float *to = y + v * VECTOR;
    vec_store_lanes(to, chosen, vec_add(vec_load_lanes(to, chosen, vec_splat(0)), sum[v]));
  }
}

// A whole panel and a tile, as long as both have depth left.
static void carry(const float *r, size_t depth, const float *h, float *y, const recurrent_f32_ahead *a, size_t index) {
  const float *w = a->w + index * ACROSS * VECTOR * a->depth, *x = a->x;
  size_t both = depth < a->depth ? depth : a->depth;
  vec sum[PARTS];
  tile_sums other;
  tile_clear(&other);
  UNROLL
  for (int v = 0; v < PARTS; v++) sum[v] = vec_splat(0);
  for (size_t k = 0; k < both; k++, r += PARTS * VECTOR, w += ACROSS * VECTOR, x += PARTS) {
    add_row(sum, r, h + k, PARTS);
    add_column(&other, w, x);
  }
  for (size_t k = both; k < depth; k++, r += PARTS * VECTOR) add_row(sum, r, h + k, PARTS);
  for (size_t k = both; k < a->depth; k++, w += ACROSS * VECTOR, x += PARTS) add_column(&other, w, x);
  UNROLL
  for (int v = 0; v < PARTS; v++) vec_store(y + v * VECTOR, vec_add(vec_load(y + v * VECTOR), sum[v]));
  store_tile(&other, a, index);
}

#define PART(n)                                                                                  \
  static void part_##n(const float *r, size_t depth, const float *h, float *y, size_t columns) { \
    part(r, depth, h, y, columns, n);                                                            \
  }
PART(1)
PART(2)
PART(3)
PART(4)
PART(5)
PART(6)
#if PARTS > 6
PART(7)
PART(8)
#endif

static void panel_step(const float *r, size_t depth, const float *h, float *y, size_t columns,
                       const recurrent_f32_ahead *ahead, size_t index) {
  static void (*const parts[])(const float *, size_t, const float *, float *, size_t) = {
    part_1,
    part_2,
    part_3,
    part_4,
    part_5,
    part_6,
#if PARTS > 6
    part_7,
    part_8,
#endif
  };
  if (ahead) carry(r, depth, h, y, ahead, index);
  else parts[(columns - 1) / VECTOR](r, depth, h, y, columns);
}

// ---- cells ----------------------------------------------------------------------------------------

static inline float bound(float x, float clip) {
  x = choose(x > clip, clip, x);
  return choose(x < -clip, -clip, x);
}

// Units [0, count), gates `n` apart.
INLINE void lstm_units(const recurrent_f32_lstm *s, size_t count, bool peeps, bool couple) {
  const float *in = s->gates, *out = in + s->n, *forget = out + s->n, *fresh = forget + s->n;
  const float *p_in = s->peepholes, *p_out = peeps ? p_in + s->n : NULL, *p_forget = peeps ? p_out + s->n : NULL;
  float *h = s->h, *state = s->c, clip = s->clip;
  SIMD_LOOP for (size_t k = 0; k < count; k++) {
    float c = state[k];
    float i = logistic(bound(peeps ? in[k] + p_in[k] * c : in[k], clip));
    float f = couple ? 1 - i : logistic(bound(peeps ? forget[k] + p_forget[k] * c : forget[k], clip));
    c = f * c + i * hyperbolic_tangent(bound(fresh[k], clip));
    float o = logistic(bound(peeps ? out[k] + p_out[k] * c : out[k], clip));
    state[k] = c;
    h[k] = o * hyperbolic_tangent(c);
  }
}

static void lstm_some(const recurrent_f32_lstm *s, size_t count) {
  if (s->peepholes && s->couple) lstm_units(s, count, true, true);
  else if (s->peepholes) lstm_units(s, count, true, false);
  else if (s->couple) lstm_units(s, count, false, true);
  else lstm_units(s, count, false, false);
}

// Unit `first` on of `rows` rows of n into rows of WIDTH.
static void take_last(float *to, const float *from, size_t rows, size_t n, size_t first) {
  memset(to, 0, rows * WIDTH * sizeof *to);
  for (size_t i = 0; i < rows; i++) memcpy(to + i * WIDTH, from + i * n + first, (n - first) * sizeof *to);
}

// The last units go through a whole vector of their own: the same code, no scalar tail.
static void lstm(const recurrent_f32_lstm *s) {
  size_t whole = s->n / WIDTH * WIDTH, rest = s->n - whole;
  lstm_some(s, whole);
  if (rest == 0) return;
  float gates[4 * WIDTH], peepholes[3 * WIDTH], c[WIDTH], h[WIDTH];
  recurrent_f32_lstm last = *s;
  last.n = WIDTH, last.gates = gates, last.h = h, last.c = c;
  take_last(gates, s->gates, 4, s->n, whole);
  take_last(c, s->c, 1, s->n, whole);
  if (s->peepholes) take_last(peepholes, s->peepholes, 3, s->n, whole), last.peepholes = peepholes;
  lstm_some(&last, WIDTH);
  memcpy(s->c + whole, c, rest * sizeof *c), memcpy(s->h + whole, h, rest * sizeof *h);
}

INLINE void gru_units(const recurrent_f32_gru *s, size_t count, bool reset_after) {
  const float *update = s->gates, *reset = update + s->n, *fresh = reset + s->n, *product = s->product;
  float *h = s->h, clip = s->clip;
  SIMD_LOOP for (size_t k = 0; k < count; k++) {
    float z = logistic(bound(update[k], clip)), x = fresh[k];
    if (reset_after) x += logistic(bound(reset[k], clip)) * product[k];
    h[k] = (1 - z) * hyperbolic_tangent(bound(x, clip)) + z * h[k];
  }
}

static void gru_some(const recurrent_f32_gru *s, size_t count) {
  if (s->product) gru_units(s, count, true);
  else gru_units(s, count, false);
}

static void gru(const recurrent_f32_gru *s) {
  size_t whole = s->n / WIDTH * WIDTH, rest = s->n - whole;
  gru_some(s, whole);
  if (rest == 0) return;
  float gates[3 * WIDTH], product[WIDTH], h[WIDTH];
  recurrent_f32_gru last = *s;
  last.n = WIDTH, last.gates = gates, last.h = h;
  take_last(gates, s->gates, 3, s->n, whole);
  take_last(h, s->h, 1, s->n, whole);
  if (s->product) take_last(product, s->product, 1, s->n, whole), last.product = product;
  gru_some(&last, WIDTH);
  memcpy(s->h + whole, h, rest * sizeof *h);
}

KERNEL(recurrent_f32) = {.panel = PARTS * VECTOR,
                         .lanes = VECTOR,
                         .tile_columns = ACROSS * VECTOR,
                         .rows = PARTS,
                         .panel_step = panel_step,
                         .tile = tile,
                         .lstm = lstm,
                         .gru = gru};

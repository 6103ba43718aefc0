// SPDX-License-Identifier: Apache-2.0
// Windows over planes of one and two dimensions in vectors; used by conv_dw_f32 and pool_f32. A vector holds
// neighbouring outputs of one row, and what a tap reads for them is one load, so nothing is copied or padded: lanes
// over the padding are not chosen. Which lanes these are depends on the column alone; they are found once for a
// strip of VECTOR columns, which is then walked from top to bottom:
//
//     y[r][c ..] = fold over taps t in row-major order of x[place of t for (r, c ..)]
#include "base/pool.h"
#include "kernels/vec.h"
#include "kernels/window.h"

enum {
  FOLD_TAPS = 128,  // of a row of taps
  TOGETHER = 4,     // outputs of a column
  STEP_MOST = 3     // along a row, that has loads of its own
};

typedef enum fold_op { FOLD_FMA, FOLD_SUM, FOLD_MAX } fold_op;

// What does not change from strip to strip. Taps over padding give `outside`.
typedef struct fold {
  window w;  // rank 2
  const float *x, *weight;
  float start, outside;
  float *y;
} fold;

// Rows that windows tile, one row each, are one long row.
static inline void fold_join_rows(window *w) {
  if (w->kernel[0] != 1 || w->stride[0] != 1 || w->in[0] != w->out[0] || w->pad[0] || w->pad_end[0] || w->pad[1] ||
      w->pad_end[1] || w->dilation[1] != 1 || w->kernel[1] > w->stride[1] || w->in[1] != w->out[1] * w->stride[1])
    return;
  w->in[1] *= w->in[0], w->out[1] *= w->out[0];
  w->in[0] = w->out[0] = 1;
}

// false: more than two dimensions, or too many taps: also rows of them that only read padding.
static inline bool fold_init(fold *f, const window *general) {
  *f = (fold){0};
  if (!window_as_2d(general, &f->w)) return false;
  fold_join_rows(&f->w);
  return f->w.kernel[1] <= FOLD_TAPS && f->w.kernel[0] - f->w.in[0] <= FOLD_TAPS &&
         f->w.stride[1] <= INT32_MAX / VECTOR;
}

// How taps lie: constants where inlined. shared: strides are equal, dilations are 1, and rows and columns constants.
typedef struct fold_shape {
  int64_t rows, columns, step;  // of taps; from output to output along a row
  bool inside, shared;          // inside: all lanes of all taps are
} fold_shape;

static inline __attribute__((always_inline)) vec fold_load(fold_shape s, const float *x, lanes l, vec outside) {
  if (s.step == 1) return s.inside ? vec_load(x) : vec_load_lanes(x, l, outside);
  if (s.step == 2) return s.inside ? vec_even(x) : vec_even_lanes(x, l, outside);
  if (s.step == 3 && s.inside) return vec_third(x);
  return vec_step_lanes(x, (int)s.step, l, outside);
}

static inline __attribute__((always_inline)) vec fold_tap(const fold *f, fold_op op, int64_t tap, vec x, vec v) {
  if (op == FOLD_FMA) return vec_fma(vec_splat(f->weight[tap]), x, v);
  return op == FOLD_MAX ? vec_max(v, x) : vec_add(v, x);
}

// What a full store writes behind the row is written again: by the next row, or by strips further left.
static inline void fold_store(const fold *f, int64_t r, int64_t c, vec v) {
  int64_t left = f->w.out[1] - c, remain = (f->w.out[0] - r) * f->w.out[1] - c;
  float *y = f->y + r * f->w.out[1] + c;
  if (remain >= VECTOR) vec_store(y, v);
  else vec_store_lanes(y, lanes_below((int)(left < remain ? left : remain)), v);
}

static inline __attribute__((always_inline)) void fold_row(const fold *f, fold_op op, fold_shape s, const lanes *lane,
                                                           int64_t r, int64_t c) {
  const window *w = &f->w;
  vec v = vec_splat(f->start), outside = vec_splat(f->outside);
  int64_t row = r * w->stride[0] - w->pad[0];
  for (int64_t i = 0; i < s.rows; i++, row += w->dilation[0]) {
    if (row < 0 || row >= w->in[0]) continue;
    const float *from = f->x + (row * w->in[1] + c * s.step - w->pad[1]);
    for (int64_t j = 0; j < s.columns; j++, from += w->dilation[1])
      v = fold_tap(f, op, i * s.columns + j, fold_load(s, from, lane[j], outside), v);
  }
  fold_store(f, r, c, v);
}

// Output rows r .. r + TOGETHER - 1, whose taps are all in rows of the input: independent chains that share loads.
static inline __attribute__((always_inline)) void fold_rows(const fold *f, fold_op op, fold_shape s, const lanes *lane,
                                                            int64_t r, int64_t c) {
  const window *w = &f->w;
  const float *from = f->x + ((r * s.step - w->pad[0]) * w->in[1] + c * s.step - w->pad[1]);
  vec v[TOGETHER], outside = vec_splat(f->outside);
#pragma GCC unroll 4
  for (int k = 0; k < TOGETHER; k++) v[k] = vec_splat(f->start);
#pragma GCC unroll 16
  for (int64_t q = 0; q < (TOGETHER - 1) * s.step + s.rows; q++, from += w->in[1])
#pragma GCC unroll 8
    for (int64_t j = 0; j < s.columns; j++) {
      vec x = fold_load(s, from + j, lane[j], outside);
#pragma GCC unroll 4
      for (int k = 0; k < TOGETHER; k++)
        if (q >= k * s.step && q < k * s.step + s.rows)
          v[k] = fold_tap(f, op, (q - k * s.step) * s.columns + j, x, v[k]);
    }
#pragma GCC unroll 4
  for (int k = 0; k < TOGETHER; k++) fold_store(f, r + k, c, v[k]);
}

// The strip of columns from c on. Rows go down, or a full store would spoil the next one. `done` counts vectors.
static inline __attribute__((always_inline)) void fold_strip(const fold *f, fold_op op, fold_shape s, const lanes *lane,
                                                             int64_t c, size_t *done) {
  int64_t begin = 0, end = f->w.out[0], from, past;
  for (int64_t i = 0; s.shared && i < s.rows; i++) {
    window_valid(&f->w, 0, i, &from, &past);
    begin = from > begin ? from : begin, end = window_min(end, past);
  }
  for (int64_t r = 0; r < f->w.out[0] && !pool_stopped_after(done, (size_t)(s.rows * s.columns));) {
    if (s.shared && r >= begin && r < end && end - begin >= TOGETHER) {
      fold_rows(f, op, s, lane, window_min(r, end - TOGETHER), c);  // the last rows may be done twice
      r = window_min(r + TOGETHER, end);
    } else {
      fold_row(f, op, s, lane, r++, c);
    }
  }
}

static inline __attribute__((always_inline)) void fold_step(const fold *f, fold_op op, int64_t step, bool inside,
                                                            const lanes *lane, int64_t c, size_t *done) {
  const window *w = &f->w;
  int64_t rows = w->kernel[0], columns = w->kernel[1];
  bool shared = step <= 2 && w->stride[0] == step && w->dilation[0] == 1 && w->dilation[1] == 1 && rows == columns;
  if (shared && rows == 3) fold_strip(f, op, (fold_shape){3, 3, step, inside, true}, lane, c, done);
  else if (op == FOLD_FMA && shared && rows == 5)
    fold_strip(f, op, (fold_shape){5, 5, step, inside, true}, lane, c, done);
  else fold_strip(f, op, (fold_shape){rows, columns, step, inside, false}, lane, c, done);
}

static inline __attribute__((always_inline)) void fold_plane(const fold *f, fold_op op) {
  const window *w = &f->w;
  size_t done = 0;
  // The last strip ends with the row, so that it is as full as the others, with some of whose columns it begins.
  int64_t last = w->out[1] > VECTOR ? w->out[1] - VECTOR : 0;
  for (int64_t c = last; c >= 0; c = c > 0 ? (c - 1) / VECTOR * VECTOR : -1) {
    lanes lane[FOLD_TAPS];
    int64_t from = c * w->stride[1] - w->pad[1],
            reach = (VECTOR - 1) * w->stride[1] + (w->kernel[1] - 1) * w->dilation[1];
    bool inside = w->stride[1] <= STEP_MOST && from >= 0 && from + reach < w->in[1] && c + VECTOR <= w->out[1];
    for (int64_t t = 0; !inside && t < w->kernel[1]; t++) {
      int64_t begin, end;
      window_valid(w, 1, t, &begin, &end);
      begin = window_min(begin > c ? begin - c : 0, VECTOR), end = window_min(end > c ? end - c : 0, VECTOR);
      lane[t] = lanes_but(lanes_below((int)end), lanes_below((int)begin));
    }
    if (w->stride[1] == 1)
      inside ? fold_step(f, op, 1, true, lane, c, &done) : fold_step(f, op, 1, false, lane, c, &done);
    else if (w->stride[1] == 2)
      inside ? fold_step(f, op, 2, true, lane, c, &done) : fold_step(f, op, 2, false, lane, c, &done);
    else if (inside) fold_step(f, op, 3, true, lane, c, &done);
    else fold_step(f, op, w->stride[1], false, lane, c, &done);
  }
}

// SPDX-License-Identifier: Apache-2.0
// pool_f32 for any geometry in plain C: the judge, and what fast.inl leaves over. Rows of outputs are the unit: for
// every tap the row of inputs it reads is folded into a row of results, so the inner loop runs along the width and the
// compiler vectorises it; the same code serves any rank. Taps of one window are visited in row-major order. Taps that
// read nothing but padding are not visited: a kernel may be much larger than the input and its pads.
#include <math.h>
#include <string.h>

#include "kernels/pool_f32/pool_f32.h"

enum { ROW = 512 };  // outputs of a row done at once; bounds the buffers on the stack

// One output row of width `n` starting at output column `first`, and the taps that fall on it.
typedef struct row {
  const window *w;
  const float *x;
  int64_t at[WINDOW_MAX_RANK];  // output coordinates; the last one is `first`
  size_t n;
} row;

// Taps that read something for the row; false: none does.
static bool row_taps(const row *r, int64_t *low, int64_t *high) {
  const window *w = r->w;
  size_t last = w->rank - 1;
  int64_t unused;
  for (size_t d = 0; d < last; d++) {
    window_taps_in(w, d, r->at[d], 0, w->in[d], &low[d], &high[d]);
    if (low[d] == high[d]) return false;
  }
  window_taps_in(w, last, r->at[last], 0, w->in[last], &unused, &high[last]);
  window_taps_in(w, last, r->at[last] + (int64_t)r->n - 1, 0, w->in[last], &low[last], &unused);
  return low[last] < high[last];
}

// Calls fold(i, x, flat) for all elements: the loops over taps. `begin`..`end` are row-local outputs that tap
// column t reads inside the input, `place` the flat input place of output `begin`.
#define FOR_TAPS(r, ...)                                                                                    \
  do {                                                                                                      \
    const window *w = (r)->w;                                                                               \
    size_t last = w->rank - 1;                                                                              \
    int64_t low[WINDOW_MAX_RANK], high[WINDOW_MAX_RANK], tap[WINDOW_MAX_RANK];                              \
    int64_t first = (r)->at[last], step = w->stride[last];                                                  \
    if (!row_taps(r, low, high)) break;                                                                     \
    memcpy(tap, low, last * sizeof *tap);                                                                   \
    do {                                                                                                    \
      int64_t base;                                                                                         \
      window_place(w, last, (r)->at, tap, &base);                                                           \
      for (int64_t t = low[last]; t < high[last]; t++) {                                                    \
        int64_t begin, end;                                                                                 \
        window_valid(w, last, t, &begin, &end);                                                             \
        begin = begin > first ? begin - first : 0, end -= first;                                            \
        if (end > (int64_t)(r)->n) end = (int64_t)(r)->n;                                                   \
        if (begin >= end) continue;                                                                         \
        int64_t place = base * w->in[last] + (begin + first) * step + t * w->dilation[last] - w->pad[last]; \
        const float *from = (r)->x + place;                                                                 \
        __VA_ARGS__                                                                                         \
      }                                                                                                     \
    } while (window_next_in(tap, low, high, last));                                                         \
  } while (0)

static inline float larger(float a, float b) { return a > b || a != a ? a : b; }

// Strides 1 and 2 get loops of their own: a constant stride is what the compiler can turn into shuffles.
#define FOLD(expression)                                      \
  if (step == 1)                                              \
    for (int64_t i = begin, k = 0; i < end; i++, k++) {       \
      float v = from[k];                                      \
      out[i] = expression;                                    \
    }                                                         \
  else if (step == 2)                                         \
    for (int64_t i = begin, k = 0; i < end; i++, k++) {       \
      float v = from[2 * k];                                  \
      out[i] = expression;                                    \
    }                                                         \
  else                                                        \
    for (int64_t i = begin, k = 0; i < end; i++, k += step) { \
      float v = from[k];                                      \
      out[i] = expression;                                    \
    }

static void max_row(const row *r, float *restrict out) {
  for (size_t i = 0; i < r->n; i++) out[i] = -INFINITY;
  FOR_TAPS(r, FOLD(larger(out[i], v)));
}
static void max_index_row(const row *r, float *out, int64_t *index) {
  for (size_t i = 0; i < r->n; i++) out[i] = -INFINITY, index[i] = -1;
  FOR_TAPS(
      r, for (int64_t i = begin; i < end; i++) {
        float v = from[(i - begin) * step];
        bool better = index[i] < 0 || v > out[i] || (v != v && out[i] == out[i]);
        if (better) out[i] = v, index[i] = place + (i - begin) * step;
      });
}
static void sum_row(const row *r, float *restrict out) {
  for (size_t i = 0; i < r->n; i++) out[i] = 0;
  FOR_TAPS(r, FOLD(out[i] + v));
}
static void power_row(const row *r, float *restrict out, int p) {
  for (size_t i = 0; i < r->n; i++) out[i] = 0;
  if (p == 1) FOR_TAPS(r, FOLD(out[i] + __builtin_fabsf(v)));
  else if (p == 2) FOR_TAPS(r, FOLD(out[i] + v * v));
  else FOR_TAPS(r, FOLD(out[i] + powf(__builtin_fabsf(v), (float)p)));
}

// Places of window o in dimension d: inside the input, or inside the padded input.
static int64_t places(const window *w, size_t d, int64_t o, bool include_pad) {
  int64_t start = o * w->stride[d] - w->pad[d], begin, end;
  int64_t low = include_pad ? -w->pad[d] : 0, high = w->in[d] + (include_pad ? w->pad_end[d] : 0);
  if (start >= low && start + (w->kernel[d] - 1) * w->dilation[d] < high) return w->kernel[d];  // nearly all
  window_taps_in(w, d, o, low, high, &begin, &end);
  return end - begin;
}

// Visits all output rows in pieces: body sees `r` and the flat output place `o`. The windows of a piece start less than
// the input's width apart, so that they have most of their taps in common.
#define FOR_ROWS(...)                                                   \
  do {                                                                  \
    size_t last = w->rank - 1, o = 0;                                   \
    if (window_out(w) == 0) return;                                     \
    row r = {.w = w, .x = x};                                           \
    int64_t piece = window_min(ROW, w->in[last] / w->stride[last] + 1); \
    do {                                                                \
      for (int64_t c = 0; c < w->out[last]; c += piece) {               \
        r.at[last] = c;                                                 \
        r.n = (size_t)window_min(w->out[last] - c, piece);              \
        __VA_ARGS__;                                                    \
        o += r.n;                                                       \
      }                                                                 \
    } while (window_next(r.at, w->out, last));                          \
  } while (0)

static void rows_max(const window *w, const float *x, float *y, int64_t *index) {
  if (index) FOR_ROWS(max_index_row(&r, y + o, index + o));
  else FOR_ROWS(max_row(&r, y + o));
}

static void average_row(const row *r, float *out, bool include_pad) {
  const window *w = r->w;
  size_t last = w->rank - 1;
  int64_t outer = 1, column = -1;
  for (size_t d = 0; d < last; d++) outer *= places(w, d, r->at[d], include_pad);
  sum_row(r, out);
  float divisor = 0;
  for (size_t i = 0; i < r->n; i++) {
    int64_t n = places(w, last, r->at[last] + (int64_t)i, include_pad);
    if (n != column) column = n, divisor = (float)(outer * n);
    out[i] /= divisor;
  }
}
static void rows_average(const window *w, const float *x, float *y, bool include_pad) {
  FOR_ROWS(average_row(&r, y + o, include_pad));
}

static void lp_row(const row *r, float *out, int p) {
  power_row(r, out, p);
  if (p == 2)
    for (size_t i = 0; i < r->n; i++) out[i] = __builtin_sqrtf(out[i]);
  else if (p != 1)
    for (size_t i = 0; i < r->n; i++) out[i] = powf(out[i], 1.0f / (float)p);
}
static void rows_lp(const window *w, const float *x, float *y, int p) { FOR_ROWS(lp_row(&r, y + o, p)); }

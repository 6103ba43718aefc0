// SPDX-License-Identifier: Apache-2.0
// pool_f32 for any geometry: what fast.inl leaves over. Rows of outputs are the unit: for every tap the row of inputs
// it reads is folded into a row of results, so the inner loop runs along the width and the compiler vectorises it; the
// same code serves any rank. Taps of one window are visited in row-major order. Taps that read nothing but padding are
// not visited: a kernel may be much larger than the input and its pads.
#include <string.h>

#include "base/pool.h"
#include "kernels/pool_f32/element.inl"
#include "kernels/pool_f32/pool_f32.h"

enum { ROW = 512 };  // outputs of a row done at once; bounds the buffers on the stack

// One output row of width `n` starting at output column `first`, and the taps that fall on it.
typedef struct row {
  const window *w;
  const float *x;
  int64_t at[WINDOW_MAX_RANK];  // output coordinates; the last one is `first`
  size_t n;
  size_t folded;  // elements, of all rows
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

// One tap: outputs begin .. end of the row read `from` on, `step` apart. Strides 1 and 2 get loops of their own: a
// constant stride is what the compiler can turn into shuffles.
INLINE void row_tap(pool_op op, float *restrict out, const float *from, int64_t n, int64_t step, float p) {
  if (step == 1)
    for (int64_t i = 0; i < n; i++) out[i] = pool_element(op, out[i], from[i], p);
  else if (step == 2)
    for (int64_t i = 0; i < n; i++) out[i] = pool_element(op, out[i], from[2 * i], p);
  else
    for (int64_t i = 0; i < n; i++) out[i] = pool_element(op, out[i], from[i * step], p);
}

// The place of the first element that is the largest so far.
static void row_index_tap(float *out, int64_t *index, const float *from, int64_t n, int64_t step, int64_t place) {
  for (int64_t i = 0; i < n; i++) {
    float v = from[i * step];
    bool better = index[i] < 0 || v > out[i] || (v != v && out[i] == out[i]);
    if (better) out[i] = v, index[i] = place + i * step;
  }
}

// All taps of a row. With `index` the places of the largest are kept, whatever `op` says.
INLINE void row_reduce(row *r, pool_op op, float *out, int64_t *index, float p) {
  const window *w = r->w;
  size_t last = w->rank - 1;
  int64_t low[WINDOW_MAX_RANK], high[WINDOW_MAX_RANK], tap[WINDOW_MAX_RANK];
  int64_t first = r->at[last], step = w->stride[last], base, begin, end;
  for (size_t i = 0; i < r->n; i++) out[i] = op == POOL_OP_MAX ? -INFINITY : 0;
  for (size_t i = 0; index && i < r->n; i++) index[i] = -1;
  if (!row_taps(r, low, high)) return;
  memcpy(tap, low, last * sizeof *tap);
  do {
    window_place(w, last, r->at, tap, &base);
    for (int64_t t = low[last]; t < high[last]; t++) {
      // Outputs of the row whose tap t reads inside of the input.
      window_valid(w, last, t, &begin, &end);
      begin = begin > first ? begin - first : 0, end = window_min(end - first, (int64_t)r->n);
      if (begin >= end) continue;
      int64_t place = base * w->in[last] + (begin + first) * step + t * w->dilation[last] - w->pad[last];
      if (index) row_index_tap(out + begin, index + begin, r->x + place, end - begin, step, place);
      else row_tap(op, out + begin, r->x + place, end - begin, step, p);
      if (pool_stopped_after(&r->folded, r->n)) return;
    }
  } while (window_next_in(tap, low, high, last));
}

// The output rows in pieces, whose windows start less than the input's width apart, so that they have most of their
// taps in common.
typedef struct pieces {
  row row;
  size_t done;  // outputs before the piece
  int64_t most;
} pieces;

// The first piece; false: there are no outputs.
static bool pieces_begin(pieces *p, const window *w, const float *x) {
  size_t last = w->rank - 1;
  if (window_out(w) == 0) return false;
  *p = (pieces){.row = {.w = w, .x = x}, .most = window_min(ROW, w->in[last] / w->stride[last] + 1)};
  p->row.n = (size_t)window_min(w->out[last], p->most);
  return true;
}

static bool pieces_next(pieces *p) {
  const window *w = p->row.w;
  if (pool_stopped_after(&p->row.folded, p->row.n)) return false;
  size_t last = w->rank - 1;
  int64_t *at = p->row.at;
  p->done += p->row.n;
  at[last] += (int64_t)p->row.n;
  if (at[last] == w->out[last]) {
    at[last] = 0;
    if (!window_next(at, w->out, last)) return false;
  }
  p->row.n = (size_t)window_min(w->out[last] - at[last], p->most);
  return true;
}

static void rows_max(const window *w, const float *x, float *y, int64_t *index) {
  pieces p;
  for (bool more = pieces_begin(&p, w, x); more; more = pieces_next(&p))
    if (index) row_reduce(&p.row, POOL_OP_MAX, y + p.done, index + p.done, 0);
    else row_reduce(&p.row, POOL_OP_MAX, y + p.done, NULL, 0);
}

static void average_row(row *r, float *out, bool include_pad) {
  const window *w = r->w;
  size_t last = w->rank - 1;
  int64_t outer = 1, column = -1;
  for (size_t d = 0; d < last; d++) outer *= pool_places(w, d, r->at[d], include_pad);
  row_reduce(r, POOL_OP_SUM, out, NULL, 0);
  float divisor = 0;
  for (size_t i = 0; i < r->n; i++) {
    int64_t n = pool_places(w, last, r->at[last] + (int64_t)i, include_pad);
    if (n != column) column = n, divisor = (float)(outer * n);
    out[i] /= divisor;
  }
}

static void rows_average(const window *w, const float *x, float *y, bool include_pad) {
  pieces p;
  for (bool more = pieces_begin(&p, w, x); more; more = pieces_next(&p)) average_row(&p.row, y + p.done, include_pad);
}

static void lp_row(row *r, float *out, int p) {
  if (p == 1) row_reduce(r, POOL_OP_SUM_ABS, out, NULL, 0);
  else if (p == 2) row_reduce(r, POOL_OP_SUM_SQUARE, out, NULL, 0);
  else row_reduce(r, POOL_OP_SUM_POWER, out, NULL, (float)p);
  if (p == 2)
    for (size_t i = 0; i < r->n; i++) out[i] = __builtin_sqrtf(out[i]);
  else if (p != 1)
    for (size_t i = 0; i < r->n; i++) out[i] = powf(out[i], 1.0f / (float)p);
}

static void rows_lp(const window *w, const float *x, float *y, int p) {
  pieces at;
  for (bool more = pieces_begin(&at, w, x); more; more = pieces_next(&at)) lp_row(&at.row, y + at.done, p);
}

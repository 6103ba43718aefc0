// SPDX-License-Identifier: Apache-2.0
// The judge of pool_f32: each output by itself, its taps one after the other in row-major order.
#include <math.h>

#include "kernels/pool_f32/pool_f32.h"

// The taps of one output that lie inside of the input, as runs along the last dimension in row-major order: `count`
// elements from x[place] on, `step` apart. Taps in the padding are never visited: a kernel may be much larger than the
// input.
typedef struct run {
  const window *w;
  const int64_t *at;  // of the output
  int64_t low[WINDOW_MAX_RANK], high[WINDOW_MAX_RANK], tap[WINDOW_MAX_RANK];
  int64_t place, count, step;
} run;

// The first run; false: there is none.
static bool run_begin(run *r, const window *w, const int64_t *at) {
  size_t last = w->rank - 1;
  r->w = w, r->at = at;
  for (size_t d = 0; d < w->rank; d++) {
    window_taps_in(w, d, at[d], 0, w->in[d], &r->low[d], &r->high[d]);
    if (r->low[d] == r->high[d]) return false;
    r->tap[d] = r->low[d];
  }
  r->count = r->high[last] - r->low[last], r->step = w->dilation[last];
  return window_place(w, w->rank, at, r->tap, &r->place);
}

static bool run_next(run *r) {
  return window_next_in(r->tap, r->low, r->high, r->w->rank - 1) &&
         window_place(r->w, r->w->rank, r->at, r->tap, &r->place);
}

static void max(const window *w, const float *x, float *y, int64_t *index) {
  int64_t at[WINDOW_MAX_RANK] = {0};
  if (window_out(w) == 0) return;
  do {
    run r;
    float largest = -INFINITY;
    int64_t first = -1;
    for (bool more = run_begin(&r, w, at); more; more = run_next(&r))
      for (int64_t i = 0; i < r.count; i++) {
        float e = x[r.place + i * r.step];
        if (first < 0 || e > largest || (isnan(e) && !isnan(largest))) first = r.place + i * r.step;
        // Of zeros of both signs the last one stays; a NaN stays.
        largest = largest > e || isnan(largest) ? largest : e;
      }
    *y++ = index && first >= 0 ? x[first] : largest;
    if (index) *index++ = first;
  } while (window_next(at, w->out, w->rank));
}

// Places of a window: all its taps inside of the input, or of the input and its padding.
static float places(const window *w, const int64_t *at, bool include_pad) {
  int64_t count = 1;
  for (size_t d = 0; d < w->rank; d++) {
    int64_t begin, end, before = include_pad ? w->pad[d] : 0, after = include_pad ? w->pad_end[d] : 0;
    window_taps_in(w, d, at[d], -before, w->in[d] + after, &begin, &end);
    count *= end - begin;
  }
  return (float)count;
}

static void average(const window *w, const float *x, float *y, bool include_pad) {
  int64_t at[WINDOW_MAX_RANK] = {0};
  if (window_out(w) == 0) return;
  do {
    run r;
    float sum = 0;
    for (bool more = run_begin(&r, w, at); more; more = run_next(&r))
      for (int64_t i = 0; i < r.count; i++) sum += x[r.place + i * r.step];
    *y++ = sum / places(w, at, include_pad);
  } while (window_next(at, w->out, w->rank));
}

static void lp(const window *w, const float *x, float *y, int p) {
  int64_t at[WINDOW_MAX_RANK] = {0};
  if (window_out(w) == 0) return;
  do {
    run r;
    float sum = 0;
    for (bool more = run_begin(&r, w, at); more; more = run_next(&r))
      for (int64_t i = 0; i < r.count; i++) {
        float e = __builtin_fabsf(x[r.place + i * r.step]);
        sum += p == 1 ? e : p == 2 ? e * e : powf(e, (float)p);
      }
    *y++ = p == 1 ? sum : p == 2 ? __builtin_sqrtf(sum) : powf(sum, 1.0f / (float)p);
  } while (window_next(at, w->out, w->rank));
}

KERNEL(pool_f32) = {.max = max, .average = average, .lp = lp};

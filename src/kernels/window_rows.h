// SPDX-License-Identifier: Apache-2.0
// The rows of an input that the windows of one line of outputs cover: kernels for channels-last images find them once
// for a whole line. Rows over padding are not visited; long lists come in passes. Static inline only.
#pragma once

#include <string.h>

#include "kernels/window.h"

enum { WINDOW_ROWS = 64 };  // of a pass

typedef struct window_rows {
  const window *window;
  const int64_t *at;  // of the line: all coordinates but the last
  bool first, last;   // pass
  size_t count;
  ptrdiff_t place[WINDOW_ROWS];  // floats from the image to the row
  int64_t tap[WINDOW_ROWS];      // of the row: flat over all dimensions but the last
  size_t x_stride;               // floats from one pixel to the next
  bool more;
  int64_t low[WINDOW_MAX_RANK], high[WINDOW_MAX_RANK], next[WINDOW_MAX_RANK];
} window_rows;

static inline void window_rows_fill(window_rows *r) {
  const window *w = r->window;
  size_t last = w->rank - 1;
  for (r->count = 0; r->more && r->count < WINDOW_ROWS; r->count++) {
    int64_t tap = 0, row;
    window_place(w, last, r->at, r->next, &row);
    r->place[r->count] = (ptrdiff_t)(row * w->in[last]) * (ptrdiff_t)r->x_stride;
    for (size_t d = 0; d < last; d++) tap = tap * w->kernel[d] + r->next[d];
    r->tap[r->count] = tap;
    r->more = window_next_in(r->next, r->low, r->high, last);
  }
  r->last = !r->more;
}

// The first pass, which there always is.
static inline void window_rows_begin(window_rows *r, const window *w, const int64_t *at, size_t x_stride) {
  r->x_stride = x_stride;
  r->window = w, r->at = at, r->first = r->more = true;
  for (size_t d = 0; d + 1 < w->rank; d++) {
    window_taps_in(w, d, at[d], 0, w->in[d], &r->low[d], &r->high[d]);
    r->more = r->more && r->low[d] < r->high[d];
  }
  memcpy(r->next, r->low, (w->rank - 1) * sizeof *r->next);
  window_rows_fill(r);
}

static inline bool window_rows_next(window_rows *r) {
  if (r->last) return false;
  r->first = false;
  window_rows_fill(r);
  return true;
}

// What output `o` of the line reads of each row: `count` pixels, `step` floats apart, its taps from `tap` on, the first
// of them `place` floats behind the row's begin.
typedef struct window_columns {
  ptrdiff_t place, step;
  int64_t tap, count;
} window_columns;

static inline window_columns window_columns_at(const window_rows *r, int64_t o) {
  const window *w = r->window;
  size_t last = w->rank - 1;
  ptrdiff_t stride = (ptrdiff_t)r->x_stride;
  int64_t begin, end;
  window_taps_in(w, last, o, 0, w->in[last], &begin, &end);
  ptrdiff_t pixel = begin < end ? o * w->stride[last] + begin * w->dilation[last] - w->pad[last] : 0;
  return (window_columns){pixel * stride, w->dilation[last] * stride, begin, end - begin};
}

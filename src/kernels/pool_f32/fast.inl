// SPDX-License-Identifier: Apache-2.0
// pool_f32 in vectors, for max without indices and average in one and two dimensions (fold.inl). The rest goes to
// rows.inl.
#include "kernels/fold.inl"
#include "kernels/pool_f32/rows.inl"

static void max(const window *w, const float *x, float *y, int64_t *index) {
  fold f;
  if (index || window_out(w) == 0 || !fold_init(&f, w)) {
    rows_max(w, x, y, index);
    return;
  }
  f.x = x, f.y = y, f.start = f.outside = -INFINITY;
  fold_plane(&f, FOLD_MAX);
}

// Outputs of dimension d whose windows hold all their places.
static void whole_windows(const window *w, size_t d, bool include_pad, int64_t *begin, int64_t *end) {
  int64_t b = 0, e = w->out[d];
  while (b < e && pool_places(w, d, b, include_pad) < w->kernel[d]) b++;
  while (e > b && pool_places(w, d, e - 1, include_pad) < w->kernel[d]) e--;
  *begin = b, *end = e;
}

static void average(const window *w, const float *x, float *y, bool include_pad) {
  fold f;
  if (window_out(w) == 0 || !fold_init(&f, w)) {
    rows_average(w, x, y, include_pad);
    return;
  }
  f.x = x, f.y = y;
  fold_plane(&f, FOLD_SUM);
  int64_t begin, end, width = f.w.out[1];
  whole_windows(&f.w, 1, include_pad, &begin, &end);
  for (int64_t r = 0; r < f.w.out[0]; r++, y += width) {
    int64_t outer = pool_places(&f.w, 0, r, include_pad);
    for (int64_t c = 0; c < begin; c++) y[c] /= (float)(outer * pool_places(&f.w, 1, c, include_pad));
    float divisor = (float)(outer * f.w.kernel[1]);
    for (int64_t c = begin; c < end; c++) y[c] /= divisor;
    for (int64_t c = end; c < width; c++) y[c] /= (float)(outer * pool_places(&f.w, 1, c, include_pad));
  }
}

KERNEL(pool_f32) = {.max = max, .average = average, .lp = rows_lp};

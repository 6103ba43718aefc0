// SPDX-License-Identifier: Apache-2.0
// pool_f32 in vectors, for max without indices and average in one and two dimensions (fold.inl). The rest goes to
// rows.inl.
#include "kernels/fold.inl"
#include "kernels/pool_f32/rows.inl"

enum { LINE = 1024, LARGE = 16 };

// Outputs [c, c + n) of all rows: a line of the maxima of columns, then maxima along it. Padding is a part of the line.
INLINE void max_piece(const window *w, int64_t step, const float *x, float *y, int64_t c, int64_t n, size_t *folded) {
  float line[LINE + 4 * VECTOR];
  int64_t from = c * step - w->pad[1], width = (n - 1) * step + (w->kernel[1] - 1) * w->dilation[1] + 1;
  int64_t begin = from < 0 ? 0 : from, end = window_min(from + width, w->in[1]), low, high;
  vec none = vec_splat(-INFINITY);
  for (int64_t i = 0; i < width + VECTOR * step; i += VECTOR) vec_store(line + i, none);
  for (int64_t r = 0; r < w->out[0]; r++) {
    window_taps_in(w, 0, r, 0, w->in[0], &low, &high);
    if (pool_stopped_after(folded, (size_t)((high - low) * width + w->kernel[1] * n))) return;
    const float *rows = x + (r * w->stride[0] + low * w->dilation[0] - w->pad[0]) * w->in[1];
    for (int64_t i = begin; i < end; i += VECTOR) {
      const float *at = rows + i;
      lanes chosen = lanes_below((int)window_min(VECTOR, end - i));
      vec v = none;
      for (int64_t t = low; t < high; t++, at += w->dilation[0] * w->in[1])
        v = vec_max(v, vec_load_lanes(at, chosen, none));
      vec_store(line + (i - from), v);
    }
    for (int64_t o = 0; o < n; o += VECTOR) {
      lanes chosen = lanes_below((int)window_min(VECTOR, n - o));
      const float *at = line + o * step;
      vec v = none;
      for (int64_t t = 0; t < w->kernel[1]; t++, at += w->dilation[1])
        v = vec_max(v, step == 1 ? vec_load(at) : vec_even(at));
      vec_store_lanes(y + r * w->out[1] + c + o, chosen, v);
    }
  }
}

// Maxima of large windows.
static void max_by_lines(const window *w, const float *x, float *y) {
  int64_t step = w->stride[1], most = (LINE - (w->kernel[1] - 1) * w->dilation[1] - 1) / step;
  size_t folded = 0;
  for (int64_t c = 0, n; c < w->out[1]; c += n) {
    n = window_min(most, w->out[1] - c);
    if (step == 1) max_piece(w, 1, x, y, c, n, &folded);
    else max_piece(w, 2, x, y, c, n, &folded);
  }
}

static bool by_lines(const window *w) {
  return w->kernel[0] * w->kernel[1] >= LARGE && w->stride[1] <= 2 && w->dilation[1] <= LINE &&
         (w->kernel[1] - 1) * w->dilation[1] < LINE / 2;
}

static void max(const window *w, const float *x, float *y, int64_t *index) {
  fold f;
  if (index || window_out(w) == 0 || !fold_init(&f, w)) {
    rows_max(w, x, y, index);
    return;
  }
  if (by_lines(&f.w)) {
    max_by_lines(&f.w, x, y);
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

// SPDX-License-Identifier: Apache-2.0
// im2col of any geometry for one element type: what fast.inl leaves over. Needs TYPE and NAME. Columns are cut into
// pieces that lie in one output row; for a piece all rows k follow each other with the tap's coordinates counted up, so
// nothing is divided on the way.

// Short runs are the rule: fixed sizes become plain vector moves, where a call of memcpy would cost more.
static inline void NAME(copy)(TYPE *to, const TYPE *from, int64_t n) {
  for (; n >= 16; n -= 16, to += 16, from += 16) memcpy(to, from, 16 * sizeof(TYPE));
  if (n & 8) memcpy(to, from, 8 * sizeof(TYPE)), to += 8, from += 8;
  if (n & 4) memcpy(to, from, 4 * sizeof(TYPE)), to += 4, from += 4;
  if (n & 2) memcpy(to, from, 2 * sizeof(TYPE)), to += 2, from += 2;
  if (n & 1) *to = *from;
}

// `count` columns from input column `col` on, `step` apart, of an input row of `width`; NULL is a row of padding.
static inline void NAME(run)(TYPE *restrict to, const TYPE *restrict row, int64_t col, int64_t count, int64_t step,
                             int64_t width, TYPE pad) {
  int64_t first = 0, past = count, i = 0;
  if (!row) {
    for (; i < count; i++) to[i] = pad;
    return;
  }
  if (col < 0) first = step == 1 ? -col : (-col + step - 1) / step;
  if (col + (count - 1) * step >= width) past = width <= col ? 0 : (width - col + step - 1) / step;
  if (first > count) first = count;
  if (past < first) past = first;
  for (; i < first; i++) to[i] = pad;
  if (past > first) {
    const TYPE *from = row + (col + first * step);
    if (step == 1) NAME(copy)(to + first, from, past - first);
    else if (step == 2)
      for (; i < past; i++, from += 2) to[i] = *from;
    else
      for (; i < past; i++, from += step) to[i] = *from;
  }
  for (i = past; i < count; i++) to[i] = pad;
}

// `count` columns of one output row, whose first place is `at`, for all rows k.
static void NAME(piece)(const window *w, const TYPE *x, TYPE pad, TYPE *panel, size_t stride, size_t k0, size_t ks,
                        const int64_t *at, int64_t count) {
  size_t last = w->rank - 1, taps = window_taps(w), plane = window_in(w);
  int64_t tap[WINDOW_MAX_RANK], width = w->in[last], step = w->stride[last];
  window_unravel(k0 % taps, w->kernel, w->rank, tap);
  x += k0 / taps * plane;
  for (size_t k = 0; k < ks;) {
    // The input row of this tap row, or padding.
    const TYPE *row = x;
    size_t pitch = (size_t)width;
    for (size_t d = last; d-- > 0; pitch *= (size_t)w->in[d]) {
      int64_t i = at[d] * w->stride[d] + tap[d] * w->dilation[d] - w->pad[d];
      if (i < 0 || i >= w->in[d]) {
        row = NULL;
        break;
      }
      row += (size_t)i * pitch;
    }
    int64_t col = at[last] * step - w->pad[last] + tap[last] * w->dilation[last];
    for (; tap[last] < w->kernel[last] && k < ks; tap[last]++, k++, panel += stride, col += w->dilation[last])
      NAME(run)(panel, row, col, count, step, width, pad);
    tap[last] = 0;
    if (!window_next(tap, w->kernel, last)) x += plane;
  }
}

static void NAME(fill)(const window *w, const TYPE *x, TYPE pad, TYPE *panel, size_t stride, size_t k0, size_t ks,
                       size_t n0, size_t ns) {
  size_t last = w->rank - 1;
  int64_t at[WINDOW_MAX_RANK];
  window_unravel(n0, w->out, w->rank, at);
  for (size_t done = 0; done < ns;) {
    int64_t count = window_min(w->out[last] - at[last], (int64_t)(ns - done));
    NAME(piece)(w, x, pad, panel + done, stride, k0, ks, at, count);
    done += (size_t)count, at[last] = 0;
    window_next(at, w->out, last);
  }
}

// SPDX-License-Identifier: Apache-2.0
// Rows of the column matrix of a convolution, written into a panel: the fill callback of gemm_f32 and gemm_u8s8.
// Row k is (channel, tap), column n an output place; what lies in the padding gets `pad`.
// Included with TYPE (element) defined; makes im2col_fill for it.
#include <string.h>

#include "kernels/window.h"

// Columns [n0, n0 + count) of the row of one channel and tap. The columns are cut into pieces of one output row,
// each of which is padding, a run of the input row, and padding.
static void im2col_row(const window *w, const TYPE *x, size_t flat_tap, TYPE *out, size_t n0, size_t count, TYPE pad) {
  size_t last = w->rank - 1;
  int64_t tap[WINDOW_MAX_RANK], at[WINDOW_MAX_RANK];
  window_unravel(flat_tap, w->kernel, w->rank, tap);
  window_unravel(n0, w->out, w->rank, at);
  int64_t step = w->stride[last], begin, end;
  int64_t offset = tap[last] * w->dilation[last] - w->pad[last];
  window_valid(w, last, tap[last], &begin, &end);
  for (int64_t left = (int64_t)count; left > 0;) {
    int64_t first = at[last], past = window_min(w->out[last], first + left), place = 0;
    bool inside = true;
    for (size_t d = 0; d < last; d++) {
      int64_t i = at[d] * w->stride[d] + tap[d] * w->dilation[d] - w->pad[d];
      inside = inside && i >= 0 && i < w->in[d];
      place = place * w->in[d] + i;
    }
    int64_t from = inside ? window_min(past, begin > first ? begin : first) : past;
    int64_t to = inside && end > from ? window_min(past, end) : from;
    for (int64_t i = first; i < from; i++) out[i - first] = pad;
    if (from < to) {
      const TYPE *source = x + place * w->in[last] + from * step + offset;
      TYPE *target = out + (from - first);
      if (step == 1) memcpy(target, source, (size_t)(to - from) * sizeof(TYPE));
      else
        for (int64_t i = 0; i < to - from; i++) target[i] = source[i * step];
    }
    for (int64_t i = to; i < past; i++) out[i - first] = pad;
    out += past - first, left -= past - first;
    at[last] = 0;
    if (past == w->out[last]) window_next(at, w->out, last);
  }
}

// Rows [k0, k0 + ks) x columns [n0, n0 + ns) of the image whose channels start at x.
static void im2col_fill(const window *w, const TYPE *x, TYPE *panel, size_t stride, size_t k0, size_t ks, size_t n0,
                        size_t ns, TYPE pad) {
  size_t taps = window_taps(w), plane = window_in(w);
  for (size_t k = k0; k < k0 + ks; k++, panel += stride)
    im2col_row(w, x + k / taps * plane, k % taps, panel, n0, ns, pad);
}

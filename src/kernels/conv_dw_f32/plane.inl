// SPDX-License-Identifier: Apache-2.0
// One plane of any geometry: a row of outputs at a time, one tap after the other, so that the inner loop runs
// along the width. What fast.inl leaves over.

// out[i] += weight * x[i * step] for a row; strides 1 and 2 have loops whose addresses the compiler can shuffle.
static void row(float *restrict out, const float *restrict x, int64_t n, int64_t step, float weight) {
  if (step == 1)
    for (int64_t i = 0; i < n; i++) out[i] = __builtin_fmaf(weight, x[i], out[i]);
  else if (step == 2)
    for (int64_t i = 0; i < n; i++) out[i] = __builtin_fmaf(weight, x[2 * i], out[i]);
  else
    for (int64_t i = 0; i < n; i++) out[i] = __builtin_fmaf(weight, x[i * step], out[i]);
}

static void plane(const window *w, const float *x, const float *weight, float bias, float *y) {
  size_t last = w->rank - 1;
  int64_t at[WINDOW_MAX_RANK] = {0}, width = w->out[last];
  if (window_out(w) == 0) return;
  do {
    for (int64_t i = 0; i < width; i++) y[i] = bias;
    int64_t tap[WINDOW_MAX_RANK] = {0};
    const float *k = weight;
    do {
      int64_t base;
      bool inside = window_place(w, last, at, tap, &base);
      for (int64_t t = 0; inside && t < w->kernel[last]; t++) {
        int64_t begin, end;
        window_valid(w, last, t, &begin, &end);
        if (begin < end)
          row(y + begin, x + base * w->in[last] + begin * w->stride[last] + t * w->dilation[last] - w->pad[last],
              end - begin, w->stride[last], k[t]);
      }
      k += w->kernel[last];
    } while (window_next(tap, w->kernel, last));
    y += width;
  } while (window_next(at, w->out, last));
}

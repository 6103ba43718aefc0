// SPDX-License-Identifier: Apache-2.0
// conv_dw_nhwc_f32 for any machine: sums grow in y, tap by tap, along the channels.
#include "kernels/conv_dw_nhwc_f32/lines.inl"

static void output(const line *l, int64_t o) {
  const conv_dw_nhwc_f32_image *i = l->image;
  const size_t m = i->multiplier;
  window_columns at = window_columns_at(&l->rows, o);
  float *y = line_pixel(l, o) + l->which;
  for (size_t c = l->begin; l->rows.first && c < l->end; c++) y[c * m] = i->bias ? i->bias[c * m + l->which] : 0;
  for (size_t r = 0; r < l->rows.count; r++)
    for (int64_t t = 0; t < at.count; t++) {
      const float *x = i->x + l->rows.place[r] + at.place + t * at.step;
      const float *weight = l->weights[r] + (size_t)(at.tap + t) * i->channels;
      for (size_t c = l->begin; c < l->end; c++) y[c * m] = __builtin_fmaf(weight[c], x[c], y[c * m]);
    }
  const activation_limits *a = &l->limits;
  for (size_t c = l->begin; l->rows.last && c < l->end; c++) {
    float v = y[c * m] < a->low ? a->low : y[c * m];
    y[c * m] = (v > a->high ? a->high : v) + a->zero;
  }
}

static void pass(const line *l) {
  for (int64_t o = 0; o < l->image->window->out[l->image->window->rank - 1]; o++) output(l, o);
}

static void run(const conv_dw_nhwc_f32_image *i, conv_dw_nhwc_f32_part part) { run_lines(i, part, 1, pass); }

KERNEL(conv_dw_nhwc_f32) = {.run = run};

// SPDX-License-Identifier: Apache-2.0
// The frame of conv_dw_nhwc_f32: blocks of channels, whose rows stay in the L1 cache from line to line, and their
// lines.
#include "kernels/conv_dw_nhwc_f32/conv_dw_nhwc_f32.h"
#include "kernels/window_rows.h"

enum { BLOCK = 64 };  // channels

typedef struct line {
  const conv_dw_nhwc_f32_image *image;
  activation_limits limits;
  int64_t at[WINDOW_MAX_RANK];
  window_rows rows;
  const float *weights[WINDOW_ROWS];  // of each row
  size_t begin, end;                  // channels
  size_t which;                       // of the multiplier
  float *y;                           // pixel 0, channel 0
} line;

static inline float *line_pixel(const line *l, int64_t o) { return l->y + (size_t)o * l->image->y_stride; }

static void line_activate(const line *l) {
  const conv_dw_nhwc_f32_image *i = l->image;
  const size_t first = l->begin * i->multiplier, n = (l->end - l->begin) * i->multiplier;
  for (int64_t o = 0; o < i->window->out[i->window->rank - 1]; o++) {
    float *y = line_pixel(l, o) + first;
    i->activate(y, y, n, i->activation.a, i->activation.b);
  }
}

static void line_pass(line *l, void (*pass)(const line *l)) {
  const window *w = l->image->window;
  const float *packed = l->image->packed + l->which * window_taps(w) * l->image->channels;
  for (size_t r = 0; r < l->rows.count; r++)
    l->weights[r] = packed + (size_t)(l->rows.tap[r] * w->kernel[w->rank - 1]) * l->image->channels;
  pass(l);
}

// Channels come `fewest` together, if there are as many; the last ones may be done twice then.
static void run_lines(const conv_dw_nhwc_f32_image *i, conv_dw_nhwc_f32_part part, size_t fewest,
                      void (*pass)(const line *l)) {
  const window *w = i->window;
  size_t last = w->rank - 1, width = (size_t)w->out[last];
  line l = {.image = i, .limits = activation_limits_of(i->activation)};
  for (size_t c = part.channel_begin; c < part.channel_end; c = l.end) {
    l.begin = c, l.end = part.channel_end - c < BLOCK ? part.channel_end : c + BLOCK;
    if (l.end - c < fewest && l.end - part.channel_begin >= fewest) l.begin = l.end - fewest;
    for (size_t n = part.line_begin; n < part.line_end; n++) {
      window_unravel(n, w->out, last, l.at);
      l.y = i->y + n * width * i->y_stride;
      for (l.which = 0; l.which < i->multiplier; l.which++) {
        window_rows_begin(&l.rows, w, l.at, i->x_stride);
        do line_pass(&l, pass);
        while (window_rows_next(&l.rows));
      }
      if (!l.limits.enough) line_activate(&l);
    }
  }
}

// SPDX-License-Identifier: Apache-2.0
// The judge of pool_nhwc_f32: each channel of each output by itself, its taps one after the other in row-major order.
#include <math.h>

#include "kernels/pool_nhwc_f32/pool_nhwc_f32.h"

typedef enum kind { MAX, AVERAGE, LP } kind;

typedef struct options {
  bool include_pad;
  int p;
} options;

static bool inside_padded(const window *w, const int64_t *at, const int64_t *tap) {
  for (size_t d = 0; d < w->rank; d++) {
    int64_t i = at[d] * w->stride[d] + tap[d] * w->dilation[d] - w->pad[d];
    if (i < -w->pad[d] || i >= w->in[d] + w->pad_end[d]) return false;
  }
  return true;
}

static float element(const pool_nhwc_f32_image *i, kind kind, options o, const int64_t *at, size_t channel) {
  int64_t tap[WINDOW_MAX_RANK] = {0}, place, places = 0;
  float max = -INFINITY, sum = 0, powers = 0;
  do {
    bool inside = window_place(i->window, i->window->rank, at, tap, &place);
    places += inside || (o.include_pad && inside_padded(i->window, at, tap));
    if (!inside) continue;
    float v = i->x[(size_t)place * i->x_stride + channel];
    max = max > v || isnan(max) ? max : v;
    sum += v, powers += powf(fabsf(v), (float)o.p);
  } while (window_next(tap, i->window->kernel, i->window->rank));
  return kind == MAX ? max : kind == AVERAGE ? sum / (float)places : powf(powers, 1.0f / (float)o.p);
}

static void pixels(const pool_nhwc_f32_image *i, size_t begin, size_t end, kind kind, options o) {
  int64_t at[WINDOW_MAX_RANK];
  for (size_t pixel = begin; pixel < end; pixel++) {
    window_unravel(pixel, i->window->out, i->window->rank, at);
    for (size_t c = 0; c < i->channels; c++) i->y[pixel * i->y_stride + c] = element(i, kind, o, at, c);
  }
}

static void max(const pool_nhwc_f32_image *i, size_t begin, size_t end) { pixels(i, begin, end, MAX, (options){0}); }

static void average(const pool_nhwc_f32_image *i, size_t begin, size_t end, bool include_pad) {
  pixels(i, begin, end, AVERAGE, (options){.include_pad = include_pad});
}

static void lp(const pool_nhwc_f32_image *i, size_t begin, size_t end, int p) {
  pixels(i, begin, end, LP, (options){.p = p});
}

KERNEL(pool_nhwc_f32) = {.max = max, .average = average, .lp = lp};

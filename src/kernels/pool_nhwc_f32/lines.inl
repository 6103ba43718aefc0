// SPDX-License-Identifier: Apache-2.0
// The frame of pool_nhwc_f32: pieces of output lines, each with the list of input rows that its windows cover. What a
// window covers of a row is found once for all channels; long lists come in passes that go on from what stands in y.
// Taps over padding are not visited: a kernel may be much larger than its input.
#include "base/pool.h"
#include "kernels/pool_f32/element.inl"
#include "kernels/pool_nhwc_f32/pool_nhwc_f32.h"
#include "kernels/window_rows.h"

// Outputs [begin, end) of a line.
typedef struct line {
  const pool_nhwc_f32_image *image;
  int64_t at[WINDOW_MAX_RANK];  // of the line; the last is not used
  int64_t begin, end;
  float *y;  // of output 0
  window_rows rows;
  pool_op op;
  float p;
  size_t folded;  // elements, of all lines
} line;

// Asked for each output: whether its `columns` of `channels` need not be folded any more.
static inline bool line_stopped(line *l, int64_t columns, size_t channels) {
  return pool_stopped_after(&l->folded, (size_t)columns * l->rows.count * channels);
}

INLINE void fold_pixel(pool_op op, const float *x, float *y, size_t channels, float p) {
  SIMD_LOOP
  for (size_t c = 0; c < channels; c++) y[c] = pool_element(op, y[c], x[c], p);
}

// Through y, tap by tap.
static void line_through_y(line *l) {
  const pool_nhwc_f32_image *i = l->image;
  for (int64_t o = l->begin; o < l->end; o++) {
    window_columns at = window_columns_at(&l->rows, o);
    float *y = l->y + o * (ptrdiff_t)i->y_stride;
    if (line_stopped(l, at.count, i->channels)) return;
    for (size_t c = 0; l->rows.first && c < i->channels; c++) y[c] = l->op == POOL_OP_MAX ? -INFINITY : 0;
    for (size_t r = 0; r < l->rows.count; r++)
      for (int64_t t = 0; t < at.count; t++) {
        const float *x = i->x + l->rows.place[r] + at.place + t * at.step;
        if (l->op == POOL_OP_MAX) fold_pixel(POOL_OP_MAX, x, y, i->channels, 0);
        else if (l->op == POOL_OP_SUM) fold_pixel(POOL_OP_SUM, x, y, i->channels, 0);
        else if (l->op == POOL_OP_SUM_ABS) fold_pixel(POOL_OP_SUM_ABS, x, y, i->channels, 0);
        else if (l->op == POOL_OP_SUM_SQUARE) fold_pixel(POOL_OP_SUM_SQUARE, x, y, i->channels, 0);
        else fold_pixel(POOL_OP_SUM_POWER, x, y, i->channels, l->p);
      }
  }
}

// All passes over a line.
static void line_run(line *l, void (*pass)(line *l)) {
  window_rows_begin(&l->rows, l->image->window, l->at, l->image->x_stride);
  do pass(l);
  while (window_rows_next(&l->rows));
}

typedef struct finish {
  enum { FINISH_NOT, FINISH_AVERAGE, FINISH_ROOT } kind;
  bool include_pad;
  int p;
} finish;

static void line_finish(const line *l, finish f) {
  const window *w = l->image->window;
  size_t last = w->rank - 1, channels = l->image->channels;
  int64_t outer = 1;
  for (size_t d = 0; d < last; d++) outer *= pool_places(w, d, l->at[d], f.include_pad);
  for (int64_t o = l->begin; o < l->end; o++) {
    float *y = l->y + o * (ptrdiff_t)l->image->y_stride;
    float places = (float)(outer * pool_places(w, last, o, f.include_pad));
    if (f.kind == FINISH_AVERAGE)
      for (size_t c = 0; c < channels; c++) y[c] /= places;
    else if (f.p == 2)
      for (size_t c = 0; c < channels; c++) y[c] = __builtin_sqrtf(y[c]);
    else if (f.p != 1)
      for (size_t c = 0; c < channels; c++) y[c] = powf(y[c], 1.0f / (float)f.p);
  }
}

static void run_lines(const pool_nhwc_f32_image *i, size_t begin, size_t end, pool_op op, finish f,
                      void (*pass)(line *l)) {
  const window *w = i->window;
  size_t last = w->rank - 1, width = (size_t)w->out[last];
  line l = {.image = i, .op = op, .p = (float)f.p};
  for (size_t pixel = begin; pixel < end; pixel += (size_t)(l.end - l.begin)) {
    window_unravel(pixel / width, w->out, last, l.at);
    l.begin = (int64_t)(pixel % width), l.end = window_min(w->out[last], l.begin + (int64_t)(end - pixel));
    l.y = i->y + pixel / width * width * i->y_stride;
    line_run(&l, pass);
    if (f.kind != FINISH_NOT) line_finish(&l, f);
  }
}

static void lp(const pool_nhwc_f32_image *i, size_t begin, size_t end, int p) {
  pool_op op = p == 1 ? POOL_OP_SUM_ABS : p == 2 ? POOL_OP_SUM_SQUARE : POOL_OP_SUM_POWER;
  run_lines(i, begin, end, op, (finish){.kind = FINISH_ROOT, .p = p}, line_through_y);
}

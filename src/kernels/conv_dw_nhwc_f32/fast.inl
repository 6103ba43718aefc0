// SPDX-License-Identifier: Apache-2.0
// conv_dw_nhwc_f32 in vectors of channels. The usual kernels go tile by tile: the sums of neighbouring outputs and a
// row of weights are in registers, each pixel of the row is loaded once and used for all outputs whose windows hold it.
// Columns over padding are passed over by a mask, so that edges need no other code. The rest goes output by output.
#include "kernels/conv_dw_nhwc_f32/lines.inl"
#include "kernels/loop.h"
#include "kernels/vec.h"

enum {
  WIDE = 7,  // outputs of a tile: fits the powers of two times seven that images often have
  NARROW = 4,
  TOGETHER = 4  // vectors of one output
};

// Few taps leave little to hide further steps behind: only those that the activation needs.
INLINE vec limited(activation_kind kind, vec v, vec low, vec high) {
  if (kind == ACTIVATION_CLIP) return vec_limit(v, low, high);
  return kind == ACTIVATION_RELU ? vec_add(vec_raise(v, low), vec_splat(0)) : v;
}

// ---- any kernel ----------------------------------------------------------------------------------

// Channels of the block from `channel` on. from: where the sums stand so far; NULL: zeros.
INLINE void output_part(const line *l, vec_part p, window_columns at, size_t channel, const float *from, float *y) {
  const size_t weight_step = l->image->channels;
  const float *base = l->image->x + at.place + l->begin + channel;
  const size_t weight = (size_t)at.tap * weight_step + l->begin + channel;
  vec v[TOGETHER];
  UNROLL for (int i = 0; i < p.vectors; i++) v[i] = from ? vec_part_load(p, from + channel, i) : vec_splat(0);
  for (size_t r = 0; r < l->rows.count; r++) {
    const float *x = base + l->rows.place[r], *w = l->weights[r] + weight;
    for (int64_t t = 0; t < at.count; t++, x += at.step, w += weight_step)
      UNROLL for (int i = 0; i < p.vectors; i++) v[i] = vec_fma(vec_part_load(p, w, i), vec_part_load(p, x, i), v[i]);
  }
  const activation_kind kind = l->rows.last ? l->image->activation.kind : ACTIVATION_NONE;
  const vec low = vec_splat(l->limits.low), high = vec_splat(l->limits.high);
  UNROLL for (int i = 0; i < p.vectors; i++) vec_part_store(p, y + channel, i, limited(kind, v[i], low, high));
}

static void output(const line *l, window_columns at, const float *from, float *y) {
  size_t n = l->end - l->begin, c = 0;
  for (; c + TOGETHER * VECTOR <= n; c += TOGETHER * VECTOR)
    output_part(l, (vec_part){TOGETHER, .whole = true}, at, c, from, y);
  for (; c + VECTOR <= n; c += VECTOR) output_part(l, (vec_part){1, .whole = true}, at, c, from, y);
  if (c < n) output_part(l, (vec_part){1, .chosen = lanes_below((int)(n - c))}, at, c, from, y);
}

static void line_outputs(const line *l) {
  const conv_dw_nhwc_f32_image *i = l->image;
  const size_t m = i->multiplier, first = l->begin * m + l->which, n = l->end - l->begin;
  for (int64_t o = 0; o < i->window->out[i->window->rank - 1]; o++) {
    window_columns at = window_columns_at(&l->rows, o);
    float sums[BLOCK], *y = line_pixel(l, o) + first;
    const float *from = !l->rows.first ? y : i->bias ? i->bias + first : NULL;
    if (m == 1) {
      output(l, at, from, y);
      continue;
    }
    for (size_t c = 0; c < n; c++) sums[c] = from ? from[c * m] : 0;
    output(l, at, sums, sums);
    for (size_t c = 0; c < n; c++) y[c * m] = sums[c];
  }
}

// ---- tiles ---------------------------------------------------------------------------------------

// Constants where inlined. inside: no column is over padding.
typedef struct shape {
  int kernel, stride, outputs;
  bool inside;
} shape;

typedef struct tile {
  int64_t output, column;  // the first ones
  int count;               // outputs that exist
  unsigned columns;        // bit q: column + q is inside of the image
} tile;

INLINE void tile_store(const line *l, shape s, tile t, activation_kind kind, const vec *v, float *y, size_t step) {
  const vec low = vec_splat(l->limits.low), high = vec_splat(l->limits.high);
  UNROLL for (int k = 0; k < s.outputs; k++, y += step) if (s.inside || k < t.count)
      vec_store(y, limited(kind, v[k], low, high));
}

INLINE void tile_vector(const line *l, shape s, tile t, size_t channel) {
  const conv_dw_nhwc_f32_image *i = l->image;
  const ptrdiff_t step = (ptrdiff_t)i->x_stride;
  const size_t weight_step = i->channels, y_step = i->y_stride;
  const activation_kind kind = i->activation.kind;
  vec v[WIDE], w[7], bias = i->bias ? vec_load(i->bias + channel) : vec_splat(0);
  UNROLL for (int k = 0; k < s.outputs; k++) v[k] = bias;
  const float *base = i->x + t.column * step + channel;
  float *y = line_pixel(l, t.output) + channel;
  for (size_t r = 0; r < l->rows.count; r++) {
    const float *x = base + l->rows.place[r], *weights = l->weights[r] + channel;
    UNROLL for (int j = 0; j < s.kernel; j++, weights += weight_step) w[j] = vec_load(weights);
    UNROLL for (int q = 0; q < (s.outputs - 1) * s.stride + s.kernel; q++, x += step) {
      if (!s.inside && !(t.columns >> q & 1)) continue;
      vec e = vec_in_register(vec_load(x));
      UNROLL for (int k = 0; k < s.outputs; k++) if (q >= k * s.stride && q < k * s.stride + s.kernel) v[k] =
          vec_fma(w[q - k * s.stride], e, v[k]);
    }
  }
  if (kind == ACTIVATION_RELU) tile_store(l, s, t, ACTIVATION_RELU, v, y, y_step);
  else if (kind == ACTIVATION_CLIP) tile_store(l, s, t, ACTIVATION_CLIP, v, y, y_step);
  else tile_store(l, s, t, ACTIVATION_NONE, v, y, y_step);
}

INLINE void tile_vectors(const line *l, shape s, tile t) {
  const size_t end = l->end;
  size_t c = l->begin;
  for (; c + VECTOR <= end; c += VECTOR) tile_vector(l, s, t, c);
  if (c < end) tile_vector(l, s, t, end - VECTOR);
}

INLINE void tile_run(const line *l, int kernel, int stride, int outputs, int64_t output) {
  const window *w = l->image->window;
  const size_t last = w->rank - 1;
  tile t = {.output = output, .column = output * stride - w->pad[last]};
  const int64_t columns = (outputs - 1) * stride + kernel;
  const int64_t begin = t.column < 0 ? window_min(-t.column, columns) : 0;
  const int64_t end = window_min(w->in[last] - t.column, columns);
  t.count = (int)window_min(outputs, w->out[last] - output);
  t.columns = end > begin ? (1u << end) - (1u << begin) : 0;
  if (begin == 0 && end == columns && t.count == outputs) tile_vectors(l, (shape){kernel, stride, outputs, true}, t);
  else tile_vectors(l, (shape){kernel, stride, outputs, false}, t);
}

INLINE void line_tiles(const line *l, int kernel, int stride) {
  const int64_t width = l->image->window->out[l->image->window->rank - 1];
  for (int64_t o = 0; o < width;) {
    const int64_t left = width - o;
    const bool narrow = left <= NARROW || left == 2 * NARROW;
    if (narrow) tile_run(l, kernel, stride, NARROW, o);
    else tile_run(l, kernel, stride, WIDE, o);
    o += narrow ? NARROW : WIDE;
  }
}

static void pass(const line *l) {
  const window *w = l->image->window;
  const size_t last = w->rank - 1;
  const int64_t kernel = w->kernel[last], stride = w->stride[last];
  const bool tiles = l->image->multiplier == 1 && w->dilation[last] == 1 && l->rows.first && l->rows.last &&
                     l->end - l->begin >= VECTOR;
  if (tiles && kernel == 3 && stride == 1) line_tiles(l, 3, 1);
  else if (tiles && kernel == 3 && stride == 2) line_tiles(l, 3, 2);
  else if (tiles && kernel == 5 && stride == 1) line_tiles(l, 5, 1);
  else if (tiles && kernel == 5 && stride == 2) line_tiles(l, 5, 2);
  else if (tiles && kernel == 7 && stride == 1) line_tiles(l, 7, 1);
  else line_outputs(l);
}

static void run(const conv_dw_nhwc_f32_image *i, conv_dw_nhwc_f32_part part) { run_lines(i, part, VECTOR, pass); }

KERNEL(conv_dw_nhwc_f32) = {.run = run};

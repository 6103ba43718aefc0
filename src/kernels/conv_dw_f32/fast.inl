// SPDX-License-Identifier: Apache-2.0
// conv_dw_f32 in vectors, for one and two dimensions. A band of the plane is copied into a buffer with its
// padding in place and split by stride: rows and columns that the same tap reads become neighbours. Then a tap is
// one constant offset, and outputs run as one flat array over row ends (what is computed between rows is dropped):
//
//     flat[i] = bias + sum over taps of weight[t] * buffer[offset[t] + i]
//
// so a 7 x 7 plane fills vectors as well as a 112 x 112 one. Included with VECTOR (floats in a vector) and the
// operations LOAD, STORE, SPLAT, MULTIPLY_ADD on `vec` defined.
#include <string.h>

#include "kernels/conv_dw_f32/conv_dw_f32.h"
#include "kernels/conv_dw_f32/plane.inl"

enum { BUFFER = 8192, TAPS = 128, UNROLL = 6, BLOCK = UNROLL * VECTOR };

// Geometry of a band of output rows; the same for all channels.
typedef struct band {
  window w;              // rank 2
  int64_t pitch;         // of a row, in both the phases of the buffer and the flat output
  int64_t phase_rows;    // rows of a phase
  int64_t rows;          // output rows of a band
  size_t taps, offset[TAPS];
} band;

static size_t phase_at(const band *b, int64_t row, int64_t col) {
  int64_t sr = b->w.stride[0], sc = b->w.stride[1];
  int64_t phase = row % sr * sc + col % sc;
  return (size_t)((phase * b->phase_rows + row / sr) * b->pitch + col / sc);
}

// false: too large for the buffers, or more than two dimensions.
static bool band_init(band *b, const window *general) {
  *b = (band){0};
  if (!window_as_2d(general, &b->w)) return false;
  const window *w = &b->w;
  int64_t reach[2], over[2]; // input places a window covers; rows and columns a phase holds beyond the outputs
  for (int d = 0; d < 2; d++) {
    if (w->in[d] > BUFFER || w->out[d] > BUFFER || w->stride[d] > 16 || w->kernel[d] > TAPS || w->dilation[d] > BUFFER ||
        w->pad[d] > BUFFER)
      return false;
    reach[d] = (w->kernel[d] - 1) * w->dilation[d] + 1, over[d] = (reach[d] + w->stride[d] - 1) / w->stride[d] - 1;
  }
  b->taps = (size_t)(w->kernel[0] * w->kernel[1]), b->pitch = w->out[1] + over[1];
  // phases * (rows + over) * pitch + one block read past the end <= BUFFER
  b->rows = (BUFFER - 2 * BLOCK) / (b->pitch * w->stride[0] * w->stride[1]) - over[0];
  if (b->taps > TAPS || b->rows < 1) return false;
  if (b->rows > w->out[0]) b->rows = w->out[0];
  b->phase_rows = b->rows + over[0];
  size_t t = 0;
  for (int64_t i = 0; i < w->kernel[0]; i++)
    for (int64_t j = 0; j < w->kernel[1]; j++) b->offset[t++] = phase_at(b, i * w->dilation[0], j * w->dilation[1]);
  return true;
}

// With a constant step the compiler makes shuffles of it.
static inline void gather(float *restrict to, const float *restrict from, int64_t n, int64_t step) {
  for (int64_t j = 0; j < n; j++) to[j] = from[j * step];
}

// Copies the input of the band whose first output row is `first`. Places of padding were zeroed before and are
// never written, but for the rows above and below the input, which change from band to band.
static void fill(const band *b, const float *restrict x, int64_t first, float *restrict buffer) {
  const window *w = &b->w;
  int64_t sc = w->stride[1], top = first * w->stride[0] - w->pad[0], left = w->pad[1];
  for (int64_t r = 0; r < b->phase_rows * w->stride[0]; r++) {
    const float *from = x + (top + r) * w->in[1];
    bool inside = top + r >= 0 && top + r < w->in[0];
    for (int64_t phase = 0; phase < sc; phase++) {
      float *to = buffer + phase_at(b, r, phase);
      // Buffer column j of the phase is input column j * sc + phase - left.
      int64_t begin = left > phase ? (left - phase + sc - 1) / sc : 0;
      int64_t end = w->in[1] + left > phase ? (w->in[1] + left - phase + sc - 1) / sc : 0;
      if (end > b->pitch) end = b->pitch;
      if (begin >= end) continue;
      if (!inside) memset(to + begin, 0, (size_t)(end - begin) * sizeof(float));
      else if (sc == 1) memcpy(to + begin, from + begin - left, (size_t)(end - begin) * sizeof(float));
      else if (sc == 2)
        gather(to + begin, from + 2 * begin + phase - left, end - begin, 2);
      else gather(to + begin, from + sc * begin + phase - left, end - begin, sc);
    }
  }
}

static void flat(const band *b, const float *buffer, const float *weight, float bias, float *out, int64_t n) {
  for (int64_t i = 0; i < n; i += BLOCK) {
    vec sum[UNROLL];
#pragma GCC unroll 6
    for (int u = 0; u < UNROLL; u++) sum[u] = SPLAT(bias);
    for (size_t t = 0; t < b->taps; t++) {
      const float *from = buffer + b->offset[t] + i;
      vec k = SPLAT(weight[t]);
#pragma GCC unroll 6
      for (int u = 0; u < UNROLL; u++) sum[u] = MULTIPLY_ADD(k, LOAD(from + u * VECTOR), sum[u]);
    }
#pragma GCC unroll 6
    for (int u = 0; u < UNROLL; u++) STORE(out + i + u * VECTOR, sum[u]);
  }
}

static void planes(const window *w, const float *x, const float *weight, const float *bias, float *y, size_t first,
                   size_t count, size_t multiplier) {
  band b;
  size_t in = window_in(w), pixels = window_out(w), taps = window_taps(w);
  if (pixels == 0) return;
  bool banded = band_init(&b, w);
  float buffer[BUFFER], out[BUFFER];
  if (banded) memset(buffer, 0, sizeof buffer);
  for (size_t c = first; c < first + count; c++) {
    const float *source = x + c / multiplier * in, *k = weight + c * taps;
    float start = bias ? bias[c] : 0, *target = y + (c - first) * pixels;
    if (!banded) {
      plane(w, source, k, start, target);
      continue;
    }
    int64_t width = b.w.out[1];
    for (int64_t r = 0; r < b.w.out[0]; r += b.rows) {
      int64_t rows = b.w.out[0] - r < b.rows ? b.w.out[0] - r : b.rows;
      fill(&b, source, r, buffer);
      flat(&b, buffer, k, start, out, (rows - 1) * b.pitch + width);
      for (int64_t i = 0; i < rows; i++)
        memcpy(target + (r + i) * width, out + i * b.pitch, (size_t)width * sizeof(float));
    }
  }
}

KERNEL(conv_dw_f32) = {.planes = planes};

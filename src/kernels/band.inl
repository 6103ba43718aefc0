// SPDX-License-Identifier: Apache-2.0
// Windows over planes of one and two dimensions made fit for vectors; used by conv_dw_f32 and pool_f32. A band of
// the plane is copied into a buffer with its padding in place and split by stride: rows and columns that the
// same tap reads become neighbours. Then a tap is one constant offset, and outputs run as one flat array over row
// ends (what is computed between rows is dropped), so a 7 x 7 plane fills vectors as well as a 112 x 112 one:
//
//     flat[i] = combination over taps t of buffer[offset[t] + i]
#include <string.h>

#include "kernels/vec.h"
#include "kernels/window.h"

enum { BUFFER = 8192, TAPS = 128, UNROLL = 6, BLOCK = UNROLL * VECTOR };

// Geometry of a band of output rows; the same for all channels.
typedef struct band {
  window w;            // rank 2
  int64_t pitch;       // of a row, in both the phases of the buffer and the flat output
  int64_t phase_rows;  // rows of a phase
  int64_t rows;        // output rows of a band
  size_t taps, offset[TAPS];
  size_t floats;  // of the buffer that are read
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
  int64_t reach[2], over[2];  // input places a window covers; rows and columns a phase holds beyond the outputs
  for (int d = 0; d < 2; d++) {
    if (w->in[d] > BUFFER || w->out[d] > BUFFER || w->stride[d] > 16 || w->kernel[d] > TAPS ||
        w->dilation[d] > BUFFER || w->pad[d] > BUFFER)
      return false;
    reach[d] = (w->kernel[d] - 1) * w->dilation[d] + 1, over[d] = (reach[d] + w->stride[d] - 1) / w->stride[d] - 1;
  }
  b->taps = (size_t)(w->kernel[0] * w->kernel[1]), b->pitch = w->out[1] + over[1];
  // phases * (rows + over) * pitch + a block read past the end <= BUFFER
  b->rows = (BUFFER - 2 * BLOCK) / (b->pitch * w->stride[0] * w->stride[1]) - over[0];
  if (b->taps > TAPS || b->rows < 1) return false;
  if (b->rows > w->out[0]) b->rows = w->out[0];
  b->phase_rows = b->rows + over[0];
  b->floats = (size_t)(b->phase_rows * b->pitch * w->stride[0] * w->stride[1] + 2 * BLOCK);
  size_t t = 0;
  for (int64_t i = 0; i < w->kernel[0]; i++)
    for (int64_t j = 0; j < w->kernel[1]; j++) b->offset[t++] = phase_at(b, i * w->dilation[0], j * w->dilation[1]);
  return true;
}

// With a constant step the compiler makes shuffles of it.
static inline void band_gather(float *restrict to, const float *restrict from, int64_t n, int64_t step) {
  for (int64_t j = 0; j < n; j++) to[j] = from[j * step];
}

// Copies the input of the band whose first output row is `first`. Places of padding hold `pad` from before
// and are never written, but for the rows above and below the input, which change from band to band.
static void band_fill(const band *b, const float *restrict x, int64_t first, float pad, float *restrict buffer) {
  const window *w = &b->w;
  int64_t sc = w->stride[1], top = first * w->stride[0] - w->pad[0], left = w->pad[1];
  for (int64_t r = 0; r < b->phase_rows * w->stride[0]; r++) {
    bool inside = top + r >= 0 && top + r < w->in[0];
    const float *from = inside ? x + (top + r) * w->in[1] : x;
    for (int64_t phase = 0; phase < sc; phase++) {
      float *to = buffer + phase_at(b, r, phase);
      // Buffer column j of the phase is input column j * sc + phase - left.
      int64_t begin = left > phase ? (left - phase + sc - 1) / sc : 0;
      int64_t end = w->in[1] + left > phase ? (w->in[1] + left - phase + sc - 1) / sc : 0;
      if (end > b->pitch) end = b->pitch;
      if (begin >= end) continue;
      if (!inside)
        for (int64_t j = begin; j < end; j++) to[j] = pad;
      else if (sc == 1) memcpy(to + begin, from + begin - left, (size_t)(end - begin) * sizeof(float));
      else if (sc == 2) band_gather(to + begin, from + 2 * begin + phase - left, end - begin, 2);
      else band_gather(to + begin, from + sc * begin + phase - left, end - begin, sc);
    }
  }
}

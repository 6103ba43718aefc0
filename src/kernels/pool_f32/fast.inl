// SPDX-License-Identifier: Apache-2.0
// pool_f32 in vectors, for max without indices and average in one and two dimensions: outputs are folds over the
// offsets of band.inl. The rest goes to rows.inl.
#include "kernels/band.inl"
#include "kernels/pool_f32/rows.inl"

#define FLAT(name, start, fold)                                                          \
  static void name(const band *b, const float *buffer, float *out, int64_t n) {          \
    for (int64_t i = 0; i < n; i += BLOCK) {                                             \
      vec v[UNROLL];                                                                     \
      for (int u = 0; u < UNROLL; u++) v[u] = vec_splat(start);                          \
      for (size_t t = 0; t < b->taps; t++) {                                             \
        const float *from = buffer + b->offset[t] + i;                                   \
        for (int u = 0; u < UNROLL; u++) v[u] = fold(v[u], vec_load(from + u * VECTOR)); \
      }                                                                                  \
      for (int u = 0; u < UNROLL; u++) vec_store(out + i + u * VECTOR, v[u]);            \
    }                                                                                    \
  }
FLAT(flat_max, -INFINITY, vec_max)
FLAT(flat_sum, 0, vec_add)

typedef void (*flat_fold)(const band *b, const float *buffer, float *out, int64_t n);

static void bands(const band *b, const float *x, float *y, float pad, flat_fold fold) {
  float buffer[BUFFER], out[BUFFER];
  int64_t width = b->w.out[1];
  for (size_t i = 0; i < b->floats; i++) buffer[i] = pad;
  for (int64_t r = 0; r < b->w.out[0]; r += b->rows) {
    int64_t rows = b->w.out[0] - r < b->rows ? b->w.out[0] - r : b->rows;
    band_fill(b, x, r, pad, buffer);
    fold(b, buffer, out, (rows - 1) * b->pitch + width);
    for (int64_t i = 0; i < rows; i++) memcpy(y + (r + i) * width, out + i * b->pitch, (size_t)width * sizeof(float));
  }
}

static void max(const window *w, const float *x, float *y, int64_t *index) {
  band b;
  if (index || window_out(w) == 0 || !band_init(&b, w)) rows_max(w, x, y, index);
  else bands(&b, x, y, -INFINITY, flat_max);
}

static void average(const window *w, const float *x, float *y, bool include_pad) {
  band b;
  if (window_out(w) == 0 || !band_init(&b, w)) {
    rows_average(w, x, y, include_pad);
    return;
  }
  bands(&b, x, y, 0, flat_sum);
  for (int64_t r = 0; r < b.w.out[0]; r++) {
    int64_t outer = places(&b.w, 0, r, include_pad), column = -1;
    float divisor = 0;
    for (int64_t c = 0; c < b.w.out[1]; c++, y++) {
      int64_t n = places(&b.w, 1, c, include_pad);
      if (n != column) column = n, divisor = (float)(outer * n);
      *y /= divisor;
    }
  }
}

KERNEL(pool_f32) = {.max = max, .average = average, .lp = rows_lp};

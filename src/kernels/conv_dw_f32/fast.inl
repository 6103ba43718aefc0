// SPDX-License-Identifier: Apache-2.0
// conv_dw_f32 in vectors, for one and two dimensions: outputs are sums over the offsets of band.inl; other
// geometry goes to plane.inl.
#include "kernels/band.inl"
#include "kernels/conv_dw_f32/conv_dw_f32.h"
#include "kernels/conv_dw_f32/plane.inl"

static void flat(const band *b, const float *buffer, const float *weight, float bias, float *out, int64_t n) {
  for (int64_t i = 0; i < n; i += BLOCK) {
    vec sum[UNROLL];
#pragma GCC unroll 6
    for (int u = 0; u < UNROLL; u++) sum[u] = vec_splat(bias);
    for (size_t t = 0; t < b->taps; t++) {
      const float *from = buffer + b->offset[t] + i;
      vec k = vec_splat(weight[t]);
#pragma GCC unroll 6
      for (int u = 0; u < UNROLL; u++) sum[u] = vec_fma(k, vec_load(from + u * VECTOR), sum[u]);
    }
#pragma GCC unroll 6
    for (int u = 0; u < UNROLL; u++) vec_store(out + i + u * VECTOR, sum[u]);
  }
}

static void planes(const window *w, const float *x, const float *weight, const float *bias, float *y, size_t first,
                   size_t count, size_t multiplier) {
  band b;
  size_t in = window_in(w), pixels = window_out(w), taps = window_taps(w);
  if (pixels == 0) return;
  bool banded = band_init(&b, w);
  float buffer[BUFFER], out[BUFFER];
  if (banded) memset(buffer, 0, b.floats * sizeof(float));
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
      band_fill(&b, source, r, 0, buffer);
      flat(&b, buffer, k, start, out, (rows - 1) * b.pitch + width);
      for (int64_t i = 0; i < rows; i++)
        memcpy(target + (r + i) * width, out + i * b.pitch, (size_t)width * sizeof(float));
    }
  }
}

KERNEL(conv_dw_f32) = {.planes = planes};

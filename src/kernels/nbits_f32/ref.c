// SPDX-License-Identifier: Apache-2.0
// The definition.
#include "kernels/nbits_f32/nbits_f32.h"

#include <string.h>

enum { N = NBITS_COLUMNS, HALF = N / 2 };

#if defined(__FMA__) || defined(__aarch64__)
#define MULTIPLY_ADD(a, b, c) __builtin_fmaf(a, b, c)
#else
#define MULTIPLY_ADD(a, b, c) ((a) * (b) + (c))
#endif

static void zeros_of(const nbits_panel *p, size_t block, float *zeros) {
  for (size_t j = 0; j < N; j++) zeros[j] = p->zeros ? p->zeros[block * N + j] : 8;
}

static void widen(const nbits_panel *p, size_t k0, size_t kc, size_t first, size_t count, float *to, size_t stride) {
  float row[N], zeros[N];
  size_t k = k0;
  while (k < k0 + kc) {
    size_t block = k / p->block, end = (block + 1) * p->block;
    const float *scales = p->scales + block * N;
    zeros_of(p, block, zeros);
    for (; k < end && k < k0 + kc; k++, to += stride) {
      const uint8_t *q = p->weights + k * HALF;
      for (size_t j = 0; j < HALF; j++) row[j] = ((float)(q[j] & 15) - zeros[j]) * scales[j];
      for (size_t j = 0; j < HALF; j++) row[HALF + j] = ((float)(q[j] >> 4) - zeros[HALF + j]) * scales[HALF + j];
      if (count == N) memcpy(to, row, sizeof row);
      else memcpy(to, row + first, count * sizeof *to);
    }
  }
}

static void multiply(const nbits_panel *p, size_t k, const float *a, float *c) {
  float low[HALF] = {0}, high[HALF] = {0}, zeros[N];
  for (size_t i = 0; i < k;) {
    size_t block = i / p->block, end = (block + 1) * p->block;
    const float *scales = p->scales + block * N;
    zeros_of(p, block, zeros);
    for (; i < end && i < k; i++) {
      const uint8_t *q = p->weights + i * HALF;
      float x = a[i];
      for (size_t j = 0; j < HALF; j++) low[j] = MULTIPLY_ADD(x, ((float)(q[j] & 15) - zeros[j]) * scales[j], low[j]);
      for (size_t j = 0; j < HALF; j++)
        high[j] = MULTIPLY_ADD(x, ((float)(q[j] >> 4) - zeros[HALF + j]) * scales[HALF + j], high[j]);
    }
  }
  memcpy(c, low, sizeof low);
  memcpy(c + HALF, high, sizeof high);
}

KERNEL(nbits_f32) = {.widen = widen, .multiply = multiply};

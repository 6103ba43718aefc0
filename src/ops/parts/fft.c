// SPDX-License-Identifier: Apache-2.0
// See fft.h.
#include "ops/parts/fft.h"

#include <math.h>

#include "base/pool.h"
#include "base/size.h"

static const double pi = 3.14159265358979323846;

static bool is_power(size_t n) { return (n & (n - 1)) == 0; }

static bool choose(size_t n, size_t *m) {
  if (n == 0 || n > SIZE_MAX / 1024) return false;
  *m = 1;
  while (*m < (is_power(n) ? n : 2 * n - 1)) *m *= 2;
  return true;
}

bool fft_sizes(size_t n, size_t *table_bytes, size_t *scratch_bytes) {
  size_t m;
  if (!choose(n, &m)) return false;
  *table_bytes = (m + (is_power(n) ? 0 : 2 * n + 2 * m)) * sizeof(double);
  *scratch_bytes = is_power(n) ? 0 : 2 * m * sizeof(double);
  return true;
}

enum { PIECE = 1 << 15 };  // butterflies between two looks at the deadline

// Transforms of `half` numbers to those of twice as many. False: stopped.
static bool join_halves(const double *roots, size_t m, size_t half, double *x, size_t *done) {
  size_t piece = half < PIECE ? half : PIECE;
  for (size_t start = 0; start < m; start += 2 * half)
    for (size_t from = 0; from < half; from += piece) {
      if (pool_stopped_after(done, piece)) return false;
      for (size_t k = from; k < from + piece; k++) {
        const double *w = roots + 2 * (k * (m / 2 / half));
        double *a = x + 2 * (start + k), *b = a + 2 * half;
        double re = b[0] * w[0] - b[1] * w[1], im = b[0] * w[1] + b[1] * w[0];
        b[0] = a[0] - re, b[1] = a[1] - im;
        a[0] += re, a[1] += im;
      }
    }
  return true;
}

// In place; m is a power of two.
static void transform(const double *roots, size_t m, double *x) {
  for (size_t i = 1, j = 0; i < m; i++) {  // j counts with its bits reversed
    size_t bit = m / 2;
    for (; j & bit; bit /= 2) j ^= bit;
    j ^= bit;
    if (pool_stopped_in(i)) return;
    if (i >= j) continue;
    double re = x[2 * i], im = x[2 * i + 1];
    x[2 * i] = x[2 * j], x[2 * i + 1] = x[2 * j + 1];
    x[2 * j] = re, x[2 * j + 1] = im;
  }
  size_t done = 0;
  for (size_t half = 1; half < m && join_halves(roots, m, half, x, &done); half *= 2) continue;
}

static void zero(double *x, size_t m) {
  for (size_t k = 0; k < m && !pool_stopped_in(k); k++) x[2 * k] = x[2 * k + 1] = 0;
}

void fft_init(fft *f, size_t n, void *tables) {
  double *roots = tables;
  *f = (fft){.n = n, .roots = roots};
  choose(n, &f->m);
  for (size_t k = 0; k < f->m / 2 && !pool_stopped_in(k); k++) {
    double angle = -2 * pi * (double)k / (double)f->m;
    roots[2 * k] = cos(angle), roots[2 * k + 1] = sin(angle);
  }
  if (is_power(n)) return;
  double *chirp = roots + f->m, *filter = chirp + 2 * n;
  f->chirp = chirp, f->filter = filter;
  zero(filter, f->m);
  // square = k^2 mod 2n, so that the angle keeps its digits
  for (size_t k = 0, square = 0; k < n && !pool_stopped_in(k); k++) {
    double angle = -pi * (double)square / (double)n;
    chirp[2 * k] = cos(angle), chirp[2 * k + 1] = sin(angle);
    size_t mirror = k ? f->m - k : 0;
    filter[2 * k] = filter[2 * mirror] = chirp[2 * k];
    filter[2 * k + 1] = filter[2 * mirror + 1] = -chirp[2 * k + 1];
    square = (square + 2 * k + 1) % (2 * n);
  }
  transform(roots, f->m, filter);
}

static void convolve(const fft *f, double *data, double *work) {
  for (size_t k = 0; k < f->n && !pool_stopped_in(k); k++) {
    const double *x = data + 2 * k, *w = f->chirp + 2 * k;
    work[2 * k] = x[0] * w[0] - x[1] * w[1], work[2 * k + 1] = x[0] * w[1] + x[1] * w[0];
  }
  zero(work + 2 * f->n, f->m - f->n);
  transform(f->roots, f->m, work);
  for (size_t k = 0; k < f->m && !pool_stopped_in(k); k++) {  // conjugated, so that the same transform leads back
    double *x = work + 2 * k;
    const double *w = f->filter + 2 * k;
    double re = x[0] * w[0] - x[1] * w[1], im = x[0] * w[1] + x[1] * w[0];
    x[0] = re, x[1] = -im;
  }
  transform(f->roots, f->m, work);
  for (size_t k = 0; k < f->n && !pool_stopped_in(k); k++) {
    double re = work[2 * k] / (double)f->m, im = -work[2 * k + 1] / (double)f->m;
    const double *w = f->chirp + 2 * k;
    data[2 * k] = re * w[0] - im * w[1], data[2 * k + 1] = re * w[1] + im * w[0];
  }
}

static void conjugate(double *data, size_t n) {
  for (size_t k = 0; k < n && !pool_stopped_in(k); k++) data[2 * k + 1] = -data[2 * k + 1];
}

void fft_run(const fft *f, double *data, bool inverse, void *scratch) {
  if (inverse) conjugate(data, f->n);
  if (f->chirp) convolve(f, data, scratch);
  else transform(f->roots, f->m, data);
  if (inverse) conjugate(data, f->n);
}

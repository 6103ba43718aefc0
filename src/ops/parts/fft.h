// SPDX-License-Identifier: Apache-2.0
// Discrete Fourier transforms of any length in double: powers of two by halving, others as a convolution with a
// chirp (Bluestein), which is three transforms of a power of two. O(n log n) always.
#pragma once

#include <stdbool.h>
#include <stddef.h>

// Tables of one length; the memory is the caller's.
typedef struct fft {
  size_t n, m;           // length; power of two that does the work
  const double *roots;   // exp(-2 pi i k / m), k < m / 2, as pairs
  const double *chirp;   // exp(-pi i k^2 / n), k < n; NULL where n is a power of two
  const double *filter;  // transform of the conjugate chirp
} fft;

// Bytes of tables and of the scratch of one run; false: too large.
bool fft_sizes(size_t n, size_t *table_bytes, size_t *scratch_bytes);
void fft_init(fft *f, size_t n, void *tables);
// data: n complex numbers as pairs, transformed in place with exp(-2 pi i ...), or exp(+ ...) if inverse; not scaled.
void fft_run(const fft *f, double *data, bool inverse, void *scratch);

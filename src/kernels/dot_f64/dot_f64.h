// SPDX-License-Identifier: Apache-2.0
// Contract: y[i] = sum over k < n of x[k] * c[i * n + k], i < rows, in double: element k belongs to sum k % 8, and
// these are added up by halves (sum i and i + 4, then i and i + 2, then two), so that all variants give the same bits.
// No FMA. y overlaps nothing.
#pragma once

#include "kernels/kernel.h"

typedef struct dot_f64_kernel {
  void (*rows)(const double *x, const float *c, size_t n, size_t rows, double *y);
} dot_f64_kernel;

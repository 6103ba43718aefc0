// SPDX-License-Identifier: Apache-2.0
// Contract: softmax or its logarithm along one axis of dense floats, y may be x.
//
// rows: the axis is innermost; each of `rows` rows of `cols` on its own. columns: the axis has stride
// `inner`; x points at one [axis, inner] matrix and `width` adjacent columns of it are done (threads may
// split them anywhere).
// y = exp(x - max) / sum. Error <= 1e-6 relative + 1e-37 (softmax), <= 2e-6 * max(1, |y|) (logarithm), each
// beside what the rounding of x - max to float makes of the result: 2^-24 |x - max|.
// A row with a NaN, with +inf or of -inf alone gives NaN, as in numpy; otherwise exp(-inf) is 0. The order of
// additions is fixed by the length alone: blocks in float, blocks of blocks in double.
#pragma once

#include <stddef.h>

#include "kernels/kernel.h"

typedef struct softmax_f32_kernel {
  void (*rows)(const float *x, float *y, size_t rows, size_t cols, bool logarithm);
  void (*columns)(const float *x, float *y, size_t axis, size_t inner, size_t width, bool logarithm);
} softmax_f32_kernel;

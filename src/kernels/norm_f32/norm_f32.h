// SPDX-License-Identifier: Apache-2.0
// Contract: normalisations on dense floats; y may be x.
//
// layer: rows of cols; y = (x - mean) / sqrt(variance + epsilon) * scale[col] + bias[col]; bias, mean and
// inverse (standard deviation, one a row) may be NULL. LayerNormalization.
// rms: the same without mean: y = x / sqrt(mean of squares + epsilon) * scale[col] (+ bias if not NULL).
// group: one group of channels x spatial elements normalised as a whole, then y = n * scale[c] + bias[c].
// InstanceNormalization is one channel a group; GroupNormalization several.
// channels: y = x * scale[c] + shift[c] on channels planes of spatial elements (BatchNormalization, folded).
// Mean and variance are summed in two passes, with partial sums of at most 64 floats in a lane of 32 and the rest in
// double: error <= 2e-6 of the largest |scale| * |normalised| + |bias|. The order depends on lengths alone.
#pragma once

#include <stddef.h>

#include "kernels/kernel.h"

typedef struct norm_f32_kernel {
  void (*layer)(const float *x, const float *scale, const float *bias, float *y, float *mean, float *inverse,
                size_t rows, size_t cols, float epsilon);
  void (*rms)(const float *x, const float *scale, const float *bias, float *y, float *inverse, size_t rows, size_t cols,
              float epsilon);
  void (*group)(const float *x, const float *scale, const float *bias, float *y, size_t channels, size_t spatial,
                float epsilon);
  void (*channels)(const float *x, const float *scale, const float *shift, float *y, size_t channels, size_t spatial);
} norm_f32_kernel;

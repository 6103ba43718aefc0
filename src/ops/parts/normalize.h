// SPDX-License-Identifier: Apache-2.0
// What the normalisations share: reading epsilon, and the portable way for types without a kernel.
#pragma once

#include "ops/record.h"

// Attribute `epsilon`; negative and NaN are refused.
sdx_status normalize_epsilon(op_params_context *c, float *epsilon);
// y = (x - mean) / sqrt(variance + epsilon) on rows of cols elements, in double, for any float types; rms: the
// mean is taken as 0. `mean` and `inverse` (one element a row) may be NULL. y may be x.
void normalize_rows(op_step *c, const tensor *x, tensor *y, tensor *mean, tensor *inverse, size_t rows, size_t cols,
                    double epsilon, bool rms);
// All tensors that are given are float.
bool normalize_in_float(size_t count, const tensor *const *tensors);
// y = y * scale + bias; either may be NULL; both are broadcast to y.
sdx_status normalize_affine(op_step *c, tensor *y, const tensor *scale, const tensor *bias);
// A 1-D tensor seen as [C, 1, ..., 1] so that it runs along axis 1 of a tensor of `rank`. `dims` is room for it.
tensor normalize_channel_view(const tensor *t, size_t rank, int64_t dims[TENSOR_MAX_RANK]);

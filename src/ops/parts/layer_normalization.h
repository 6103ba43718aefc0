// SPDX-License-Identifier: Apache-2.0
// (x - mean) / sqrt(variance + epsilon) * scale + bias over the axes from `axis` on, or with the mean of squares alone
// (rms): LayerNormalization, RMSNormalization and their relatives with a residual sum in com.microsoft.
#pragma once

#include "ops/record.h"

typedef struct layer_normalization_params {
  float epsilon;
  int64_t axis;
  sdx_dtype stash;  // of the statistics
  bool rms;
} layer_normalization_params;

sdx_status layer_normalization_read(op_params_context *c, void *params);
sdx_status layer_normalization_read_rms(op_params_context *c, void *params);
sdx_status layer_normalization_infer(op_step *c);
sdx_status layer_normalization_prepare(op_step *c);
sdx_status layer_normalization_compute(op_step *c);

// Type of a statistic: the shape of input 0 with ones from `axis` on.
sdx_status layer_normalization_infer_statistic(op_step *c, size_t output, int64_t axis);
// For steps whose params are layer_normalization_params; bias, mean and inverse may be NULL.
sdx_status layer_normalization_run(op_step *c, const tensor *x, const tensor *scale, const tensor *bias, tensor *y,
                                   tensor *mean, tensor *inverse);

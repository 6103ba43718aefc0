// SPDX-License-Identifier: Apache-2.0
// Convolution shared by Conv and com.microsoft's FusedConv: Y = activation(X * W + B + Z). Also the shape
// rule that the integer convolutions (ConvInteger, QLinearConv) follow.
#pragma once

#include "kernels/activation.h"
#include "ops/parts/window_attrs.h"

typedef struct conv_params {
  window_attrs window;
  int64_t group;
  activation activation;
} conv_params;

sdx_status conv_read(op_params_context *c, void *params);  // without the activation
// Output type of X (input `x`), W (input `w`), bias (input `bias` if present).
sdx_status conv_infer_shape(op_step *c, const conv_params *p, size_t x, size_t w, size_t bias, sdx_dtype dtype);
// Input `bias`, if present, has an element for each of `channels` (negative: not known).
sdx_status conv_infer_bias(op_step *c, size_t bias, int64_t channels);
// Inputs X W B? Z?
sdx_status conv_infer(op_step *c);
void conv_layouts(op_step *c, step_layouts *l);
// What channels-last is worth to a convolution with these weights: step_layouts.gain.
int64_t conv_layout_gain(const op_step *c, size_t weights);
sdx_status conv_prepare(op_step *c);
sdx_status conv_compute(op_step *c);

// SPDX-License-Identifier: Apache-2.0
// Contract: one plane of a depthwise convolution: y[o] = bias + sum over taps t of weight[t] * x[window place],
// taps in row-major order, padding reads as absent (adds nothing). Geometry: kernels/window.h; weights are the
// taps in row-major order. y overlaps nothing. Called through conv_f32, which splits planes over threads.
// Each product is added with one rounding for both (fused multiply-add), starting from the bias, so all
// variants give the same bits. An infinite or NaN weight touches only outputs whose tap lies inside.
#pragma once

#include "kernels/kernel.h"
#include "kernels/window.h"

typedef struct conv_dw_f32_kernel {
  void (*plane)(const window *w, const float *x, const float *weight, float bias, float *y);
} conv_dw_f32_kernel;

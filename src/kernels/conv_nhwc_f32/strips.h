// SPDX-License-Identifier: Apache-2.0
// First layers, whose few channels would leave the inner loop short: the rows of the image that a few rows of outputs
// read are copied with their padding (from planes too, so that an image needs no reordering before), and what a row of
// the kernel reads is one run of floats.
#pragma once

#include "kernels/conv_nhwc_f32/conv_nhwc_f32.h"

// Whether a shape is computed so; fills in plan->strips and the sizes of scratch and packed weights. false also where a
// size overflows.
bool strips_plan(conv_nhwc_f32_plan *plan);
void strips_pack(const conv_nhwc_f32_plan *plan, const float *weights, float *packed);
void strips_run(const conv_nhwc_f32_plan *plan, const conv_nhwc_f32_call *call, void *scratch);

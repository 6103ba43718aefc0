// SPDX-License-Identifier: Apache-2.0
// Activations that a producing kernel (GEMM, convolution) applies to its finished tile. Passes fuse
// them, operators translate their attributes into the struct; activation.inl computes them.
#pragma once

#include <stdint.h>

typedef enum activation_kind {
  ACTIVATION_NONE,
  ACTIVATION_RELU,
  ACTIVATION_CLIP,         // min(max(x, a), b)
  ACTIVATION_LEAKY,        // x < 0 ? a x : x
  ACTIVATION_SIGMOID,      // 1 / (1 + exp(-x))
  ACTIVATION_TANH,
  ACTIVATION_SILU,         // x sigmoid(x)
  ACTIVATION_HARD_SIGMOID, // max(0, min(1, a x + b))
  ACTIVATION_HARD_SWISH,   // x max(0, min(1, x / 6 + 1/2))
  ACTIVATION_GELU,         // x (1 + erf(x / sqrt 2)) / 2
  ACTIVATION_GELU_TANH,    // the tanh approximation of the above
} activation_kind;

typedef struct activation {
  activation_kind kind;
  float a, b;
} activation;

// SPDX-License-Identifier: Apache-2.0
// Activation kinds as functions; see activation.h.
#include "kernels/activation.h"

#include "kernels/unary_f32/unary_f32.h"

activation_fn activation_find(activation_kind kind) {
  static const unary_f32_op ops[] = {
      [ACTIVATION_RELU] = UNARY_F32_RELU,
      [ACTIVATION_CLIP] = UNARY_F32_CLIP,
      [ACTIVATION_LEAKY] = UNARY_F32_LEAKY_RELU,
      [ACTIVATION_SIGMOID] = UNARY_F32_SIGMOID,
      [ACTIVATION_TANH] = UNARY_F32_TANH,
      [ACTIVATION_SILU] = UNARY_F32_SWISH,
      [ACTIVATION_HARD_SIGMOID] = UNARY_F32_HARD_SIGMOID,
      [ACTIVATION_HARD_SWISH] = UNARY_F32_HARD_SWISH,
      [ACTIVATION_GELU] = UNARY_F32_GELU,
      [ACTIVATION_GELU_TANH] = UNARY_F32_GELU_TANH,
  };
  return kind == ACTIVATION_NONE ? NULL : KERNEL_BEST(unary_f32)->fn[ops[kind]];
}

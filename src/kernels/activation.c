// SPDX-License-Identifier: Apache-2.0
// Activation kinds as functions; see activation.h.
#include "kernels/activation.h"

#include "kernels/unary_f32/unary_f32.h"

activation_fn activation_find(activation_kind kind) {
  static const unary_f32_op ops[] = {
#define ACTIVATION(kind, name, operation, numbers, a, b) [ACTIVATION_##kind] = UNARY_F32_##operation,
#include "kernels/activations.def"
  };
  return kind == ACTIVATION_NONE ? NULL : KERNEL_BEST(unary_f32)->fn[ops[kind]];
}

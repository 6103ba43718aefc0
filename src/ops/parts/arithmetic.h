// SPDX-License-Identifier: Apache-2.0
// Arithmetic on whole tensors with numpy broadcasting: the operators Add, Sub, ... and those that end with a broadcast
// scale or bias. Integers wrap; the result of a division by zero is 0.
#pragma once

#include "kernels/binary_f32/binary_f32.h"
#include "ops/record.h"

typedef enum arithmetic_op {
  ARITHMETIC_ADD,
  ARITHMETIC_SUB,
  ARITHMETIC_MUL,
  ARITHMETIC_DIV,
  ARITHMETIC_MIN,
  ARITHMETIC_MAX,
  ARITHMETIC_PRELU,
  ARITHMETIC_FLOOR_MOD,  // the sign of the divisor
  ARITHMETIC_TRUNC_MOD,  // that of the dividend
} arithmetic_op;

// out = a op b; out may be a. Types must agree. `kernel` NULL: the best one is looked up.
sdx_status arithmetic_run(op_step *c, const binary_f32_kernel *kernel, arithmetic_op op, tensor *out, const tensor *a,
                          const tensor *b);
// out = a + b, out = a * b.
sdx_status arithmetic_add(op_step *c, tensor *out, const tensor *a, const tensor *b);
sdx_status arithmetic_mul(op_step *c, tensor *out, const tensor *a, const tensor *b);

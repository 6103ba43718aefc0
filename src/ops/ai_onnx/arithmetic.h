// SPDX-License-Identifier: Apache-2.0
// Sums and products of whole tensors for operators that end with a broadcast scale or bias.
#pragma once

#include "ops/record.h"

// out = a + b, out = a * b with b broadcast to a; out may be a. Types must agree.
sdx_status arithmetic_add(op_step *c, tensor *out, const tensor *a, const tensor *b);
sdx_status arithmetic_mul(op_step *c, tensor *out, const tensor *a, const tensor *b);
